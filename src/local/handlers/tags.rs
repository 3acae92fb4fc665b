//! Tags on resources: names and values that the owner hangs on a repository.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::repository::{Repository, is_account};
use crate::local::Fault;
use crate::local::call::{Call, Scope};

/// Tags of one repository.
const MOST_TAGS: i64 = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// The tags that a request brings.
pub(in crate::local) fn requested(call: &Call<'_>) -> Result<Vec<(String, String)>, Fault> {
    checked(call.list("tags").unwrap_or_default())
}

/// Tags as a request has them, found sound.
pub(in crate::local) fn checked(given: &[Value]) -> Result<Vec<(String, String)>, Fault> {
    let invalid = || Fault::new("InvalidTagParameterException", "Tag parameters are invalid");
    let text = |tag: &Value, member: &str| tag[member].as_str().unwrap_or_default().to_owned();
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in given {
        let (key, value) = (text(tag, "Key"), text(tag, "Value"));
        let reserved = key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"));
        let long = key.chars().count() > LONGEST_KEY || value.chars().count() > LONGEST_VALUE;
        if key.is_empty() || reserved || long || tags.iter().any(|(other, _)| *other == key) {
            return Err(invalid());
        }
        tags.push((key, value));
    }
    Ok(tags)
}

/// Adds tags to a repository's, replacing those of the same keys.
pub(in crate::local) fn store(
    connection: &Connection,
    repository: &Repository,
    tags: &[(String, String)],
) -> Result<(), Fault> {
    for (key, value) in tags {
        connection.execute(
            "INSERT OR REPLACE INTO resource_tag (repository, key, value) VALUES (?1, ?2, ?3)",
            params![repository.id, key, value],
        )?;
    }
    let query = "SELECT count(*) FROM resource_tag WHERE repository = ?1";
    let count: i64 = connection.query_row(query, [repository.id], |row| row.get(0))?;
    if count > MOST_TAGS {
        let text = format!(
            "The repository with name '{}' can have at most {MOST_TAGS} tags, and would have {count}",
            repository.name
        );
        return Err(Fault::new("TooManyTagsException", text));
    }
    Ok(())
}

/// The repository that `resourceArn` names.
fn resource(call: &Call<'_>, connection: &Connection) -> Result<Repository, Fault> {
    let arn = call.required("resourceArn");
    let invalid = || Fault::parameter("resourceArn", "Invalid ARN");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [scheme, partition, service, region, account, resource] = parts[..] else { return Err(invalid()) };
    let name = resource.strip_prefix("repository/").filter(|name| !name.is_empty()).ok_or_else(invalid)?;
    let here = scheme == "arn" && partition.starts_with("aws") && service == call.service.name;
    if !here || !is_account(account) || (region.is_empty() != call.is_public()) {
        return Err(invalid());
    }
    let region = if call.is_public() { call.scope().region } else { region.to_owned() };
    let scope = Scope { service: call.service.name, account: account.to_owned(), region };
    Repository::find(connection, &scope, name)
}

/// TagResource
pub(crate) fn tag(call: &Call<'_>) -> Result<Value, Fault> {
    let tags = requested(call)?;
    call.write(|transaction| {
        let repository = resource(call, transaction)?;
        store(transaction, &repository, &tags)?;
        Ok(json!({}))
    })
}

/// UntagResource
pub(crate) fn untag(call: &Call<'_>) -> Result<Value, Fault> {
    call.write(|transaction| {
        let repository = resource(call, transaction)?;
        for key in call.texts("tagKeys") {
            let change = "DELETE FROM resource_tag WHERE repository = ?1 AND key = ?2";
            transaction.execute(change, params![repository.id, key])?;
        }
        Ok(json!({}))
    })
}

/// ListTagsForResource
pub(crate) fn list(call: &Call<'_>) -> Result<Value, Fault> {
    call.read(|connection| {
        let repository = resource(call, connection)?;
        let tags = tags_of(connection, &repository)?.into_iter();
        let tags: Vec<Value> = tags.map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        Ok(json!({ "tags": tags }))
    })
}

/// The tags of a repository, by key.
pub(in crate::local) fn tags_of(
    connection: &Connection,
    repository: &Repository,
) -> Result<Vec<(String, String)>, Fault> {
    let query = "SELECT key, value FROM resource_tag WHERE repository = ?1 ORDER BY key";
    let mut statement = connection.prepare_cached(query)?;
    let tags = statement.query_map([repository.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(tags.collect::<Result<_, _>>()?)
}
