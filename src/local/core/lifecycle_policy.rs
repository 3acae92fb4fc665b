//! Lifecycle policies, as they are checked and kept.

use rusqlite::Connection;

use crate::lifecycle::Policy;
use crate::local::core::error::Error;
use crate::local::core::repository::Repository;
use crate::local::core::settings::put_repository_text;

pub(in crate::local) const KIND: &str = "lifecycle-policy";

/// A policy in the form in which the service keeps it: without white space, its members in the order they came in.
pub(in crate::local) fn checked(text: &str) -> Result<(String, Policy), Error> {
    let refused = |told: String| {
        Error::parameter("LifecyclePolicyText", &format!("Lifecycle policy validation failure: {told}"))
    };
    let (policy, compact) = Policy::parse_compact(text).map_err(refused)?;
    Ok((compact, policy))
}

/// Gives a repository its policy.
pub(in crate::local) fn store(
    connection: &Connection,
    repository: &Repository,
    compact: &str,
) -> Result<(), Error> {
    put_repository_text(connection, repository, KIND, compact)
}
