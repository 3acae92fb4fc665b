//! State of the embedded ECR: the database, blobs, and uploads that become blobs.

pub(in crate::local) mod blobs;
pub(in crate::local) mod database;
pub(in crate::local) mod error;
pub(in crate::local) mod random;
pub(in crate::local) mod reserve;
pub(in crate::local) mod schema;
pub(in crate::local) mod storage_error;
pub(in crate::local) mod time;
pub(in crate::local) mod uploads;
pub(in crate::local) mod verified;

use std::io;
use std::path::Path;

use blobs::Blobs;
use database::Database;
use uploads::Hashes;

/// The database and the files beside it.
#[derive(Debug)]
pub(in crate::local) struct Store {
    pub(in crate::local) database: Database,
    pub(in crate::local) blobs: Blobs,
    /// The hashes of unfinished uploads.
    pub(in crate::local) hashes: Hashes,
}

impl Store {
    /// Opens the store in an existing folder, creating missing parts.
    pub(in crate::local) fn open(folder: &Path) -> Result<Self, error::Error> {
        let database = Database::open(folder)?;
        let failed = |cause: io::Error| error::Error::folder(folder)(cause);
        let blobs = Blobs::open(folder).map_err(failed)?;
        Ok(Self { database, blobs, hashes: Hashes::default() })
    }

    /// Makes later writes survive a power cut too, by waiting for the disk.
    pub(in crate::local) fn make_durable(&mut self) {
        self.database.make_durable();
        self.blobs.make_durable();
    }
}
