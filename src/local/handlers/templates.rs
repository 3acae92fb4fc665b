//! Repository creation templates: what a repository gets that the service itself makes.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::paging::Page;
use super::repositories::{New, encryption, insert};
use super::repository::Repository;
use super::settings::{Kind, Setting};
use super::{lifecycle, mutability, policies, tags};
use crate::local::Fault;
use crate::local::call::{Call, Scope};
use crate::local::core::RepositoryRef;

/// Templates of one registry.
const MOST_TEMPLATES: i64 = 50;
/// The prefix that stands for all repositories without another template.
const ROOT: &str = "ROOT";

/// CreateRepositoryCreationTemplate
pub(crate) fn create(call: &Call<'_>) -> Result<Value, Fault> {
    let (scope, prefix) = (call.scope(), call.required("prefix"));
    let mut template = members(call);
    template.entry("imageTagMutability").or_insert_with(|| json!("MUTABLE"));
    template.entry("encryptionConfiguration").or_insert_with(|| json!({ "encryptionType": "AES256" }));
    check(&template, &scope)?;
    call.write(|transaction| {
        if Setting::get(transaction, &scope, Kind::Template, prefix)?.is_some() {
            return Err(fault("TemplateAlreadyExistsException", prefix, "already exists", &scope));
        }
        let noun = "repository creation templates";
        Setting::check_count(transaction, &scope, Kind::Template, MOST_TEMPLATES, noun)?;
        Setting::put(transaction, &scope, Kind::Template, prefix, &Value::Object(template), call.now)?;
        answer(&scope, &find(transaction, &scope, prefix)?)
    })
}

/// UpdateRepositoryCreationTemplate. What is not given stays as it was.
pub(crate) fn update(call: &Call<'_>) -> Result<Value, Fault> {
    let (scope, prefix) = (call.scope(), call.required("prefix"));
    call.write(|transaction| {
        let mut template = match find(transaction, &scope, prefix)?.value {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        let given = members(call);
        let mutability = given.get("imageTagMutability").and_then(Value::as_str);
        if mutability.is_some_and(|mutability| !mutability.ends_with("_WITH_EXCLUSION")) {
            template.shift_remove("imageTagMutabilityExclusionFilters");
        }
        template.extend(given);
        check(&template, &scope)?;
        Setting::put(transaction, &scope, Kind::Template, prefix, &Value::Object(template), call.now)?;
        answer(&scope, &find(transaction, &scope, prefix)?)
    })
}

/// DeleteRepositoryCreationTemplate
pub(crate) fn delete(call: &Call<'_>) -> Result<Value, Fault> {
    let (scope, prefix) = (call.scope(), call.required("prefix"));
    call.write(|transaction| {
        let template = find(transaction, &scope, prefix)?;
        Setting::remove(transaction, &scope, Kind::Template, prefix)?;
        answer(&scope, &template)
    })
}

/// DescribeRepositoryCreationTemplates. Prefixes without a template are left out.
pub(crate) fn describe(call: &Call<'_>) -> Result<Value, Fault> {
    let page = Page::of(call, "prefixes")?;
    let scope = call.scope();
    call.read(|connection| {
        let mut entries = Vec::new();
        if call.list("prefixes").is_some() {
            for prefix in call.texts("prefixes") {
                entries.extend(Setting::get(connection, &scope, Kind::Template, prefix)?);
            }
            let described: Vec<Value> = entries.iter().map(described).collect();
            return Ok(json!({ "registryId": scope.account, "repositoryCreationTemplates": described }));
        }
        let after = page.after.as_ref().and_then(Value::as_str).unwrap_or_default();
        entries.extend(Setting::list(connection, &scope, Kind::Template, after, page.fetch())?);
        let entries = entries.iter().map(|each| (json!(each.name), described(each))).collect();
        let mut answer = page.answer("repositoryCreationTemplates", entries);
        answer["registryId"] = json!(scope.account);
        Ok(answer)
    })
}

fn members(call: &Call<'_>) -> Map<String, Value> {
    let members = call.input.iter().filter(|(name, value)| *name != "prefix" && !value.is_null());
    members.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Checks everything that a repository made from the template would be given.
fn check(template: &Map<String, Value>, scope: &Scope) -> Result<(), Fault> {
    new(template, scope)?;
    if let Some(text) = text(template, "repositoryPolicy") {
        policies::check_repository(text, "ecr")?;
    }
    if let Some(text) = text(template, "lifecyclePolicy") {
        lifecycle::checked(text)?;
    }
    Ok(())
}

fn text<'a>(template: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    template.get(member).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// What a repository made from the template begins with.
fn new(template: &Map<String, Value>, scope: &Scope) -> Result<New, Fault> {
    let list = |member: &str| template.get(member).and_then(Value::as_array).map(Vec::as_slice);
    let mutability = text(template, "imageTagMutability").unwrap_or("MUTABLE");
    let (mutability, exclusions) =
        mutability::checked(mutability, list("imageTagMutabilityExclusionFilters"))?;
    Ok(New {
        mutability,
        exclusions,
        scan_on_push: false,
        encryption: encryption(template.get("encryptionConfiguration").and_then(Value::as_object), scope)?,
        tags: tags::checked(list("resourceTags").unwrap_or_default())?,
        catalog: None,
    })
}

fn find(connection: &Connection, scope: &Scope, prefix: &str) -> Result<Setting, Fault> {
    let found = Setting::get(connection, scope, Kind::Template, prefix)?;
    found.ok_or_else(|| fault("TemplateNotFoundException", prefix, "does not exist", scope))
}

fn fault(code: &str, prefix: &str, what: &str, scope: &Scope) -> Fault {
    let account = &scope.account;
    Fault::new(
        code,
        format!(
            "The repository creation template with the prefix '{prefix}' {what} in the registry with id '{account}'"
        ),
    )
}

fn described(template: &Setting) -> Value {
    template.describe(&[("prefix", json!(template.name))])
}

#[allow(clippy::unnecessary_wraps, reason = "it ends a chain of results")]
fn answer(scope: &Scope, template: &Setting) -> Result<Value, Fault> {
    Ok(json!({ "registryId": scope.account, "repositoryCreationTemplate": described(template) }))
}

/// The template for a repository that is about to be made: of those for this occasion the one with the longest prefix.
pub(in crate::local) fn template_for(
    connection: &Connection,
    scope: &Scope,
    name: &str,
    occasion: &str,
) -> Result<Option<Map<String, Value>>, Fault> {
    let templates = Setting::list(connection, scope, Kind::Template, "", MOST_TEMPLATES)?;
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
) -> Result<Option<Scope>, Fault> {
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
) -> Result<Option<Repository>, Fault> {
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
) -> Result<Repository, Fault> {
    let RepositoryRef { scope, name } = repository;
    let repository = insert(connection, scope, name, &new(template, scope)?, now)?;
    if let Some(text) = text(template, "repositoryPolicy") {
        policies::store(connection, &repository, text)?;
    }
    if let Some(text) = text(template, "lifecyclePolicy") {
        lifecycle::store(connection, &repository, &lifecycle::checked(text)?.0)?;
    }
    Ok(repository)
}
