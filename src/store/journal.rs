//! Journal of unfinished uploads, from which the next run resumes.
//!
//! One small file per repository and layer holds the upload's identifier and how far it got. It is a hint: the service
//! or registry says which byte it wants next, and forgets uploads as it likes. While a file is in use it is locked, and
//! whoever finds it locked begins an upload of its own.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::folder::Folder;
use crate::image::Digest;

/// Length of every entry in bytes, written at once: if the process is killed, the old state or the new one is read.
const LENGTH: usize = 1024;
/// Age at which an entry is removed; the service has forgotten the upload by then.
const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// Folder of journal entries.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
    registry: String,
}

/// State of an unfinished upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UploadState {
    /// Upload id of the service, or upload URL of a registry.
    pub(super) identifier: String,
    /// The size of its parts, where it has any.
    pub(super) part_size: usize,
    /// The first byte that was not sent, as far as that is known without asking.
    pub(super) next: u64,
}

/// Journal entry of one layer, locked while in use.
#[derive(Debug)]
pub(super) struct JournalEntry {
    folder: Folder,
    name: String,
    file: File,
}

impl Journal {
    /// A journal in this folder. `registry` tells apart registries in which repositories have the same names.
    pub fn new(folder: PathBuf, registry: String) -> Self {
        Self { folder, registry }
    }

    /// Opens the entry of a layer. `None` if another process uses it or the folder is not writable: an upload that
    /// cannot be resumed later is started all the same.
    pub(super) fn entry(&self, repository: &str, digest: &Digest) -> Option<JournalEntry> {
        let folder = Folder::create_private(&self.folder).ok()?;
        folder.remove_older(MAX_AGE);
        let key = Digest::of(format!("{}\n{repository}\n{digest}", self.registry).as_bytes());
        let file = folder.own_file(key.hexadecimal(), true).ok()??;
        file.try_lock().ok()?;
        Some(JournalEntry { folder, name: key.hexadecimal().to_owned(), file })
    }
}

impl JournalEntry {
    pub(super) fn read(&self) -> Option<UploadState> {
        let mut text = String::new();
        let mut file = &self.file;
        file.rewind().ok()?;
        file.take(LENGTH as u64).read_to_string(&mut text).ok()?;
        serde_json::from_str(text.trim_end()).ok()
    }

    /// Writes the state. A failure only makes the next run send more than necessary.
    pub(super) fn write(&self, state: &UploadState) {
        let text = serde_json::to_string(state).unwrap_or_default();
        let mut file = &self.file;
        if text.len() <= LENGTH && file.rewind().is_ok() {
            let _ = file.write_all(format!("{text:LENGTH$}").as_bytes());
        }
    }

    /// Removes the entry once the upload is over.
    pub(super) fn remove(&self) {
        let _ = self.folder.remove(&self.name);
    }
}

/// A program that was being started meanwhile, a credential helper for one, holds a copy of the file for a moment.
/// Closing ours would leave the lock to it; unlocking takes it from all copies.
impl Drop for JournalEntry {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_entry_belongs_to_one_process_at_a_time_and_outlives_it() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().join("new/uploads"), "here".to_owned());
        let digest = Digest::of(b"layer");
        let entry = journal.entry("app", &digest).unwrap();
        assert_eq!(entry.read(), None);
        let long = UploadState { identifier: "a".repeat(40), part_size: 5 << 20, next: 10_000_000_000 };
        entry.write(&long);
        assert!(journal.entry("app", &digest).is_none());
        assert!(journal.entry("other", &digest).is_some());
        drop(entry);
        let entry = journal.entry("app", &digest).unwrap();
        assert_eq!(entry.read(), Some(long.clone()));
        let short = UploadState { identifier: "b".to_owned(), next: 1, ..long };
        entry.write(&short);
        assert_eq!(entry.read(), Some(short));
        entry.remove();
        drop(entry);
        assert_eq!(journal.entry("app", &digest).unwrap().read(), None);
        // A torn or foreign file says nothing.
        let entry = journal.entry("app", &digest).unwrap();
        (&entry.file).write_all(b"{\"identifier\":").unwrap();
        assert_eq!(entry.read(), None);
    }
}
