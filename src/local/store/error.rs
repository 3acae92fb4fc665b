//! Errors of opening a folder or starting a server.

use std::io;
use std::path::{Path, PathBuf};

use crate::local::store::database::is_full;

/// Error that keeps the embedded ECR from working at all. One request fails with an `Error` of the core.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder, or something in it, cannot be made, read or written.
    #[error("cannot use the folder {} for the embedded ECR: {}", folder.display(), reason(cause))]
    Folder {
        /// The folder, or the file in it.
        folder: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The database was written by a later version of this program.
    #[error(
        "database {} is of a newer kind ({found}) than this ecr knows ({known}); use the newer ecr on this folder, \
         or another --folder",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The version in the file.
        found: i32,
        /// The greatest version that this program knows.
        known: i32,
    },
    /// The database cannot be trusted.
    #[error("database {} is damaged: {reason}; `ecr local reset` starts over", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The database failed for another reason than damage.
    #[error("database {} cannot be used: {reason}", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// SQLite's error.
        reason: String,
    },
    /// The address to listen on is taken or not ours.
    #[error("cannot listen on {address}: {}", listening(cause, address))]
    Listen {
        /// Requested address.
        address: String,
        /// The system's error.
        cause: io::Error,
    },
    /// An archive of a store cannot be unpacked, or not here.
    #[error("cannot import: {reason}")]
    Archive {
        /// The obstacle.
        reason: String,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use {} for TLS: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// A damaged store cannot be removed under a server that is running on it.
    #[error("a server (process {process}) is running on the store {}; stop it first", folder.display())]
    Served {
        /// The folder.
        folder: PathBuf,
        /// The server's process.
        process: u32,
    },
}

impl Error {
    pub(in crate::local) fn folder(folder: &Path) -> impl FnOnce(io::Error) -> Self {
        let folder = folder.to_owned();
        move |cause| Self::Folder { folder, cause }
    }

    /// Sorts SQLite's errors of opening a database.
    pub(in crate::local) fn database(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let path = path.to_owned();
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(Code::NotADatabase | Code::DatabaseCorrupt) => Self::Damaged { path, reason },
            Some(Code::CannotOpen | Code::ReadOnly | Code::PermissionDenied) => {
                Self::Folder { folder: path, cause: io::Error::new(io::ErrorKind::PermissionDenied, reason) }
            }
            _ if is_full(error) => {
                Self::Folder { folder: path, cause: io::Error::from(io::ErrorKind::StorageFull) }
            }
            _ => Self::Database { path, reason },
        }
    }
}

fn reason(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::PermissionDenied => format!("permission denied ({cause})"),
        _ => cause.to_string(),
    }
}

fn listening(cause: &io::Error, address: &str) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            let port = address.rsplit(':').next().unwrap_or(address);
            format!(
                "port {port} is in use; stop the program that uses it, or choose another with --port (0 takes a free one)"
            )
        }
        io::ErrorKind::PermissionDenied => "permission denied; ports below 1024 need privileges".to_owned(),
        _ => cause.to_string(),
    }
}
