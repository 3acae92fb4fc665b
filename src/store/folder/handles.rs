//! Unix: names are resolved one at a time, relative to the handle of a directory.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::Linked;
use crate::platform::user;

/// Mode of an image's files, before the umask.
const WIDE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::ROTH);
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Flags with which a pipe or device in the place of a file is opened without waiting, and recognized by its type.
const OPEN: OFlags = OFlags::NONBLOCK.union(OFlags::CLOEXEC).union(OFlags::NOCTTY);
/// Bits of a mode with which users other than the owner can write.
const OTHERS_WRITE: Mode = Mode::WGRP.union(Mode::WOTH);

/// An open directory.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    handle: OwnedFd,
}

impl Folder {
    /// Opens a directory by a path, following the links in it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let handle = rustix::fs::open(path, OPEN | OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Self { path: path.to_owned(), handle })
    }

    /// Opens a directory to write to, creating it if necessary. A link is followed where the user or the system made
    /// it: in a folder that everybody can write to, somebody else could have been quicker.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if let Ok(facts) = fs::symlink_metadata(path)
            && facts.is_symlink()
            && ![0, user()].contains(&facts.uid())
        {
            return Err(io::Error::other(format!("it is a link that user {} made", facts.uid())));
        }
        fs::DirBuilder::new().recursive(true).mode(0o755).create(path)?;
        Self::open(path)
    }

    /// Opens the user's own directory that other users cannot change, creating it if necessary.
    pub(crate) fn create_private(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Self::private(path)
    }

    /// Opens the user's own directory that other users cannot change. One that others can write to is closed to them,
    /// and one that belongs to somebody else is refused.
    pub(crate) fn private(path: &Path) -> io::Result<Self> {
        let flags = OPEN | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let folder = Self { path: path.to_owned(), handle: rustix::fs::open(path, flags, Mode::empty())? };
        let facts = rustix::fs::fstat(&folder.handle)?;
        if facts.st_uid != user() {
            return Err(io::Error::other(format!("it belongs to user {}", facts.st_uid)));
        }
        if Mode::from_raw_mode(facts.st_mode).intersects(OTHERS_WRITE) {
            rustix::fs::fchmod(&folder.handle, Mode::RWXU)?;
        }
        Ok(folder)
    }

    /// The path by which it was opened, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory in it.
    pub(crate) fn child(&self, name: &str) -> io::Result<Self> {
        let flags = OPEN | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let opened = rustix::fs::openat(&self.handle, name, flags, Mode::empty());
        let handle = opened.map_err(|error| self.explained(name, error))?;
        Ok(Self { path: self.path.join(name), handle })
    }

    /// Opens a directory in it, creating it if necessary.
    pub(crate) fn create_child(&self, name: &str) -> io::Result<Self> {
        match self.child(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match rustix::fs::mkdirat(&self.handle, name, Mode::RWXU | WIDE | Mode::XGRP | Mode::XOTH) {
                    Ok(()) | Err(Errno::EXIST) => self.child(name),
                    Err(error) => Err(error.into()),
                }
            }
            found => found,
        }
    }

    /// Opens a regular file in it, without following links.
    pub(crate) fn file(&self, name: &str) -> io::Result<File> {
        let flags = OPEN | OFlags::RDONLY | OFlags::NOFOLLOW;
        let opened = rustix::fs::openat(&self.handle, name, flags, Mode::empty());
        regular(opened.map_err(|error| self.explained(name, error))?)
    }

    /// Opens a regular file by a path from here, following links wherever they lead.
    pub(crate) fn file_by_links(&self, path: &str) -> io::Result<File> {
        regular(rustix::fs::openat(&self.handle, path, OPEN | OFlags::RDONLY, Mode::empty())?)
    }

    /// Opens a file for reading and writing, creating it if necessary. `None` if what is there is anything but a
    /// regular file of the user's own, with one name, which nobody else can write to.
    pub(crate) fn own_file(&self, name: &str, is_private: bool) -> io::Result<Option<File>> {
        let flags = OPEN | OFlags::RDWR | OFlags::NOFOLLOW;
        let mode = if is_private { PRIVATE } else { WIDE };
        // Another process may create or remove it between our two attempts.
        for _ in 0..3 {
            match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
                Ok(handle) => {
                    let file = File::from(handle);
                    return Ok(is_own(&file)?.then_some(file));
                }
                Err(Errno::NOENT) => {}
                // A link, a directory, a socket, or a file that may not be written to.
                Err(_) => return Ok(None),
            }
            match rustix::fs::openat(&self.handle, name, flags | OFlags::CREATE | OFlags::EXCL, mode) {
                Ok(handle) => return Ok(Some(handle.into())),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Creates a file of this name, which must not be there.
    pub(super) fn create_new(&self, name: &str, is_private: bool) -> io::Result<File> {
        let flags = OPEN | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CREATE | OFlags::EXCL;
        let mode = if is_private { PRIVATE } else { WIDE };
        Ok(File::from(rustix::fs::openat(&self.handle, name, flags, mode)?))
    }

    /// Moves a file from here to a name in a folder. A link that has this name is replaced, not followed.
    pub(crate) fn rename(&self, name: &str, folder: &Self, new: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.handle, name, &folder.handle, new)?)
    }

    /// Removes a file or a link.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// Returns whether a name is that of an open file.
    pub(crate) fn has(&self, name: &str, file: &File) -> bool {
        let named = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW);
        let same = |named: Stat, own: Stat| (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino);
        matches!((named, rustix::fs::fstat(file)), (Ok(named), Ok(own)) if same(named, own))
    }

    /// Returns whether the folder is empty.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.entries()?.is_empty())
    }

    /// Removes files that were last modified more than `max_age` ago; directories and the targets of links are kept.
    pub(crate) fn remove_older(&self, max_age: Duration) {
        for name in self.entries().unwrap_or_default() {
            let facts = rustix::fs::statat(&self.handle, &*name, AtFlags::SYMLINK_NOFOLLOW);
            let Ok(facts) = facts else { continue };
            let is_directory = FileType::from_raw_mode(facts.st_mode) == FileType::Directory;
            let seconds = u64::try_from(facts.st_mtime).unwrap_or_default();
            let age = (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).elapsed();
            if !is_directory && age.is_ok_and(|age| age > max_age) {
                // Another `ecr` process may have been quicker.
                let _ = rustix::fs::unlinkat(&self.handle, &*name, AtFlags::empty());
            }
        }
    }

    /// The names in it that are UTF-8.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.entries()?.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    fn entries(&self) -> io::Result<Vec<CString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let name = entry?.file_name().to_owned();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Explains an error of opening a name that is a symbolic link.
    fn explained(&self, name: &str, error: Errno) -> io::Error {
        if matches!(error, Errno::LOOP | Errno::NOTDIR | Errno::MLINK)
            && rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|facts| FileType::from_raw_mode(facts.st_mode) == FileType::Symlink)
        {
            return Linked.into();
        }
        error.into()
    }
}

/// Opens a regular file by a path, following links.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    regular(rustix::fs::open(path, OPEN | OFlags::RDONLY, Mode::empty())?)
}

/// The file of a handle, if it is a regular one.
fn regular(handle: OwnedFd) -> io::Result<File> {
    let file = File::from(handle);
    let kind = match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => return Ok(file),
        FileType::Directory => "a directory",
        FileType::Fifo => "a named pipe",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something else",
    };
    Err(io::Error::other(format!("it is {kind}, expected a regular file")))
}

fn is_own(file: &File) -> io::Result<bool> {
    let facts = rustix::fs::fstat(file)?;
    let is_file = FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile;
    let is_alone = facts.st_nlink == 1 && !Mode::from_raw_mode(facts.st_mode).intersects(OTHERS_WRITE);
    Ok(is_file && facts.st_uid == user() && is_alone)
}
