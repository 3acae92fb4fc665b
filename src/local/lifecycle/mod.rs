//! Lifecycle policies as pure functions: a text becomes a [`Policy`], a policy and the facts about a repository's
//! images become a [`Plan`]. What the plan says is shown and done by `handlers::lifecycle`.
//!
//! The rules are those of `engines.md` 2.

mod document;
mod evaluate;
mod policy;

pub(super) use evaluate::{Facts, Plan, evaluate};
pub(super) use policy::{Action, Class, Policy};
