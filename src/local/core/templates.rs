//! Repository creation templates: what a repository gets that the service itself makes.

use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::local::core::create_repository::{NewRepository, encryption, insert};
use crate::local::core::error::Error;
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, Setting};
use crate::local::core::{lifecycle_policy, policies, resource_tags, tag_mutability};

/// Templates of one registry.
pub(in crate::local) const MAX_TEMPLATES: i64 = 50;

/// The prefix that stands for all repositories without another template.
const ROOT: &str = "ROOT";

pub(in crate::local) fn text<'a>(template: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    template.get(member).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Settings of a repository that is made from the template.
pub(in crate::local) fn new(template: &Map<String, Value>, scope: &Scope) -> Result<NewRepository, Error> {
    let list = |member: &str| template.get(member).and_then(Value::as_array).map(Vec::as_slice);
    let mutability = text(template, "imageTagMutability").unwrap_or("MUTABLE");
    let (mutability, exclusions) =
        tag_mutability::checked(mutability, list("imageTagMutabilityExclusionFilters"))?;
    Ok(NewRepository {
        mutability,
        exclusions,
        scan_on_push: false,
        encryption: encryption(template.get("encryptionConfiguration").and_then(Value::as_object), scope)?,
        tags: resource_tags::checked(list("resourceTags").unwrap_or_default())?,
        catalog: None,
    })
}

/// The template for a repository that is about to be made: of those for this occasion the one with the longest prefix.
pub(in crate::local) fn template_for(
    connection: &Connection,
    scope: &Scope,
    name: &str,
    occasion: &str,
) -> Result<Option<Map<String, Value>>, Error> {
    let templates = Setting::list(connection, scope, Kind::Template, "", MAX_TEMPLATES)?;
    let applies = |template: &Setting| {
        let occasions = template.value["appliedFor"].as_array();
        let prefix = template.name.trim_end_matches('/');
        let is_below = name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        occasions.is_some_and(|all| all.iter().any(|each| each == occasion))
            && (template.name == ROOT || is_below)
    };
    let length = |template: &Setting| if template.name == ROOT { 0 } else { template.name.len() };
    let best = templates.into_iter().filter(applies).max_by_key(length);
    Ok(best.and_then(|template| template.value.as_object().cloned()))
}

/// The one registry that makes a repository of this name when something is pushed to it; `None` where none does, or
/// several would.
pub(in crate::local) fn registry_that_creates(
    connection: &Connection,
    name: &str,
) -> Result<Option<Scope>, Error> {
    let query = "SELECT DISTINCT account, region FROM setting WHERE service = 'ecr' AND kind = ?1";
    let mut statement = connection.prepare_cached(query)?;
    let scopes = statement.query_map([Kind::Template.name()], |row| {
        Ok(Scope { service: "ecr", account: row.get(0)?, region: row.get(1)? })
    })?;
    let mut found: Vec<Scope> = Vec::new();
    for scope in scopes {
        let scope = scope?;
        if template_for(connection, &scope, name, "CREATE_ON_PUSH")?.is_some() {
            found.push(scope);
        }
    }
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// Makes a repository from the template that applies; `None` where none does.
pub(in crate::local) fn create_from_template(
    connection: &Connection,
    repository: &RepositoryRef,
    occasion: &str,
    now: i64,
) -> Result<Option<Repository>, Error> {
    let RepositoryRef { scope, name } = repository;
    match template_for(connection, scope, name, occasion)? {
        Some(template) => create_from(connection, repository, &template, now).map(Some),
        None => Ok(None),
    }
}

/// Makes a repository from a template.
pub(in crate::local) fn create_from(
    connection: &Connection,
    repository: &RepositoryRef,
    template: &Map<String, Value>,
    now: i64,
) -> Result<Repository, Error> {
    let RepositoryRef { scope, name } = repository;
    let repository = insert(connection, scope, name, &new(template, scope)?, now)?;
    if let Some(text) = text(template, "repositoryPolicy") {
        policies::store(connection, &repository, text)?;
    }
    if let Some(text) = text(template, "lifecyclePolicy") {
        lifecycle_policy::store(connection, &repository, &lifecycle_policy::checked(text)?.0)?;
    }
    Ok(repository)
}
