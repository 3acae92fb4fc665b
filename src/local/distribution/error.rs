//! The error answers of the distribution API: the codes of the OCI distribution specification.

use std::io;

use serde_json::{Value, json};

use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::upstream::UpstreamFetch;
use crate::local::pull_through::NeedsUpstream;

/// An error answer with its HTTP status.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::local) struct OciError {
    pub(in crate::local) status: u16,
    pub(in crate::local) code: &'static str,
    pub(in crate::local) message: String,
    /// Upload session (its id) and its bytes so far, sent as headers.
    pub(in crate::local) session: Option<(String, i64)>,
    /// Images and layers to fetch from upstream before the request can be answered.
    pub(in crate::local) need: Option<Box<UpstreamFetch>>,
}

impl OciError {
    pub(in crate::local) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), session: None, need: None }
    }

    /// The body of the answer.
    pub(in crate::local) fn body(&self) -> Value {
        json!({ "errors": [{ "code": self.code, "message": self.message }] })
    }
}

impl From<Error> for OciError {
    fn from(error: Error) -> Self {
        let (status, code) = match &error.kind {
            ErrorKind::Storage => (500, "UNKNOWN"),
            ErrorKind::RepositoryNotFound => (404, "NAME_UNKNOWN"),
            ErrorKind::ImageNotFound => (404, "MANIFEST_UNKNOWN"),
            ErrorKind::EmptyUpload | ErrorKind::LayerPartTooSmall => (400, "BLOB_UPLOAD_INVALID"),
            ErrorKind::UploadNotFound => (404, "BLOB_UPLOAD_UNKNOWN"),
            ErrorKind::ImageTagAlreadyExists | ErrorKind::InvalidImageTag { .. } => (400, "TAG_INVALID"),
            ErrorKind::LayersNotFound | ErrorKind::ReferencedImagesNotFound => (400, "MANIFEST_BLOB_UNKNOWN"),
            ErrorKind::ImageDigestDoesNotMatch => (400, "DIGEST_INVALID"),
            ErrorKind::InvalidParameter { parameter } => (400, invalid(parameter)),
            ErrorKind::LimitExceeded | ErrorKind::AccessDenied => (403, "DENIED"),
            ErrorKind::UnableToGetUpstreamImage | ErrorKind::UnableToGetUpstreamLayer => (502, "UNKNOWN"),
            ErrorKind::ImageAlreadyExists
            | ErrorKind::InvalidTagParameter
            | ErrorKind::TooManyTags
            | ErrorKind::UnableToListUpstreamImageReferrers => (400, "UNSUPPORTED"),
        };
        Self { need: error.need, ..Self::new(status, code, error.message) }
    }
}

impl NeedsUpstream for OciError {
    fn take_need(&mut self) -> Option<Box<UpstreamFetch>> {
        self.need.take()
    }
}

/// The code for a parameter that is out of its bounds.
fn invalid(parameter: &str) -> &'static str {
    match parameter {
        "repositoryName" => "NAME_INVALID",
        "imageTag" => "TAG_INVALID",
        "imageDigest" => "DIGEST_INVALID",
        _ => "MANIFEST_INVALID",
    }
}

impl From<io::Error> for OciError {
    fn from(error: io::Error) -> Self {
        Error::from(error).into()
    }
}
