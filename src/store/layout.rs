//! An OCI image layout: a folder with `oci-layout`, `index.json` and `blobs/`.
//!
//! The folder is a valid layout at every moment: blobs are written under a temporary name and renamed once they are
//! verified, and `index.json` is replaced whole, last, under a lock that several processes respect.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::files::{self, Extent, Files, INDEX, LAYOUT_FILE, LAYOUT_FILE_CONTENT};
use super::folder::{Folder, is_linked};
use super::index::{self, Index};
use super::partial::Partial;
use super::stream::{Parts, Stream};
use super::verified::VerifiedBlobs;
use super::{Capabilities, Error, Reader, ResumeState, Source, Store, StoreFuture, TagListing, Written};
use crate::image::{Descriptor, Digest, Manifest, Name};
use crate::platform;

/// Bytes per write. Larger pieces gain nothing, smaller ones cost more calls.
const STEP: usize = 1024 * 1024;
/// Interval of looking whether another program is done with `index.json`.
const PAUSE: Duration = Duration::from_millis(20);

/// A folder that is an OCI image layout, or will be.
///
/// It is read through links, as tools make them that keep blobs elsewhere; a blob that lies outside is hashed before
/// its first byte is given out. It is never written through a link.
pub struct Layout {
    path: PathBuf,
    folder: Mutex<Option<Arc<Folder>>>,
    verified: VerifiedBlobs,
    repository: Option<String>,
}

/// A layout's files that lie in it, and are not links.
struct Inside<'a>(&'a Layout);

impl Layout {
    /// The layout in a folder; nothing is read or made yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            folder: Mutex::default(),
            verified: VerifiedBlobs::default(),
            repository: None,
        }
    }

    /// Uses a record of blobs that were verified before.
    #[must_use]
    pub fn with_verified(self, verified: VerifiedBlobs) -> Self {
        Self { verified, ..self }
    }

    /// Returns this layout for reading the images of one repository only, if names have it in front of the tag.
    #[must_use]
    pub(super) fn of_repository(self, repository: Option<String>) -> Self {
        Self { repository, ..self }
    }

    /// The open folder.
    fn folder(&self) -> Result<Arc<Folder>, Error> {
        self.opened(Folder::open).map_err(Error::io("read", &self.path))
    }

    fn opened(&self, open: impl FnOnce(&Path) -> io::Result<Folder>) -> io::Result<Arc<Folder>> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*folder {
            return Ok(Arc::clone(folder));
        }
        Ok(Arc::clone(folder.insert(Arc::new(open(&self.path)?))))
    }

    /// Makes the folder a layout unless it is one. A folder with anything else in it stays as it is.
    fn create(&self) -> Result<(), Error> {
        let folder = self.opened(Folder::create).map_err(Error::io("create", &self.path))?;
        match folder.file(LAYOUT_FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => {
                folder.remove_abandoned();
                return files::index(&Inside(self)).map(|_| ());
            }
        }
        if !folder.is_empty().map_err(Error::io("read", &self.path))? {
            let reason = format!(
                "is not empty and not an OCI image layout (it has no file {LAYOUT_FILE}); choose a new folder"
            );
            return Err(Error::Place { place: self.place(), reason });
        }
        self.replace(INDEX, &Index::empty().to_bytes())?;
        // The mark comes last: what has it is a layout.
        self.replace(LAYOUT_FILE, LAYOUT_FILE_CONTENT.as_bytes())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let folder = self.folder()?;
        let written = folder.temporary(false).and_then(|temporary| {
            (&**temporary.file()).write_all(bytes)?;
            temporary.keep(&folder, name)
        });
        written.map_err(Error::io("write", &self.path.join(name)))
    }

    /// Returns the folder of a blob, creating it if necessary.
    fn blobs(&self, digest: &Digest) -> Result<Folder, Error> {
        let (blobs, algorithm) = (self.path.join("blobs"), digest.algorithm().name());
        let folder = self.folder()?.create_child("blobs").map_err(Error::io("write in", &blobs))?;
        folder.create_child(algorithm).map_err(Error::io("write in", &blobs.join(algorithm)))
    }

    /// Returns whether a blob is in the layout and matches its digest.
    async fn has(&self, blob: &Descriptor) -> Result<bool, Error> {
        let path = files::blob_path(&blob.digest);
        let Ok(Some(Extent { path, file, size, .. })) = Inside(self).find(&path) else { return Ok(false) };
        if size != blob.size {
            return Ok(false);
        }
        let found = self.verified.digest(&file, &blob.digest).await.map_err(Error::io("read", &path))?;
        Ok(found == blob.digest)
    }

    async fn lacking(&self, blobs: &[Descriptor]) -> Result<HashSet<Digest>, Error> {
        let mut lacking = HashSet::new();
        for blob in blobs {
            if !self.has(blob).await? {
                lacking.insert(blob.digest.clone());
            }
        }
        Ok(lacking)
    }

    async fn read(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Reader>, Error> {
        let extent = files::blob(self, blob)?;
        if extent.is_outside {
            let (place, what, digest) = (extent.path.display().to_string(), "blob", blob.digest.clone());
            let found = self.verified.digest(&extent.file, &digest).await;
            let found = found.map_err(Error::io("read", &extent.path))?;
            if found != digest {
                return Err(Error::Mismatch { place, what, digest, found });
            }
        }
        Ok(Box::new(files::FileReader::new(extent, offset)))
    }

    async fn receive(&self, blob: &Descriptor, source: &Source) -> Result<Written, Error> {
        let path = self.path.join(files::blob_path(&blob.digest));
        let folder = self.folder()?;
        if let Some(partial) = Partial::open(&folder, blob)? {
            return self.resume(partial, blob, source, &path).await;
        }
        let temporary = folder.temporary(false).map_err(Error::io("write in", &self.path))?;
        let file = Arc::clone(temporary.file());
        self.fill(&file, source.stream().await?, source, &path).await?;
        let kept = temporary.keep(&self.blobs(&blob.digest)?, blob.digest.hexadecimal());
        kept.map_err(Error::io("write", &path))?;
        self.verified.remember(&file, &blob.digest);
        Ok(Written::Moved)
    }

    /// Resumes a file that an earlier run began. Where its bytes were not what they should be, everything is fetched
    /// once more.
    async fn resume(
        &self,
        mut partial: Partial,
        blob: &Descriptor,
        source: &Source,
        path: &Path,
    ) -> Result<Written, Error> {
        loop {
            let begun = partial.length;
            let hashed = self.verified.while_hashing(partial.hash(blob)).await;
            let filled = match hashed.map_err(Error::io("read", path)) {
                Ok(hasher) => match source.stream_behind(hasher, begun).await {
                    Ok(stream) => {
                        source.arrived(begun);
                        self.fill(&partial.file, stream, source, path).await
                    }
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            match filled {
                Ok(()) => {
                    let kept = partial.keep(&self.blobs(&blob.digest)?, blob.digest.hexadecimal());
                    kept.map_err(Error::io("write", path))?;
                    self.verified.remember(&partial.file, &blob.digest);
                    return Ok(Written::Moved);
                }
                Err(Error::Mismatch { .. }) if begun > 0 => {
                    source.arrived(0);
                    partial = partial.emptied()?;
                }
                // The source is to blame, and what it gave so far will do.
                Err(error @ (Error::Download { .. } | Error::Ecr(_) | Error::Registry(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    partial.remove();
                    return Err(error);
                }
            }
        }
    }

    async fn fill(
        &self,
        file: &Arc<File>,
        stream: Stream,
        source: &Source,
        path: &Path,
    ) -> Result<(), Error> {
        let mut parts = Parts::new(stream, source.buffers(), STEP);
        while let Some(part) = parts.next().await? {
            let end = part.end();
            write(Arc::clone(file), part.bytes).await.map_err(Error::io("write", path))?;
            source.arrived(end);
        }
        parts.verify().await
    }

    /// Changes `index.json` under the layout's lock.
    async fn list(&self, change: impl FnOnce(&mut Index)) -> Result<(), Error> {
        let mark = self.path.join(LAYOUT_FILE);
        let lock = self.folder()?.file(LAYOUT_FILE).map_err(Error::io("open", &mark))?;
        // Waiting in a call could not be interrupted.
        while let Err(error) = lock.try_lock() {
            match error {
                TryLockError::WouldBlock => tokio::time::sleep(PAUSE).await,
                TryLockError::Error(error) => return Err(Error::io("lock", &mark)(error)),
            }
        }
        let mut index = files::index(&Inside(self))?;
        change(&mut index);
        self.replace(INDEX, &index.to_bytes())
    }

    async fn put(&self, manifest: &Manifest) -> Result<(), Error> {
        if self.has(&manifest.descriptor()).await? {
            return Ok(());
        }
        let path = self.path.join(files::blob_path(manifest.digest()));
        let (folder, blobs) = (self.folder()?, self.blobs(manifest.digest())?);
        let temporary = folder.temporary(false).map_err(Error::io("write in", &self.path))?;
        let file = Arc::clone(temporary.file());
        let written = (&*file).write_all(manifest.bytes());
        let kept = written.and_then(|()| temporary.keep(&blobs, manifest.digest().hexadecimal()));
        kept.map_err(Error::io("write", &path))?;
        self.verified.remember(&file, manifest.digest());
        Ok(())
    }
}

/// Writes off the reactor.
pub(super) async fn write(file: Arc<File>, bytes: bytes::Bytes) -> io::Result<()> {
    let written = tokio::task::spawn_blocking(move || (&*file).write_all(&bytes));
    written.await.map_err(io::Error::other).flatten()
}

impl Files for Inside<'_> {
    fn place(&self) -> String {
        self.0.place()
    }

    fn find(&self, path: &str) -> Result<Option<Extent>, Error> {
        let folder = self.0.folder()?;
        let full = self.0.path.join(path);
        match inside(&folder, path) {
            Ok(file) => Extent::whole(full, file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &full)(error)),
        }
    }
}

/// Opens a file that lies in a folder, or in folders in it, without following links.
fn inside(folder: &Folder, path: &str) -> io::Result<File> {
    match path.split_once('/') {
        Some((name, rest)) => inside(&folder.child(name)?, rest),
        None => folder.file(path),
    }
}

impl Files for Layout {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    fn find(&self, path: &str) -> Result<Option<Extent>, Error> {
        let folder = self.folder()?;
        let full = self.path.join(path);
        let opened = match inside(&folder, path) {
            // Another name of the same file may lie anywhere.
            Ok(file) => file.metadata().map(|facts| (file, platform::names(&facts) > 1)),
            Err(error) if is_linked(&error) => folder.file_by_links(path).map(|file| (file, true)),
            Err(error) => Err(error),
        };
        match opened {
            Ok((file, is_outside)) => {
                Extent::whole(full, file).map(|extent| Some(Extent { is_outside, ..extent }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &full)(error)),
        }
    }
}

// Small files are read and written right here: they take less time than handing them to another thread.
impl Store for Layout {
    fn name(&self) -> String {
        self.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest> {
        Box::pin(async move { files::manifest(self, name) })
    }

    fn candidates<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Vec<Descriptor>> {
        Box::pin(async move { files::index(self)?.candidates(self, name) })
    }

    fn absent<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move { index::absent(self, manifest) })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(self.read(blob, offset))
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move {
            self.create()?;
            for blob in blobs {
                self.blobs(&blob.digest)?;
            }
            self.lacking(blobs).await
        })
    }

    fn missing<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(self.lacking(blobs))
    }

    fn tags(&self) -> StoreFuture<'_, TagListing> {
        Box::pin(async move { Ok(TagListing::of(files::index(self)?.tags())) })
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> StoreFuture<'a, Written> {
        Box::pin(self.receive(blob, source))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::LAYOUT
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(self.put(manifest))
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.put(manifest).await?;
            self.list(|index| index.add(manifest, tags, false)).await
        })
    }

    fn is_hashing(&self) -> bool {
        self.verified.is_hashing()
    }

    fn keeps(&self) -> ResumeState {
        ResumeState::Bytes
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> StoreFuture<'a, Vec<Descriptor>> {
        Box::pin(async move { files::referrers(self, subject) })
    }

    fn put_referrer<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.put(manifest).await?;
            self.list(|index| index.attach(manifest)).await
        })
    }
}
