//! Tags on repositories: names and values that the owner gives them.

use rusqlite::{Connection, params};
use serde::Deserialize;

use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::repository::Repository;

/// Tags of one repository.
const MAX_TAGS: i64 = 50;

const MAX_KEY: usize = 128;

const MAX_VALUE: usize = 256;

/// A tag as a request or a template has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::local) struct ResourceTag {
    key: Option<String>,
    value: Option<String>,
}

/// Keys and values of tags, found sound.
pub(in crate::local) fn checked(given: Vec<ResourceTag>) -> Result<Vec<(String, String)>, Error> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in given {
        let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        let reserved = key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"));
        let long = key.chars().count() > MAX_KEY || value.chars().count() > MAX_VALUE;
        if key.is_empty() || reserved || long || tags.iter().any(|(other, _)| *other == key) {
            return Err(Error::new(ErrorKind::InvalidTagParameter, "Tag parameters are invalid"));
        }
        tags.push((key, value));
    }
    Ok(tags)
}

/// Adds tags to a repository, replacing those of the same keys.
pub(in crate::local) fn store(
    connection: &Connection,
    repository: &Repository,
    tags: &[(String, String)],
) -> Result<(), Error> {
    for (key, value) in tags {
        connection.execute(
            "INSERT OR REPLACE INTO resource_tag (repository, key, value) VALUES (?1, ?2, ?3)",
            params![repository.id, key, value],
        )?;
    }
    let query = "SELECT count(*) FROM resource_tag WHERE repository = ?1";
    let count: i64 = connection.query_row(query, [repository.id], |row| row.get(0))?;
    if count > MAX_TAGS {
        let text = format!(
            "The repository with name '{}' can have at most {MAX_TAGS} tags, and would have {count}",
            repository.name
        );
        return Err(Error::new(ErrorKind::TooManyTags, text));
    }
    Ok(())
}

/// The tags of a repository, by key.
pub(in crate::local) fn tags_of(
    connection: &Connection,
    repository: &Repository,
) -> Result<Vec<(String, String)>, Error> {
    let query = "SELECT key, value FROM resource_tag WHERE repository = ?1 ORDER BY key";
    let mut statement = connection.prepare_cached(query)?;
    let tags = statement.query_map([repository.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(tags.collect::<Result<_, _>>()?)
}

/// Removes the tags of these keys from a repository.
pub(in crate::local) fn remove(
    connection: &Connection,
    repository: &Repository,
    keys: &[&str],
) -> Result<(), Error> {
    for key in keys {
        let change = "DELETE FROM resource_tag WHERE repository = ?1 AND key = ?2";
        connection.execute(change, params![repository.id, key])?;
    }
    Ok(())
}
