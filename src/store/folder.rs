//! Directories that others may have prepared, used through an open handle.
//!
//! A path that is resolved twice can mean two files, and a link in a folder that came in an archive or from a checkout
//! leads wherever its author wanted. So names below a [`Folder`] are resolved one at a time and relative to its handle,
//! links are not followed, files are created exclusively, and what was there before is used only if it is a regular
//! file (with [`Folder::own_file`]: the user's own, without another name, which nobody else can write to).

#[cfg(unix)]
mod handles;
#[cfg(windows)]
mod paths;

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::platform;

#[cfg(unix)]
pub(crate) use handles::{Folder, open_file};
#[cfg(windows)]
pub(crate) use paths::{Folder, open_file};

/// Names of files that are not finished begin with this.
pub(super) const UNFINISHED: &str = ".unfinished-";

impl Folder {
    /// Creates a file under a temporary name, and locks it. It is gone when it is dropped.
    pub(crate) fn temporary(self: &Arc<Self>, is_private: bool) -> io::Result<Temporary> {
        loop {
            let name = format!("{UNFINISHED}{}", uuid::Uuid::new_v4().simple());
            let file = self.create_new(&name, is_private)?;
            let is_ours = match file.try_lock() {
                Ok(()) => self.has(&name, &file),
                // Another `ecr` process took it for abandoned before it was locked.
                Err(TryLockError::WouldBlock) => false,
                // A file system without locks has none that was abandoned.
                Err(TryLockError::Error(_)) => true,
            };
            if is_ours {
                let folder = Arc::clone(self);
                return Ok(Temporary { folder, name, file: Arc::new(file), is_kept: false });
            }
        }
    }

    /// Removes the temporary files of killed processes: those without a lock.
    pub(crate) fn remove_abandoned(&self) {
        for name in self.names().unwrap_or_default() {
            if is_temporary(&name) && self.file(&name).is_ok_and(|file| file.try_lock().is_ok()) {
                // Another `ecr` process may have been quicker.
                let _ = self.remove(&name);
            }
        }
    }
}

/// A link was found where none is followed.
#[derive(Debug, thiserror::Error)]
#[error("it is a symbolic link, which is not followed here")]
struct Linked;

impl From<Linked> for io::Error {
    fn from(linked: Linked) -> Self {
        Self::other(linked)
    }
}

/// Returns whether a name could not be opened because it is a symbolic link, or leads through one.
pub(crate) fn is_linked(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Linked>()).is_some()
}

/// A file that is removed when it is dropped, unless it gets a name.
#[derive(Debug)]
pub(crate) struct Temporary {
    folder: Arc<Folder>,
    name: String,
    file: Arc<File>,
    is_kept: bool,
}

impl Temporary {
    /// The file.
    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Gives the file its name in a folder. What has that name already is replaced.
    pub(crate) fn keep(mut self, folder: &Folder, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.folder.rename(&self.name, folder, name.as_ref())?;
        self.is_kept = true;
        Ok(())
    }

    /// Gives the file its name in the folder that it is in.
    pub(crate) fn keep_here(self, name: &OsStr) -> io::Result<()> {
        let folder = Arc::clone(&self.folder);
        self.keep(&folder, name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_kept {
            // A failure to remove it cannot be reported here.
            let _ = self.folder.remove(&self.name);
        }
    }
}

/// Returns whether a name is one of [`Folder::temporary`].
fn is_temporary(name: &str) -> bool {
    name.strip_prefix(UNFINISHED).is_some_and(|rest| uuid::Uuid::try_parse(rest).is_ok())
}

/// A temporary folder that only its owner can enter, removed when it is dropped.
pub fn private_temporary(prefix: &str, parent: &Path) -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    platform::restrict(&mut builder);
    builder.tempdir_in(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_killed_process_are_removed_and_no_others() {
        let path = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::open(path.path()).unwrap());
        let (left, mine) =
            (format!("{UNFINISHED}{}", uuid::Uuid::nil().simple()), folder.temporary(false).unwrap());
        let others = [format!("{UNFINISHED}sha256-00"), ".unfinished".to_owned(), "index.json".to_owned()];
        for name in others.iter().chain([&left]) {
            std::fs::write(path.path().join(name), "some").unwrap();
        }
        folder.remove_abandoned();
        let mut names = folder.names().unwrap();
        names.sort();
        let mut expected = [&others[..], std::slice::from_ref(&mine.name)].concat();
        expected.sort();
        assert_eq!(names, expected);
    }
}
