//! `index.json` of an OCI image layout: which images it lists, and by which names.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::files::{Files, read};
use super::{Error, docker};
use crate::image::{Descriptor, Digest, Manifest, Name, media_type};

/// The annotation that holds an image's tag.
const TAG: &str = "org.opencontainers.image.ref.name";
/// The annotation that holds an image's whole name, in archives that docker or containerd wrote.
const NAME: &str = "io.containerd.image.name";

/// `index.json`, with everything in it that is not ours kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    #[serde(rename = "schemaVersion")]
    schema_version: u64,
    #[serde(rename = "mediaType", default = "index_media_type")]
    media_type: String,
    // docker 25 writes null where it saves an image by its digest.
    #[serde(default, deserialize_with = "list_or_null")]
    manifests: Vec<Descriptor>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

fn index_media_type() -> String {
    media_type::OCI_INDEX.to_owned()
}

fn list_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Descriptor>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Index {
    pub(super) fn empty() -> Self {
        Self { schema_version: 2, media_type: index_media_type(), manifests: Vec::new(), other: Map::new() }
    }

    /// Whether it lists nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    /// Lists what is about another image, so that it is found from there.
    pub(super) fn attach(&mut self, manifest: &Manifest) {
        if !self.manifests.iter().any(|entry| entry.digest == *manifest.digest()) {
            self.manifests.push(manifest.referrer());
        }
    }

    /// Lists an image under these tags, or without any; whatever had one of the tags loses its entry. A tag with its
    /// repository in front becomes docker's name of the image as well.
    pub(super) fn add(&mut self, manifest: &Manifest, tags: &[String]) {
        let tags: Vec<(Option<String>, &str)> = tags
            .iter()
            .map(|tag| {
                docker::split(tag).map_or((None, tag.as_str()), |(_, own)| (Some(docker::full(tag)), own))
            })
            .collect();
        self.manifests.retain(|entry| {
            let tag = entry.annotation(TAG);
            let name = entry.annotation(NAME);
            let same = entry.digest == *manifest.digest() && tag.is_none();
            !same
                && !tag.is_some_and(|tag| tags.iter().any(|(new, own)| *own == tag && new.as_deref() == name))
        });
        if tags.is_empty() {
            let listed = self.manifests.iter().any(|entry| entry.digest == *manifest.digest());
            if !listed {
                self.manifests.push(manifest.descriptor());
            }
        }
        for (name, tag) in tags {
            let mut entry = manifest.descriptor();
            if let Some(name) = name {
                entry.annotations.insert(NAME.to_owned(), Value::String(name));
            }
            entry.annotations.insert(TAG.to_owned(), Value::String(tag.to_owned()));
            self.manifests.push(entry);
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }

    /// The entry of a name: by tag or alone as they are listed, by digest also where it is not listed.
    pub(super) fn entry(self, files: &dyn Files, name: &Name) -> Result<Descriptor, Error> {
        match name {
            Name::Digest(digest) => {
                let known = self.manifests.iter().find(|entry| entry.digest == *digest);
                Ok(known.cloned().unwrap_or_else(|| Descriptor::new("", digest.clone(), 0)))
            }
            Name::Unnamed => self.alone(files, &files.place()),
            Name::Tag(_) => self.select(name, &files.place()).cloned(),
        }
    }

    fn select(&self, name: &Name, place: &str) -> Result<&Descriptor, Error> {
        let mut found = self.manifests.iter().filter(|entry| match name {
            Name::Unnamed => true,
            Name::Tag(tag) => entry.annotation(TAG) == Some(tag),
            Name::Digest(digest) => entry.digest == *digest,
        });
        let first = found.next();
        let sole = |entry: &&Descriptor| found.all(|other| other.digest == entry.digest);
        match (first, name) {
            (Some(entry), Name::Digest(_)) => Ok(entry),
            // Only docker's names can tell apart what has the same tag.
            (Some(entry), Name::Tag(_)) if entry.annotation(NAME).is_none() => Ok(entry),
            (Some(entry), _) if Some(entry).as_ref().is_some_and(sole) => Ok(entry),
            (Some(_), Name::Tag(tag)) => Err(Error::Place {
                place: place.to_owned(),
                reason: format!(
                    "has several images {tag}; choose one as docker-archive:{place}:REPOSITORY:{tag}"
                ),
            }),
            (Some(_), Name::Unnamed) => Err(Error::Place {
                place: place.to_owned(),
                reason: format!("has several images; choose one as {place}:TAG{}", self.instead()),
            }),
            (None, Name::Unnamed) => {
                Err(Error::Place { place: place.to_owned(), reason: "has no image in it".to_owned() })
            }
            (None, Name::Tag(name)) => Err(self.no_image(place, name)),
            (None, Name::Digest(digest)) => Err(self.no_image(place, &digest.to_string())),
        }
    }

    /// Lists the referrers of a manifest: entries whose manifests have it as `subject`, and those of an index under the
    /// subject's own tag, as regctl stores them.
    pub(super) fn referrers(&self, files: &dyn Files, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let mut found: Vec<Descriptor> = Vec::new();
        let tag = subject.referrers_tag();
        for entry in &self.manifests {
            let Some(manifest) = listed(files, entry)? else { continue };
            if entry.annotation(TAG) == Some(&tag) {
                found.extend_from_slice(manifest.children());
            } else if manifest.subject().as_ref() == Some(subject) {
                found.push(manifest.referrer());
            }
        }
        let mut seen = HashSet::new();
        found.retain(|entry| seen.insert(entry.digest.clone()));
        Ok(found)
    }

    /// The entry that is meant where none was named: what is about another image is not.
    fn alone(mut self, files: &dyn Files, place: &str) -> Result<Descriptor, Error> {
        if let Ok(entry) = self.select(&Name::Unnamed, place) {
            return Ok(entry.clone());
        }
        let about = |entry: &Descriptor| {
            let tag = entry.annotation(TAG).is_some_and(is_digest_tag);
            Ok::<_, Error>(tag || listed(files, entry)?.is_some_and(|manifest| manifest.subject().is_some()))
        };
        let whole = self.manifests.clone();
        self.manifests = Vec::new();
        for entry in &whole {
            if !about(entry)? {
                self.manifests.push(entry.clone());
            }
        }
        // oras lists the images of an index beside it; then the one with a tag is meant.
        if self.select(&Name::Unnamed, place).is_err() && self.manifests.iter().any(is_tagged) {
            self.manifests.retain(is_tagged);
        }
        if self.manifests.is_empty() {
            self.manifests = whole;
        }
        self.select(&Name::Unnamed, place).cloned()
    }

    fn no_image(&self, place: &str, name: &str) -> Error {
        Error::NoImage { place: place.to_owned(), name: name.to_owned(), instead: self.instead() }
    }

    /// All tags, in the order in which they were given.
    pub(super) fn tags(&self) -> Vec<String> {
        self.manifests.iter().filter_map(|entry| entry.annotation(TAG)).map(ToOwned::to_owned).collect()
    }

    /// Leaves the images of one repository only.
    pub(super) fn narrow(&mut self, repository: &str) {
        let repository = docker::full(repository);
        self.manifests.retain(|entry| {
            let name = entry.annotation(NAME).and_then(docker::split);
            name.is_some_and(|(own, _)| docker::full(own) == repository)
        });
    }

    fn instead(&self) -> String {
        let tags = self.tags();
        if tags.is_empty() { String::new() } else { format!("; it has {}", tags.join(", ")) }
    }
}

fn is_tagged(entry: &Descriptor) -> bool {
    entry.annotation(TAG).is_some()
}

/// Whether a tag has a digest in it: cosign and regctl call so what is about the image of that digest.
fn is_digest_tag(tag: &str) -> bool {
    tag.starts_with("sha256-") || tag.starts_with("sha512-")
}

/// The manifest that an entry of `index.json` names. It may list what is not here and what is no manifest, and neither
/// is about an image.
fn listed(files: &dyn Files, entry: &Descriptor) -> Result<Option<Manifest>, Error> {
    match read(files, entry) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(Error::Missing { .. } | Error::Image { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
