//! Repository creation templates: settings of repositories that the service creates.

use std::cmp::Reverse;

use rusqlite::Connection;
use serde::Deserialize;

use crate::local::core::create_repository::{NewRepository, encryption, insert};
use crate::local::core::error::Error;
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::repository::{Encryption, ExclusionFilter, Repository};
use crate::local::core::resource_tags::ResourceTag;
use crate::local::core::settings::{Kind, Setting};
use crate::local::core::{lifecycle_policy, policies, resource_tags, tag_mutability};

/// Templates of one registry.
pub(in crate::local) const MAX_TEMPLATES: i64 = 50;

/// The prefix that stands for all repositories without another template.
const ROOT: &str = "ROOT";

/// A template, as far as repositories are made from it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::local) struct Template {
    applied_for: Vec<String>,
    encryption_configuration: Encryption,
    image_tag_mutability: Option<String>,
    image_tag_mutability_exclusion_filters: Option<Vec<ExclusionFilter>>,
    lifecycle_policy: Option<String>,
    repository_policy: Option<String>,
    resource_tags: Vec<ResourceTag>,
}

impl Template {
    /// The lifecycle policy of its repositories.
    pub(in crate::local) fn lifecycle_policy(&self) -> Option<&str> {
        given(self.lifecycle_policy.as_deref())
    }

    /// The policy of its repositories.
    pub(in crate::local) fn repository_policy(&self) -> Option<&str> {
        given(self.repository_policy.as_deref())
    }

    /// Settings of a repository that is made from it.
    pub(in crate::local) fn new_repository(&self, scope: &Scope) -> Result<NewRepository, Error> {
        let mutability = given(self.image_tag_mutability.as_deref());
        let filters = self.image_tag_mutability_exclusion_filters.clone();
        let (mutability, exclusions) = tag_mutability::checked(mutability.unwrap_or("MUTABLE"), filters)?;
        Ok(NewRepository {
            mutability,
            exclusions,
            scan_on_push: false,
            encryption: encryption(self.encryption_configuration.clone(), scope)?,
            tags: resource_tags::checked(self.resource_tags.clone())?,
            catalog: None,
        })
    }
}

/// Returns a member's text, if it is there and not empty.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Returns the template for a new repository: of those for this occasion the one with the longest prefix.
pub(in crate::local) fn template_for(
    connection: &Connection,
    scope: &Scope,
    name: &str,
    occasion: &str,
) -> Result<Option<Template>, Error> {
    let mut settings = Setting::list(connection, scope, Kind::Template, "", MAX_TEMPLATES)?;
    settings.retain(|setting| is_for(&setting.name, name));
    settings.sort_by_key(|setting| Reverse(if setting.name == ROOT { 0 } else { setting.name.len() }));
    for setting in settings {
        // One that cannot be read is no reason to make a repository after another one.
        let unreadable = || Error::storage(format!("creation template {} cannot be read", setting.name));
        let template: Template = setting.value().ok_or_else(unreadable)?;
        if template.applied_for.iter().any(|each| each == occasion) {
            return Ok(Some(template));
        }
    }
    Ok(None)
}

/// Returns whether a template's prefix is that of a repository's name.
fn is_for(prefix: &str, name: &str) -> bool {
    let rest = name.strip_prefix(prefix.trim_end_matches('/'));
    prefix == ROOT || rest.is_some_and(|rest| rest.starts_with('/'))
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
    template: &Template,
    now: i64,
) -> Result<Repository, Error> {
    let RepositoryRef { scope, name } = repository;
    let repository = insert(connection, scope, name, &template.new_repository(scope)?, now)?;
    if let Some(text) = template.repository_policy() {
        policies::store(connection, &repository, text)?;
    }
    if let Some(text) = template.lifecycle_policy() {
        lifecycle_policy::store(connection, &repository, &lifecycle_policy::checked(text)?.0)?;
    }
    Ok(repository)
}
