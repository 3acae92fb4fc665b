//! Failures of the database and of files under a request.

use std::io;

use crate::local::store::database;

/// Error of the store in one request.
#[derive(Debug, thiserror::Error)]
pub(in crate::local) enum StorageError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// An upload's file has fewer bytes than were recorded.
    #[error("the upload {0} has lost its bytes")]
    LostBytes(String),
}

/// Error that a transaction can fail with.
pub(in crate::local) trait TransactionError: From<rusqlite::Error> {
    /// Returns whether the disk is full.
    fn is_full(&self) -> bool;

    /// Returns whether this machine failed, rather than the request.
    fn is_of_the_machine(&self) -> bool;
}

impl TransactionError for StorageError {
    fn is_full(&self) -> bool {
        match self {
            Self::Database(error) => database::is_full(error),
            Self::File(error) => is_full(error),
            Self::LostBytes(_) => false,
        }
    }

    fn is_of_the_machine(&self) -> bool {
        !matches!(self, Self::LostBytes(_))
    }
}

/// Returns whether a file could not be written for want of space.
pub(in crate::local) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
