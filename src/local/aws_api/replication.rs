//! Replication: images pushed to one registry of the store are copied to others.

use rusqlite::Connection;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::responses::{configuration, given, invalid};
use crate::local::core::image_id::ImageId;
use crate::local::core::registry_id::Scope;
use crate::local::core::replication::{ReplicatedCopy, ReplicationConfiguration, replicated};
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, Setting};

/// Rules of one configuration, and destinations in all of them.
const MAX_RULES: usize = 10;

const MAX_DESTINATIONS: usize = 25;

/// PutReplicationConfiguration
pub(in crate::local) fn put(call: &Call<'_>) -> Result<Value, ApiError> {
    let scope = call.scope();
    let configuration = given(call, "replicationConfiguration");
    let refused = |constraint: &str| Err(ApiError::parameter("replicationConfiguration", constraint));
    let typed = ReplicationConfiguration::deserialize(&configuration).unwrap_or_default();
    let rules = typed.rules();
    if rules.len() > MAX_RULES {
        return refused(&format!("Replication configuration can have at most {MAX_RULES} rules"));
    }
    let mut unique: Vec<Scope> = Vec::new();
    for rule in rules {
        let destinations = rule.destinations();
        if destinations.is_empty() {
            return refused("Replication rule must have at least one destination");
        }
        for (place, destination) in destinations.iter().enumerate() {
            if destination.scope == scope {
                return refused("Replication destination cannot be the same as the source registry");
            }
            if destinations[..place].iter().any(|other| other.scope == destination.scope) {
                return refused("Replication destinations of a rule must be unique");
            }
            if !unique.contains(&destination.scope) {
                unique.push(destination.scope.clone());
            }
        }
    }
    if unique.len() > MAX_DESTINATIONS {
        return refused(&format!(
            "Replication configuration can have at most {MAX_DESTINATIONS} unique destinations"
        ));
    }
    call.write(|transaction| {
        Ok(Setting::put(transaction, &scope, Kind::Replication, "", &configuration, call.now)?)
    })?;
    Ok(json!({ "replicationConfiguration": configuration }))
}

/// DescribeRegistry
pub(in crate::local) fn describe_registry(call: &Call<'_>) -> Result<Value, ApiError> {
    let scope = call.scope();
    let none = json!({ "rules": [] });
    let configuration = configuration(call, Kind::Replication, none)?;
    Ok(json!({ "registryId": scope.account, "replicationConfiguration": configuration }))
}

/// DescribeImageReplicationStatus
pub(in crate::local) fn status(call: &Call<'_>) -> Result<Value, ApiError> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let id = ImageId::of(&given(call, "imageId"));
        let image = id.must(connection, &repository)?;
        let copies = replicated(connection, image.id)?.into_iter();
        let statuses = copies.map(|ReplicatedCopy { account, region, failure }| {
            let status = if failure.is_some() { "FAILED" } else { "COMPLETE" };
            let mut entry = json!({ "region": region, "registryId": account, "status": status });
            if let Some(failure) = failure {
                entry["failureCode"] = json!(failure);
            }
            entry
        });
        Ok(json!({
            "repositoryName": repository.name,
            "imageId": id.completed(&image),
            "replicationStatuses": statuses.collect::<Vec<_>>(),
        }))
    })
}

/// A destination as a backfill names it, which a rule of the configuration must name too.
pub(in crate::local) fn backfill_destination(
    call: &Call<'_>,
    connection: &Connection,
) -> Result<Scope, ApiError> {
    let text = |member: &str| call.text_within("destination", member).unwrap_or_default().to_owned();
    let wanted = Scope { service: "ecr", account: text("registryId"), region: text("region") };
    let configuration = ReplicationConfiguration::of(connection, &call.scope())?;
    if configuration.rules().iter().any(|rule| rule.destinations().iter().any(|each| each.scope == wanted)) {
        return Ok(wanted);
    }
    Err(invalid(format!(
        "The registry with id '{}' in the region '{}' is not a destination of the replication configuration",
        wanted.account, wanted.region
    )))
}
