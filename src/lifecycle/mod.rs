//! Lifecycle policies: document text to [`Policy`], and a policy over a repository's images to [`Plan`]. Pure: no
//! database, no network. The embedded ECR keeps policies and carries out plans.

mod document;
mod evaluate;
mod lint;
mod place;
mod policy;
mod problem;
#[cfg(test)]
mod tests;
mod warnings;

pub use evaluate::{Image, Plan, evaluate};
pub use lint::{Finding, Severity, lint};
pub use place::Position;
pub use policy::{Action, Policy, StorageClass};
