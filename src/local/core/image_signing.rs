//! The signing rules under which an image was pushed.

use rusqlite::{Connection, params};
use serde::Deserialize;

use crate::image::glob::matches_wildcard;
use crate::local::core::error::Error;
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, RepositoryFilter, configured};

/// Signing rules of a registry.
#[derive(Default, Deserialize)]
struct SigningConfiguration {
    rules: Option<Vec<SigningRule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningRule {
    signing_profile_arn: Option<String>,
    repository_filters: Option<Vec<RepositoryFilter>>,
}

/// Records under which rules an image was pushed.
pub(in crate::local) fn on_push(
    connection: &Connection,
    repository: &Repository,
    image: i64,
) -> Result<(), Error> {
    let configuration: SigningConfiguration = configured(connection, &repository.scope, Kind::Signing)?;
    for rule in configuration.rules.iter().flatten() {
        let filters = rule.repository_filters.as_ref();
        if filters
            .is_none_or(|all| all.iter().any(|filter| matches_wildcard(filter.text(), &repository.name)))
        {
            let change = "INSERT OR IGNORE INTO signing (image, profile) VALUES (?1, ?2)";
            connection.execute(change, params![image, rule.signing_profile_arn])?;
        }
    }
    Ok(())
}

/// Returns the signing profiles of the rules under which an image was pushed.
pub(in crate::local) fn signing_profiles(connection: &Connection, image: i64) -> Result<Vec<String>, Error> {
    let query = "SELECT profile FROM signing WHERE image = ?1 ORDER BY profile";
    let mut statement = connection.prepare_cached(query)?;
    let profiles = statement.query_map([image], |row| row.get(0))?;
    Ok(profiles.collect::<Result<_, _>>()?)
}
