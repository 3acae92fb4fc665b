//! `imageIds` of requests and answers.

use serde_json::{Map, Value, json};

use crate::local::core::image::Image;
use crate::local::core::image_id::{DIGEST, ImageId, TAG, Unresolved};

impl ImageId {
    pub(in crate::local) fn of(value: &Value) -> Self {
        let text = |member: &str| value.get(member).and_then(Value::as_str).map(str::to_owned);
        Self { digest: text("imageDigest"), tag: text("imageTag") }
    }

    /// The structure as the request had it, with the digest of the image that it led to.
    pub(in crate::local) fn completed(&self, image: &Image) -> Value {
        Self { digest: Some(image.digest.clone()), tag: self.tag.clone() }.value()
    }

    /// The structure as the request had it.
    pub(in crate::local) fn value(&self) -> Value {
        let mut members = Map::new();
        if let Some(digest) = &self.digest {
            members.insert("imageDigest".to_owned(), digest.as_str().into());
        }
        if let Some(tag) = &self.tag {
            members.insert("imageTag".to_owned(), tag.as_str().into());
        }
        Value::Object(members)
    }

    /// An entry of `failures`.
    pub(in crate::local) fn failure(&self, code: &str, reason: &str) -> Value {
        json!({ "imageId": self.value(), "failureCode": code, "failureReason": reason })
    }
}

impl Unresolved {
    /// Returns the corresponding entry of `failures`.
    pub(in crate::local) fn failure(self, id: &ImageId) -> Value {
        let (code, reason) = match self {
            Self::Missing => (
                "MissingDigestAndTag",
                "Invalid request parameters: both tag and digest cannot be null".to_owned(),
            ),
            Self::BadDigest => (
                "InvalidImageDigest",
                format!("Invalid request parameters: image digest should satisfy the regex '{DIGEST}'"),
            ),
            Self::BadTag => (
                "InvalidImageTag",
                format!("Invalid request parameters: image tag should satisfy the regex '{TAG}'"),
            ),
            Self::Mismatch => {
                ("ImageTagDoesNotMatchDigest", "Requested image tag does not match digest".to_owned())
            }
            Self::NotFound => ("ImageNotFound", "Requested image not found".to_owned()),
        };
        id.failure(code, &reason)
    }
}
