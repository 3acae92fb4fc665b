//! `index.json` of an OCI image layout: which images it lists, and by which names.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::files::{Files, blob_path, read};
use super::{Error, docker};
use crate::image::{Descriptor, Digest, Manifest, Name, media_type, null_is_default};

/// Annotation with an image's tag.
const TAG: &str = "org.opencontainers.image.ref.name";
/// Annotation with an image's whole name, in archives of docker or containerd.
const NAME: &str = "io.containerd.image.name";

/// `index.json`, with everything in it that is not ours kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    #[serde(rename = "schemaVersion")]
    schema_version: u64,
    #[serde(rename = "mediaType", default = "index_media_type", deserialize_with = "index_type")]
    media_type: String,
    // docker 25 writes null where it saves an image by its digest.
    #[serde(default, deserialize_with = "null_is_default")]
    manifests: Vec<Descriptor>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

fn index_media_type() -> String {
    media_type::OCI_INDEX.to_owned()
}

/// Reads the media type, which some writers leave out in various ways.
fn index_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let said: String = null_is_default(deserializer)?;
    Ok(if said.is_empty() { index_media_type() } else { said })
}

impl Index {
    pub(super) fn empty() -> Self {
        Self { schema_version: 2, media_type: index_media_type(), manifests: Vec::new(), other: Map::new() }
    }

    /// Returns whether the index lists nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    /// Lists a referrer, so that it is found from its subject.
    pub(super) fn attach(&mut self, manifest: &Manifest) {
        if !self.manifests.iter().any(|entry| entry.digest == *manifest.digest()) {
            self.manifests.push(manifest.referrer());
        }
    }

    /// Lists an image under these tags, or without any; former entries of these tags lose them. A tag may have its
    /// repository in front: in one of docker's archives that becomes docker's name of the image, elsewhere it is the
    /// reference name, as skopeo and podman write it.
    pub(super) fn add(&mut self, manifest: &Manifest, tags: &[String], docker: bool) {
        let tags: Vec<(Option<String>, &str)> = tags
            .iter()
            .map(|tag| match docker::split(tag) {
                Some((_, own)) if docker => (Some(docker::full(tag)), own),
                _ => (None, tag.as_str()),
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
            Name::Unnamed => self.alone(files),
            Name::Tag(tag) => self.select(tag, &files.place()).cloned(),
        }
    }

    /// Several entries that go by a name, of which a platform may choose one: they have the same name, or none.
    pub(super) fn candidates(self, files: &dyn Files, name: &Name) -> Result<Vec<Descriptor>, Error> {
        let found = match name {
            Name::Digest(_) => return Ok(Vec::new()),
            Name::Tag(tag) => self.tagged(tag).into_iter().cloned().collect(),
            Name::Unnamed => self.unnamed(files)?,
        };
        let one = found.windows(2).all(|pair| full_name(&pair[0]) == full_name(&pair[1]));
        let mut seen = HashSet::new();
        let distinct = found.into_iter().filter(|entry| seen.insert(entry.digest.clone()));
        Ok(if one { distinct.map(unlisted).collect() } else { Vec::new() })
    }

    fn tagged(&self, tag: &str) -> Vec<&Descriptor> {
        self.manifests.iter().filter(|entry| tag_of(entry) == Some(tag)).collect()
    }

    fn select(&self, tag: &str, place: &str) -> Result<&Descriptor, Error> {
        let found = self.tagged(tag);
        let Some(&first) = found.first() else { return Err(self.no_image(place, tag)) };
        let other =
            |entry: &&&Descriptor| entry.digest != first.digest && full_name(entry) != full_name(first);
        let Some(other) = found.iter().find(other) else { return Ok(first) };
        let names = [first, other].map(|entry| full_name(entry).unwrap_or_default());
        let reason = format!(
            "has several images {tag}: {} and {}; choose one as {place}:NAME, with its whole name",
            names[0], names[1]
        );
        Err(Error::Place { place: place.to_owned(), reason })
    }

    /// Lists the referrers of a manifest: entries whose manifests have it as `subject`, and those of an index under the
    /// subject's own tag, as regctl stores them.
    pub(super) fn referrers(&self, files: &dyn Files, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let mut found: Vec<Descriptor> = Vec::new();
        let tag = subject.referrers_tag();
        for entry in &self.manifests {
            let Some(manifest) = listed(files, entry)? else { continue };
            if entry.annotation(TAG) == Some(&tag) {
                found.extend(manifest.children().into_iter().cloned());
            } else if manifest.subject().as_ref() == Some(subject) {
                found.push(manifest.referrer());
            }
        }
        let mut seen = HashSet::new();
        found.retain(|entry| seen.insert(entry.digest.clone()));
        Ok(found)
    }

    /// Returns the entries that may be meant without a name: referrers are not.
    fn unnamed(&self, files: &dyn Files) -> Result<Vec<Descriptor>, Error> {
        let mut found = self.manifests.clone();
        if is_one(&found) {
            return Ok(found);
        }
        let about = |entry: &Descriptor| {
            let tag = entry.annotation(TAG).is_some_and(is_digest_tag);
            Ok::<_, Error>(tag || listed(files, entry)?.is_some_and(|manifest| manifest.subject().is_some()))
        };
        found.clear();
        for entry in &self.manifests {
            if !about(entry)? {
                found.push(entry.clone());
            }
        }
        // oras lists the images of an index beside it; then the one with a tag is meant.
        if !is_one(&found) && found.iter().any(is_tagged) {
            found.retain(is_tagged);
        }
        Ok(if found.is_empty() { self.manifests.clone() } else { found })
    }

    fn alone(&self, files: &dyn Files) -> Result<Descriptor, Error> {
        let mut found = self.unnamed(files)?;
        let reason = match &found[..] {
            [] => "has no image in it".to_owned(),
            entries if is_one(entries) => return Ok(found.swap_remove(0)),
            entries if entries.iter().any(is_tagged) => {
                format!("has several images; choose one as {}:TAG{}", files.place(), self.instead())
            }
            entries => format!(
                "has several images without a name; choose one with --platform, or as {}@{}",
                files.place(),
                entries[0].digest
            ),
        };
        Err(Error::Place { place: files.place(), reason })
    }

    fn no_image(&self, place: &str, name: &str) -> Error {
        Error::NoImage { place: place.to_owned(), name: name.to_owned(), instead: self.instead() }
    }

    /// All tags, each once, in the order in which they were given.
    pub(super) fn tags(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let tags = self.manifests.iter().filter_map(tag_of).filter(|tag| seen.insert(*tag));
        tags.map(ToOwned::to_owned).collect()
    }

    /// Leaves the images of one repository only.
    pub(super) fn narrow(&mut self, repository: &str) {
        let repository = docker::full(repository);
        self.manifests
            .retain(|entry| repository_of(entry).is_some_and(|own| docker::full(own) == repository));
    }

    fn instead(&self) -> String {
        let names: Vec<&str> = self.manifests.iter().filter_map(|entry| entry.annotation(TAG)).collect();
        if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
    }
}

/// Returns the tag in an entry's reference name: all of it, or the part behind the last colon of the whole name of an
/// image, which skopeo and podman write there.
fn tag_of(entry: &Descriptor) -> Option<&str> {
    let name = entry.annotation(TAG)?;
    if Name::tag(name).is_ok() {
        return Some(name);
    }
    docker::split(name).map(|(_, tag)| tag).filter(|tag| Name::tag(tag).is_ok())
}

/// The repository that an entry's image is called by.
fn repository_of(entry: &Descriptor) -> Option<&str> {
    let name = full_name(entry)?;
    match docker::split(name) {
        Some((repository, _)) => Some(repository),
        None => Name::tag(name).is_err().then_some(name),
    }
}

/// The most that is known about an entry's name.
fn full_name(entry: &Descriptor) -> Option<&str> {
    entry.annotation(NAME).or_else(|| entry.annotation(TAG))
}

/// An entry without the name that it has in this list.
fn unlisted(mut entry: Descriptor) -> Descriptor {
    for name in [NAME, TAG] {
        entry.annotations.remove(name);
    }
    entry
}

fn is_one(entries: &[Descriptor]) -> bool {
    entries.first().is_some_and(|first| entries.iter().all(|entry| entry.digest == first.digest))
}

/// Returns the manifests below this one that are absent, or lack a blob.
pub(super) fn absent(files: &dyn Files, manifest: &Manifest) -> Result<HashSet<Digest>, Error> {
    let (mut absent, mut seen) = (HashSet::new(), HashSet::new());
    let mut indexes = vec![manifest.clone()];
    while let Some(index) = indexes.pop() {
        for entry in index.children() {
            if !seen.insert(entry.digest.clone()) {
                continue;
            }
            let child = match read(files, entry) {
                Ok(child) => child,
                Err(Error::Missing { .. }) => {
                    absent.insert(entry.digest.clone());
                    continue;
                }
                Err(error) => return Err(error),
            };
            for blob in child.blobs().filter(|blob| !media_type::is_foreign(&blob.media_type)) {
                if files.find(&blob_path(&blob.digest))?.is_none() {
                    absent.insert(entry.digest.clone());
                    break;
                }
            }
            indexes.push(child);
        }
    }
    Ok(absent)
}

fn is_tagged(entry: &Descriptor) -> bool {
    entry.annotation(TAG).is_some()
}

/// Returns whether a tag contains a digest: cosign and regctl use such tags for the referrers of that image.
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
