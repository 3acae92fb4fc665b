//! Errors of the core: a kind, for which each API has its own code, and the service's message.

use std::io;

use crate::local::core::upstream::UpstreamFetch;
use crate::local::store::database;
use crate::local::store::storage_error::{self, StorageError, TransactionError};

/// An error of one request. What keeps the embedded ECR from working at all is a
/// [`store::error::Error`](crate::local::store::error::Error).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub(in crate::local) kind: ErrorKind,
    /// Message of the live service, or, if the database or a file failed, the problem on this machine.
    pub message: String,
    /// Images and layers to fetch from upstream before the request can be answered.
    pub(in crate::local) need: Option<Box<UpstreamFetch>>,
}

/// The kinds of errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum ErrorKind {
    /// No policy allows the action, or one denies it.
    AccessDenied,
    /// An upload without parts is to be completed.
    EmptyUpload,
    /// The image is in the repository, with the tag that the push names.
    ImageAlreadyExists,
    /// The manifest's digest is not the one that the push names.
    ImageDigestDoesNotMatch,
    /// The repository has no such image or tag.
    ImageNotFound,
    /// An immutable tag names another image.
    ImageTagAlreadyExists,
    /// A parameter is out of its bounds.
    InvalidParameter {
        /// The parameter, as the API calls it.
        parameter: &'static str,
    },
    /// A pushed tag does not match the grammar of tags.
    InvalidImageTag {
        /// The tag.
        tag: String,
    },
    /// A tag of a resource (not of an image) is out of its bounds.
    InvalidTagParameter,
    /// A part of an upload other than the last one is too small.
    LayerPartTooSmall,
    /// The manifest lists layers that the repository does not have.
    LayersNotFound,
    /// A quota is used up.
    LimitExceeded,
    /// The index lists images that the repository does not have.
    ReferencedImagesNotFound,
    /// The repository does not exist.
    RepositoryNotFound,
    /// The database or a file failed, or the disk is full: only this machine's owner can mend it.
    Storage,
    /// A resource has more tags than it may have.
    TooManyTags,
    /// The registry upstream did not give the image.
    UnableToGetUpstreamImage,
    /// The registry upstream did not give the layer.
    UnableToGetUpstreamLayer,
    /// The registry upstream did not list the referrers.
    UnableToListUpstreamImageReferrers,
    /// The upload does not exist, or its bytes are lost.
    UploadNotFound,
}

const FULL: &str = "the disk that holds the embedded ECR is full; nothing was changed";

impl Error {
    /// An error that the caller can mend.
    pub(in crate::local) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), need: None }
    }

    /// Error of a parameter out of its bounds, with the live service's message.
    pub(in crate::local) fn parameter(parameter: &'static str, constraint: &str) -> Self {
        Self::new(ErrorKind::InvalidParameter { parameter }, invalid_parameter(parameter, constraint))
    }

    /// A failure of this machine: a damaged database, a file that cannot be read, a bug.
    pub(in crate::local) fn storage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Storage, message)
    }
}

/// Returns the live service's message for a parameter out of its bounds.
pub(in crate::local) fn invalid_parameter(parameter: &str, constraint: &str) -> String {
    format!("Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'")
}

impl TransactionError for Error {
    fn is_full(&self) -> bool {
        self.kind == ErrorKind::Storage && self.message == FULL
    }

    fn is_of_the_machine(&self) -> bool {
        self.kind == ErrorKind::Storage
    }
}

impl From<StorageError> for Error {
    fn from(failure: StorageError) -> Self {
        match failure {
            StorageError::Database(error) => error.into(),
            StorageError::File(error) => error.into(),
            StorageError::LostBytes(id) => {
                let text =
                    format!("The upload with id '{id}' has lost its bytes, so it has to be begun anew");
                Self::new(ErrorKind::UploadNotFound, text)
            }
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::storage(match error.sqlite_error_code() {
            _ if database::is_full(&error) => FULL.to_owned(),
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                format!("the embedded ECR's database is damaged: {error}; `ecr local reset` starts over")
            }
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                "another process has kept the embedded ECR's database locked for too long; try again"
                    .to_owned()
            }
            _ => format!("the embedded ECR's database failed: {error}"),
        })
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::storage(match error.kind() {
            _ if storage_error::is_full(&error) => FULL.to_owned(),
            _ => format!("a file of the embedded ECR cannot be read or written: {error}"),
        })
    }
}
