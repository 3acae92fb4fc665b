//! Descriptors: media type, digest and size of content.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Digest, Platform};

/// A reference to content by media type, digest and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes.
    pub size: u64,
    /// Sources of content that registries do not keep.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Notes by name.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Map::is_empty")]
    pub annotations: Map<String, Value>,
    /// Platform of an image in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Value>,
    /// Everything else, so that a rewritten index loses nothing.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Reads an optional member that may be `null`, which is how Go writes a list or a map that was never made.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Descriptor {
    /// A descriptor with nothing but the necessary.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: Map::new(),
            platform: None,
            other: Map::new(),
        }
    }

    /// Platform of the image, if it is given in a form that can be compared.
    pub fn platform(&self) -> Option<Platform> {
        self.platform.as_ref().and_then(|platform| serde_json::from_value(platform.clone()).ok())
    }

    /// An annotation's text.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).and_then(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_members_survive() {
        let written = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Digest::of(b"x"),
            "size": 1,
            "annotations": {"a": "b"},
            "platform": {"architecture": "amd64", "os": "linux", "os.version": "10"},
            "artifactType": "text/plain",
            "data": "eA=="
        });
        let descriptor: Descriptor = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(descriptor.platform(), Some("linux/amd64:10".parse().unwrap()));
        assert_eq!(descriptor.annotation("a"), Some("b"));
        assert_eq!(serde_json::to_value(descriptor).unwrap(), written);
    }

    #[test]
    fn optional_members_may_be_null_and_required_ones_may_not() {
        let plain = json!({"mediaType": "x/y", "digest": Digest::of(b"x"), "size": 1});
        let mut nulls = plain.clone();
        for member in ["urls", "annotations", "platform"] {
            nulls[member] = serde_json::Value::Null;
        }
        let read = |value: &serde_json::Value| serde_json::from_value::<Descriptor>(value.clone());
        assert_eq!(read(&nulls).unwrap(), read(&plain).unwrap());
        for member in ["mediaType", "digest", "size"] {
            let mut wrong = plain.clone();
            wrong[member] = serde_json::Value::Null;
            assert!(read(&wrong).is_err(), "{member}");
        }
    }

    #[test]
    fn a_size_below_zero_is_none() {
        let written = json!({"mediaType": "x/y", "digest": Digest::of(b"x"), "size": -1});
        assert!(serde_json::from_value::<Descriptor>(written).is_err());
    }
}
