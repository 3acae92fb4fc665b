//! Signing: the registry's rules, and what became of an image under them.
//!
//! The service signs through AWS Signer, which is not part of this program. An image that a rule covers is therefore
//! shown as one whose signing failed, with that reason; it is never shown as signed.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::identifier::ImageId;
use super::repository::Repository;
use super::settings::{Kind, Setting, given};
use crate::local::Fault;
use crate::local::call::Call;
use crate::local::glob::covers;

const REASON: &str = "The embedded ECR has no AWS Signer and cannot sign images.";

/// PutSigningConfiguration
pub(crate) fn put(call: &Call<'_>) -> Result<Value, Fault> {
    let configuration = given(call, "signingConfiguration");
    call.write(|transaction| {
        Setting::put(transaction, &call.scope(), Kind::Signing, "", &configuration, call.now)
    })?;
    Ok(json!({ "signingConfiguration": configuration }))
}

/// GetSigningConfiguration
pub(crate) fn get(call: &Call<'_>) -> Result<Value, Fault> {
    call.read(|connection| kept(call, connection))
}

/// DeleteSigningConfiguration
pub(crate) fn delete(call: &Call<'_>) -> Result<Value, Fault> {
    call.write(|transaction| {
        let answer = kept(call, transaction)?;
        Setting::remove(transaction, &call.scope(), Kind::Signing, "")?;
        Ok(answer)
    })
}

fn kept(call: &Call<'_>, connection: &Connection) -> Result<Value, Fault> {
    let scope = call.scope();
    match Setting::get(connection, &scope, Kind::Signing, "")? {
        Some(kept) => Ok(json!({ "registryId": scope.account, "signingConfiguration": kept.value })),
        None => Err(Fault::new(
            "SigningConfigurationNotFoundException",
            format!("Signing configuration does not exist in the registry with id '{}'", scope.account),
        )),
    }
}

/// Notes under which rules an image was pushed.
pub(in crate::local) fn on_push(
    connection: &Connection,
    repository: &Repository,
    image: i64,
) -> Result<(), Fault> {
    let Some(kept) = Setting::get(connection, &repository.scope, Kind::Signing, "")? else {
        return Ok(());
    };
    for rule in kept.value["rules"].as_array().into_iter().flatten() {
        let filters = rule["repositoryFilters"].as_array();
        let is_covered = filters.is_none_or(|filters| {
            filters
                .iter()
                .filter_map(|filter| filter["filter"].as_str())
                .any(|glob| covers(glob, &repository.name))
        });
        if is_covered {
            let change = "INSERT OR IGNORE INTO signing (image, profile) VALUES (?1, ?2)";
            connection.execute(change, params![image, rule["signingProfileArn"].as_str()])?;
        }
    }
    Ok(())
}

/// DescribeImageSigningStatus
pub(crate) fn describe(call: &Call<'_>) -> Result<Value, Fault> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let id = ImageId::of(&given(call, "imageId"));
        let image = id.must(connection, &repository)?;
        let mut statement =
            connection.prepare_cached("SELECT profile FROM signing WHERE image = ?1 ORDER BY profile")?;
        let statuses = statement.query_map([image.id], |row| {
            Ok(json!({
                "signingProfileArn": row.get::<_, String>(0)?,
                "failureCode": "SIGNER_UNAVAILABLE",
                "failureReason": REASON,
                "status": "FAILED",
            }))
        })?;
        Ok(json!({
            "repositoryName": repository.name,
            "imageId": id.completed(&image),
            "registryId": repository.scope.account,
            "signingStatuses": statuses.collect::<Result<Vec<_>, _>>()?,
        }))
    })
}
