//! A docker archive, as `docker save` writes it before version 25 and skopeo and crane still do: `manifest.json`, and
//! configurations and layers as files. (Since version 25 it is an OCI archive as well, and is read as one.)
//!
//! It has no manifests of the registry kind, so one is made for each image: the same archive always gives the same.
//! Layers are read in place and stay as they are. An uncompressed one needs no look for its digest, since the
//! configuration tells it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::json;

use super::archive::ArchiveReader;
use super::files::{self, Extent, Files};
use super::{Answer, Error, Reader, Source, Store, Written};
use crate::image::{Algorithm, Descriptor, Digest, Manifest, Name, media_type};

/// The file that lists the images.
pub(super) const LIST: &str = "manifest.json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const STEP: usize = 1024 * 1024;

/// A docker archive to read from.
pub struct DockerReader {
    path: PathBuf,
    images: Vec<Image>,
    blobs: HashMap<String, (u64, u64)>,
}

struct Image {
    manifest: Manifest,
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Configuration {
    rootfs: RootFileSystem,
}

#[derive(Deserialize)]
struct RootFileSystem {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

impl DockerReader {
    /// Makes a docker archive of a tar file in which everything was found.
    pub(super) fn new(archive: &ArchiveReader) -> Result<Self, Error> {
        let wrong = |what: &str, error: &dyn std::fmt::Display| Error::Place {
            place: archive.place(),
            reason: format!("is a damaged docker archive: {what}: {error}"),
        };
        let bytes = files::small(archive, LIST)?.ok_or_else(|| wrong(LIST, &"it is missing"))?;
        let entries: Vec<Entry> = serde_json::from_slice(&bytes).map_err(|error| wrong(LIST, &error))?;
        let mut reader = Self { path: archive.path().to_owned(), images: Vec::new(), blobs: HashMap::new() };
        for entry in entries {
            let image = reader.image(archive, entry, &wrong)?;
            reader.images.push(image);
        }
        Ok(reader)
    }

    fn image(
        &mut self,
        archive: &ArchiveReader,
        entry: Entry,
        wrong: &dyn Fn(&str, &dyn std::fmt::Display) -> Error,
    ) -> Result<Image, Error> {
        let bytes = files::small(archive, &entry.config)?;
        let bytes = bytes.ok_or_else(|| wrong(&entry.config, &"it is missing"))?;
        let configuration: Configuration =
            serde_json::from_slice(&bytes).map_err(|error| wrong(&entry.config, &error))?;
        let identities = configuration.rootfs.diff_ids;
        if identities.len() != entry.layers.len() {
            return Err(wrong(&entry.config, &"it has not as many layers as the image"));
        }
        let config = Descriptor::new(CONFIGURATION, Digest::of(&bytes), bytes.len() as u64);
        self.blobs
            .extend(archive.extent(&entry.config).map(|extent| (files::blob_path(&config.digest), extent)));
        let mut layers = Vec::new();
        for (path, identity) in entry.layers.iter().zip(identities) {
            let extent = archive.extent(path).ok_or_else(|| wrong(path, &"it is missing"))?;
            let (suffix, digest) = kind(archive, extent, identity).map_err(|error| wrong(path, &error))?;
            self.blobs.insert(files::blob_path(&digest), extent);
            layers.push(Descriptor::new(format!("{LAYER}{suffix}"), digest, extent.1));
        }
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers
        });
        let manifest =
            Manifest::parse(manifest.to_string().into(), None).map_err(Error::image(archive.place()))?;
        Ok(Image { manifest, tags: entry.repo_tags.unwrap_or_default() })
    }

    fn select(&self, name: &Name) -> Result<&Image, Error> {
        let fits = |image: &&Image| match name {
            Name::Unnamed => true,
            Name::Tag(tag) => image.tags.iter().any(|full| tag_of(full) == Some(tag)),
            Name::Digest(digest) => image.manifest.digest() == digest,
        };
        let found: Vec<&Image> = self.images.iter().filter(fits).collect();
        let known: Vec<&str> = self.images.iter().flat_map(|image| &image.tags).map(String::as_str).collect();
        let known = if known.is_empty() { String::new() } else { format!("; it has {}", known.join(", ")) };
        match (&found[..], name) {
            ([only], _) => Ok(only),
            ([], Name::Unnamed) => Err(self.unfit("has no image in it".to_owned())),
            ([], Name::Tag(tag)) => {
                Err(Error::NoImage { place: self.place(), name: tag.clone(), instead: known })
            }
            ([], Name::Digest(digest)) => {
                Err(Error::NoImage { place: self.place(), name: digest.to_string(), instead: known })
            }
            ([first, others @ ..], _) => {
                let same = others.iter().all(|image| image.manifest == first.manifest);
                let reason = format!("has several images of that kind; choose one by its tag{known}");
                if same { Ok(first) } else { Err(self.unfit(reason)) }
            }
        }
    }

    fn unfit(&self, reason: String) -> Error {
        Error::Place { place: self.place(), reason }
    }

    fn read_only(&self) -> Error {
        self.unfit("is a docker archive, which can only be read".to_owned())
    }
}

fn tag_of(full: &str) -> Option<&str> {
    full.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
}

/// How a layer is compressed, as its media type ends, and its digest.
fn kind(archive: &ArchiveReader, extent: (u64, u64), identity: Digest) -> io::Result<(&'static str, Digest)> {
    let (start, size) = extent;
    let mut file = File::open(archive.path())?;
    file.seek(SeekFrom::Start(start))?;
    let mut magic = Vec::new();
    (&file).take(4.min(size)).read_to_end(&mut magic)?;
    let suffix = match magic[..] {
        [0x1f, 0x8b, ..] => "+gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "+zstd",
        _ => return Ok(("", identity)),
    };
    file.seek(SeekFrom::Start(start))?;
    let mut hasher = Algorithm::Sha256.hasher();
    let mut buffer = vec![0; STEP];
    let mut left = size;
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(STEP).min(STEP);
        file.read_exact(&mut buffer[..some])?;
        hasher.update(&buffer[..some]);
        left -= some as u64;
    }
    Ok((suffix, hasher.finish()))
}

impl Files for DockerReader {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn find(&self, path: &str) -> Result<Option<Extent>, Error> {
        let Some(&(start, size)) = self.blobs.get(path) else { return Ok(None) };
        let file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        Ok(Some(Extent { path: self.path.clone(), file, start, size }))
    }
}

impl Store for DockerReader {
    fn name(&self) -> String {
        self.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> Answer<'a, Manifest> {
        Box::pin(async move { self.select(name).map(|image| image.manifest.clone()) })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> Answer<'a, Box<dyn Reader>> {
        Box::pin(async move { files::open(self, blob, offset) })
    }

    fn prepare<'a>(&'a self, _blobs: &'a [Descriptor]) -> Answer<'a, HashSet<Digest>> {
        Box::pin(async { Err(self.read_only()) })
    }

    fn tags(&self) -> Answer<'_, Vec<String>> {
        let tags = self.images.iter().flat_map(|image| &image.tags).filter_map(|full| tag_of(full));
        Box::pin(async move { Ok(tags.map(ToOwned::to_owned).collect()) })
    }

    fn write<'a>(&'a self, _blob: &'a Descriptor, _source: &'a Source) -> Answer<'a, Written> {
        Box::pin(async { Err(self.read_only()) })
    }

    fn put_manifest<'a>(&'a self, _manifest: &'a Manifest) -> Answer<'a, ()> {
        Box::pin(async { Err(self.read_only()) })
    }

    fn put_image<'a>(&'a self, _manifest: &'a Manifest, _tags: &'a [String]) -> Answer<'a, ()> {
        Box::pin(async { Err(self.read_only()) })
    }
}
