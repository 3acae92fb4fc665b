//! Repositories: made, described, configured, deleted.

use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::paging::Page;
use super::repository::{Repository, partition};
use super::{mutability, tags};
use crate::local::Fault;
use crate::local::call::{Call, Scope};

/// Repositories of one registry.
const MOST_REPOSITORIES: i64 = 100_000;

/// What a new repository is made with.
pub(in crate::local) struct New {
    pub(in crate::local) mutability: String,
    pub(in crate::local) exclusions: Value,
    pub(in crate::local) scan_on_push: bool,
    pub(in crate::local) encryption: Value,
    pub(in crate::local) tags: Vec<(String, String)>,
    pub(in crate::local) catalog: Option<Value>,
}

/// CreateRepository
pub(crate) fn create(call: &Call<'_>) -> Result<Value, Fault> {
    let scope = call.scope();
    let name = call.required("repositoryName");
    let (mutability, exclusions) = mutability::requested(call)?;
    let new = New {
        mutability,
        exclusions,
        scan_on_push: call.structure("imageScanningConfiguration").is_some_and(scans),
        encryption: encryption(call.structure("encryptionConfiguration"), &scope)?,
        tags: tags::requested(call)?,
        catalog: call.structure("catalogData").map(catalog),
    };
    call.write(|transaction| {
        if Repository::look_up(transaction, &scope, name)?.is_some() {
            let text = format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                scope.account
            );
            return Err(Fault::new("RepositoryAlreadyExistsException", text));
        }
        let repository = insert(transaction, &scope, name, &new, call.now)?;
        Ok(match &new.catalog {
            Some(catalog) => json!({ "repository": repository.describe(call), "catalogData": catalog }),
            None => json!({ "repository": repository.describe(call) }),
        })
    })
}

/// Makes a repository that is not there yet.
pub(in crate::local) fn insert(
    connection: &Connection,
    scope: &Scope,
    name: &str,
    new: &New,
    now: i64,
) -> Result<Repository, Fault> {
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
            new.exclusions.to_string(),
            new.scan_on_push,
            new.encryption.to_string(),
            new.catalog.as_ref().map(Value::to_string),
        ],
    )?;
    let repository = Repository::find(connection, scope, name)?;
    tags::store(connection, &repository, &new.tags)?;
    Ok(repository)
}

fn check_count(connection: &Connection, scope: &Scope) -> Result<(), Fault> {
    let count: i64 = connection.query_row(
        "SELECT count(*) FROM repository WHERE service = ?1 AND account = ?2 AND region = ?3",
        params![scope.service, scope.account, scope.region],
        |row| row.get(0),
    )?;
    if count < MOST_REPOSITORIES {
        return Ok(());
    }
    let text = format!(
        "The registry with id '{}' already has the maximum of {MOST_REPOSITORIES} repositories",
        scope.account
    );
    Err(Fault::new("LimitExceededException", text))
}

/// The encryption configuration with its defaults: a key is a full ARN, the account's own one where none is named.
pub(in crate::local) fn encryption(
    given: Option<&Map<String, Value>>,
    scope: &Scope,
) -> Result<Value, Fault> {
    let text = |member: &str| given.and_then(|given| given.get(member)).and_then(Value::as_str);
    let kind = text("encryptionType").unwrap_or("AES256");
    let key = text("kmsKey").filter(|key| !key.is_empty());
    if kind == "AES256" {
        return match key {
            None => Ok(json!({ "encryptionType": kind })),
            Some(_) => Err(Fault::parameter(
                "encryptionConfiguration",
                "kmsKey can't be set when encryptionType is set as AES256",
            )),
        };
    }
    let prefix = format!("arn:{}:kms:{}:{}:", partition(&scope.region), scope.region, scope.account);
    let key = match key {
        Some(key) if key.starts_with("arn:") => key.to_owned(),
        Some(key) if key.starts_with("alias/") => format!("{prefix}{key}"),
        Some(key) => format!("{prefix}key/{key}"),
        None => format!("{prefix}key/{}", own_key(scope)),
    };
    Ok(json!({ "encryptionType": kind, "kmsKey": key }))
}

/// The id of the key that AWS would manage for this account and region: always the same one.
fn own_key(scope: &Scope) -> uuid::Uuid {
    let hash = Sha256::digest(format!("aws/ecr {} {}", scope.account, scope.region));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn scans(configuration: &Map<String, Value>) -> bool {
    configuration.get("scanOnPush").and_then(Value::as_bool).unwrap_or_default()
}

/// What a public repository shows of the catalog data that was put. A logo is accepted and not kept: there is no
/// place to show it at, so no `logoUrl` is answered.
fn catalog(input: &Map<String, Value>) -> Value {
    let mut catalog = input.clone();
    catalog.shift_remove("logoImageBlob");
    catalog.insert("marketplaceCertified".to_owned(), false.into());
    Value::Object(catalog)
}

/// DescribeRepositories
pub(crate) fn describe(call: &Call<'_>) -> Result<Value, Fault> {
    let page = Page::of(call, "repositoryNames")?;
    let scope = call.scope();
    call.read(|connection| {
        if call.list("repositoryNames").is_some() {
            let names = call.texts("repositoryNames").into_iter();
            let found = names.map(|name| Ok(Repository::find(connection, &scope, name)?.describe(call)));
            return Ok(json!({ "repositories": found.collect::<Result<Vec<_>, Fault>>()? }));
        }
        let after = page.after.as_ref().and_then(Value::as_str).unwrap_or_default();
        let repositories = Repository::list(connection, &scope, after, page.fetch())?;
        let entries = repositories.into_iter().map(|each| (json!(each.name), each.describe(call))).collect();
        Ok(page.answer("repositories", entries))
    })
}

/// DeleteRepository
pub(crate) fn delete(call: &Call<'_>) -> Result<Value, Fault> {
    let uploads = call.free(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let query = "SELECT EXISTS (SELECT 1 FROM image WHERE repository = ?1)";
        let holds_images: bool = transaction.query_row(query, [repository.id], |row| row.get(0))?;
        if holds_images && !call.flag("force") {
            let text = format!(
                "The repository with name '{}' in registry with id '{}' cannot be deleted because it still contains images",
                repository.name, repository.scope.account
            );
            return Err(Fault::new("RepositoryNotEmptyException", text));
        }
        let mut statement = transaction.prepare("SELECT id FROM upload WHERE repository = ?1")?;
        let uploads = statement.query_map([repository.id], |row| row.get(0))?;
        let uploads = uploads.collect::<Result<Vec<String>, _>>()?;
        transaction.execute("DELETE FROM repository WHERE id = ?1", [repository.id])?;
        Ok((uploads, json!({ "repository": repository.describe(call) })))
    });
    let (uploads, answer) = uploads?;
    for id in uploads {
        call.local.forget_upload(&id);
    }
    Ok(answer)
}

/// PutImageTagMutability
pub(crate) fn put_mutability(call: &Call<'_>) -> Result<Value, Fault> {
    let (mutability, exclusions) = mutability::requested(call)?;
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        transaction.execute(
            "UPDATE repository SET mutability = ?2, exclusions = ?3 WHERE id = ?1",
            params![repository.id, mutability, exclusions.to_string()],
        )?;
        let described = Repository::of(call, transaction)?.describe(call);
        Ok(described)
    })
}

/// PutImageScanningConfiguration
pub(crate) fn put_scanning(call: &Call<'_>) -> Result<Value, Fault> {
    let scan_on_push = call.structure("imageScanningConfiguration").is_some_and(scans);
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        transaction.execute(
            "UPDATE repository SET scan_on_push = ?2 WHERE id = ?1",
            params![repository.id, scan_on_push],
        )?;
        let described = Repository::of(call, transaction)?.describe(call);
        Ok(described)
    })
}

/// GetRepositoryCatalogData
pub(crate) fn get_catalog(call: &Call<'_>) -> Result<Value, Fault> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let place = repository.place();
        match repository.catalog {
            Some(catalog) => Ok(json!({ "catalogData": catalog })),
            None => Err(Fault::new(
                "RepositoryCatalogDataNotFoundException",
                format!("Catalog data does not exist for the {place}"),
            )),
        }
    })
}

/// PutRepositoryCatalogData
pub(crate) fn put_catalog(call: &Call<'_>) -> Result<Value, Fault> {
    let catalog = call.structure("catalogData").map(catalog).unwrap_or_default();
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let change = "UPDATE repository SET catalog = ?2 WHERE id = ?1";
        transaction.execute(change, params![repository.id, catalog.to_string()])?;
        Ok(json!({ "catalogData": catalog }))
    })
}
