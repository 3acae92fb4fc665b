//! Storage of all configuration of registries and repositories.
//!
//! A setting is kept as the document that its operation took, since the operation that reads it answers the same members
//! again, and policies must stay the text that was put. What decides on something reads it as a type.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::registry_id::Scope;
use crate::local::core::repository::Repository;

/// Kinds of settings of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum Kind {
    AccountSetting,
    CatalogData,
    PullThroughCacheRule,
    PullTimeExclusion,
    RegistryPolicy,
    Replication,
    Scanning,
    Signing,
    Template,
}

impl Kind {
    pub(in crate::local) fn name(self) -> &'static str {
        match self {
            Self::AccountSetting => "account-setting",
            Self::CatalogData => "catalog-data",
            Self::PullThroughCacheRule => "pull-through-cache-rule",
            Self::PullTimeExclusion => "pull-time-exclusion",
            Self::RegistryPolicy => "registry-policy",
            Self::Replication => "replication",
            Self::Scanning => "scanning",
            Self::Signing => "signing",
            Self::Template => "template",
        }
    }
}

/// A setting of a registry. Where a kind has only one, its name is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Setting {
    pub(in crate::local) name: String,
    /// The document, as JSON.
    document: String,
    pub(in crate::local) created_at: i64,
    pub(in crate::local) updated_at: i64,
}

const COLUMNS: &str = "name, value, created_at, updated_at";

const KEY: &str = "service = ?1 AND account = ?2 AND region = ?3 AND kind = ?4";

impl Setting {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            document: row.get(1)?,
            created_at: row.get(2)?,
            updated_at: row.get(3)?,
        })
    }

    /// The document as a type; `None` where it is of another one.
    pub(in crate::local) fn value<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.document).ok()
    }

    pub(in crate::local) fn get(
        connection: &Connection,
        scope: &Scope,
        kind: Kind,
        name: &str,
    ) -> Result<Option<Self>, Error> {
        let query = format!("SELECT {COLUMNS} FROM setting WHERE {KEY} AND name = ?5");
        let mut statement = connection.prepare_cached(&query)?;
        let key = params![scope.service, scope.account, scope.region, kind.name(), name];
        Ok(statement.query_row(key, Self::from_row).optional()?)
    }

    /// Keeps a value, instead of the one that was there; the time of the first one stays.
    pub(in crate::local) fn put(
        connection: &Connection,
        scope: &Scope,
        kind: Kind,
        name: &str,
        value: &impl Serialize,
        now: i64,
    ) -> Result<(), Error> {
        let document = serde_json::to_string(value).expect("documents have texts for keys");
        connection.execute(
            "INSERT INTO setting (service, account, region, kind, name, value, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
             ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
            params![scope.service, scope.account, scope.region, kind.name(), name, document, now],
        )?;
        Ok(())
    }

    pub(in crate::local) fn remove(
        connection: &Connection,
        scope: &Scope,
        kind: Kind,
        name: &str,
    ) -> Result<(), Error> {
        let change = format!("DELETE FROM setting WHERE {KEY} AND name = ?5");
        let key = params![scope.service, scope.account, scope.region, kind.name(), name];
        connection.execute(&change, key)?;
        Ok(())
    }

    /// Lists the settings of a kind, by name, those after `after`.
    pub(in crate::local) fn list(
        connection: &Connection,
        scope: &Scope,
        kind: Kind,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Self>, Error> {
        let query = format!("SELECT {COLUMNS} FROM setting WHERE {KEY} AND name > ?5 ORDER BY name LIMIT ?6");
        let mut statement = connection.prepare_cached(&query)?;
        let key = params![scope.service, scope.account, scope.region, kind.name(), after, limit];
        let rows = statement.query_map(key, Self::from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Refuses one more than a kind may have.
    pub(in crate::local) fn check_count(
        connection: &Connection,
        scope: &Scope,
        kind: Kind,
        most: i64,
        noun: &str,
    ) -> Result<(), Error> {
        let query = format!("SELECT count(*) FROM setting WHERE {KEY}");
        let key = params![scope.service, scope.account, scope.region, kind.name()];
        let count: i64 = connection.query_row(&query, key, |row| row.get(0))?;
        if count < most {
            return Ok(());
        }
        let account = &scope.account;
        let text = format!("The registry with id '{account}' already has the maximum of {most} {noun}");
        Err(Error::new(ErrorKind::LimitExceeded, text))
    }
}

/// Filter of the repositories that a rule of a registry is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::local) struct RepositoryFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter_type: Option<String>,
}

impl RepositoryFilter {
    /// The pattern or prefix.
    pub(in crate::local) fn text(&self) -> &str {
        self.filter.as_deref().unwrap_or_default()
    }
}

/// The only setting of a kind as a type, or the type's default until it is set.
pub(in crate::local) fn configured<T: DeserializeOwned + Default>(
    connection: &Connection,
    scope: &Scope,
    kind: Kind,
) -> Result<T, Error> {
    let setting = Setting::get(connection, scope, kind, "")?;
    Ok(setting.and_then(|setting| setting.value()).unwrap_or_default())
}

/// A text that a repository is configured with.
pub(in crate::local) fn repository_text(
    connection: &Connection,
    repository: &Repository,
    kind: &str,
) -> Result<Option<(String, i64)>, Error> {
    let query = "SELECT value, acted_at FROM repository_setting WHERE repository = ?1 AND kind = ?2";
    let mut statement = connection.prepare_cached(query)?;
    let text = statement.query_row(params![repository.id, kind], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(text.optional()?)
}

/// Keeps a text that a repository is configured with.
pub(in crate::local) fn put_repository_text(
    connection: &Connection,
    repository: &Repository,
    kind: &str,
    text: &str,
) -> Result<(), Error> {
    connection.execute(
        "INSERT OR REPLACE INTO repository_setting (repository, kind, value) VALUES (?1, ?2, ?3)",
        params![repository.id, kind, text],
    )?;
    Ok(())
}

/// Forgets a text that a repository is configured with.
pub(in crate::local) fn remove_repository_text(
    connection: &Connection,
    repository: &Repository,
    kind: &str,
) -> Result<(), Error> {
    let change = "DELETE FROM repository_setting WHERE repository = ?1 AND kind = ?2";
    connection.execute(change, params![repository.id, kind])?;
    Ok(())
}
