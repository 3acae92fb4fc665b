//! Code shared by OCI layouts and archives: files by path, `oci-layout`, `index.json`, and blobs.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::Value;

use super::index::Index;
use super::{Error, Reader, StoreFuture};
use crate::image::{Descriptor, Digest, MAXIMUM_MANIFEST, Manifest, Name};
use crate::platform::FileExt as _;

/// The file that marks a layout.
pub(super) const LAYOUT_FILE: &str = "oci-layout";
/// Content of the file `oci-layout`.
pub(super) const LAYOUT_FILE_CONTENT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that lists the images.
pub(super) const INDEX: &str = "index.json";

/// Files of a layout, wherever they lie.
pub(super) trait Files: Send + Sync {
    /// Display name for messages.
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
    pub(super) file: Arc<File>,
    pub(super) start: u64,
    pub(super) size: u64,
    /// The file may lie outside of the store, where a link leads.
    pub(super) is_outside: bool,
}

impl Extent {
    /// All of a file.
    pub(super) fn whole(path: PathBuf, file: File) -> Result<Self, Error> {
        let size = file.metadata().map_err(Error::io("read", &path))?.len();
        Ok(Self { path, file: Arc::new(file), start: 0, size, is_outside: false })
    }
}

/// The path of a blob within a layout.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hexadecimal())
}

/// Reads `index.json`, after a look at the mark of a layout.
pub(super) fn index(files: &dyn Files) -> Result<Index, Error> {
    let wrong = |reason: String| Error::Place { place: files.place(), reason };
    let no_mark = || format!("is not an OCI image layout: it has no file {LAYOUT_FILE}");
    let mark = small(files, LAYOUT_FILE)?.ok_or_else(|| wrong(no_mark()))?;
    let version: Value = serde_json::from_slice(&mark).map_err(|error| {
        wrong(format!("is a damaged OCI image layout: {LAYOUT_FILE} is not JSON: {error}"))
    })?;
    match version.get("imageLayoutVersion").and_then(Value::as_str) {
        Some(version) if version.starts_with("1.") => {}
        other => {
            let found = other.unwrap_or("nothing");
            let reason =
                format!("is not an OCI image layout: {LAYOUT_FILE} says version {found}, expected 1.0.0");
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
    let entry = index(files)?.entry(files, name)?;
    read(files, &entry)
}

/// Lists the referrers of a manifest.
pub(super) fn referrers(files: &dyn Files, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
    index(files)?.referrers(files, subject)
}

/// Reads the manifest that an entry of an index names.
pub(super) fn read(files: &dyn Files, entry: &Descriptor) -> Result<Manifest, Error> {
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
    let mut bytes = Vec::new();
    let limit = usize::try_from(extent.size).unwrap_or(usize::MAX);
    read_at(&extent.file, extent.start, &mut bytes, limit).map_err(Error::io("read", &extent.path))?;
    Ok(Some(bytes.into()))
}

/// Appends up to `limit` bytes of a file from an offset on, fewer only at its end.
pub(super) fn read_at(file: &File, offset: u64, buffer: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    let first = buffer.len();
    buffer.resize(first + limit, 0);
    let mut end = first;
    while end < buffer.len() {
        match file.read_at(&mut buffer[end..], offset + (end - first) as u64) {
            Ok(0) => break,
            Ok(read) => end += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(end);
    Ok(())
}

/// The file of a blob, which has the blob's size.
pub(super) fn blob(files: &dyn Files, blob: &Descriptor) -> Result<Extent, Error> {
    let missing = || Error::Missing { place: files.place(), what: "blob", digest: blob.digest.clone() };
    let extent = files.find(&blob_path(&blob.digest))?.ok_or_else(missing)?;
    if extent.size != blob.size {
        return Err(Error::size(files.place(), blob, extent.size.to_string()));
    }
    Ok(extent)
}

/// A reader of a blob from an offset on.
pub(super) fn open(files: &dyn Files, blob: &Descriptor, offset: u64) -> Result<Box<dyn Reader>, Error> {
    Ok(Box::new(FileReader::new(self::blob(files, blob)?, offset)))
}

/// Reads part of a file off the reactor.
pub(super) struct FileReader {
    path: PathBuf,
    file: Arc<File>,
    position: u64,
    rest: u64,
    opened: (u64, Option<SystemTime>),
}

impl FileReader {
    pub(super) fn new(extent: Extent, offset: u64) -> Self {
        let opened = state(&extent.file);
        let offset = offset.min(extent.size);
        let (position, rest) = (extent.start + offset, extent.size - offset);
        Self { path: extent.path, file: extent.file, position, rest, opened }
    }
}

fn state(file: &File) -> (u64, Option<SystemTime>) {
    file.metadata().map_or((0, None), |metadata| (metadata.len(), metadata.modified().ok()))
}

impl Reader for FileReader {
    fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> StoreFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let (file, position, before) = (Arc::clone(&self.file), self.position, buffer.len());
            let limit = usize::try_from(self.rest).unwrap_or(usize::MAX).min(limit);
            let read = tokio::task::spawn_blocking(move || {
                read_at(&file, position, &mut buffer, limit).map(|()| buffer)
            });
            let buffer = read.await.map_err(io::Error::other).flatten();
            let buffer = buffer.map_err(Error::io("read", &self.path))?;
            let read = (buffer.len() - before) as u64;
            (self.position, self.rest) = (self.position + read, self.rest - read);
            Ok(buffer)
        })
    }

    fn suspicion(&self) -> Option<Error> {
        let changed = state(&self.file) != self.opened;
        changed.then(|| Error::Changed { path: self.path.display().to_string() })
    }
}
