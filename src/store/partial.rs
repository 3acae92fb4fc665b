//! Files of blobs that are on their way, kept so that the next run goes on with them.
//!
//! The name says which blob it will be. Whoever writes one holds its lock; who finds it locked writes a file of its
//! own. What is there is hashed again before anything is added to it, so that a damaged one is found out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use crate::image::Descriptor;

/// What is smaller is fetched again.
const SMALLEST: u64 = 1024 * 1024;

/// An unfinished blob.
pub(super) struct Partial {
    path: PathBuf,
    pub(super) file: Arc<File>,
    /// How many bytes of it an earlier run wrote.
    pub(super) length: u64,
}

impl Partial {
    /// Opens the file for a blob; `None` where it is not worth it, or somebody else writes it.
    pub(super) fn open(folder: &Path, blob: &Descriptor) -> Result<Option<Self>, Error> {
        if blob.size < SMALLEST {
            return Ok(None);
        }
        let name = format!(".unfinished-{}-{}", blob.digest.algorithm().name(), blob.digest.hexadecimal());
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(Error::io("write", &path))?;
        if file.try_lock().is_err() || !is_at(&file, &path) {
            return Ok(None);
        }
        let length = file.seek(SeekFrom::End(0)).map_err(Error::io("write", &path))?;
        let partial = Self { path, file: Arc::new(file), length };
        if length > blob.size { partial.emptied().map(Some) } else { Ok(Some(partial)) }
    }

    /// The file with nothing in it.
    pub(super) fn emptied(mut self) -> Result<Self, Error> {
        let emptied = self.file.set_len(0).and_then(|()| (&*self.file).rewind());
        emptied.map_err(Error::io("write", &self.path))?;
        self.length = 0;
        Ok(self)
    }

    /// Gives the file its name: the blob is whole.
    pub(super) fn keep(self, path: &Path) -> Result<(), Error> {
        fs::rename(&self.path, path).map_err(Error::io("write", path))
    }

    /// Removes the file: what is in it is of no use.
    pub(super) fn remove(self) {
        // Where it cannot be removed it is found out the next time.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a file still goes by this name: another one of us may have finished it between our opening and locking.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let named = |facts: io::Result<fs::Metadata>| facts.map(|facts| (facts.dev(), facts.ino())).ok();
        named(file.metadata()).is_some_and(|own| named(fs::metadata(path)) == Some(own))
    }
    #[cfg(not(unix))]
    {
        file.metadata().is_ok() && path.exists()
    }
}
