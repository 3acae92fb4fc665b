//! Manifest as far as the registry must understand it: its media type and the content that it lists.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::image::Digest;
use crate::local::core::error::Error;

const DOCKER_1: &str = "application/vnd.docker.distribution.manifest.v1+json";

const DOCKER_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

const DOCKER_2: &str = "application/vnd.docker.distribution.manifest.v2+json";

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

const SUPPORTED: [&str; 6] = [DOCKER_1, DOCKER_1_SIGNED, DOCKER_2, DOCKER_LIST, OCI_IMAGE, OCI_INDEX];

/// Layers of one image. The service has a limit and does not publish it; the one report of a refusal is of about 300
/// layers.
const MAX_LAYERS: usize = 256;

/// Facts about a manifest that the registry keeps beside its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::local) struct Manifest {
    pub(in crate::local) digest: String,
    pub(in crate::local) media_type: String,
    pub(in crate::local) artifact_type: Option<String>,
    pub(in crate::local) subject: Option<String>,
    /// The configuration and the layers.
    pub(in crate::local) blobs: Vec<Blob>,
    /// The manifests of an index.
    pub(in crate::local) children: Vec<String>,
    /// Size of all blobs; `None` in manifests of docker's first schema.
    pub(in crate::local) size: Option<i64>,
}

/// A blob that a manifest refers to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::local) struct Blob {
    pub(in crate::local) digest: String,
    pub(in crate::local) media_type: Option<String>,
    /// Size, if the manifest has it.
    pub(in crate::local) size: Option<i64>,
    /// The blob must be in the repository: layers that may not be distributed need not be.
    pub(in crate::local) is_needed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<i64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    fs_layers: Option<Vec<SchemaOneLayer>>,
    signatures: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: String,
    size: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaOneLayer {
    blob_sum: String,
}

impl Manifest {
    /// Reads a manifest, whose media type may be given beside it.
    pub(in crate::local) fn parse(text: &str, given: Option<&str>) -> Result<Self, Error> {
        let invalid = |constraint: &str| Error::parameter("ImageManifest", constraint);
        let document: Document = serde_json::from_str(text).map_err(|_| invalid("Invalid JSON syntax"))?;
        let media_type = media_type(&document, given)?;
        let descriptors = document.config.iter().chain(document.layers.iter().flatten());
        let sizes = descriptors.clone().map(|each| each.size.unwrap_or_default());
        let size = document.fs_layers.is_none().then(|| sizes.fold(0, i64::saturating_add));
        let schema_one = document.fs_layers.iter().flatten();
        let layers = document.layers.iter().flatten().count() + schema_one.clone().count();
        if layers > MAX_LAYERS {
            return Err(invalid("Limit on number of layers per image exceeded"));
        }
        let blobs = descriptors.map(Blob::of).chain(schema_one.map(Blob::of_schema_one)).collect();
        let of_config = || document.config.as_ref().and_then(|config| config.media_type.clone());
        Ok(Self {
            digest: format!("sha256:{}", hex::encode(Sha256::digest(text.as_bytes()))),
            artifact_type: document.artifact_type.clone().or_else(of_config),
            subject: document.subject.map(|subject| subject.digest),
            blobs,
            children: document.manifests.into_iter().flatten().map(|child| child.digest).collect(),
            size,
            media_type,
        })
    }
}

impl Manifest {
    /// Accepts a digest of another algorithm, if the manifest was requested by it and it is right.
    pub(in crate::local) fn adopt(&mut self, text: &str, given: Option<&str>) {
        let given: Option<Digest> = given.and_then(|given| given.parse().ok());
        if let Some(given) = given.filter(|given| given.algorithm().of(text.as_bytes()) == *given) {
            self.digest = given.to_string();
        }
    }
}

impl Blob {
    fn of(descriptor: &Descriptor) -> Self {
        let media_type = descriptor.media_type.as_deref().unwrap_or_default();
        let is_needed = !media_type.contains(".foreign.") && !media_type.contains("nondistributable");
        let Descriptor { media_type, digest, size } = descriptor;
        Self { digest: digest.clone(), media_type: media_type.clone(), size: *size, is_needed }
    }

    fn of_schema_one(layer: &SchemaOneLayer) -> Self {
        Self { digest: layer.blob_sum.clone(), media_type: None, size: None, is_needed: true }
    }
}

fn media_type(document: &Document, given: Option<&str>) -> Result<String, Error> {
    let invalid = |constraint: &str| Error::parameter("ImageManifest", constraint);
    let schema_one = match &document.signatures {
        Some(_) => DOCKER_1_SIGNED,
        None => DOCKER_1,
    };
    // Go writes an empty text for an unset member.
    let told = document.media_type.as_deref().filter(|text| !text.is_empty());
    let own = told.or((document.schema_version == Some(1)).then_some(schema_one));
    let media_type = match (own, given) {
        (None, None) => {
            return Err(invalid("Image manifest media type is in neither the manifest nor the request"));
        }
        (Some(own), Some(given)) if told.is_some() && own != given => {
            return Err(invalid(
                "Image manifest media type in the manifest differs from the one in the request",
            ));
        }
        (_, Some(media_type)) | (Some(media_type), None) => media_type,
    };
    if !SUPPORTED.contains(&media_type) {
        return Err(invalid("Unsupported image manifest media type"));
    }
    let is_index = media_type == DOCKER_LIST || media_type == OCI_INDEX;
    let is_schema_one = media_type == DOCKER_1 || media_type == DOCKER_1_SIGNED;
    let fits = match (is_index, is_schema_one) {
        (true, _) => document.manifests.is_some(),
        (_, true) => document.fs_layers.is_some(),
        // OCI asks for both members; a manifest without layers is legal there only with an empty list, yet common.
        _ => document.config.is_some() && document.manifests.is_none(),
    };
    if fits { Ok(media_type.to_owned()) } else { Err(invalid("Image manifest does not fit its media type")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_media_type_is_none() {
        let digest = Digest::of(b"{}");
        let config = json!({"mediaType": "x", "digest": digest, "size": 2});
        let text = json!({"schemaVersion": 2, "mediaType": "", "config": config, "layers": null}).to_string();
        assert_eq!(
            Manifest::parse(&text, Some(OCI_IMAGE)).map(|manifest| manifest.media_type),
            Ok(OCI_IMAGE.to_owned())
        );
        assert!(Manifest::parse(&text, None).is_err(), "then the request has to say it");
    }

    #[test]
    fn a_manifest_is_read_as_far_as_needed() {
        let text = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b",
            "config":{"mediaType":"c/d","digest":"sha256:1","size":2},
            "layers":[{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar","digest":"sha256:2","size":5}],
            "subject":{"digest":"sha256:3"}, "annotations":{"a":"b"}}"#;
        let blob = |digest: &str, media_type: &str, size, is_needed| Blob {
            digest: digest.to_owned(),
            media_type: Some(media_type.to_owned()),
            size: Some(size),
            is_needed,
        };
        assert_eq!(
            Manifest::parse(text, None),
            Ok(Manifest {
                digest: format!("sha256:{}", hex::encode(Sha256::digest(text))),
                media_type: OCI_IMAGE.to_owned(),
                artifact_type: Some("a/b".to_owned()),
                subject: Some("sha256:3".to_owned()),
                blobs: vec![
                    blob("sha256:1", "c/d", 2, true),
                    blob("sha256:2", "application/vnd.oci.image.layer.nondistributable.v1.tar", 5, false),
                ],
                children: Vec::new(),
                size: Some(7),
            })
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let words = |text: &str, given| {
            let message = Manifest::parse(text, given)
                .map(|_| ())
                .map_err(|error| error.message)
                .err()
                .unwrap_or_default();
            message
                .trim_start_matches("Invalid parameter at 'ImageManifest' failed to satisfy constraint: ")
                .to_owned()
        };
        assert_eq!(words("{", None), "'Invalid JSON syntax'");
        assert_eq!(words("[]", None), "'Invalid JSON syntax'");
        assert_eq!(
            words("{}", None),
            "'Image manifest media type is in neither the manifest nor the request'"
        );
        assert_eq!(words("{}", Some("text/plain")), "'Unsupported image manifest media type'");
        assert_eq!(words("{}", Some(OCI_INDEX)), "'Image manifest does not fit its media type'");
        assert_eq!(words(r#"{"manifests":[]}"#, Some(OCI_INDEX)), "");
        let deep = "[".repeat(100_000);
        assert_eq!(words(&format!("{{\"annotations\":{deep}"), None), "'Invalid JSON syntax'");
        let layer = r#"{"digest":"sha256:1"}"#;
        let many = format!(r#"{{"config":{layer},"layers":[{}]}}"#, vec![layer; 257].join(","));
        assert_eq!(words(&many, Some(OCI_IMAGE)), "'Limit on number of layers per image exceeded'");
    }
}
