//! The error answers of the services' API.

use std::io;

use serde_json::{Map, Value};

use crate::local::core::error::{Error, ErrorKind, invalid_parameter};
use crate::local::core::upstream::UpstreamFetch;
use crate::local::pull_through::NeedsUpstream;
use crate::local::store::storage_error::{StorageError, TransactionError};

/// Error answer of the embedded ECR, as the service words it: an error code, a message, and further members.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The error's code, such as `RepositoryNotFoundException`.
    pub code: String,
    /// Message of the service.
    pub message: String,
    /// Further members of the error, such as `lastValidByteReceived`.
    pub members: Map<String, Value>,
    /// HTTP status: 400 for errors of the caller, 500 for errors of this machine.
    pub status: u16,
    /// Underlying error of the core.
    pub(in crate::local) source: Option<Box<Error>>,
}

impl ApiError {
    /// An error that the caller can mend.
    pub(in crate::local) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            members: Map::new(),
            status: 400,
            source: None,
        }
    }

    /// Error of a parameter out of its bounds, with the live service's message.
    pub(in crate::local) fn parameter(parameter: &str, constraint: &str) -> Self {
        Self::new("InvalidParameterException", invalid_parameter(parameter, constraint))
    }

    /// A failure of this machine: a full disk, a damaged database, a bug.
    pub(in crate::local) fn server(message: impl Into<String>) -> Self {
        Self { status: 500, ..Self::new("ServerException", message) }
    }

    /// Adds a member.
    pub(in crate::local) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = if error.kind == ErrorKind::Storage { 500 } else { 400 };
        let answer = Self { status, ..Self::new(code(&error.kind), &error.message) };
        let answer = match &error.kind {
            ErrorKind::InvalidImageTag { tag } => answer.with("imageTag", tag.as_str()),
            _ => answer,
        };
        Self { source: Some(Box::new(error)), ..answer }
    }
}

fn code(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AccessDenied => "AccessDeniedException",
        ErrorKind::EmptyUpload => "EmptyUploadException",
        ErrorKind::ImageAlreadyExists => "ImageAlreadyExistsException",
        ErrorKind::ImageDigestDoesNotMatch => "ImageDigestDoesNotMatchException",
        ErrorKind::ImageNotFound => "ImageNotFoundException",
        ErrorKind::ImageTagAlreadyExists => "ImageTagAlreadyExistsException",
        ErrorKind::InvalidParameter { .. } | ErrorKind::InvalidImageTag { .. } => "InvalidParameterException",
        ErrorKind::InvalidTagParameter => "InvalidTagParameterException",
        ErrorKind::LayerPartTooSmall => "LayerPartTooSmallException",
        ErrorKind::LayersNotFound => "LayersNotFoundException",
        ErrorKind::LimitExceeded => "LimitExceededException",
        ErrorKind::ReferencedImagesNotFound => "ReferencedImagesNotFoundException",
        ErrorKind::RepositoryNotFound => "RepositoryNotFoundException",
        ErrorKind::Storage => "ServerException",
        ErrorKind::TooManyTags => "TooManyTagsException",
        ErrorKind::UnableToGetUpstreamImage => "UnableToGetUpstreamImageException",
        ErrorKind::UnableToGetUpstreamLayer => "UnableToGetUpstreamLayerException",
        ErrorKind::UnableToListUpstreamImageReferrers => "UnableToListUpstreamImageReferrersException",
        ErrorKind::UploadNotFound => "UploadNotFoundException",
    }
}

impl TransactionError for ApiError {
    fn is_full(&self) -> bool {
        self.source.as_ref().is_some_and(|error| error.is_full())
    }

    fn is_of_the_machine(&self) -> bool {
        self.status >= 500
    }
}

impl NeedsUpstream for ApiError {
    fn take_need(&mut self) -> Option<Box<UpstreamFetch>> {
        self.source.as_mut().and_then(|error| error.take_need())
    }
}

impl From<StorageError> for ApiError {
    fn from(failure: StorageError) -> Self {
        Error::from(failure).into()
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        Error::from(error).into()
    }
}
