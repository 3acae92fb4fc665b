//! Upload sessions: received bytes of a layer.
//!
//! A session's row says how many bytes and parts it has; its file holds them. The file's lock serialises the parts of
//! one session, whichever process they come to. The hash runs along while the parts come to one process in sequence,
//! and is taken from the file at the end where they did not.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use crate::local::store::Store;
use crate::local::store::database::Durability;
use crate::local::store::storage_error::{StorageError, TransactionError};
use crate::local::store::{blobs, time};

/// Least size of all parts but the last, in bytes; checked only at the end.
pub(in crate::local) const MIN_PART: i64 = 5 * 1024 * 1024;

/// A session that nothing was sent to for so many milliseconds is forgotten: a day.
const LIFE: i64 = 24 * 60 * 60 * 1000;

/// Sessions whose hash is kept in memory; beyond these the file is read once more at the end.
const HASHES: usize = 1024;

/// The hashes of unfinished sessions, each with the number of bytes that it covers.
#[derive(Debug, Default)]
pub(in crate::local) struct Hashes(Mutex<HashMap<String, (i64, Sha256)>>);

impl Hashes {
    fn take(&self, id: &str, size: i64) -> Option<Sha256> {
        let mut hashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hashes.remove(id).filter(|(covered, _)| *covered == size).map(|(_, hash)| hash);
        known.or_else(|| (size == 0).then(Sha256::new))
    }

    fn put(&self, id: &str, size: i64, hash: Sha256) {
        let mut hashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() >= HASHES
            && let Some(other) = hashes.keys().next().cloned()
        {
            hashes.remove(&other);
        }
        hashes.insert(id.to_owned(), (size, hash));
    }
}

/// A session as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Upload {
    pub(in crate::local) id: String,
    pub(in crate::local) size: i64,
    pub(in crate::local) parts: i64,
    last_part: i64,
    pub(in crate::local) has_short_part: bool,
}

impl Upload {
    /// Begins a session, and removes those unused for too long; returns the new one's identifier and those of the
    /// removed.
    pub(in crate::local) fn begin(
        connection: &Connection,
        repository: i64,
        now: i64,
    ) -> Result<(String, Vec<String>), StorageError> {
        let id = uuid::Uuid::new_v4().to_string();
        connection.execute(
            "INSERT INTO upload (id, repository, touched_at, size, parts, last_part, short_part)
             VALUES (?1, ?2, ?3, 0, 0, 0, 0)",
            params![id, repository, now],
        )?;
        let mut statement =
            connection.prepare_cached("DELETE FROM upload WHERE touched_at < ?1 RETURNING id")?;
        let forgotten = statement.query_map([now - LIFE], |row| row.get(0))?;
        Ok((id, forgotten.collect::<Result<_, _>>()?))
    }

    /// Finds a session of a repository.
    pub(in crate::local) fn find(
        connection: &Connection,
        repository: i64,
        id: &str,
    ) -> Result<Option<Self>, StorageError> {
        let mut statement = connection.prepare_cached(
            "SELECT id, size, parts, last_part, short_part FROM upload WHERE repository = ?1 AND id = ?2",
        )?;
        let upload = statement.query_row(params![repository, id], |row| {
            Ok(Self {
                id: row.get(0)?,
                size: row.get(1)?,
                parts: row.get(2)?,
                last_part: row.get(3)?,
                has_short_part: row.get(4)?,
            })
        });
        Ok(upload.optional()?)
    }

    /// Checks that a session's file has the recorded bytes. It does not where the session became a blob in a
    /// transaction that then failed, and where a power cut took what was never flushed.
    pub(in crate::local) fn check_bytes(&self, file: &File) -> Result<(), StorageError> {
        let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
        if length >= self.size {
            return Ok(());
        }
        Err(StorageError::LostBytes(self.id.clone()))
    }

    /// Adds a part to a session whose file is locked. Answers whether the session was still there to add it to.
    pub(in crate::local) fn append(
        &self,
        store: &Store,
        file: &File,
        part: &[u8],
        now: i64,
    ) -> Result<bool, StorageError> {
        let length = i64::try_from(part.len()).unwrap_or(i64::MAX);
        let offset = u64::try_from(self.size).unwrap_or_default();
        // Bytes beyond the recorded size do not count, so a failure from here on leaves the session as it was.
        let mut hash = store.hashes.take(&self.id, self.size);
        let before = hash.clone();
        if let Err(error) = blobs::write_at(file, offset, part, hash.as_mut()) {
            // A full disk gets its space back at once; that this fails too changes nothing.
            let _ = file.set_len(offset);
            if let Some(hash) = before {
                store.hashes.put(&self.id, self.size, hash);
            }
            return Err(error.into());
        }
        let size = self.size + length;
        let is_there = self.record(store, length, self.would_be_short(), now)?;
        if let Some(hash) = hash.filter(|_| is_there) {
            store.hashes.put(&self.id, size, hash);
        }
        Ok(is_there)
    }

    /// Returns whether one more part leaves the session with a part that is too small.
    fn would_be_short(&self) -> bool {
        self.has_short_part || (self.parts > 0 && self.last_part < MIN_PART)
    }

    fn record(&self, store: &Store, length: i64, is_short: bool, now: i64) -> Result<bool, StorageError> {
        store.database.write(Durability::Buffered, |transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE upload SET size = ?3, parts = parts + 1, last_part = ?4, short_part = ?5, touched_at = ?6
                 WHERE id = ?1 AND size = ?2",
            )?;
            let changes = params![self.id, self.size, self.size + length, length, is_short, now];
            Ok(statement.execute(changes)? == 1)
        })
    }

    /// Makes a session, whose bytes are whole and settled ([`Blobs::settle`](super::blobs::Blobs::settle)), a layer of a repository under this digest. Answers whether
    /// the repository lacked it; `None` if the session has changed or ended meanwhile. If this machine fails, for
    /// example because the disk is full, the session stays as it was.
    pub(in crate::local) fn become_layer<E: TransactionError + From<StorageError>>(
        &self,
        store: &Store,
        digest: &str,
        repository: impl FnOnce(&Connection) -> Result<i64, E>,
    ) -> Result<Option<bool>, E> {
        let stored: Result<_, E> = store.database.write(Durability::Flushed, |transaction| {
            let repository = repository(transaction)?;
            if Self::find(transaction, repository, &self.id)?.as_ref() != Some(self) {
                return Ok(None);
            }
            store.blobs.keep(&self.id, digest).map_err(StorageError::from)?;
            Ok(Some(self.store(transaction, repository, digest)?))
        });
        if stored.as_ref().is_err_and(TransactionError::is_of_the_machine) {
            // The file may have its new name although nothing was recorded of it. Where it cannot be taken back
            // either, the error is still the first one.
            let _ = self.take_back(store, digest);
        }
        stored
    }

    /// Gives a session its file back that has a blob's name, unless a blob of this digest is recorded.
    fn take_back(&self, store: &Store, digest: &str) -> Result<(), StorageError> {
        store.database.write(Durability::Buffered, |transaction| {
            let recorded = "SELECT 1 FROM blob WHERE digest = ?1";
            if !transaction.prepare_cached(recorded)?.exists([digest])? {
                store.blobs.take_back(&self.id, digest)?;
            }
            Ok(())
        })
    }

    fn store(&self, connection: &Connection, repository: i64, digest: &str) -> Result<bool, StorageError> {
        let blob = "INSERT OR IGNORE INTO blob (digest, size) VALUES (?1, ?2)";
        connection.execute(blob, params![digest, self.size])?;
        let layer = "INSERT OR IGNORE INTO layer (repository, digest, stored_at) VALUES (?1, ?2, ?3)";
        let added = connection.execute(layer, params![repository, digest, time::now()])?;
        connection.execute("DELETE FROM upload WHERE id = ?1", [&self.id])?;
        Ok(added == 1)
    }

    /// Truncates the unrecorded bytes, and returns the digest of the rest.
    pub(in crate::local) fn digest(&self, store: &Store, file: &File) -> Result<String, StorageError> {
        let size = u64::try_from(self.size).unwrap_or_default();
        if file.metadata()?.len() != size {
            file.set_len(size)?;
        }
        let hash = match store.hashes.take(&self.id, self.size) {
            Some(hash) => hash,
            None => blobs::hash(file)?,
        };
        store.hashes.put(&self.id, self.size, hash.clone());
        Ok(format!("sha256:{}", hex::encode(hash.finalize())))
    }
}

/// Writer of a session's bytes, whose file is locked meanwhile.
#[derive(Debug)]
pub(in crate::local) struct Writer {
    upload: Upload,
    file: File,
    hash: Option<Sha256>,
    length: i64,
}

impl Writer {
    pub(in crate::local) fn new(store: &Store, upload: Upload, file: File) -> Self {
        let hash = store.hashes.take(&upload.id, upload.size);
        Self { upload, file, hash, length: 0 }
    }

    /// Writes the next bytes. What a failed write leaves does not count.
    pub(in crate::local) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let start = u64::try_from(self.upload.size).unwrap_or_default();
        let offset = start + u64::try_from(self.length).unwrap_or_default();
        if let Err(error) = blobs::write_at(&self.file, offset, bytes, self.hash.as_mut()) {
            // A full disk gets its space back at once; that this fails too changes nothing.
            let _ = self.file.set_len(start);
            self.hash = None;
            self.length = 0;
            return Err(error);
        }
        self.length += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Returns the bytes of the session, including the written ones.
    pub(in crate::local) fn size(&self) -> i64 {
        self.upload.size + self.length
    }

    /// Records the written bytes as one part; returns the session then, with its file, or nothing if it has ended
    /// meanwhile. `sized` counts parts that are too small.
    pub(in crate::local) fn finish(
        self,
        store: &Store,
        sized: bool,
        now: i64,
    ) -> Result<Option<(Upload, File)>, StorageError> {
        let Self { mut upload, file, hash, length } = self;
        if length > 0 {
            let is_short = sized && upload.would_be_short();
            if !upload.record(store, length, is_short, now)? {
                return Ok(None);
            }
            upload.size += length;
            upload.parts += 1;
            upload.last_part = length;
            upload.has_short_part = is_short;
        }
        if let Some(hash) = hash {
            store.hashes.put(&upload.id, upload.size, hash);
        }
        Ok(Some((upload, file)))
    }
}

impl Store {
    /// Forgets a session's bytes. What cannot be removed now is swept later; nothing refers to it.
    pub(in crate::local) fn forget_upload(&self, id: &str) {
        self.hashes.take(id, -1);
        let _ = self.blobs.remove_upload(id);
    }
}
