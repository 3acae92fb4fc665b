//! Resource-based policies of repositories and registries: validation of the document (`document`) and evaluation of a
//! request against it (`evaluation`), by IAM's rules. Pure: no database, no network.

mod condition;
mod context;
mod document;
mod evaluation;
mod pattern;
mod principal;
#[cfg(test)]
mod tests;

pub use context::RequestContext;
pub use document::{PolicyKind, validate};
pub use evaluation::{Decision, Request, decide};
pub use principal::Principal;
