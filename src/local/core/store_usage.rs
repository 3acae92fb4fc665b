//! Usage of a store, and emptying it.

use std::path::Path;
use std::{fs, io};

use rusqlite::Connection;

use crate::local::core::error::Error;
use crate::local::core::local::Local;
use crate::local::core::server_info::ServerInfo;
use crate::local::core::token;
use crate::local::store::error::Error as StoreError;

/// Number and size of what a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUsage {
    /// Bytes of the database and its log.
    pub database_bytes: u64,
    /// Number of blobs.
    pub blobs: i64,
    /// The bytes of all blobs.
    pub blob_bytes: i64,
    /// Number of open upload sessions.
    pub uploads: i64,
    /// The bytes that they have received.
    pub upload_bytes: i64,
    /// Registries with any content, by service, account and region.
    pub registries: Vec<RegistryUsage>,
}

/// Usage of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryUsage {
    /// `ecr` or `ecr-public`.
    pub service: String,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// Number of repositories.
    pub repositories: i64,
    /// Number of images in all repositories.
    pub images: i64,
    /// Number of tags in all repositories.
    pub tags: i64,
}

impl Local {
    /// Counts the contents of the store.
    pub fn usage(&self) -> Result<StoreUsage, Error> {
        let path = self.store.database.path();
        let files = [path.to_owned(), path.with_extension("db-wal")];
        let database_bytes =
            files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
        self.read(|connection| {
            let (blobs, blob_bytes) = totals(connection, "blob")?;
            let (uploads, upload_bytes) = totals(connection, "upload")?;
            let registries = registries(connection)?;
            Ok(StoreUsage { database_bytes, blobs, blob_bytes, uploads, upload_bytes, registries })
        })
    }

    /// Forgets everything, for every process that uses the folder: a server that runs on it simply sees an empty
    /// store from one request to the next.
    pub fn reset(&self) -> Result<(), Error> {
        self.free(|transaction| {
            // In this order no row is left that refers to another.
            for table in ["repository", "blob", "setting", "backfill"] {
                transaction.execute(&format!("DELETE FROM {table}"), [])?;
            }
            token::expire_all(transaction)
        })?;
        self.sweep()
    }
}

fn totals(connection: &Connection, table: &str) -> Result<(i64, i64), Error> {
    let query = format!("SELECT count(*), coalesce(sum(size), 0) FROM {table}");
    Ok(connection.query_row(&query, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

fn registries(connection: &Connection) -> Result<Vec<RegistryUsage>, Error> {
    let mut statement = connection.prepare(
        "SELECT service, account, region, count(*),
                sum((SELECT count(*) FROM image WHERE image.repository = repository.id)),
                sum((SELECT count(*) FROM image_tag WHERE image_tag.repository = repository.id))
         FROM repository GROUP BY service, account, region ORDER BY service, account, region",
    )?;
    let registries = statement.query_map([], |row| {
        Ok(RegistryUsage {
            service: row.get(0)?,
            account: row.get(1)?,
            region: row.get(2)?,
            repositories: row.get(3)?,
            images: row.get(4)?,
            tags: row.get(5)?,
        })
    })?;
    Ok(registries.collect::<Result<_, _>>()?)
}

/// Empties the store in a folder, in whatever state. A sound one is emptied under those who use it; a damaged one is
/// removed from the disk and begun anew, which nobody may be using meanwhile.
pub fn reset(folder: &Path) -> Result<(), StoreError> {
    let failed = |error: Error| StoreError::Database { path: folder.join("ecr.db"), reason: error.message };
    match Local::open(folder).map(|local| local.reset()) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) if !error.message.contains("is damaged") => return Err(failed(error)),
        Ok(Err(_)) | Err(StoreError::Damaged { .. }) => {}
        Err(error) => return Err(error),
    }
    if let Some(server) = ServerInfo::find(folder) {
        return Err(StoreError::Served { folder: folder.to_owned(), process: server.pid });
    }
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::folder(folder)(error)),
        _ => Ok(()),
    };
    // The blobs first: a database that is missing while blobs are there counts as damaged.
    for name in ["blobs", "uploads"] {
        gone(fs::remove_dir_all(folder.join(name)))?;
    }
    for name in ["ecr.db-wal", "ecr.db-shm", "ecr.db", "reserve"] {
        gone(fs::remove_file(folder.join(name)))?;
    }
    Local::open(folder).map(drop)
}
