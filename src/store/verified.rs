//! Record of the layouts' files that were verified to match their digests.
//!
//! A file is hashed when it is written, and again when it is relied upon for the first time since it changed. That is
//! remembered from one run to the next in the user's own cache, and nowhere that others can write to.

use std::collections::HashSet;
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::folder::Folder;
use crate::image::Digest;
use crate::platform::{self, FileExt as _};

/// Age at which a verification expires.
const MAX_AGE: Duration = Duration::from_hours(30 * 24);
/// Bytes per read.
const STEP: usize = 1024 * 1024;

/// The files that were hashed and found to have the digests that they go by.
#[derive(Debug, Default)]
pub struct VerifiedBlobs {
    cache: Option<PathBuf>,
    known: Mutex<HashSet<String>>,
    tidied: OnceLock<()>,
    /// Number of files that are being hashed.
    hashing: AtomicUsize,
}

/// A file that is being hashed.
struct Hashing<'a>(&'a AtomicUsize);

impl Drop for Hashing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl VerifiedBlobs {
    /// Returns the record kept in this folder.
    pub fn in_folder(cache: PathBuf) -> Self {
        Self { cache: Some(cache), ..Self::default() }
    }

    /// The digest that a file has: hashed off the reactor, unless it is known to be `expected`.
    pub(super) async fn digest(&self, file: &Arc<File>, expected: &Digest) -> io::Result<Digest> {
        let key = key(file, expected)?;
        if key.as_ref().is_some_and(|key| self.knows(key)) {
            return Ok(expected.clone());
        }
        let (reading, mut hasher) = (Arc::clone(file), expected.algorithm().hasher());
        let hashed = tokio::task::spawn_blocking(move || {
            let (mut buffer, mut position) = (vec![0; STEP], 0);
            loop {
                match reading.read_at(&mut buffer, position)? {
                    0 => return Ok(hasher.finish()),
                    read => {
                        hasher.update(&buffer[..read]);
                        position += read as u64;
                    }
                }
            }
        });
        let found = self.while_hashing(hashed).await.map_err(io::Error::other).flatten()?;
        if found == *expected
            && let Some(key) = key
        {
            self.remember_key(key);
        }
        Ok(found)
    }

    /// Returns whether files are being hashed.
    pub(super) fn is_hashing(&self) -> bool {
        self.hashing.load(Ordering::Relaxed) > 0
    }

    /// Waits for a file to be hashed.
    pub(super) async fn while_hashing<T>(&self, hashing: impl Future<Output = T>) -> T {
        self.hashing.fetch_add(1, Ordering::Relaxed);
        let _hashing = Hashing(&self.hashing);
        hashing.await
    }

    /// Remembers that a file was found to have this digest.
    pub(super) fn remember(&self, file: &File, digest: &Digest) {
        if let Ok(Some(key)) = key(file, digest) {
            self.remember_key(key);
        }
    }

    fn knows(&self, key: &str) -> bool {
        self.known().contains(key)
            || self
                .cache
                .as_ref()
                .is_some_and(|cache| Folder::private(cache).is_ok_and(|folder| folder.file(key).is_ok()))
    }

    /// Records that a file was verified.
    fn remember_key(&self, key: String) {
        if let Some(cache) = &self.cache
            && let Ok(folder) = Folder::create_private(cache)
        {
            self.tidied.get_or_init(|| folder.remove_older(MAX_AGE));
            let _ = folder.own_file(&key, true);
        }
        self.known().insert(key);
    }

    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Key of a digest and a file's current state; `None` where a program could give a changed file its old state.
fn key(file: &File, digest: &Digest) -> io::Result<Option<String>> {
    let facts = file.metadata()?;
    let (state, size, modified) = (platform::entry_state(&facts), facts.len(), facts.modified()?);
    let text = state.map(|state| format!("{digest}\n{state:?} {size} {modified:?}"));
    Ok(text.map(|text| Digest::of(text.as_bytes()).hexadecimal().to_owned()))
}
