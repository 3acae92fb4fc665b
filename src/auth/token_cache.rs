//! The folder in which passwords are kept.
//!
//! `AWS_ECR_CACHE_DIR`, else `$XDG_CACHE_HOME/ecr`, else `~/.cache/ecr`; in it a folder `tokens` (0700) with one file
//! a key (0600), written under another name and renamed, and one empty lock file a key. A folder that others may
//! write to, or that is somebody else's, is refused: who can plant a file there can choose the password. A file that
//! is not exactly what this module writes counts as absent. Nothing that goes wrong here ever breaks a login.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::cached_token::CachedToken;
use crate::platform;
use crate::settings::Settings;

/// The largest file that is read. A password of ECR is some 2.5 kB in base64.
const MAX_BYTES: u64 = 256 << 10;
/// Age at which a file contains nothing valid any more.
const EXPIRED_AFTER: Duration = Duration::from_hours(13);
/// Age at which a temporary file was left by a process that has ended.
const ABANDONED_AFTER: Duration = Duration::from_hours(1);
/// Number of writes per clean-up: a process that waits for a password seldom pays for old files. A write adds two
/// files, so a folder shrinks all the same.
const WRITES_PER_CLEANUP: u32 = 16;
/// Limit of the files looked at, and of those deleted, in one clean-up.
const MAX_CHECKED: usize = 128;
const MAX_DELETED: usize = 48;
/// Time that the absence of an instance metadata service is remembered.
const IMDS_NEGATIVE_TTL: Duration = Duration::from_mins(1);

/// The folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCache {
    base: PathBuf,
    folder: PathBuf,
}

/// Error of finding the cache folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// `AWS_ECR_DISABLE_CACHE` is set.
    #[error("the token cache is switched off (AWS_ECR_DISABLE_CACHE)")]
    Off,
    /// There is no home directory for it.
    #[error("there is no home directory for the token cache (AWS_ECR_CACHE_DIR names another folder)")]
    NoHomeDirectory,
    /// Others could have put something in it.
    #[error("the token cache {folder} is not used: {reason}")]
    Unsafe {
        /// The folder.
        folder: String,
        /// Reason, and the remedy.
        reason: String,
    },
}

impl TokenCache {
    /// The cache of these settings. Nothing is created yet.
    pub fn open(settings: &Settings) -> Result<Self, CacheError> {
        if settings.filled_variable("AWS_ECR_DISABLE_CACHE").is_some() {
            return Err(CacheError::Off);
        }
        let base = base(settings).ok_or(CacheError::NoHomeDirectory)?;
        let cache = Self { folder: base.join("tokens"), base };
        cache.check()?;
        Ok(cache)
    }

    /// The folder of the files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn check(&self) -> Result<(), CacheError> {
        // People link the outer folder to where they have room; the inner one is ours, and a link there was planted.
        for (path, facts, sticky_will_do) in [
            (&self.base, std::fs::metadata(&self.base), true),
            (&self.folder, std::fs::symlink_metadata(&self.folder), false),
        ] {
            let Ok(facts) = facts else { continue };
            let refused = |reason: String| CacheError::Unsafe { folder: path.display().to_string(), reason };
            if !facts.is_dir() {
                return Err(refused("it is not a folder".into()));
            }
            let (me, owner, mode) = (platform::user(), platform::owner(&facts), platform::mode(&facts));
            let sticky = sticky_will_do && mode & 0o1000 != 0;
            if owner != me && !(sticky_will_do && owner == 0) {
                return Err(refused(format!("it belongs to the user {owner}, not to {me}")));
            }
            if mode & 0o022 != 0 && !sticky {
                return Err(refused(format!(
                    "others can write to it (chmod 700 '{}' makes it usable)",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// The entry of a key; `None` where there is none that is sound.
    pub fn read(&self, key: &str) -> Option<CachedToken> {
        CachedToken::read(&read_own(&self.file(key))?)
    }

    /// Writes an entry, and in one of `WRITES_PER_CLEANUP` cases deletes expired files.
    pub fn write(&self, key: &str, entry: &CachedToken) -> io::Result<()> {
        self.prepare()?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?;
        file.write_all(&entry.bytes())?;
        file.persist(self.file(key)).map_err(|error| error.error)?;
        let moment =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        if moment.is_multiple_of(WRITES_PER_CLEANUP) {
            self.prune(moment as usize);
        }
        Ok(())
    }

    /// Removes a key's entry; whether there was one.
    pub fn remove(&self, key: &str) -> io::Result<bool> {
        match std::fs::remove_file(self.file(key)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            outcome => outcome.map(|()| true),
        }
    }

    /// All sound entries with their keys, ordered by key.
    pub fn entries(&self) -> Vec<(String, CachedToken)> {
        let mut entries: Vec<_> = self
            .names()
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .filter_map(|key| self.read(&key).map(|entry| (key, entry)))
            .collect();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries
    }

    /// Removes every file that is ours; answers how many entries there were.
    pub fn clear(&self) -> io::Result<usize> {
        let mut removed = 0;
        for name in self.names().filter(|name| is_ours(name)) {
            match std::fs::remove_file(self.folder.join(&name)) {
                Ok(()) => removed += usize::from(name.strip_suffix(".json").is_some()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// The lock of a key, without waiting: `Ok(None)` where another process has it.
    pub fn try_lock(&self, key: &str) -> io::Result<Option<File>> {
        self.prepare()?;
        let path = self.folder.join(format!("{key}.lock"));
        // The file may be cleared away between opening and locking; then the lock is on nothing that others see.
        for _ in 0..8 {
            let file = own_file().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
                Ok(()) => {}
            }
            let there = platform::identity_of(&path);
            if there.is_ok_and(|there| platform::identity(&file).is_ok_and(|here| there == here)) {
                return Ok(Some(file));
            }
        }
        Err(io::Error::other("the lock file keeps changing"))
    }

    /// Returns whether a metadata service's address was found unreachable within the last minute.
    pub fn is_imds_unreachable(&self, address: &str) -> bool {
        let facts = std::fs::symlink_metadata(self.unreachable_mark(address));
        let age = facts.and_then(|facts| facts.modified()).ok().and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age < IMDS_NEGATIVE_TTL)
    }

    /// Remembers that the metadata service is unreachable.
    pub fn remember_imds_unreachable(&self, address: &str) -> io::Result<()> {
        self.prepare()?;
        let path = self.unreachable_mark(address);
        std::fs::remove_file(&path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        own_file().write(true).create_new(true).open(path).map(drop)
    }

    fn unreachable_mark(&self, address: &str) -> PathBuf {
        let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        self.folder.join(format!("nobody-{}", address.chars().map(safe).take(100).collect::<String>()))
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let entries = std::fs::read_dir(&self.folder).ok().into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    }

    fn prepare(&self) -> io::Result<()> {
        if let Ok(facts) = std::fs::metadata(&self.folder) {
            if platform::mode(&facts) & 0o077 != 0 {
                platform::make_private(&self.folder)?;
            }
            return Ok(());
        }
        platform::private_folder().create(&self.folder)?;
        // In a folder that others can write to, another process may have made it first.
        self.check().map_err(|unusable| io::Error::other(unusable.to_string()))
    }

    /// Deletes files that expired long ago, in another part of the folder each time. Age is taken from the file's time,
    /// so that nothing has to be read.
    fn prune(&self, start: usize) {
        let names: Vec<String> = self.names().filter(|name| is_ours(name)).collect();
        let start = start % names.len().max(1);
        let looked_at = names.iter().cycle().skip(start).take(MAX_CHECKED.min(names.len()));
        let mut left = MAX_DELETED;
        for name in looked_at {
            left -= usize::from(self.remove_expired(name));
            if left == 0 {
                return;
            }
        }
    }

    /// Removes a file where it died long ago; whether it did.
    fn remove_expired(&self, name: &str) -> bool {
        let path = self.folder.join(name);
        let limit = if name.starts_with(".new-") { ABANDONED_AFTER } else { EXPIRED_AFTER };
        if !is_older(&path, limit) {
            return false;
        }
        // A lock is as old as its first use; it goes when its entry has gone and no process holds it.
        let lock = name
            .strip_suffix(".lock")
            .map(|key| if self.file(key).exists() { None } else { self.try_lock(key).ok().flatten() });
        !matches!(lock, Some(None)) && std::fs::remove_file(&path).is_ok()
    }
}

/// The folder of all that is kept: also where another tool of the same variable keeps its own files.
fn base(settings: &Settings) -> Option<PathBuf> {
    if let Some(folder) = settings.filled_variable("AWS_ECR_CACHE_DIR") {
        return Some(settings.expanded(&folder));
    }
    // A home that is not there (`/nonexistent`) is meant not to be there.
    let home = || settings.home().filter(|home| home.is_dir());
    let folder = settings.absolute_path("XDG_CACHE_HOME").or_else(|| Some(home()?.join(".cache")))?;
    folder.is_absolute().then(|| folder.join("ecr"))
}

/// Returns whether a file in the folder is one that this module writes.
fn is_ours(name: &str) -> bool {
    let is_key = |key: &str| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.starts_with(".new-")
        || name.starts_with("nobody-")
        || name.strip_suffix(".json").or_else(|| name.strip_suffix(".lock")).is_some_and(is_key)
}

/// Also true of a file from a future that far: its clock was another one.
fn is_older(path: &Path, limit: Duration) -> bool {
    let Ok(time) = std::fs::symlink_metadata(path).and_then(|facts| facts.modified()) else { return false };
    match SystemTime::now().duration_since(time) {
        Ok(age) => age > limit,
        Err(ahead) => ahead.duration() > limit,
    }
}

/// Opens a file itself: never the target of a link, and without waiting for a pipe.
fn own_file() -> std::fs::OpenOptions {
    platform::private_file_without_links()
}

/// Reads a file that belongs to this user and is private.
fn read_own(path: &Path) -> Option<Vec<u8>> {
    let file = own_file().read(true).open(path).ok()?;
    let facts = file.metadata().ok()?;
    // Nothing for the group and others.
    let mine = platform::owner(&facts) == platform::user() && platform::mode(&facts).trailing_zeros() >= 6;
    if !facts.is_file() || !mine || facts.len() > MAX_BYTES {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).ok()?);
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests;
