//! The database file: opened, checked, and shared by the threads of this process and by other processes.
//!
//! Write-ahead logging lets readers go on while one writer writes. A commit is in the log when it is acknowledged, so
//! it survives SIGKILL; the log is flushed to the disk before it is merged into the file, so a power cut may take back
//! the newest commits but leaves no half of one. A store that is to survive power cuts flushes the log at every commit
//! (`synchronous = FULL`). Even that leaves out the bookkeeping of an upload's parts: the digest check at the end of
//! the upload notices whatever is missing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::local::store::error::Error;
use crate::local::store::random;
use crate::local::store::reserve::Reserve;
use crate::local::store::schema::{APPLICATION, SCHEMA, VERSION};
use crate::local::store::storage_error::{StorageError, TransactionError};
use crate::platform;

/// Time limit of waiting for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections kept open between requests; each has some 2 MiB of cache.
const IDLE: usize = 8;

/// Durability of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum Durability {
    /// Survives a power cut where the store is to do that, the death of this process anyway.
    Flushed,
    /// Survives the death of this process only.
    Buffered,
}

/// The database file with a small pool of connections.
#[derive(Debug)]
pub(in crate::local) struct Database {
    path: PathBuf,
    /// Acknowledged writes survive a power cut.
    is_durable: bool,
    idle: Mutex<Vec<Connection>>,
    /// Writers of this process queue here, where waiting is fair and free, instead of polling SQLite's lock.
    writing: Mutex<()>,
    reserve: Reserve,
}

impl Database {
    /// Opens the database of a folder, or creates it where the folder has none.
    pub(in crate::local) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("ecr.db");
        let lost = fs::metadata(&path).map_or(true, |file| file.len() == 0) && has_blobs(folder);
        if lost {
            let reason = "it is missing or empty although the folder holds blobs".to_owned();
            return Err(Error::Damaged { path, reason });
        }
        create_private_file(&path).map_err(Error::folder(&path))?;
        let (idle, writing, reserve) = (Mutex::default(), Mutex::default(), Reserve::of(folder));
        let database = Self { path, is_durable: false, idle, writing, reserve };
        let mut connection = database.connect().map_err(|error| Error::database(&database.path, &error))?;
        database.prepare(folder, &mut connection)?;
        database.put_back(connection, &Ok::<_, StorageError>(()));
        database.reserve.hold_again();
        Ok(database)
    }

    /// Flushes every commit to the disk from now on.
    pub(in crate::local) fn make_durable(&mut self) {
        self.is_durable = true;
        self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The file.
    pub(in crate::local) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a request that only reads, on one snapshot.
    pub(in crate::local) fn read<T, E: TransactionError>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.take()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let result = work(&transaction);
        transaction.finish()?;
        self.put_back(connection, &result);
        result
    }

    /// Runs a request that writes, as one transaction: all of it or nothing.
    pub(in crate::local) fn write<T, E: TransactionError>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = self.take()?;
        let is_relaxed = self.is_durable && durability == Durability::Buffered;
        if is_relaxed {
            connection.pragma_update(None, "synchronous", "NORMAL")?;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // A connection that could not commit is kept: with the last one SQLite would give up the log and its index,
        // and on a full disk nobody could make them again.
        let result = match work(&transaction) {
            Ok(done) => transaction.commit().map(|()| done).map_err(E::from),
            Err(error) => transaction.rollback().map_err(E::from).and(Err(error)),
        };
        if is_relaxed {
            connection.pragma_update(None, "synchronous", "FULL")?;
        }
        drop(turn);
        self.put_back(connection, &result);
        result
    }

    /// Runs a request that deletes, like [`Database::write`]: on a full disk it may use the reserve, and is run once
    /// more for that.
    pub(in crate::local) fn free<T, E: TransactionError>(
        &self,
        work: impl Fn(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self.write(Durability::Flushed, &work) {
            Err(error) if error.is_full() && self.reserve.release() => {
                let result = self.write(Durability::Flushed, work);
                self.merge_log();
                self.reserve.hold();
                result
            }
            result => result,
        }
    }

    /// Keeps space aside for deletions, where there is room for it.
    pub(in crate::local) fn hold_reserve(&self) {
        self.reserve.hold();
    }

    /// Releases a little of the reserve, without which reading fails on a full disk; false if there was none.
    pub(in crate::local) fn lend_reserve(&self) -> bool {
        self.reserve.lend()
    }

    /// Returns the log's space to the disk, as far as no reader needs it.
    fn merge_log(&self) {
        if let Ok(connection) = self.take() {
            // What is not merged now is merged by a later commit.
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            self.put_back(connection, &Ok::<_, StorageError>(()));
        }
    }

    /// Writes the database as it is now to another file.
    pub(in crate::local) fn copy(&self, path: &Path) -> Result<(), StorageError> {
        let connection = self.take()?;
        let result = connection.execute("VACUUM INTO ?1", [path.to_string_lossy()]);
        let result = result.map(drop).map_err(StorageError::from);
        self.put_back(connection, &result);
        result
    }

    fn take(&self) -> rusqlite::Result<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(match idle {
            Some(connection) => connection,
            None => self.connect()?,
        })
    }

    /// Keeps a connection for the next request; one that this machine failed is closed instead.
    fn put_back<T, E: TransactionError>(&self, connection: Connection, result: &Result<T, E>) {
        let sound =
            result.as_ref().map_or_else(|error| !error.is_of_the_machine() || error.is_full(), |_| true);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if sound && idle.len() < IDLE {
            idle.push(connection);
        }
    }

    /// Opens a connection that can read. The first one of all processes makes the index of the log for that, which
    /// takes a little space even where nothing is written.
    fn connect(&self) -> rusqlite::Result<Connection> {
        match self.open_connection() {
            Err(error) if is_full(&error) && self.reserve.lend() => self.open_connection(),
            result => result,
        }
    }

    fn open_connection(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(64);
        // Else SQLite plans a statement again for every value that is bound to it, in case a partial index fits it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "synchronous", if self.is_durable { "FULL" } else { "NORMAL" })?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        pragma(&connection, "user_version")?;
        Ok(connection)
    }

    /// Makes a new file a database of ours; checks that an old one is.
    fn prepare(&self, folder: &Path, connection: &mut Connection) -> Result<(), Error> {
        let failed = |error: rusqlite::Error| Error::database(&self.path, &error);
        if pragma(connection, "user_version").map_err(failed)? == 0 {
            // Two processes that both find no database must not both write the schema, and SQLite answers "locked"
            // at once when two switch a file to write-ahead logging.
            let lock = create_private_file(&folder.join("lock")).map_err(Error::folder(folder))?;
            lock.lock().map_err(Error::folder(folder))?;
            if pragma(connection, "user_version").map_err(failed)? == 0 {
                self.create(connection)?;
            }
        }
        let damaged = |reason: &str| Error::Damaged { path: self.path.clone(), reason: reason.to_owned() };
        if pragma(connection, "application_id").map_err(failed)? != APPLICATION {
            return Err(damaged("it is not a database of the embedded ECR"));
        }
        let found = pragma(connection, "user_version").map_err(failed)?;
        if found > VERSION {
            return Err(Error::Newer { path: self.path.clone(), found, known: VERSION });
        }
        if found < VERSION {
            upgrade(connection).map_err(failed)?;
        }
        let secrets: i64 = connection
            .query_row("SELECT count(*) FROM meta WHERE name = 'secret'", [], |row| row.get(0))
            .map_err(failed)?;
        if secrets == 1 { Ok(()) } else { Err(damaged("its secret is missing")) }
    }

    fn create(&self, connection: &mut Connection) -> Result<(), Error> {
        let failed = |error: rusqlite::Error| Error::database(&self.path, &error);
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(failed)?;
        if tables != 0 {
            let reason = "it is not a database of the embedded ECR".to_owned();
            return Err(Error::Damaged { path: self.path.clone(), reason });
        }
        let mut write = || {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for version in SCHEMA {
                transaction.execute_batch(version)?;
            }
            let secret = random::random::<32>();
            transaction.execute("INSERT INTO meta VALUES ('secret', ?1)", [secret.as_slice()])?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()
        };
        write().map_err(failed)
    }
}

/// Upgrades the schema of an older store. Another process may have done so meanwhile.
fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = usize::try_from(pragma(&transaction, "user_version")?).unwrap_or_default();
    for version in SCHEMA.iter().skip(found) {
        transaction.execute_batch(version)?;
    }
    if found < SCHEMA.len() {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

/// Makes the file, where it is missing, so that only its owner can read it: the folder may be one that others can
/// enter. SQLite gives the log the same mode.
pub(in crate::local) fn create_private_file(path: &Path) -> io::Result<File> {
    platform::private_file().append(true).create(true).open(path)
}

/// Returns whether SQLite failed for want of space, be it in the file, the log, or the log's index.
pub(in crate::local) fn is_full(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_SHMOPEN, SQLITE_IOERR_SHMSIZE};
    let extended = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
        || matches!(extended, Some(SQLITE_IOERR_SHMSIZE | SQLITE_IOERR_SHMOPEN))
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn has_blobs(folder: &Path) -> bool {
    fs::read_dir(folder.join("blobs").join("sha256")).is_ok_and(|mut entries| entries.next().is_some())
}
