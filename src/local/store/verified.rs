//! Record of the blobs' files that were verified to match their digests.
//!
//! A file is hashed when it comes to be, and again when it is read for the first time by this process or for the first
//! time since it changed. So damage is noticed, and a blob that is read a hundred times is hashed once.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::image::Digest;
use crate::local::store::blobs;
use crate::platform;

/// Files that are remembered. Beyond these all are forgotten, and hashed once more.
const MAX_COUNT: usize = 64 * 1024;

/// Length, times and inode of a file: they change whenever its bytes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) struct FileStamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, number, and when the file's entry changed last, which no program can set.
    entry: Option<(u64, u64, i64, i64)>,
}

impl FileStamp {
    /// The stamp of a file as it is now.
    pub(in crate::local) fn of(file: &Metadata) -> Self {
        let entry = platform::entry_state(file);
        Self { length: file.len(), modified: file.modified().ok(), entry }
    }
}

/// The files that were hashed, by digest.
#[derive(Debug, Default)]
pub(in crate::local) struct Verified {
    known: Mutex<HashMap<Digest, FileStamp>>,
    /// Held while a file is only hashed, so that several requests for parts of it wait for one hash.
    hashing: Mutex<()>,
}

impl Verified {
    /// Returns whether the file with this stamp was found to match its digest.
    pub(in crate::local) fn knows(&self, digest: &Digest, stamp: FileStamp) -> bool {
        self.known().get(digest) == Some(&stamp)
    }

    /// Records that a file matches its digest.
    pub(in crate::local) fn remember(&self, digest: Digest, stamp: FileStamp) {
        let mut known = self.known();
        if known.len() >= MAX_COUNT {
            known.clear();
        }
        known.insert(digest, stamp);
    }

    /// Hashes a file unless it is known to match; the error describes the mismatch.
    pub(in crate::local) fn check(&self, digest: &Digest, file: &File) -> io::Result<()> {
        let stamp = FileStamp::of(&file.metadata()?);
        let _turn = self.hashing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.knows(digest, stamp) {
            return Ok(());
        }
        let mut hasher = digest.algorithm().hasher();
        blobs::read_pieces(file, |piece| hasher.update(piece))?;
        self.settle(digest, stamp, &hasher.finish())
    }

    /// Compares a file's hash with its digest, and records a match of the file with this stamp.
    pub(in crate::local) fn settle(
        &self,
        digest: &Digest,
        stamp: FileStamp,
        found: &Digest,
    ) -> io::Result<()> {
        if found == digest {
            self.remember(digest.clone(), stamp);
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, damage(digest, found)))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, FileStamp>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Describes content that does not match its digest.
pub(in crate::local) fn damage(digest: &Digest, found: &Digest) -> String {
    format!(
        "{digest} is damaged on the disk, where it has the digest {found}; push it again (`ecr local check` lists all)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        let digest = Digest::of(b"content");
        let verified = Verified::default();
        let check =
            || verified.check(&digest, &File::open(&path).unwrap()).map_err(|error| error.to_string());
        let knows = || verified.knows(&digest, FileStamp::of(&std::fs::metadata(&path).unwrap()));
        std::fs::write(&path, b"content").unwrap();
        assert!(!knows());
        assert_eq!(check(), Ok(()));
        assert!(knows());
        // Another file in its place, of the same length and the same time.
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, b"CONTENT").unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(!knows());
        assert_eq!(check(), Err(damage(&digest, &Digest::of(b"CONTENT"))));
        assert!(!knows());
    }
}
