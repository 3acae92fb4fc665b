//! Writing an archive to a file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::reader::ArchiveReader;
use super::{BLOCK, Listing, STEP, header};
use crate::image::{Descriptor, Digest, Manifest, Name};
use crate::platform::FileExt as _;
use crate::store::files::{self, Extent, Files, LAYOUT_FILE, LAYOUT_FILE_CONTENT};
use crate::store::folder::{Folder, Temporary};
use crate::store::stream::Parts;
use crate::store::{Capabilities, Error, Reader, Source, Store, StoreFuture, Written};

/// Writer of an OCI archive: of a new file, or one that replaces an older archive. It has a temporary name, which
/// becomes the final one when everything in it was verified.
pub struct ArchiveWriter {
    path: PathBuf,
    /// Display name for messages.
    label: String,
    docker: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    temporary: Option<Temporary>,
    end: u64,
    places: HashMap<Digest, u64>,
    listing: Option<Listing>,
}

impl ArchiveWriter {
    /// The archive of this name. What is there already has to be an archive, which the new one will replace.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open(path.into(), false)
    }

    /// The docker archive of this name, for images of one platform each.
    pub fn docker(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open(path.into(), true)
    }

    fn open(path: PathBuf, docker: bool) -> Result<Self, Error> {
        if path.exists() {
            let kept = |error: Error| Error::Place {
                place: path.display().to_string(),
                reason: format!("is there already and will not be replaced: {error}"),
            };
            let old = ArchiveReader::open(&path).map_err(kept)?;
            if !(docker && old.is_saved()) {
                files::index(&old).map_err(kept)?;
            }
        }
        let label = path.display().to_string();
        Ok(Self { path, label, docker, state: Mutex::default() })
    }

    /// Returns this archive with a display name that says more than its path.
    #[must_use]
    pub(in crate::store) fn called(self, label: &str) -> Self {
        Self { label: label.to_owned(), ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> Error {
        Error::io("write", Path::new(&self.label))
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn begin(&self) -> Result<(), Error> {
        let mut state = self.state();
        if state.temporary.is_none() {
            let folder = Folder::open(self.folder()).map_err(Error::io("write in", self.folder()))?;
            let temporary = Arc::new(folder).temporary(false);
            state.temporary = Some(temporary.map_err(Error::io("write in", self.folder()))?);
            state.listing = Some(Listing::new(self.docker));
            state.append(LAYOUT_FILE, LAYOUT_FILE_CONTENT.as_bytes()).map_err(self.failed())?;
        }
        Ok(())
    }

    async fn receive(&self, blob: &Descriptor, source: &Source) -> Result<Written, Error> {
        let (file, start) = {
            let mut state = self.state();
            let start = state.place(&blob.digest, blob.size).map_err(self.failed())?;
            (Arc::clone(state.file().map_err(self.failed())?), start)
        };
        let mut parts = Parts::new(source.stream().await?, source.buffers(), STEP);
        while let Some(part) = parts.next().await? {
            let (file, offset, end) = (Arc::clone(&file), start + part.first, part.end());
            let written = tokio::task::spawn_blocking(move || file.write_all_at(&part.bytes, offset));
            written.await.map_err(io::Error::other).flatten().map_err(self.failed())?;
            source.arrived(end);
        }
        parts.verify().await?;
        Ok(Written::Moved)
    }

    fn put(&self, manifest: &Manifest) -> Result<(), Error> {
        self.begin()?;
        let mut state = self.state();
        if !state.places.contains_key(manifest.digest()) {
            let path = files::blob_path(manifest.digest());
            let start = state.append(&path, manifest.bytes()).map_err(self.failed())?;
            state.places.insert(manifest.digest().clone(), start);
        }
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        let mut state = self.state();
        let Some(listing) = state.listing.take() else { return Ok(()) };
        for (path, bytes) in listing.files() {
            state.append(path, &bytes).map_err(self.failed())?;
        }
        let end = state.end + 2 * BLOCK;
        // Two blocks of zeros end a tar file.
        state.file().and_then(|file| file.set_len(end)).map_err(self.failed())?;
        let Some(temporary) = state.temporary.take() else { return Ok(()) };
        let name = self.path.file_name().unwrap_or_default();
        temporary.keep_here(name).map_err(self.failed())
    }
}

impl State {
    fn file(&self) -> io::Result<&Arc<File>> {
        let temporary = self.temporary.as_ref().map(Temporary::file);
        temporary.ok_or_else(|| io::Error::other("the archive is finished"))
    }

    /// Allocates a blob's place, with a header in front, and returns the offset of its bytes.
    fn place(&mut self, digest: &Digest, size: u64) -> io::Result<u64> {
        if let Some(&start) = self.places.get(digest) {
            return Ok(start);
        }
        let start = self.header(&files::blob_path(digest), size)?;
        self.places.insert(digest.clone(), start);
        Ok(start)
    }

    fn header(&mut self, path: &str, size: u64) -> io::Result<u64> {
        let bytes = header(path, size)?;
        let start = self.end + bytes.len() as u64;
        let end = start.checked_add(size).and_then(|end| end.checked_next_multiple_of(BLOCK));
        let end = end.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.file()?.write_all_at(&bytes, self.end)?;
        self.end = end;
        Ok(start)
    }

    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<u64> {
        let start = self.header(path, bytes.len() as u64)?;
        self.file()?.write_all_at(bytes, start)?;
        Ok(start)
    }
}

impl Files for ArchiveWriter {
    fn place(&self) -> String {
        self.label.clone()
    }

    fn find(&self, _path: &str) -> Result<Option<Extent>, Error> {
        Err(Error::Place { place: self.place(), reason: "is open for writing".to_owned() })
    }
}

impl Store for ArchiveWriter {
    fn name(&self) -> String {
        self.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest> {
        Box::pin(async move { files::manifest(self, name) })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(async move { files::open(self, blob, offset) })
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move {
            self.begin()?;
            let mut state = self.state();
            for blob in blobs {
                state.place(&blob.digest, blob.size).map_err(self.failed())?;
            }
            Ok(blobs.iter().map(|blob| blob.digest.clone()).collect())
        })
    }

    fn missing<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move { Ok(blobs.iter().map(|blob| blob.digest.clone()).collect()) })
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> StoreFuture<'a, Written> {
        Box::pin(self.receive(blob, source))
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.put(manifest) })
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.put(manifest)?;
            if let Some(listing) = &mut self.state().listing {
                listing.add(manifest, tags);
            }
            Ok(())
        })
    }

    fn capabilities(&self) -> Capabilities {
        if self.docker { Capabilities::DOCKER } else { Capabilities::LAYOUT }
    }

    fn put_referrer<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.put(manifest)?;
            if let Some(listing) = &mut self.state().listing {
                listing.index.attach(manifest);
            }
            Ok(())
        })
    }

    fn finish(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.close() })
    }
}
