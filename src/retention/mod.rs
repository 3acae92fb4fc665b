//! Retention: criteria, protection, and a plan with a decision and a reason for every image of a repository.
//!
//! Everything here is pure: what is in the repository is a [`Graph`](crate::image::graph::Graph), and the time is given. Deleting needs proof. An
//! image goes only if it was chosen, or if everything that lists it and everything that it is about goes; whatever is
//! not known for certain stays.

mod criteria;
mod levels;
mod plan;
mod protections;
mod reason;
pub mod references;
mod removals;
mod tags;

pub use criteria::{Criteria, TagState};
pub use levels::levels;
pub use plan::{Plan, Repository, Verdict, plan, removal};
pub use reason::{KeepReason, Protector, RemovalReason, Unmatched};

#[cfg(test)]
mod tests;
