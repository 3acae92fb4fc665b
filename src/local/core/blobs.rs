//! Blobs of a repository: looked up, mounted from another one, taken away.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::image::Digest;
use crate::local::core::error::Error;
use crate::local::core::image::STATUS;
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::request::{IfMissing, Request};

/// Result of deleting a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum Deleted {
    Yes,
    Missing,
    /// An image refers to it.
    Used,
}

/// A blob that a repository is to get from another one of the same registry.
pub(in crate::local) struct Mount<'a> {
    pub(in crate::local) digest: &'a Digest,
    /// The repository that has it; any of the registry if `None`.
    pub(in crate::local) source: Option<&'a RepositoryRef>,
    /// An image of the source must refer to the blob.
    pub(in crate::local) used_only: bool,
}

impl RepositoryRef {
    /// The size of a blob that the repository has.
    pub(in crate::local) fn blob_size(
        &self,
        connection: &Connection,
        digest: &Digest,
    ) -> Result<Option<i64>, Error> {
        layer_size(connection, self.find(connection)?.id, &digest.to_string())
    }
}

/// The size of a layer that a repository, named by its row, has.
pub(in crate::local) fn layer_size(
    connection: &Connection,
    repository: i64,
    digest: &str,
) -> Result<Option<i64>, Error> {
    let query = "SELECT blob.size FROM layer JOIN blob USING (digest) WHERE repository = ?1 AND digest = ?2";
    let mut statement = connection.prepare_cached(query)?;
    Ok(statement.query_row(params![repository, digest], |row| row.get(0)).optional()?)
}

/// Returns whether an image lists a layer of a repository, named by its row.
pub(in crate::local) fn is_layer_used(
    connection: &Connection,
    repository: i64,
    digest: &str,
) -> Result<bool, Error> {
    let query = "SELECT EXISTS (SELECT 1 FROM image_layer WHERE repository = ?1 AND digest = ?2)";
    Ok(connection.query_row(query, params![repository, digest], |row| row.get(0))?)
}

/// Returns the media type that an image gives to a layer, and the status of this image: of an active one where there
/// is one. `None` where no image lists the layer.
pub(in crate::local) fn layer_owner(
    connection: &Connection,
    repository: i64,
    digest: &str,
) -> Result<Option<(Option<String>, String)>, Error> {
    let query = format!(
        "SELECT image_layer.media_type, {STATUS} AS now FROM image_layer JOIN image ON image.id = image
         WHERE image_layer.repository = ?1 AND image_layer.digest = ?2 ORDER BY now != 'ACTIVE' LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let owner = statement.query_row(params![repository, digest], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(owner.optional()?)
}

impl Request<'_> {
    /// Takes a blob from a repository; its bytes stay until they are collected. One that an image refers to stays.
    pub(in crate::local) fn delete_blob(
        &self,
        repository: &RepositoryRef,
        digest: &Digest,
    ) -> Result<Deleted, Error> {
        self.local.free(|transaction| {
            let key = params![repository.find(transaction)?.id, digest.to_string()];
            let used = "SELECT 1 FROM image_layer WHERE repository = ?1 AND digest = ?2";
            if transaction.prepare_cached(used)?.exists(key)? {
                return Ok(Deleted::Used);
            }
            let query = "DELETE FROM layer WHERE repository = ?1 AND digest = ?2";
            Ok(if transaction.execute(query, key)? == 1 { Deleted::Yes } else { Deleted::Missing })
        })
    }

    /// Gives a repository a blob that another one has; false if it is nowhere that it could be taken from.
    pub(in crate::local) fn mount(&self, target: &RepositoryRef, mount: &Mount<'_>) -> Result<bool, Error> {
        self.local.write(|transaction| {
            let repository = self.repository(transaction, target, IfMissing::Create)?;
            let text = mount.digest.to_string();
            let is_available = match mount.source {
                Some(source) if source.scope.account != target.scope.account => false,
                Some(source) => match source.look_up(transaction)? {
                    Some(source) => has(transaction, source.id, &text, mount.used_only)?,
                    None => false,
                },
                None => !mount.used_only && is_in_registry(transaction, &target.scope, &text)?,
            };
            if is_available {
                let query = "INSERT OR IGNORE INTO layer (repository, digest, stored_at) VALUES (?1, ?2, ?3)";
                transaction.execute(query, params![repository.id, text, self.now])?;
            }
            Ok(is_available)
        })
    }
}

fn has(connection: &Connection, repository: i64, digest: &str, used_only: bool) -> Result<bool, Error> {
    let table = if used_only { "image_layer" } else { "layer" };
    let query = format!("SELECT 1 FROM {table} WHERE repository = ?1 AND digest = ?2");
    Ok(connection.prepare_cached(&query)?.exists(params![repository, digest])?)
}

fn is_in_registry(connection: &Connection, scope: &Scope, digest: &str) -> Result<bool, Error> {
    let query = "SELECT 1 FROM layer JOIN repository ON repository.id = layer.repository
                 WHERE digest = ?1 AND service = ?2 AND account = ?3 AND region = ?4";
    let key = params![digest, scope.service, scope.account, scope.region];
    Ok(connection.prepare_cached(query)?.exists(key)?)
}
