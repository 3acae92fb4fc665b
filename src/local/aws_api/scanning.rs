//! Scanning configuration of a registry, and its effect on a repository.

use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::responses::{configuration, invalid};
use crate::local::core::repository::{Repository, arn};
use crate::local::core::scanning::ScanningConfiguration;
use crate::local::core::settings::{Kind, Setting};

/// Filters of one rule.
const MAX_FILTERS: usize = 100;

/// GetRegistryScanningConfiguration
pub(in crate::local) fn get(call: &Call<'_>) -> Result<Value, ApiError> {
    let scope = call.scope();
    let none = json!({ "scanType": "BASIC", "rules": [] });
    let configuration = configuration(call, Kind::Scanning, none)?;
    Ok(json!({ "registryId": scope.account, "scanningConfiguration": configuration }))
}

/// PutRegistryScanningConfiguration. A type that is not given stays as it was; rules that are not given are none.
pub(in crate::local) fn put(call: &Call<'_>) -> Result<Value, ApiError> {
    let scope = call.scope();
    let rules = call.list("rules").unwrap_or_default();
    call.write(|transaction| {
        let before = ScanningConfiguration::of(transaction, &scope)?;
        let kind = call.text("scanType").unwrap_or(before.scan_type());
        check(kind, rules)?;
        let configuration = json!({ "scanType": kind, "rules": rules });
        Setting::put(transaction, &scope, Kind::Scanning, "", &configuration, call.now)?;
        Ok(json!({ "registryScanningConfiguration": configuration }))
    })
}

fn check(kind: &str, rules: &[Value]) -> Result<(), ApiError> {
    let possible: &[&str] =
        if kind == "BASIC" { &["SCAN_ON_PUSH", "MANUAL"] } else { &["SCAN_ON_PUSH", "CONTINUOUS_SCAN"] };
    let mut seen = Vec::new();
    for rule in rules {
        let frequency = rule["scanFrequency"].as_str().unwrap_or_default();
        if !possible.contains(&frequency) {
            let text = format!("scanFrequency {frequency} cannot be used with scanType {kind}");
            return Err(invalid(text));
        }
        if seen.contains(&frequency) {
            return Err(invalid(format!("scanFrequency {frequency} can only be used by one rule")));
        }
        if rule["repositoryFilters"].as_array().is_some_and(|filters| filters.len() > MAX_FILTERS) {
            return Err(invalid(format!("A rule can have at most {MAX_FILTERS} repository filters")));
        }
        seen.push(frequency);
    }
    Ok(())
}

/// BatchGetRepositoryScanningConfiguration
pub(in crate::local) fn of_repositories(call: &Call<'_>) -> Result<Value, ApiError> {
    let scope = call.scope();
    call.read(|connection| {
        let configuration = ScanningConfiguration::of(connection, &scope)?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in call.texts("repositoryNames") {
            match Repository::look_up(connection, &scope, name)? {
                Some(repository) => {
                    let (frequency, filters) = configuration.frequency(&repository);
                    found.push(json!({
                        "repositoryArn": arn(&scope, name),
                        "repositoryName": name,
                        "scanOnPush": repository.scan_on_push,
                        "scanFrequency": frequency,
                        "appliedScanFilters": filters,
                    }));
                }
                None => failures.push(json!({
                    "repositoryName": name,
                    "failureCode": "REPOSITORY_NOT_FOUND",
                    "failureReason": "REPOSITORY_NOT_FOUND",
                })),
            }
        }
        Ok(json!({ "scanningConfigurations": found, "failures": failures }))
    })
}
