//! Windows: directories by their paths, as it has no other way to name their entries. Links are a privilege there, and
//! are not followed either.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Linked;
use crate::platform;

/// Flag that opens a link itself, not its target (FILE_FLAG_OPEN_REPARSE_POINT).
const NO_FOLLOW: u32 = 0x0020_0000;

/// A directory.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens a directory by a path, following the links in it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if fs::metadata(path)?.is_dir() {
            return Ok(Self { path: path.to_owned() });
        }
        Err(io::ErrorKind::NotADirectory.into())
    }

    /// Opens a directory to write to, creating it if necessary.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Self::open(path)
    }

    /// Opens the user's own directory that other users cannot change, creating it if necessary.
    pub(crate) fn create_private(path: &Path) -> io::Result<Self> {
        platform::private_folder().create(path)?;
        Self::private(path)
    }

    /// Opens the user's own directory that other users cannot change.
    pub(crate) fn private(path: &Path) -> io::Result<Self> {
        not_linked(path)?;
        Self::open(path)
    }

    /// The path by which it was opened, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory in it.
    pub(crate) fn child(&self, name: &str) -> io::Result<Self> {
        let path = self.path.join(name);
        not_linked(&path)?;
        Self::open(&path)
    }

    /// Opens a directory in it, creating it if necessary.
    pub(crate) fn create_child(&self, name: &str) -> io::Result<Self> {
        match fs::create_dir(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.child(name),
        }
    }

    /// Opens a regular file in it, without following links.
    pub(crate) fn file(&self, name: &str) -> io::Result<File> {
        let path = self.path.join(name);
        not_linked(&path)?;
        regular(OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)?)
    }

    /// Opens a regular file by a path from here, following links wherever they lead.
    pub(crate) fn file_by_links(&self, path: &str) -> io::Result<File> {
        open_file(&self.path.join(path))
    }

    /// Opens a file for reading and writing, creating it if necessary. `None` if what is there is anything but a
    /// regular file.
    pub(crate) fn own_file(&self, name: &str, is_private: bool) -> io::Result<Option<File>> {
        let options = OpenOptions::new().read(true).write(true).custom_flags(NO_FOLLOW).clone();
        match self.create_new(name, is_private) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(options.open(self.path.join(name)).and_then(regular).ok())
            }
            created => created.map(Some),
        }
    }

    /// Creates a file of this name, which must not be there. It is as private as the directory.
    pub(super) fn create_new(&self, name: &str, _is_private: bool) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    /// Moves a file from here to a name in a folder. A link that has this name is replaced, not followed.
    pub(crate) fn rename(&self, name: &str, folder: &Self, new: &OsStr) -> io::Result<()> {
        fs::rename(self.path.join(name), folder.path.join(new))
    }

    /// Removes a file or a link.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// Returns whether a name is that of an open file.
    pub(crate) fn has(&self, name: &str, file: &File) -> bool {
        let named = platform::identity_of(&self.path.join(name));
        matches!((named, platform::identity(file)), (Ok(named), Ok(own)) if named == own)
    }

    /// Returns whether the folder is empty.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(fs::read_dir(&self.path)?.next().is_none())
    }

    /// The names in it that are text.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        Ok(fs::read_dir(&self.path)?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect())
    }

    /// Removes files that were last modified more than `max_age` ago; directories and the targets of links are kept.
    pub(crate) fn remove_older(&self, max_age: Duration) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let Ok(facts) = entry.metadata() else { continue };
            let age = facts.modified().ok().and_then(|time| time.elapsed().ok());
            if !facts.is_dir() && age.is_some_and(|age| age > max_age) {
                // Another `ecr` process may have been quicker.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Opens a regular file by a path, following links.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    // Opening a directory is denied, which says too little.
    if fs::metadata(path)?.is_dir() {
        return Err(io::Error::other("it is a directory, expected a regular file"));
    }
    regular(File::open(path)?)
}

fn not_linked(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_symlink() { Err(Linked.into()) } else { Ok(()) }
}

fn regular(file: File) -> io::Result<File> {
    let facts = file.metadata()?;
    if facts.is_symlink() {
        return Err(Linked.into());
    }
    if facts.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is something else, expected a regular file"))
    }
}
