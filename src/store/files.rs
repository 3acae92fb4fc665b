//! What an OCI layout's folder and its archive have in common: files by path, `oci-layout`, `index.json`, and blobs.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Answer, Error, Reader, docker};
use crate::image::{Descriptor, Digest, MAXIMUM_MANIFEST, Manifest, Name, media_type};

/// The file that marks a layout.
pub(super) const MARK: &str = "oci-layout";
/// What it says.
pub(super) const MARK_TEXT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that lists the images.
pub(super) const INDEX: &str = "index.json";
/// The annotation that holds an image's tag.
pub(super) const TAG: &str = "org.opencontainers.image.ref.name";
/// The annotation that holds an image's whole name, in archives that docker or containerd wrote.
const NAME: &str = "io.containerd.image.name";

/// Files of a layout, wherever they lie.
pub(super) trait Files: Send + Sync {
    /// What messages call this place.
    fn place(&self) -> String;
    /// A file by its path within the layout; `None` where there is none.
    fn find(&self, path: &str) -> Result<Option<Extent>, Error>;
    /// The one repository whose images count, where docker's names tell them apart.
    fn repository(&self) -> Option<&str> {
        None
    }
}

/// Part of a file, or all of it.
pub(super) struct Extent {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) start: u64,
    pub(super) size: u64,
}

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

    /// What is said to be about a manifest: entries that say so in their manifests, and those of an index under the
    /// subject's own tag, as regctl keeps them.
    fn referrers(&self, files: &dyn Files, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
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
    fn narrow(&mut self, repository: &str) {
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

/// The path of a blob within a layout.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hexadecimal())
}

/// Reads `index.json`, after a look at the mark of a layout.
pub(super) fn index(files: &dyn Files) -> Result<Index, Error> {
    let wrong = |reason: String| Error::Place { place: files.place(), reason };
    let no_mark = || format!("is not an OCI image layout: it has no file {MARK}");
    let mark = small(files, MARK)?.ok_or_else(|| wrong(no_mark()))?;
    let version: Value = serde_json::from_slice(&mark)
        .map_err(|error| wrong(format!("is a damaged OCI image layout: {MARK} is not JSON: {error}")))?;
    match version.get("imageLayoutVersion").and_then(Value::as_str) {
        Some(version) if version.starts_with("1.") => {}
        other => {
            let found = other.unwrap_or("nothing");
            let reason = format!("is not an OCI image layout: {MARK} says version {found}, expected 1.0.0");
            return Err(wrong(reason));
        }
    }
    let bytes = small(files, INDEX)?
        .ok_or_else(|| wrong(format!("is a damaged OCI image layout: it has no file {INDEX}")))?;
    let mut index: Index = serde_json::from_slice(&bytes).map_err(|error| {
        wrong(format!("is a damaged OCI image layout: {INDEX} is not an image index: {error}"))
    })?;
    if let Some(repository) = files.repository() {
        index.narrow(repository);
        if index.is_empty() {
            return Err(wrong(format!("has no image of {repository}")));
        }
    }
    Ok(index)
}

/// Reads the manifest of a name: by tag or alone through `index.json`, by digest wherever it lies.
pub(super) fn manifest(files: &dyn Files, name: &Name) -> Result<Manifest, Error> {
    let place = files.place();
    let index = index(files)?;
    let entry = match name {
        Name::Digest(digest) => {
            let known = index.manifests.iter().find(|entry| entry.digest == *digest);
            known.cloned().unwrap_or_else(|| Descriptor::new("", digest.clone(), 0))
        }
        Name::Unnamed => index.alone(files, &place)?,
        Name::Tag(_) => index.select(name, &place)?.clone(),
    };
    read(files, &entry)
}

/// What is said to be about a manifest.
pub(super) fn referrers(files: &dyn Files, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
    index(files)?.referrers(files, subject)
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

/// Reads the manifest that an entry of an index names.
fn read(files: &dyn Files, entry: &Descriptor) -> Result<Manifest, Error> {
    let place = files.place();
    let missing = || Error::Missing { place: place.clone(), what: "manifest", digest: entry.digest.clone() };
    let bytes = small(files, &blob_path(&entry.digest))?.ok_or_else(missing)?;
    let found = entry.digest.algorithm().of(&bytes);
    if found != entry.digest {
        return Err(Error::Mismatch { place, what: "manifest", digest: entry.digest.clone(), found });
    }
    let media_type = (!entry.media_type.is_empty()).then_some(entry.media_type.as_str());
    Manifest::parse(bytes, media_type).map_err(Error::image(place))
}

/// A whole small file. Whatever is read this way is bounded by the size of a manifest.
pub(super) fn small(files: &dyn Files, path: &str) -> Result<Option<Bytes>, Error> {
    let Some(extent) = files.find(path)? else { return Ok(None) };
    if extent.size > MAXIMUM_MANIFEST {
        let reason = format!(
            "is damaged: {path} has {} bytes, and at most {MAXIMUM_MANIFEST} make sense",
            extent.size
        );
        return Err(Error::Place { place: files.place(), reason });
    }
    let path = extent.path.clone();
    let mut bytes = Vec::new();
    let mut file = extent.file;
    file.seek(SeekFrom::Start(extent.start))
        .and_then(|_| file.take(extent.size).read_to_end(&mut bytes))
        .map_err(Error::io("read", &path))?;
    Ok(Some(bytes.into()))
}

/// A reader of a blob from an offset on.
pub(super) fn open(files: &dyn Files, blob: &Descriptor, offset: u64) -> Result<Box<dyn Reader>, Error> {
    let missing = || Error::Missing { place: files.place(), what: "blob", digest: blob.digest.clone() };
    let extent = files.find(&blob_path(&blob.digest))?.ok_or_else(missing)?;
    if extent.size != blob.size {
        return Err(Error::size(files.place(), blob, extent.size.to_string()));
    }
    Ok(Box::new(FileReader::open(extent, offset)?))
}

/// Reads part of a file off the reactor.
pub(super) struct FileReader {
    path: PathBuf,
    file: Arc<File>,
    rest: u64,
    opened: (u64, Option<SystemTime>),
}

impl FileReader {
    pub(super) fn open(mut extent: Extent, offset: u64) -> Result<Self, Error> {
        let moved = extent.file.seek(SeekFrom::Start(extent.start + offset));
        moved.map_err(Error::io("read", &extent.path))?;
        let opened = state(&extent.file);
        let rest = extent.size.saturating_sub(offset);
        Ok(Self { path: extent.path, file: Arc::new(extent.file), rest, opened })
    }
}

fn state(file: &File) -> (u64, Option<SystemTime>) {
    file.metadata().map_or((0, None), |metadata| (metadata.len(), metadata.modified().ok()))
}

impl Reader for FileReader {
    fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> Answer<'_, Vec<u8>> {
        Box::pin(async move {
            let (file, before) = (Arc::clone(&self.file), buffer.len() as u64);
            let limit = self.rest.min(limit as u64);
            let read = tokio::task::spawn_blocking(move || {
                (&*file).take(limit).read_to_end(&mut buffer).map(|_| buffer)
            });
            let buffer = read.await.map_err(std::io::Error::other).flatten();
            let buffer = buffer.map_err(Error::io("read", &self.path))?;
            self.rest -= buffer.len() as u64 - before;
            Ok(buffer)
        })
    }

    fn suspicion(&self) -> Option<Error> {
        let changed = state(&self.file) != self.opened;
        changed.then(|| Error::Changed { path: self.path.display().to_string() })
    }
}
