//! Policies of repositories and of the registry.

use serde_json::{Value, json};

use crate::iam::{PolicyKind, validate};
use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::responses::about;
use crate::local::core::policies::{KIND, check_repository, refused, store};
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, Setting, remove_repository_text, repository_text};

/// SetRepositoryPolicy. A policy that would keep its author from setting another one needs `force`.
pub(in crate::local) fn set(call: &Call<'_>) -> Result<Value, ApiError> {
    let text = call.required("policyText");
    let prefix = call.service.signing_name;
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        check_repository(text, prefix)?;
        if !call.flag("force") && call.request().is_locked_out_by(&call.repository()?, text) {
            let reason = "it would keep you from setting another one; force sets it all the same";
            return Err(refused("Invalid repository policy provided", reason).into());
        }
        store(transaction, &repository, text)?;
        Ok(about(&repository, "policyText", text))
    })
}

/// GetRepositoryPolicy
pub(in crate::local) fn get(call: &Call<'_>) -> Result<Value, ApiError> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        kept(connection, &repository)
    })
}

/// DeleteRepositoryPolicy
pub(in crate::local) fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let answer = kept(transaction, &repository)?;
        remove_repository_text(transaction, &repository, KIND)?;
        Ok(answer)
    })
}

pub(in crate::local) fn kept(
    connection: &rusqlite::Connection,
    repository: &Repository,
) -> Result<Value, ApiError> {
    match repository_text(connection, repository, KIND)? {
        Some((text, _)) => Ok(about(repository, "policyText", text)),
        None => Err(ApiError::new(
            "RepositoryPolicyNotFoundException",
            format!("Repository policy does not exist for the {}", repository.place()),
        )),
    }
}

/// PutRegistryPolicy
pub(in crate::local) fn put_registry(call: &Call<'_>) -> Result<Value, ApiError> {
    let text = call.required("policyText");
    let invalid = |reason: String| refused("Invalid registry policy provided", &reason);
    validate(text, PolicyKind::Registry, call.service.signing_name).map_err(invalid)?;
    let scope = call.scope();
    call.write(|transaction| {
        Ok(Setting::put(transaction, &scope, Kind::RegistryPolicy, "", &text, call.now)?)
    })?;
    Ok(json!({ "registryId": scope.account, "policyText": text }))
}

/// GetRegistryPolicy
pub(in crate::local) fn get_registry(call: &Call<'_>) -> Result<Value, ApiError> {
    call.read(|connection| registry(call, connection))
}

/// DeleteRegistryPolicy
pub(in crate::local) fn delete_registry(call: &Call<'_>) -> Result<Value, ApiError> {
    call.write(|transaction| {
        let answer = registry(call, transaction)?;
        Setting::remove(transaction, &call.scope(), Kind::RegistryPolicy, "")?;
        Ok(answer)
    })
}

fn registry(call: &Call<'_>, connection: &rusqlite::Connection) -> Result<Value, ApiError> {
    let scope = call.scope();
    match Setting::get(connection, &scope, Kind::RegistryPolicy, "")? {
        Some(policy) => Ok(json!({ "registryId": scope.account, "policyText": policy.value::<String>() })),
        None => Err(ApiError::new(
            "RegistryPolicyNotFoundException",
            format!("Registry policy does not exist in the registry with id '{}'", scope.account),
        )),
    }
}
