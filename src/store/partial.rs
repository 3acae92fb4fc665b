//! Files of partially written blobs, from which the next run resumes.
//!
//! The name says which blob it will be. Whoever writes one holds its lock; who finds it locked writes a file of its
//! own, and so does who finds something there that is not a file of the user's alone. What is there is hashed again
//! before anything is added to it, so that a damaged one is found out.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use super::Error;
use super::folder::{Folder, UNFINISHED};
use crate::image::{Descriptor, Hasher};

/// Smallest blob, in bytes, whose partial download is kept.
const MIN_BYTES: u64 = 1024 * 1024;
/// Bytes per read.
const STEP: usize = 1024 * 1024;

/// An unfinished blob.
pub(super) struct Partial {
    folder: Arc<Folder>,
    name: String,
    pub(super) file: Arc<File>,
    /// Bytes that an earlier run wrote.
    pub(super) length: u64,
}

impl Partial {
    /// Opens the file for a blob; `None` for a small blob, or if another process writes the file, or it cannot be
    /// trusted.
    pub(super) fn open(folder: &Arc<Folder>, blob: &Descriptor) -> Result<Option<Self>, Error> {
        if blob.size < MIN_BYTES {
            return Ok(None);
        }
        let (algorithm, digits) = (blob.digest.algorithm().name(), blob.digest.hexadecimal());
        let name = format!("{UNFINISHED}{algorithm}-{digits}");
        let failed = |error| Error::io("write", &folder.path().join(&name))(error);
        let Some(mut file) = folder.own_file(&name, false).map_err(failed)? else { return Ok(None) };
        // Another `ecr` process may have finished it between our opening and locking.
        if file.try_lock().is_err() || !folder.has(&name, &file) {
            return Ok(None);
        }
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let partial = Self { folder: Arc::clone(folder), name, file: Arc::new(file), length };
        if length > blob.size { partial.emptied().map(Some) } else { Ok(Some(partial)) }
    }

    /// The file with nothing in it.
    pub(super) fn emptied(mut self) -> Result<Self, Error> {
        let emptied = self.file.set_len(0).and_then(|()| (&*self.file).rewind());
        emptied.map_err(Error::io("write", &self.path()))?;
        self.length = 0;
        Ok(self)
    }

    /// Hashes the content of the file, off the reactor, and leaves it at its end.
    pub(super) async fn hash(&self, blob: &Descriptor) -> io::Result<Hasher> {
        let (file, length) = (Arc::clone(&self.file), self.length);
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

    /// Gives the file its name in a folder: the blob is whole.
    pub(super) fn keep(&self, folder: &Folder, name: &str) -> io::Result<()> {
        if !self.folder.has(&self.name, &self.file) {
            return Err(io::Error::other(format!(
                "somebody else replaced {} meanwhile; run the command again",
                self.path().display()
            )));
        }
        self.folder.rename(&self.name, folder, name.as_ref())
    }

    /// Removes the file, whose content is of no use.
    pub(super) fn remove(self) {
        // Where it cannot be removed it is found out the next time.
        let _ = self.folder.remove(&self.name);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }
}
