//! Repository creation templates: settings of repositories that the service creates.

use rusqlite::Connection;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::responses;
use crate::local::core::registry_id::Scope;
use crate::local::core::settings::{Kind, Setting};
use crate::local::core::templates::{MAX_TEMPLATES, Template};
use crate::local::core::{lifecycle_policy, policies};

/// CreateRepositoryCreationTemplate
pub(in crate::local) fn create(call: &Call<'_>) -> Result<Value, ApiError> {
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
        Setting::check_count(transaction, &scope, Kind::Template, MAX_TEMPLATES, noun)?;
        Setting::put(transaction, &scope, Kind::Template, prefix, &template, call.now)?;
        answer(&scope, &find(transaction, &scope, prefix)?)
    })
}

/// UpdateRepositoryCreationTemplate. What is not given stays as it was.
pub(in crate::local) fn update(call: &Call<'_>) -> Result<Value, ApiError> {
    let (scope, prefix) = (call.scope(), call.required("prefix"));
    call.write(|transaction| {
        let mut template: Map<String, Value> = find(transaction, &scope, prefix)?.value().unwrap_or_default();
        let given = members(call);
        let mutability = given.get("imageTagMutability").and_then(Value::as_str);
        if mutability.is_some_and(|mutability| !mutability.ends_with("_WITH_EXCLUSION")) {
            template.shift_remove("imageTagMutabilityExclusionFilters");
        }
        template.extend(given);
        check(&template, &scope)?;
        Setting::put(transaction, &scope, Kind::Template, prefix, &template, call.now)?;
        answer(&scope, &find(transaction, &scope, prefix)?)
    })
}

/// DeleteRepositoryCreationTemplate
pub(in crate::local) fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    let (scope, prefix) = (call.scope(), call.required("prefix"));
    call.write(|transaction| {
        let template = find(transaction, &scope, prefix)?;
        Setting::remove(transaction, &scope, Kind::Template, prefix)?;
        answer(&scope, &template)
    })
}

/// DescribeRepositoryCreationTemplates. Prefixes without a template are left out.
pub(in crate::local) fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
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
fn check(template: &Map<String, Value>, scope: &Scope) -> Result<(), ApiError> {
    let template = Template::deserialize(template).map_err(|error| {
        ApiError::new("SerializationException", format!("the template cannot be read: {error}"))
    })?;
    template.new_repository(scope)?;
    if let Some(text) = template.repository_policy() {
        policies::check_repository(text, "ecr")?;
    }
    if let Some(text) = template.lifecycle_policy() {
        lifecycle_policy::checked(text)?;
    }
    Ok(())
}

fn find(connection: &Connection, scope: &Scope, prefix: &str) -> Result<Setting, ApiError> {
    let found = Setting::get(connection, scope, Kind::Template, prefix)?;
    found.ok_or_else(|| fault("TemplateNotFoundException", prefix, "does not exist", scope))
}

fn fault(code: &str, prefix: &str, what: &str, scope: &Scope) -> ApiError {
    let account = &scope.account;
    ApiError::new(
        code,
        format!(
            "The repository creation template with the prefix '{prefix}' {what} in the registry with id '{account}'"
        ),
    )
}

fn described(template: &Setting) -> Value {
    responses::described(template, &[("prefix", json!(template.name))])
}

#[allow(clippy::unnecessary_wraps, reason = "it ends a chain of results")]
fn answer(scope: &Scope, template: &Setting) -> Result<Value, ApiError> {
    Ok(json!({ "registryId": scope.account, "repositoryCreationTemplate": described(template) }))
}
