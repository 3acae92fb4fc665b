//! Lifecycle policies: document text to [`Policy`], and a policy over a repository's images to [`Plan`]. Pure: no
//! database, no network. The embedded ECR keeps policies and carries out plans.

mod document;
mod evaluate;
mod explain;
mod lint;
#[cfg(test)]
mod order_tests;
mod policy;
mod position;
mod problem;
#[cfg(test)]
mod tests;
mod warnings;
mod words;

pub use evaluate::{Decision, Image, Plan, evaluate};
pub use explain::{Explainer, Explanation};
pub use lint::{Finding, Severity, lint};
pub use policy::{Action, Policy, Rule, StorageClass};
pub use position::Position;
