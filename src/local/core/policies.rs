//! Policies of repositories and of the registry, as they are kept.

use crate::iam::{PolicyKind, validate};
use crate::local::core::error::Error;
use crate::local::core::registry_id::Scope;
use crate::local::core::repository::Repository;
use crate::local::core::resource_tags::tags_of;
use crate::local::core::settings::{Kind, configured, put_repository_text, repository_text};

pub(in crate::local) const KIND: &str = "repository-policy";

pub(in crate::local) fn refused(constraint: &str, reason: &str) -> Error {
    let mut error = Error::parameter("PolicyText", constraint);
    error.message = format!("{}: {reason}", error.message);
    error
}

/// Checks the policy of a repository.
pub(in crate::local) fn check_repository(text: &str, prefix: &str) -> Result<(), Error> {
    let invalid = |reason: String| refused("Invalid repository policy provided", &reason);
    validate(text, PolicyKind::Repository, prefix).map_err(invalid)
}

/// Gives a repository its policy.
pub(in crate::local) fn store(
    connection: &rusqlite::Connection,
    repository: &Repository,
    text: &str,
) -> Result<(), Error> {
    put_repository_text(connection, repository, KIND, text)
}

/// Policies that decide on a request to a registry, or to one of its repositories.
#[derive(Debug, Default)]
pub(in crate::local) struct ApplicablePolicies {
    pub(in crate::local) texts: Vec<String>,
    /// The tags of the repository.
    pub(in crate::local) tags: Vec<(String, String)>,
}

/// Finds them. A repository that is not there has none.
pub(in crate::local) fn of(
    connection: &rusqlite::Connection,
    scope: &Scope,
    name: Option<&str>,
) -> Result<ApplicablePolicies, Error> {
    let mut kept = ApplicablePolicies::default();
    kept.texts.extend(configured::<Option<String>>(connection, scope, Kind::RegistryPolicy)?);
    let repository = match name {
        Some(name) => Repository::look_up(connection, scope, name)?,
        None => None,
    };
    if let Some(repository) = repository {
        kept.texts.extend(repository_text(connection, &repository, KIND)?.map(|(text, _)| text));
        kept.tags = tags_of(connection, &repository)?;
    }
    Ok(kept)
}

/// Returns whether a repository exists.
pub(in crate::local) fn is_there(
    connection: &rusqlite::Connection,
    scope: &Scope,
    name: &str,
) -> Result<bool, Error> {
    Ok(Repository::look_up(connection, scope, name)?.is_some())
}
