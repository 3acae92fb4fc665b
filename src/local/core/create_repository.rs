//! Repositories are created.

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use crate::image::host::partition;
use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::registry_id::Scope;
use crate::local::core::repository::{CatalogData, Encryption, ExclusionFilter, Repository, to_json};
use crate::local::core::resource_tags;

/// Repositories of one registry.
const MAX_REPOSITORIES: i64 = 100_000;

/// Settings of a repository that is to be created.
pub(in crate::local) struct NewRepository {
    pub(in crate::local) mutability: String,
    pub(in crate::local) exclusions: Vec<ExclusionFilter>,
    pub(in crate::local) scan_on_push: bool,
    pub(in crate::local) encryption: Encryption,
    pub(in crate::local) tags: Vec<(String, String)>,
    pub(in crate::local) catalog: Option<CatalogData>,
}

/// Makes a repository that is not there yet.
pub(in crate::local) fn insert(
    connection: &Connection,
    scope: &Scope,
    name: &str,
    new: &NewRepository,
    now: i64,
) -> Result<Repository, Error> {
    check_count(connection, scope)?;
    connection.execute(
        "INSERT INTO repository
             (service, account, region, name, created_at, mutability, exclusions, scan_on_push, encryption, catalog)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            scope.service,
            scope.account,
            scope.region,
            name,
            now,
            new.mutability,
            to_json(&new.exclusions),
            new.scan_on_push,
            to_json(&new.encryption),
            new.catalog.as_ref().map(to_json),
        ],
    )?;
    let repository = Repository::find(connection, scope, name)?;
    resource_tags::store(connection, &repository, &new.tags)?;
    Ok(repository)
}

fn check_count(connection: &Connection, scope: &Scope) -> Result<(), Error> {
    let count: i64 = connection.query_row(
        "SELECT count(*) FROM repository WHERE service = ?1 AND account = ?2 AND region = ?3",
        params![scope.service, scope.account, scope.region],
        |row| row.get(0),
    )?;
    if count < MAX_REPOSITORIES {
        return Ok(());
    }
    let text = format!(
        "The registry with id '{}' already has the maximum of {MAX_REPOSITORIES} repositories",
        scope.account
    );
    Err(Error::new(ErrorKind::LimitExceeded, text))
}

/// The encryption that a request asks for, with its defaults: a key is a full ARN, the account's own one where none is
/// named.
pub(in crate::local) fn encryption(given: Encryption, scope: &Scope) -> Result<Encryption, Error> {
    let Encryption { encryption_type, kms_key } = given;
    let key = kms_key.filter(|key| !key.is_empty());
    if encryption_type == "AES256" {
        return match key {
            None => Ok(Encryption { encryption_type, kms_key: None }),
            Some(_) => Err(Error::parameter(
                "encryptionConfiguration",
                "kmsKey can't be set when encryptionType is set as AES256",
            )),
        };
    }
    let prefix = format!("arn:{}:kms:{}:{}:", partition(&scope.region), scope.region, scope.account);
    let key = match key {
        Some(key) if key.starts_with("arn:") => key,
        Some(key) if key.starts_with("alias/") => format!("{prefix}{key}"),
        Some(key) => format!("{prefix}key/{key}"),
        None => format!("{prefix}key/{}", own_key(scope)),
    };
    Ok(Encryption { encryption_type, kms_key: Some(key) })
}

/// The id of the key that AWS would manage for this account and region: always the same one.
fn own_key(scope: &Scope) -> uuid::Uuid {
    let hash = Sha256::digest(format!("aws/ecr {} {}", scope.account, scope.region));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
