//! The errors that the embedded ECR answers.

use std::io;

use serde_json::{Map, Value};

use crate::local::core::upstream::Need;
use crate::local::store::database;
use crate::local::store::failure::{self, Failure, TransactionError};

const FULL: &str = "the disk that holds the embedded ECR is full; nothing was changed";

/// An error answer of the embedded ECR, as the service words it: an error code, its text, and whatever else the error carries.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The error's code, such as `RepositoryNotFoundException`.
    pub code: String,
    /// The service's words.
    pub message: String,
    /// Further members of the error, such as `lastValidByteReceived`.
    pub members: Map<String, Value>,
    /// The HTTP status: 400 for everything that the caller can mend, 500 for what only the machine's owner can.
    pub status: u16,
    /// What has to be fetched from upstream before the request can be answered.
    pub(in crate::local) need: Option<Box<Need>>,
}

impl ApiError {
    /// A refusal that the caller can mend.
    pub(in crate::local) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), members: Map::new(), status: 400, need: None }
    }

    /// A parameter out of its bounds, in the words of the live service.
    pub(in crate::local) fn parameter(parameter: &str, constraint: &str) -> Self {
        let message =
            format!("Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'");
        Self::new("InvalidParameterException", message)
    }

    /// A failure of this machine: a full disk, a damaged database, a bug.
    pub(in crate::local) fn server(message: impl Into<String>) -> Self {
        Self { status: 500, ..Self::new("ServerException", message) }
    }

    /// The same refusal with one more member.
    pub(in crate::local) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }
}

impl TransactionError for ApiError {
    fn is_full(&self) -> bool {
        self.status >= 500 && self.message == FULL
    }

    fn is_of_the_machine(&self) -> bool {
        self.status >= 500
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Database(error) => error.into(),
            Failure::File(error) => error.into(),
            Failure::LostBytes(id) => {
                let text =
                    format!("The upload with id '{id}' has lost its bytes, so it has to be begun anew");
                Self::new("UploadNotFoundException", text)
            }
        }
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        Self::server(match error.sqlite_error_code() {
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

impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        Self::server(match error.kind() {
            _ if failure::is_full(&error) => FULL.to_owned(),
            _ => format!("a file of the embedded ECR cannot be read or written: {error}"),
        })
    }
}
