//! A repository as the database has it.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(in crate::local) use crate::image::host::is_account_id as is_account;
use crate::image::host::partition;
use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::registry_id::{RepositoryRef, Scope};

/// A row of the table `repository`.
pub(in crate::local) struct Repository {
    pub(in crate::local) id: i64,
    pub(in crate::local) scope: Scope,
    pub(in crate::local) name: String,
    pub(in crate::local) created_at: i64,
    pub(in crate::local) mutability: String,
    pub(in crate::local) exclusions: Vec<ExclusionFilter>,
    pub(in crate::local) scan_on_push: bool,
    pub(in crate::local) encryption: Encryption,
    pub(in crate::local) catalog: Option<CatalogData>,
}

/// Filter of the tags to which a repository's mutability does not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::local) struct ExclusionFilter {
    pub(in crate::local) filter_type: String,
    pub(in crate::local) filter: String,
}

/// Encryption of the layers at rest, with the ARN of the key where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::local) struct Encryption {
    pub(in crate::local) encryption_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::local) kms_key: Option<String>,
}

impl Default for Encryption {
    fn default() -> Self {
        Self { encryption_type: "AES256".to_owned(), kms_key: None }
    }
}

/// Catalog data of a public repository. A logo is accepted and not kept: there is no place to show it at, so no
/// `logoUrl` is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::local) struct CatalogData {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    architectures: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operating_systems: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    about_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_text: Option<String>,
    /// Granted by AWS, so that no request sets it.
    #[serde(skip_deserializing)]
    marketplace_certified: bool,
}

const COLUMNS: &str = "id, name, created_at, mutability, exclusions, scan_on_push, encryption, catalog";

impl Repository {
    /// A repository by its name, which must be there.
    pub(in crate::local) fn find(connection: &Connection, scope: &Scope, name: &str) -> Result<Self, Error> {
        Self::look_up(connection, scope, name)?.ok_or_else(|| not_found(scope, name))
    }

    /// Finds a repository by its name.
    pub(in crate::local) fn look_up(
        connection: &Connection,
        scope: &Scope,
        name: &str,
    ) -> Result<Option<Self>, Error> {
        let query = format!(
            "SELECT {COLUMNS} FROM repository WHERE service = ?1 AND account = ?2 AND region = ?3 AND name = ?4"
        );
        let mut statement = connection.prepare_cached(&query)?;
        let key = params![scope.service, scope.account, scope.region, name];
        Ok(statement.query_row(key, |row| Self::from_row(scope, row)).optional()?)
    }

    /// Lists repositories by name, those after `after`.
    pub(in crate::local) fn list(
        connection: &Connection,
        scope: &Scope,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Self>, Error> {
        let query = format!(
            "SELECT {COLUMNS} FROM repository
             WHERE service = ?1 AND account = ?2 AND region = ?3 AND name > ?4 ORDER BY name LIMIT ?5"
        );
        let mut statement = connection.prepare_cached(&query)?;
        let key = params![scope.service, scope.account, scope.region, after, limit];
        let rows = statement.query_map(key, |row| Self::from_row(scope, row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Lists the names of a registry's private repositories, those after `after`.
    pub(in crate::local) fn names(
        connection: &Connection,
        scope: &Scope,
        after: &str,
        limit: i64,
    ) -> Result<Vec<String>, Error> {
        let query = "SELECT name FROM repository
                     WHERE service = 'ecr' AND account = ?1 AND region = ?2 AND name > ?3 ORDER BY name LIMIT ?4";
        let mut statement = connection.prepare_cached(query)?;
        let names =
            statement.query_map(params![scope.account, scope.region, after, limit], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    fn from_row(scope: &Scope, row: &Row<'_>) -> rusqlite::Result<Self> {
        let catalog: Option<String> = row.get(7)?;
        Ok(Self {
            id: row.get(0)?,
            scope: scope.clone(),
            name: row.get(1)?,
            created_at: row.get(2)?,
            mutability: row.get(3)?,
            exclusions: from_json(&row.get::<_, String>(4)?),
            scan_on_push: row.get(5)?,
            encryption: from_json(&row.get::<_, String>(6)?),
            catalog: catalog.map(|text| from_json(&text)),
        })
    }

    /// Returns the service's words for this repository in the middle of a sentence.
    pub(in crate::local) fn place(&self) -> String {
        format!("repository with name '{}' in the registry with id '{}'", self.name, self.scope.account)
    }
}

impl Repository {
    /// Returns whether the repository has any image.
    pub(in crate::local) fn has_images(&self, connection: &Connection) -> Result<bool, Error> {
        let query = "SELECT EXISTS (SELECT 1 FROM image WHERE repository = ?1)";
        Ok(connection.query_row(query, [self.id], |row| row.get(0))?)
    }

    /// Deletes the repository with all that it has, and returns the identifiers of its unfinished uploads.
    pub(in crate::local) fn delete(&self, connection: &Connection) -> Result<Vec<String>, Error> {
        let mut statement = connection.prepare("SELECT id FROM upload WHERE repository = ?1")?;
        let uploads = statement.query_map([self.id], |row| row.get(0))?;
        let uploads = uploads.collect::<Result<Vec<String>, _>>()?;
        connection.execute("DELETE FROM repository WHERE id = ?1", [self.id])?;
        Ok(uploads)
    }

    pub(in crate::local) fn set_mutability(
        &self,
        connection: &Connection,
        mutability: &str,
        exclusions: &[ExclusionFilter],
    ) -> Result<(), Error> {
        let change = "UPDATE repository SET mutability = ?2, exclusions = ?3 WHERE id = ?1";
        connection.execute(change, params![self.id, mutability, to_json(&exclusions)])?;
        Ok(())
    }

    pub(in crate::local) fn set_scan_on_push(
        &self,
        connection: &Connection,
        scans: bool,
    ) -> Result<(), Error> {
        let change = "UPDATE repository SET scan_on_push = ?2 WHERE id = ?1";
        connection.execute(change, params![self.id, scans])?;
        Ok(())
    }

    pub(in crate::local) fn set_catalog(
        &self,
        connection: &Connection,
        catalog: &CatalogData,
    ) -> Result<(), Error> {
        let change = "UPDATE repository SET catalog = ?2 WHERE id = ?1";
        connection.execute(change, params![self.id, to_json(catalog)])?;
        Ok(())
    }
}

/// Returns the registries (account and region) that have a private repository of this name, two at most.
pub(in crate::local) fn registries_with(
    connection: &Connection,
    name: &str,
) -> Result<Vec<(String, String)>, Error> {
    let query = "SELECT account, region FROM repository WHERE service = 'ecr' AND name = ?1 LIMIT 2";
    let mut statement = connection.prepare_cached(query)?;
    let found = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Returns the accounts that have public repositories.
pub(in crate::local) fn public_accounts(connection: &Connection) -> Result<Vec<String>, Error> {
    let query = "SELECT DISTINCT account FROM repository WHERE service = 'ecr-public'";
    let mut statement = connection.prepare_cached(query)?;
    let accounts = statement.query_map([], |row| row.get(0))?;
    Ok(accounts.collect::<Result<_, _>>()?)
}

/// Reads a column that holds JSON.
fn from_json<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

/// The JSON of a column.
pub(in crate::local) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("structures of texts are JSON")
}

/// The Amazon resource name of a repository.
pub(in crate::local) fn arn(scope: &Scope, name: &str) -> String {
    let Scope { service, account, region } = scope;
    match *service {
        "ecr-public" => format!("arn:aws:ecr-public::{account}:repository/{name}"),
        _ => format!("arn:{}:ecr:{region}:{account}:repository/{name}", partition(region)),
    }
}

fn not_found(scope: &Scope, name: &str) -> Error {
    Error::new(
        ErrorKind::RepositoryNotFound,
        format!(
            "The repository with name '{name}' does not exist in the registry with id '{}'",
            scope.account
        ),
    )
}

impl RepositoryRef {
    /// The repository's row; an error if there is none.
    pub(in crate::local) fn find(&self, connection: &Connection) -> Result<Repository, Error> {
        Repository::find(connection, &self.scope, &self.name)
    }

    /// The repository's row, if there is one.
    pub(in crate::local) fn look_up(&self, connection: &Connection) -> Result<Option<Repository>, Error> {
        Repository::look_up(connection, &self.scope, &self.name)
    }
}
