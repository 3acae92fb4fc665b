//! Settings of an account's registry: account settings, pull time exclusions, the public registry's name.

use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::responses::{configuration, invalid, timestamp};
use crate::local::core::settings::{Kind, Setting};

/// Account settings: name, default, and permitted values.
const SETTINGS: [(&str, &str, &[&str]); 3] = [
    ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE", &["AWS_NATIVE"]),
    ("REGISTRY_POLICY_SCOPE", "V2", &["V2"]),
    ("BLOB_MOUNTING", "DISABLED", &["ENABLED", "DISABLED"]),
];

/// Principals whose pulls do not count.
const MAX_EXCLUSIONS: i64 = 100;

fn setting(call: &Call<'_>) -> Result<(&'static str, &'static str, &'static [&'static str]), ApiError> {
    let name = call.required("name");
    let found = SETTINGS.iter().find(|(known, _, _)| *known == name);
    found.copied().ok_or_else(|| {
        let known = SETTINGS.map(|(known, _, _)| known).join(", ");
        invalid(format!("Invalid account setting name '{name}': it must be one of [{known}]"))
    })
}

/// GetAccountSetting
pub(in crate::local) fn get_setting(call: &Call<'_>) -> Result<Value, ApiError> {
    let (name, default, _) = setting(call)?;
    let kept =
        call.read(|connection| Ok(Setting::get(connection, &call.scope(), Kind::AccountSetting, name)?))?;
    let value = kept.and_then(|kept| kept.value()).unwrap_or_else(|| default.to_owned());
    Ok(json!({ "name": name, "value": value }))
}

/// PutAccountSetting
pub(in crate::local) fn put_setting(call: &Call<'_>) -> Result<Value, ApiError> {
    let (name, _, values) = setting(call)?;
    let value = call.required("value");
    if !values.contains(&value) {
        let values = values.join(", ");
        return Err(invalid(format!(
            "Invalid value '{value}' for account setting '{name}': it must be one of [{values}]"
        )));
    }
    call.write(|transaction| {
        Ok(Setting::put(transaction, &call.scope(), Kind::AccountSetting, name, &value, call.now)?)
    })?;
    Ok(json!({ "name": name, "value": value }))
}

/// RegisterPullTimeUpdateExclusion
pub(in crate::local) fn register_exclusion(call: &Call<'_>) -> Result<Value, ApiError> {
    let (scope, principal) = (call.scope(), call.required("principalArn"));
    call.write(|transaction| {
        if Setting::get(transaction, &scope, Kind::PullTimeExclusion, principal)?.is_some() {
            let text = format!(
                "The pull time update exclusion for principal '{principal}' already exists in the registry with id '{}'",
                scope.account
            );
            return Err(ApiError::new("ExclusionAlreadyExistsException", text));
        }
        let (kind, noun) = (Kind::PullTimeExclusion, "pull time update exclusions");
        Setting::check_count(transaction, &scope, kind, MAX_EXCLUSIONS, noun)?;
        Ok(Setting::put(transaction, &scope, kind, principal, &(), call.now)?)
    })?;
    Ok(json!({ "principalArn": principal, "createdAt": timestamp(call.now) }))
}

/// DeregisterPullTimeUpdateExclusion
pub(in crate::local) fn deregister_exclusion(call: &Call<'_>) -> Result<Value, ApiError> {
    let (scope, principal) = (call.scope(), call.required("principalArn"));
    call.write(|transaction| {
        if Setting::get(transaction, &scope, Kind::PullTimeExclusion, principal)?.is_none() {
            let text = format!(
                "The pull time update exclusion for principal '{principal}' does not exist in the registry with id '{}'",
                scope.account
            );
            return Err(ApiError::new("ExclusionNotFoundException", text));
        }
        Ok(Setting::remove(transaction, &scope, Kind::PullTimeExclusion, principal)?)
    })?;
    Ok(json!({ "principalArn": principal }))
}

/// ListPullTimeUpdateExclusions
pub(in crate::local) fn list_exclusions(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "")?;
    let after = page.after.as_ref().and_then(Value::as_str).unwrap_or_default();
    let kept = call.read(|connection| {
        Ok(Setting::list(connection, &call.scope(), Kind::PullTimeExclusion, after, page.fetch())?)
    })?;
    let entries = kept.into_iter().map(|each| (json!(each.name), json!(each.name))).collect();
    Ok(page.answer("pullTimeUpdateExclusions", entries))
}

/// GetRegistryCatalogData
pub(in crate::local) fn get_catalog(call: &Call<'_>) -> Result<Value, ApiError> {
    let data = configuration(call, Kind::CatalogData, json!({}))?;
    Ok(json!({ "registryCatalogData": data }))
}

/// PutRegistryCatalogData
pub(in crate::local) fn put_catalog(call: &Call<'_>) -> Result<Value, ApiError> {
    let data = call.text("displayName").map_or_else(|| json!({}), |name| json!({ "displayName": name }));
    call.write(|transaction| {
        Ok(Setting::put(transaction, &call.scope(), Kind::CatalogData, "", &data, call.now)?)
    })?;
    Ok(json!({ "registryCatalogData": data }))
}
