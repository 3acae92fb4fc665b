//! A docker archive, as `docker save` writes it before version 25 and skopeo and crane still do: `manifest.json`, and
//! configurations and layers as files; or, before version 1.10, folders of layers ([`legacy`]). (Since version 25 it
//! is an OCI archive as well, and is read as one.)
//!
//! It has no manifests of the registry kind, so one is made for each image: the same archive always gives the same.
//! Layers are read in place and stay as they are. An uncompressed one needs no look for its digest, since the
//! configuration tells it.

mod legacy;
mod save;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use self::save::Entry;
pub(super) use self::save::{LIST, REPOSITORIES, Saved, full, split};
use super::archive::ArchiveReader;
use super::compression_format::CompressionFormat;
use super::files::{self, Extent, Files};
use super::memory::BytesReader;
use super::{Capabilities, Error, Reader, Store, StoreFuture, TagListing};
use crate::image::{Algorithm, Descriptor, Digest, Manifest, Name, media_type, null_is_default};
use crate::platform::FileExt as _;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const STEP: usize = 1024 * 1024;

/// A docker archive to read from.
pub struct DockerReader {
    path: PathBuf,
    file: Arc<File>,
    images: Vec<Image>,
    blobs: HashMap<String, (u64, u64)>,
    /// Configurations that were made, since the archive has none.
    made: HashMap<Digest, Bytes>,
}

struct Image {
    manifest: Manifest,
    names: Vec<String>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default, deserialize_with = "null_is_default")]
    rootfs: RootFileSystem,
}

#[derive(Default, Deserialize)]
struct RootFileSystem {
    #[serde(default, deserialize_with = "null_is_default")]
    diff_ids: Vec<Digest>,
}

impl DockerReader {
    /// Makes a docker archive of a tar file in which everything was found. With a repository, only its images count.
    pub(super) fn new(archive: &ArchiveReader, repository: Option<&str>) -> Result<Self, Error> {
        let wrong = |what: &str, error: &dyn std::fmt::Display| Error::Place {
            place: archive.place(),
            reason: format!("is a damaged docker archive: {what}: {error}"),
        };
        let mut reader = Self {
            path: archive.path().to_owned(),
            file: Arc::clone(archive.file()),
            images: Vec::new(),
            blobs: HashMap::new(),
            made: HashMap::new(),
        };
        match files::small(archive, LIST)? {
            Some(bytes) => reader.add_listed(archive, &bytes, &wrong)?,
            None => {
                for old in legacy::images(archive, &wrong, &|path| identity(archive, path, &wrong))? {
                    let (layers, repo_tags) = (Some(old.layers), Some(old.names));
                    let entry = Entry { config: "json".to_owned(), repo_tags, layers };
                    reader.made.insert(Digest::of(&old.configuration), old.configuration.clone());
                    reader.add(archive, (&entry.config, &old.configuration), &entry, &wrong)?;
                }
            }
        }
        if let Some(repository) = repository {
            let fits = |name: &String| split(name).is_some_and(|(own, _)| full(own) == full(repository));
            reader.images.iter_mut().for_each(|image| image.names.retain(fits));
            reader.images.retain(|image| !image.names.is_empty());
            if reader.images.is_empty() {
                return Err(reader.unfit(format!("has no image of {repository}")));
            }
        }
        Ok(reader)
    }

    /// Adds the images that `manifest.json`, whose bytes these are, lists.
    fn add_listed(
        &mut self,
        archive: &ArchiveReader,
        list: &[u8],
        wrong: legacy::FileError<'_>,
    ) -> Result<(), Error> {
        let entries: Vec<Entry> = serde_json::from_slice(list).map_err(|error| wrong(LIST, &error))?;
        for entry in entries {
            let bytes = files::small(archive, &entry.config)?;
            let bytes = bytes.ok_or_else(|| wrong(&entry.config, &"it is missing"))?;
            let config =
                Descriptor::new(media_type::OCI_CONFIGURATION, Digest::of(&bytes), bytes.len() as u64);
            let extent = archive.extent(&entry.config);
            self.blobs.extend(extent.map(|extent| (files::blob_path(&config.digest), extent)));
            self.add(archive, (&entry.config, &bytes), &entry, wrong)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        archive: &ArchiveReader,
        (path, configuration): (&str, &[u8]),
        entry: &Entry,
        wrong: legacy::FileError<'_>,
    ) -> Result<(), Error> {
        let config = Descriptor::new(
            media_type::OCI_CONFIGURATION,
            Digest::of(configuration),
            configuration.len() as u64,
        );
        let configuration: Configuration =
            serde_json::from_slice(configuration).map_err(|error| wrong(path, &error))?;
        let identities = configuration.rootfs.diff_ids;
        let paths = entry.layers.as_deref().unwrap_or_default();
        if identities.len() != paths.len() {
            return Err(wrong(path, &"it has not as many layers as the image"));
        }
        let mut layers = Vec::new();
        for (path, identity) in paths.iter().zip(identities) {
            let extent = archive.extent(path).ok_or_else(|| wrong(path, &archive.absence(path)))?;
            let (suffix, digest) = kind(archive, extent, identity).map_err(|error| wrong(path, &error))?;
            self.blobs.insert(files::blob_path(&digest), extent);
            layers.push(Descriptor::new(format!("{LAYER}{suffix}"), digest, extent.1));
        }
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers
        });
        let manifest =
            Manifest::parse(manifest.to_string().into(), None).map_err(Error::image(archive.place()))?;
        self.images.push(Image { manifest, names: entry.repo_tags.clone().unwrap_or_default() });
        Ok(())
    }

    fn select(&self, name: &Name) -> Result<&Image, Error> {
        let fits = |image: &&Image| match name {
            Name::Unnamed => true,
            Name::Tag(tag) => image.names.iter().any(|name| tag_of(name) == Some(tag)),
            Name::Digest(digest) => image.manifest.digest() == digest,
        };
        let found: Vec<&Image> = self.images.iter().filter(fits).collect();
        let known: Vec<&str> =
            self.images.iter().flat_map(|image| &image.names).map(String::as_str).collect();
        let place = self.place();
        let known = if known.is_empty() { String::new() } else { format!("; it has {}", known.join(", ")) };
        match (&found[..], name) {
            ([only], _) => Ok(only),
            ([], Name::Unnamed) => Err(self.unfit("has no image in it".to_owned())),
            ([], Name::Tag(tag)) => {
                Err(Error::NoImage { place: self.place(), name: tag.clone().into(), instead: known })
            }
            ([], Name::Digest(digest)) => {
                Err(Error::NoImage { place: self.place(), name: digest.to_string(), instead: known })
            }
            ([first, others @ ..], _) => {
                let same = others.iter().all(|image| image.manifest == first.manifest);
                let tag = if let Name::Tag(tag) = name { format!(" {tag}") } else { String::new() };
                let reason = format!("has several images{tag}; choose one as {place}:REPOSITORY:TAG{known}");
                if same { Ok(first) } else { Err(self.unfit(reason)) }
            }
        }
    }

    fn unfit(&self, reason: String) -> Error {
        Error::Place { place: self.place(), reason }
    }
}

fn tag_of(name: &str) -> Option<&str> {
    split(name).map(|(_, tag)| tag)
}

/// Returns a layer's compression, as the suffix of its media type, and its digest.
fn kind(archive: &ArchiveReader, extent: (u64, u64), identity: Digest) -> io::Result<(&'static str, Digest)> {
    let (start, size) = extent;
    let mut magic = Vec::new();
    files::read_at(archive.file(), start, &mut magic, usize::try_from(size).unwrap_or(8).min(8))?;
    match CompressionFormat::detect(&magic) {
        None => Ok(("", identity)),
        Some(format) => Ok((format.suffix(), hash(archive.file(), extent)?)),
    }
}

/// The digest of a layer's file as it lies there.
fn identity(archive: &ArchiveReader, path: &str, wrong: legacy::FileError<'_>) -> Result<Digest, Error> {
    let extent = archive.extent(path).ok_or_else(|| wrong(path, &archive.absence(path)))?;
    hash(archive.file(), extent).map_err(|error| wrong(path, &error))
}

fn hash(file: &File, (start, size): (u64, u64)) -> io::Result<Digest> {
    let mut hasher = Algorithm::Sha256.hasher();
    let mut buffer = vec![0; STEP];
    let mut done = 0;
    while done < size {
        let some = usize::try_from(size - done).unwrap_or(STEP).min(STEP);
        file.read_exact_at(&mut buffer[..some], start + done)?;
        hasher.update(&buffer[..some]);
        done += some as u64;
    }
    Ok(hasher.finish())
}

impl Files for DockerReader {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn find(&self, path: &str) -> Result<Option<Extent>, Error> {
        let Some(&(start, size)) = self.blobs.get(path) else { return Ok(None) };
        let file = Arc::clone(&self.file);
        Ok(Some(Extent { path: self.path.clone(), file, start, size, is_outside: false }))
    }
}

impl Store for DockerReader {
    fn name(&self) -> String {
        self.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest> {
        Box::pin(async move { self.select(name).map(|image| image.manifest.clone()) })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(async move {
            match self.made.get(&blob.digest) {
                Some(bytes) => Ok(Box::new(BytesReader::new(bytes, offset)) as Box<dyn Reader>),
                None => files::open(self, blob, offset),
            }
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::DOCKER
    }

    fn tags(&self) -> StoreFuture<'_, TagListing> {
        let tags = self.images.iter().flat_map(|image| &image.names).filter_map(|name| tag_of(name));
        Box::pin(async move { Ok(TagListing::of(tags)) })
    }
}
