//! Scan frequency of repositories, by the registry's scanning configuration.

use rusqlite::Connection;
use serde::Deserialize;

use crate::image::glob::matches_wildcard;
use crate::local::core::error::Error;
use crate::local::core::registry_id::Scope;
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, RepositoryFilter, configured};

/// Scanning configuration of a registry.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::local) struct ScanningConfiguration {
    scan_type: Option<String>,
    rules: Option<Vec<ScanningRule>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScanningRule {
    scan_frequency: Option<String>,
    repository_filters: Option<Vec<RepositoryFilter>>,
}

impl ScanningConfiguration {
    /// The configuration of a registry.
    pub(in crate::local) fn of(connection: &Connection, scope: &Scope) -> Result<Self, Error> {
        configured(connection, scope, Kind::Scanning)
    }

    /// `BASIC` or `ENHANCED`.
    pub(in crate::local) fn scan_type(&self) -> &str {
        self.scan_type.as_deref().unwrap_or("BASIC")
    }

    /// Returns whether scans are those of Amazon Inspector.
    pub(in crate::local) fn is_enhanced(&self) -> bool {
        self.scan_type() == "ENHANCED"
    }

    /// Returns the scan frequency of a repository, and the filters of the registry's rules that cover it.
    pub(in crate::local) fn frequency(&self, repository: &Repository) -> (String, Vec<RepositoryFilter>) {
        let mut found = ("MANUAL".to_owned(), Vec::new());
        if repository.scan_on_push && self.scan_type() == "BASIC" {
            "SCAN_ON_PUSH".clone_into(&mut found.0);
        }
        for rule in self.rules.iter().flatten() {
            for filter in rule.repository_filters.iter().flatten() {
                let glob = filter.text();
                // A filter without a star is some part of a name.
                let is_covered = if glob.contains('*') {
                    matches_wildcard(glob, &repository.name)
                } else {
                    repository.name.contains(glob)
                };
                // Of several rules the last one counts, but continuous scans include those on push.
                if is_covered && found.0 != "CONTINUOUS_SCAN" {
                    rule.scan_frequency.as_deref().unwrap_or("MANUAL").clone_into(&mut found.0);
                    found.1 = vec![filter.clone()];
                }
            }
        }
        found
    }
}
