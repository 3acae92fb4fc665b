//! Manifests: bytes that are never rewritten, and their parsed content.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{Descriptor, Digest, Error, Platform, media_type, null_is_default};

/// The most bytes that a manifest may have: ECR's PutImage and other registries take no more.
pub const MAXIMUM_MANIFEST: u64 = 4 * 1024 * 1024;

/// Content of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// One image: its configuration and its layers, in order.
    Image {
        /// The configuration.
        config: Box<Descriptor>,
        /// The layers, the lowest first.
        layers: Vec<Descriptor>,
    },
    /// Several manifests, for several platforms as a rule, and among them other content where the index is no image's
    /// but, say, a build cache's.
    Index(Vec<Descriptor>),
}

/// A manifest: the bytes as they came, their digest, and a parsed view.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    media_type: String,
    bytes: Bytes,
    digest: Digest,
    content: Content,
}

/// The members of a manifest that matter here. serde_json gives up 128 levels deep in what is kept, and skips the rest
/// without recursion, which bounds the nesting.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestMembers {
    media_type: Option<String>,
    schema_version: Option<Value>,
    config: Option<Descriptor>,
    /// Artifacts may have none, and Go writes an empty list that was never made as `null`.
    #[serde(default, deserialize_with = "null_is_default")]
    layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "present")]
    manifests: Option<Vec<Descriptor>>,
}

/// Reads a list that is present; `null` for an empty one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Descriptor>>, D::Error> {
    null_is_default(deserializer).map(Some)
}

/// The members of a manifest by which it is found from another one. What is wrong with them is nobody's harm but that
/// it is not found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relation {
    subject: Option<Value>,
    artifact_type: Option<Value>,
    annotations: Option<Value>,
}

impl Manifest {
    /// Reads a manifest. `media_type` is what the place it came from calls it; OCI 1.0 manifests need not say it
    /// themselves, and one that does must not say another.
    pub fn parse(bytes: Bytes, media_type: Option<&str>) -> Result<Self, Error> {
        if bytes.len() as u64 > MAXIMUM_MANIFEST {
            return Err(Error::TooLarge(bytes.len() as u64));
        }
        let digest = Digest::of(&bytes);
        let wrong = |reason: String| Error::Manifest { digest: digest.clone(), reason };
        let mut members: ManifestMembers =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        members.media_type = members.media_type.filter(|media_type| !media_type.is_empty());
        let media_type = media_type.filter(|media_type| !media_type.is_empty());
        if let (Some(said), Some(given)) = (&members.media_type, media_type)
            && said != given
        {
            return Err(wrong(format!("it calls itself {said}, but came as {given}")));
        }
        let media_type = members.media_type.as_deref().or(media_type).unwrap_or({
            if members.manifests.is_some() { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST }
        });
        if media_type.starts_with(media_type::DOCKER_SCHEMA_1) || members.schema_version == Some(json!(1)) {
            return Err(wrong(
                "docker's schema 1 is not supported; push the image again with a newer client".into(),
            ));
        }
        let content = match (members.config, members.layers, members.manifests) {
            (_, _, Some(manifests)) if media_type::is_index(media_type) => Content::Index(manifests),
            (Some(config), layers, _) if media_type::is_image(media_type) => {
                Content::Image { config: Box::new(config), layers }
            }
            _ if media_type::is_index(media_type) => {
                return Err(wrong("an index without 'manifests'".into()));
            }
            _ if media_type::is_image(media_type) => {
                return Err(wrong("an image manifest without 'config'".into()));
            }
            _ => return Err(wrong(format!("media type {media_type} is not a manifest's"))),
        };
        Ok(Self { media_type: media_type.to_owned(), bytes, digest, content })
    }

    /// The media type.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The bytes, exactly as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The digest of the manifest that this one is about, as a signature is about an image.
    pub fn subject(&self) -> Option<Digest> {
        self.relation()?.subject?.get("digest")?.as_str()?.parse().ok()
    }

    /// A descriptor of this manifest as a list of referrers has it, with its artifact type and its annotations (OCI
    /// distribution specification, "Listing Referrers").
    pub fn referrer(&self) -> Descriptor {
        let mut descriptor = self.descriptor();
        let Some(relation) = self.relation() else { return descriptor };
        let configured = match &self.content {
            Content::Image { config, .. } => Some(Value::String(config.media_type.clone())),
            Content::Index(_) => None,
        };
        let named = |kind: &Value| kind.as_str().is_some_and(|kind| !kind.is_empty());
        if let Some(kind) = relation.artifact_type.filter(named).or(configured) {
            descriptor.other.insert("artifactType".to_owned(), kind);
        }
        if let Some(Value::Object(annotations)) = relation.annotations {
            descriptor.annotations = annotations;
        }
        descriptor
    }

    fn relation(&self) -> Option<Relation> {
        serde_json::from_slice(&self.bytes).ok()
    }

    /// Its content.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// A descriptor of this manifest.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest.clone(), self.bytes.len() as u64)
    }

    /// Returns the configuration and the layers, in this order; of an index the children that are no manifests.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, listed) = match &self.content {
            Content::Image { config, layers } => (Some(config.as_ref()), layers),
            Content::Index(entries) => (None, entries),
        };
        let image = config.is_some();
        config
            .into_iter()
            .chain(listed.iter().filter(move |entry| image || !media_type::is_manifest(&entry.media_type)))
    }

    /// The manifests that an index lists; nothing for an image.
    pub fn children(&self) -> Vec<&Descriptor> {
        match &self.content {
            Content::Image { .. } => Vec::new(),
            Content::Index(entries) => {
                entries.iter().filter(|entry| media_type::is_manifest(&entry.media_type)).collect()
            }
        }
    }

    /// The index with these children only, everything else as it was: a new manifest with a new digest.
    pub fn with_children(&self, children: &[Descriptor]) -> Result<Self, Error> {
        let wrong = |error: serde_json::Error| Error::Manifest {
            digest: self.digest.clone(),
            reason: error.to_string(),
        };
        let mut members: Map<String, Value> = serde_json::from_slice(&self.bytes).map_err(wrong)?;
        members.insert("manifests".to_owned(), serde_json::to_value(children).map_err(wrong)?);
        let bytes = serde_json::to_vec(&members).map_err(wrong)?;
        Self::parse(bytes.into(), Some(&self.media_type))
    }
}

/// Platform in an image configuration.
impl Platform {
    /// Reads the platform out of an image configuration; `None` where it names none.
    pub fn of_configuration(configuration: &[u8]) -> Option<Self> {
        serde_json::from_slice(configuration).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(media_type: &str, content: &[u8]) -> Descriptor {
        Descriptor::new(media_type, Digest::of(content), content.len() as u64)
    }

    fn index() -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "manifests": [descriptor(media_type::OCI_MANIFEST, b"a"), descriptor(media_type::OCI_MANIFEST, b"b")],
            "annotations": {"kept": "yes"}
        })
    }

    fn reason(result: Result<Manifest, Error>) -> String {
        result.unwrap_err().to_string().split_once(": ").unwrap().1.to_owned()
    }

    #[test]
    fn the_bytes_stay_as_they_came() {
        let text = format!(" {{\"config\": {}, \"layers\":[] ,\"schemaVersion\":2}}\n", {
            serde_json::to_string(&descriptor("application/vnd.oci.empty.v1+json", b"{}")).unwrap()
        });
        let manifest = Manifest::parse(text.clone().into(), None).unwrap();
        assert_eq!(manifest.media_type(), media_type::OCI_MANIFEST);
        assert_eq!(manifest.bytes(), text.as_bytes());
        assert_eq!(manifest.digest(), &Digest::of(text.as_bytes()));
        assert_eq!(manifest.blobs().count(), 1);
    }

    #[test]
    fn optional_members_are_null_or_absent_and_the_bytes_stay() {
        let config = descriptor(media_type::OCI_CONFIGURATION, b"{}");
        for (text, media_type) in [
            (
                json!({"schemaVersion": 2, "mediaType": null, "config": config, "layers": null}),
                media_type::OCI_MANIFEST,
            ),
            (
                json!({"schemaVersion": 2, "mediaType": "", "config": config, "annotations": null}),
                media_type::OCI_MANIFEST,
            ),
            (
                json!({"schemaVersion": 2, "mediaType": "", "manifests": null, "subject": null}),
                media_type::OCI_INDEX,
            ),
        ] {
            let bytes = text.to_string();
            for given in [None, Some(""), Some(media_type)] {
                let manifest = Manifest::parse(bytes.clone().into(), given).unwrap();
                assert_eq!(
                    (manifest.media_type(), manifest.bytes()),
                    (media_type, &Bytes::from(bytes.clone()))
                );
            }
        }
        let without = json!({"schemaVersion": 2, "layers": []}).to_string();
        let refused = Manifest::parse(without.into(), Some(media_type::OCI_MANIFEST));
        assert_eq!(reason(refused), "an image manifest without 'config'");
    }

    #[test]
    fn children_of_an_index_that_are_no_manifests_are_blobs() {
        // As buildkit exports a cache: layers, and what describes them.
        let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b"layer");
        let cache = descriptor("application/vnd.buildkit.cacheconfig.v0", b"cache");
        let image = descriptor(media_type::OCI_MANIFEST, b"image");
        let text = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [layer, image, cache]
        });
        let index = Manifest::parse(text.to_string().into(), None).unwrap();
        assert_eq!(index.blobs().collect::<Vec<_>>(), [&layer, &cache]);
        assert_eq!(index.children(), [&image]);
    }

    #[test]
    fn an_index_with_fewer_children_keeps_the_rest() {
        let whole = Manifest::parse(index().to_string().into(), None).unwrap();
        let part = whole.with_children(&[whole.children()[1].clone()]).unwrap();
        let mut expected = index();
        expected["manifests"].as_array_mut().unwrap().remove(0);
        assert_eq!(part.bytes(), expected.to_string().as_bytes());
        assert_ne!(part.digest(), whole.digest());
    }

    #[test]
    fn a_manifest_names_its_subject() {
        let subject = descriptor(media_type::OCI_MANIFEST, b"a");
        let config = descriptor("application/vnd.oci.empty.v1+json", b"{}");
        let text = |more: Value| {
            let mut value = json!({"schemaVersion": 2, "config": config, "layers": []});
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Manifest::parse(value.to_string().into(), None).unwrap()
        };
        let signature =
            text(json!({"subject": subject, "artifactType": "a/signature", "annotations": {"a": "b"}}));
        assert_eq!(signature.subject(), Some(subject.digest.clone()));
        let mut expected = serde_json::to_value(signature.descriptor()).unwrap();
        expected["annotations"] = json!({"a": "b"});
        expected["artifactType"] = json!("a/signature");
        assert_eq!(serde_json::to_value(signature.referrer()).unwrap(), expected);
        let older = text(json!({"subject": subject, "artifactType": ""}));
        assert_eq!(older.referrer().other["artifactType"], json!("application/vnd.oci.empty.v1+json"));
        assert_eq!(text(json!({"subject": 7, "annotations": []})).subject(), None);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let parse = |value: Value, given| reason(Manifest::parse(value.to_string().into(), given));
        assert_eq!(
            parse(index(), Some(media_type::OCI_MANIFEST)),
            format!("it calls itself {}, but came as {}", media_type::OCI_INDEX, media_type::OCI_MANIFEST)
        );
        assert_eq!(parse(json!({}), None), "an image manifest without 'config'");
        assert_eq!(parse(json!({}), Some(media_type::DOCKER_LIST)), "an index without 'manifests'");
        assert_eq!(
            parse(json!({"mediaType": "text/plain"}), None),
            "media type text/plain is not a manifest's"
        );
        assert_eq!(
            parse(json!({"schemaVersion": 1, "fsLayers": []}), None),
            "docker's schema 1 is not supported; push the image again with a newer client"
        );
    }

    #[test]
    fn size_and_nesting_are_bounded() {
        let large = vec![b' '; usize::try_from(MAXIMUM_MANIFEST).unwrap() + 1];
        assert_eq!(Manifest::parse(large.into(), None), Err(Error::TooLarge(MAXIMUM_MANIFEST + 1)));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let index = format!("{{\"manifests\":[{{\"x\":{deep}}}]}}");
        assert!(reason(Manifest::parse(index.into(), None)).starts_with("recursion limit exceeded"));
    }
}
