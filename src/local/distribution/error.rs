//! What the registry says no with: the codes of the OCI distribution specification.

use std::io;

use serde_json::{Value, json};

use crate::local::core::error::ApiError;
use crate::local::core::upstream::Need;
use crate::local::pull_through::MayNeedUpstream;

/// A refusal with its HTTP status.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::local) struct Refusal {
    pub(in crate::local) status: u16,
    pub(in crate::local) code: &'static str,
    pub(in crate::local) message: String,
    /// How many bytes of the session in question there are; goes out as headers.
    pub(in crate::local) session: Option<(String, i64)>,
    /// What has to be fetched from upstream before the request can be answered.
    pub(in crate::local) need: Option<Box<Need>>,
}

impl Refusal {
    pub(in crate::local) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), session: None, need: None }
    }

    /// The body of the answer.
    pub(in crate::local) fn body(&self) -> Value {
        json!({ "errors": [{ "code": self.code, "message": self.message }] })
    }
}

impl From<ApiError> for Refusal {
    fn from(fault: ApiError) -> Self {
        let (status, code) = match fault.code.as_str() {
            _ if fault.status >= 500 => (500, "UNKNOWN"),
            "RepositoryNotFoundException" | "RegistryNotFoundException" => (404, "NAME_UNKNOWN"),
            "ImageNotFoundException" => (404, "MANIFEST_UNKNOWN"),
            "UploadNotFoundException" => (404, "BLOB_UPLOAD_UNKNOWN"),
            "ImageTagAlreadyExistsException" => (400, "TAG_INVALID"),
            "LayersNotFoundException" | "ReferencedImagesNotFoundException" => (400, "MANIFEST_BLOB_UNKNOWN"),
            "ImageDigestDoesNotMatchException" => (400, "DIGEST_INVALID"),
            "InvalidParameterException" => (400, parameter(&fault.message)),
            "LimitExceededException" | "AccessDeniedException" => (403, "DENIED"),
            "UnableToGetUpstreamImageException" | "UnableToGetUpstreamLayerException" => (502, "UNKNOWN"),
            "ThrottlingException" => (429, "TOOMANYREQUESTS"),
            _ => (400, "UNSUPPORTED"),
        };
        Self { need: fault.need, ..Self::new(status, code, fault.message) }
    }
}

impl MayNeedUpstream for Refusal {
    fn take_need(&mut self) -> Option<Box<Need>> {
        self.need.take()
    }
}

/// The code for a parameter that is out of its bounds.
fn parameter(message: &str) -> &'static str {
    let name = message.split('\'').nth(1).unwrap_or_default();
    match name {
        "repositoryName" => "NAME_INVALID",
        "imageTag" => "TAG_INVALID",
        "imageDigest" => "DIGEST_INVALID",
        _ => "MANIFEST_INVALID",
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        ApiError::from(error).into()
    }
}
