//! Policies of repositories and of the registry.

use serde_json::{Value, json};

use super::repository::Repository;
use super::settings::{Kind, Setting, about, put_repository_text, remove_repository_text, repository_text};
use super::tags::tags_of;
use crate::iam::{PolicyKind, validate};
use crate::local::Fault;
use crate::local::authorization::{AuthorizationRequest, Requester};
use crate::local::call::{Call, Scope};

pub(in crate::local) use super::repository::arn;

const KIND: &str = "repository-policy";

fn refused(constraint: &str, reason: &str) -> Fault {
    let mut fault = Fault::parameter("PolicyText", constraint);
    fault.message = format!("{}: {reason}", fault.message);
    fault
}

/// Checks the policy of a repository.
pub(in crate::local) fn check_repository(text: &str, prefix: &str) -> Result<(), Fault> {
    let invalid = |reason: String| refused("Invalid repository policy provided", &reason);
    validate(text, PolicyKind::Repository, prefix).map_err(invalid)
}

/// Gives a repository its policy.
pub(in crate::local) fn store(
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
        if !call.flag("force") && locks_out(call, &repository, text) {
            let reason = "it would keep you from setting another one; force sets it all the same";
            return Err(refused("Invalid repository policy provided", reason));
        }
        store(transaction, &repository, text)?;
        Ok(about(&repository, "policyText", text))
    })
}

/// Whether a policy would keep its author, who asks as now, from setting another one.
fn locks_out(call: &Call<'_>, repository: &Repository, text: &str) -> bool {
    let request = AuthorizationRequest {
        requester: Requester::from(call.caller),
        action: "SetRepositoryPolicy",
        scope: &repository.scope,
        repository: Some(&repository.name),
        tags: &[],
    };
    request.is_denied_by(text, call.local.is_secured)
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
    validate(text, PolicyKind::Registry, call.service.signing_name).map_err(invalid)?;
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

/// The policies that a request to a registry, or to one of its repositories, is put to.
#[derive(Debug, Default)]
pub(in crate::local) struct Kept {
    pub(in crate::local) texts: Vec<String>,
    /// The tags of the repository.
    pub(in crate::local) tags: Vec<(String, String)>,
}

/// Finds them. A repository that is not there has none.
pub(in crate::local) fn of(
    connection: &rusqlite::Connection,
    scope: &Scope,
    name: Option<&str>,
) -> Result<Kept, Fault> {
    let mut kept = Kept::default();
    let registry = Setting::get(connection, scope, Kind::RegistryPolicy, "")?;
    kept.texts.extend(registry.and_then(|policy| policy.value.as_str().map(str::to_owned)));
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

/// Whether a repository is there.
pub(in crate::local) fn is_there(
    connection: &rusqlite::Connection,
    scope: &Scope,
    name: &str,
) -> Result<bool, Fault> {
    Ok(Repository::look_up(connection, scope, name)?.is_some())
}
