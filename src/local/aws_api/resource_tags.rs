//! Tags on resources: names and values that the owner hangs on a repository.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::registry_id::Scope;
use crate::local::core::repository::{Repository, is_account};
use crate::local::core::resource_tags::{checked, remove, store, tags_of};

/// The tags that a request brings.
pub(in crate::local) fn requested(call: &Call<'_>) -> Result<Vec<(String, String)>, ApiError> {
    Ok(checked(call.typed("tags")?.unwrap_or_default())?)
}

/// The repository that `resourceArn` names.
fn resource(call: &Call<'_>, connection: &Connection) -> Result<Repository, ApiError> {
    let arn = call.required("resourceArn");
    let invalid = || ApiError::parameter("resourceArn", "Invalid ARN");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [scheme, partition, service, region, account, resource] = parts[..] else { return Err(invalid()) };
    let name = resource.strip_prefix("repository/").filter(|name| !name.is_empty()).ok_or_else(invalid)?;
    let here = scheme == "arn" && partition.starts_with("aws") && service == call.service.name;
    if !here || !is_account(account) || (region.is_empty() != call.is_public()) {
        return Err(invalid());
    }
    let region = if call.is_public() { call.scope().region } else { region.to_owned() };
    let scope = Scope { service: call.service.name, account: account.to_owned(), region };
    Ok(Repository::find(connection, &scope, name)?)
}

/// TagResource
pub(in crate::local) fn tag(call: &Call<'_>) -> Result<Value, ApiError> {
    let tags = requested(call)?;
    call.write(|transaction| {
        let repository = resource(call, transaction)?;
        store(transaction, &repository, &tags)?;
        Ok(json!({}))
    })
}

/// UntagResource
pub(in crate::local) fn untag(call: &Call<'_>) -> Result<Value, ApiError> {
    call.write(|transaction| {
        let repository = resource(call, transaction)?;
        remove(transaction, &repository, &call.texts("tagKeys"))?;
        Ok(json!({}))
    })
}

/// ListTagsForResource
pub(in crate::local) fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    call.read(|connection| {
        let repository = resource(call, connection)?;
        let tags = tags_of(connection, &repository)?.into_iter();
        let tags: Vec<Value> = tags.map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        Ok(json!({ "tags": tags }))
    })
}
