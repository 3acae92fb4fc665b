//! What the registry's scanning configuration means for a repository.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::image::glob::covers;
use crate::local::core::error::Error;
use crate::local::core::registry_id::Scope;
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, value_or};

/// The registry's configuration.
pub(in crate::local) fn configuration(connection: &Connection, scope: &Scope) -> Result<Value, Error> {
    value_or(connection, scope, Kind::Scanning, json!({ "scanType": "BASIC", "rules": [] }))
}

/// How often the images of a repository are scanned, and the filters by which the registry's rules say so.
pub(in crate::local) fn frequency(configuration: &Value, repository: &Repository) -> (String, Vec<Value>) {
    let mut found = ("MANUAL".to_owned(), Vec::new());
    if repository.scan_on_push && configuration["scanType"] == "BASIC" {
        "SCAN_ON_PUSH".clone_into(&mut found.0);
    }
    for rule in configuration["rules"].as_array().into_iter().flatten() {
        for filter in rule["repositoryFilters"].as_array().into_iter().flatten() {
            let glob = filter["filter"].as_str().unwrap_or_default();
            // A filter without a star is some part of a name.
            let is_covered = if glob.contains('*') {
                covers(glob, &repository.name)
            } else {
                repository.name.contains(glob)
            };
            // Of several rules the last one counts, but continuous scans include those on push.
            if is_covered && found.0 != "CONTINUOUS_SCAN" {
                rule["scanFrequency"].as_str().unwrap_or("MANUAL").clone_into(&mut found.0);
                found.1 = vec![filter.clone()];
            }
        }
    }
    found
}
