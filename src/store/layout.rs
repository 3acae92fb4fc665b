//! An OCI image layout: a folder with `oci-layout`, `index.json` and `blobs/`.
//!
//! The folder is a valid layout at every moment: blobs are written under a temporary name and renamed once they are
//! verified, and `index.json` is replaced whole, last, under a lock that several processes respect.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::files::{self, Extent, Files, INDEX, MARK, MARK_TEXT};
use super::index::Index;
use super::partial::Partial;
use super::stream::{Parts, Stream};
use super::{Answer, Error, Kept, Reader, Source, Store, Written};
use crate::image::{Descriptor, Digest, Hasher, Manifest, Name};

/// What is written at once. Larger pieces gain nothing, smaller ones cost more calls.
const STEP: usize = 1024 * 1024;

/// A folder that is an OCI image layout, or will be.
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// The layout in a folder; nothing is read or made yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Makes the folder a layout unless it is one. A folder with anything else in it stays as it is.
    fn create(&self) -> Result<(), Error> {
        if self.folder.join(MARK).exists() {
            return files::index(self).map(|_| ());
        }
        match fs::read_dir(&self.folder) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    let reason = format!(
                        "is not empty and not an OCI image layout (it has no file {MARK}); choose a new folder"
                    );
                    return Err(Error::Place { place: self.place(), reason });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("read", &self.folder)(error)),
        }
        fs::create_dir_all(&self.folder).map_err(Error::io("create", &self.folder))?;
        self.replace(INDEX, &Index::empty().to_bytes())?;
        // The mark comes last: what has it is a layout.
        self.replace(MARK, MARK_TEXT.as_bytes())
    }

    /// A file in the layout's folder, under a name that says it is not finished. It is gone when it is dropped.
    fn temporary(&self) -> Result<NamedTempFile, Error> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".unfinished-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        builder.tempfile_in(&self.folder).map_err(Error::io("write in", &self.folder))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut temporary = self.temporary()?;
        let path = self.folder.join(path);
        temporary.write_all(bytes).map_err(Error::io("write", &path))?;
        keep(temporary, &path)
    }

    fn has(&self, blob: &Descriptor) -> bool {
        fs::metadata(self.folder.join(files::blob_path(&blob.digest)))
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == blob.size)
    }

    async fn receive(&self, blob: &Descriptor, source: &Source) -> Result<Written, Error> {
        let path = self.folder.join(files::blob_path(&blob.digest));
        if let Some(partial) = Partial::open(&self.folder, blob)? {
            return self.resume(partial, blob, source, &path).await;
        }
        let temporary = self.temporary()?;
        let file = Arc::new(temporary.reopen().map_err(Error::io("write", &path))?);
        self.fill(&file, source.stream().await?, source, &path).await?;
        keep(temporary, &path)?;
        Ok(Written::Moved)
    }

    /// Goes on with a file that an earlier run began. Where its bytes were not what they should be, everything is
    /// fetched once more.
    async fn resume(
        &self,
        mut partial: Partial,
        blob: &Descriptor,
        source: &Source,
        path: &Path,
    ) -> Result<Written, Error> {
        loop {
            let begun = partial.length;
            let filled = match hash(&partial, blob).await.map_err(Error::io("read", path)) {
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
                Ok(()) => return partial.keep(path).map(|()| Written::Moved),
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

    fn list(&self, change: impl FnOnce(&mut Index)) -> Result<(), Error> {
        let mark = self.folder.join(MARK);
        let lock = File::open(&mark).map_err(Error::io("open", &mark))?;
        lock.lock().map_err(Error::io("lock", &mark))?;
        let mut index = files::index(self)?;
        change(&mut index);
        self.replace(INDEX, &index.to_bytes())
    }

    fn put(&self, manifest: &Manifest) -> Result<(), Error> {
        if self.has(&manifest.descriptor()) {
            return Ok(());
        }
        let path = files::blob_path(manifest.digest());
        make_parent(&self.folder.join(&path))?;
        self.replace(&path, manifest.bytes())
    }
}

/// Hashes what is in a file, off the reactor, and leaves it at its end.
async fn hash(partial: &Partial, blob: &Descriptor) -> io::Result<Hasher> {
    let (file, length) = (Arc::clone(&partial.file), partial.length);
    let mut hasher = blob.digest.algorithm().hasher();
    let hashed = tokio::task::spawn_blocking(move || {
        (&*file).rewind()?;
        let mut buffer = vec![0; STEP];
        let mut left = length;
        while left > 0 {
            let some = usize::try_from(left).unwrap_or(STEP).min(STEP);
            (&*file).read_exact(&mut buffer[..some])?;
            hasher.update(&buffer[..some]);
            left -= some as u64;
        }
        Ok(hasher)
    });
    hashed.await.map_err(io::Error::other)?
}

/// Writes off the reactor.
pub(super) async fn write(file: Arc<File>, bytes: bytes::Bytes) -> io::Result<()> {
    let written = tokio::task::spawn_blocking(move || (&*file).write_all(&bytes));
    written.await.map_err(io::Error::other).flatten()
}

fn make_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(Error::io("create", parent))
}

fn keep(temporary: NamedTempFile, path: &Path) -> Result<(), Error> {
    temporary.persist(path).map(|_| ()).map_err(|error| Error::io("write", path)(error.error))
}

impl Files for Layout {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn find(&self, path: &str) -> Result<Option<Extent>, Error> {
        let path = self.folder.join(path);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let metadata = file.metadata().map_err(Error::io("read", &path))?;
        Ok(metadata.is_file().then(|| Extent { path, file, start: 0, size: metadata.len() }))
    }
}

// Small files are read and written right here: they take less time than handing them to another thread.
impl Store for Layout {
    fn name(&self) -> String {
        self.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> Answer<'a, Manifest> {
        Box::pin(async move {
            fs::metadata(&self.folder).map_err(Error::io("read", &self.folder))?;
            files::manifest(self, name)
        })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> Answer<'a, Box<dyn Reader>> {
        Box::pin(async move { files::open(self, blob, offset) })
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> Answer<'a, HashSet<Digest>> {
        Box::pin(async move {
            self.create()?;
            for blob in blobs {
                make_parent(&self.folder.join(files::blob_path(&blob.digest)))?;
            }
            Ok(blobs.iter().filter(|blob| !self.has(blob)).map(|blob| blob.digest.clone()).collect())
        })
    }

    fn missing<'a>(&'a self, blobs: &'a [Descriptor]) -> Answer<'a, HashSet<Digest>> {
        Box::pin(async move {
            Ok(blobs.iter().filter(|blob| !self.has(blob)).map(|blob| blob.digest.clone()).collect())
        })
    }

    fn tags(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move { Ok(files::index(self)?.tags()) })
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> Answer<'a, Written> {
        Box::pin(self.receive(blob, source))
    }

    fn is_local(&self) -> bool {
        true
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> Answer<'a, ()> {
        Box::pin(async move { self.put(manifest) })
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.put(manifest)?;
            self.list(|index| index.add(manifest, tags))
        })
    }

    fn keeps(&self) -> Kept {
        Kept::Bytes
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> Answer<'a, Vec<Descriptor>> {
        Box::pin(async move { files::referrers(self, subject) })
    }

    fn put_referrer<'a>(&'a self, manifest: &'a Manifest) -> Answer<'a, ()> {
        Box::pin(async move {
            self.put(manifest)?;
            self.list(|index| index.attach(manifest))
        })
    }
}
