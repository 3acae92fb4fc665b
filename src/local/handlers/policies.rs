//! Policies of repositories and of the registry.

use serde_json::{Value, json};

use super::repository::Repository;
use super::settings::{Kind, Setting, about, put_repository_text, remove_repository_text, repository_text};
use crate::local::Fault;
use crate::local::call::Call;
use crate::local::policy::{Subject, check, denies};

const KIND: &str = "repository-policy";

fn refused(constraint: &str, reason: &str) -> Fault {
    let mut fault = Fault::parameter("PolicyText", constraint);
    fault.message = format!("{}: {reason}", fault.message);
    fault
}

/// Checks the policy of a repository.
pub(super) fn check_repository(text: &str, prefix: &str) -> Result<(), Fault> {
    let invalid = |reason: String| refused("Invalid repository policy provided", &reason);
    check(text, Subject::Repository, prefix).map_err(invalid)
}

/// Gives a repository its policy.
pub(super) fn store(
    connection: &rusqlite::Connection,
    repository: &Repository,
    text: &str,
) -> Result<(), Fault> {
    put_repository_text(connection, repository, KIND, text)
}

/// SetRepositoryPolicy. A policy that would keep its author from setting another one needs `force`.
pub(crate) fn set(call: &Call<'_>) -> Result<Value, Fault> {
    let text = call.required("policyText");
    let prefix = call.service.signing_name;
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        check_repository(text, prefix)?;
        let action = format!("{prefix}:SetRepositoryPolicy");
        if !call.flag("force") && denies(text, &call.caller.account, &action) {
            let reason = "it would keep you from setting another one; force sets it all the same";
            return Err(refused("Invalid repository policy provided", reason));
        }
        store(transaction, &repository, text)?;
        Ok(about(&repository, "policyText", text))
    })
}

/// GetRepositoryPolicy
pub(crate) fn get(call: &Call<'_>) -> Result<Value, Fault> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        kept(connection, &repository)
    })
}

/// DeleteRepositoryPolicy
pub(crate) fn delete(call: &Call<'_>) -> Result<Value, Fault> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let answer = kept(transaction, &repository)?;
        remove_repository_text(transaction, &repository, KIND)?;
        Ok(answer)
    })
}

fn kept(connection: &rusqlite::Connection, repository: &Repository) -> Result<Value, Fault> {
    match repository_text(connection, repository, KIND)? {
        Some((text, _)) => Ok(about(repository, "policyText", text)),
        None => Err(Fault::new(
            "RepositoryPolicyNotFoundException",
            format!("Repository policy does not exist for the {}", repository.place()),
        )),
    }
}

/// PutRegistryPolicy
pub(crate) fn put_registry(call: &Call<'_>) -> Result<Value, Fault> {
    let text = call.required("policyText");
    let invalid = |reason: String| refused("Invalid registry policy provided", &reason);
    check(text, Subject::Registry, call.service.signing_name).map_err(invalid)?;
    let scope = call.scope();
    call.write(|transaction| {
        Setting::put(transaction, &scope, Kind::RegistryPolicy, "", &json!(text), call.now)
    })?;
    Ok(json!({ "registryId": scope.account, "policyText": text }))
}

/// GetRegistryPolicy
pub(crate) fn get_registry(call: &Call<'_>) -> Result<Value, Fault> {
    call.read(|connection| registry(call, connection))
}

/// DeleteRegistryPolicy
pub(crate) fn delete_registry(call: &Call<'_>) -> Result<Value, Fault> {
    call.write(|transaction| {
        let answer = registry(call, transaction)?;
        Setting::remove(transaction, &call.scope(), Kind::RegistryPolicy, "")?;
        Ok(answer)
    })
}

fn registry(call: &Call<'_>, connection: &rusqlite::Connection) -> Result<Value, Fault> {
    let scope = call.scope();
    match Setting::get(connection, &scope, Kind::RegistryPolicy, "")? {
        Some(policy) => Ok(json!({ "registryId": scope.account, "policyText": policy.value })),
        None => Err(Fault::new(
            "RegistryPolicyNotFoundException",
            format!("Registry policy does not exist in the registry with id '{}'", scope.account),
        )),
    }
}
