//! Manifests that were fetched before, and when that was.
//!
//! BatchGetImage counts as a pull. Manifests never change, so what was fetched once is kept under its digest, and a
//! second run fetches nothing. Beside them stands when we fetched what, and when it had last been pulled before: a
//! pull time that our own fetch explains is nobody's use of the image.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::image::graph::{Image, Time};
use crate::image::{Digest, MAXIMUM_MANIFEST, Manifest};
use crate::platform;
use crate::settings::Settings;

/// Time after a fetch in which a pull time is taken for the fetch's: the service records one a day.
const EXPLAINED: SignedDuration = SignedDuration::from_hours(24);
/// Tolerated lag of the service's clock behind ours.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The cache, or none: then no manifest is kept, and fetches are remembered until the program ends.
#[derive(Debug, Clone, Default)]
pub(in crate::commands) struct ManifestCache {
    folder: Option<PathBuf>,
    /// The fetches of this run by repository, where there is no folder for them.
    fetches: Arc<Mutex<HashMap<String, Vec<OwnFetch>>>>,
}

/// One fetch of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct OwnFetch {
    pub(in crate::commands) digest: Digest,
    /// Time of the fetch.
    pub(in crate::commands) at: Time,
    /// The last pull before it.
    pub(in crate::commands) pulled_before: Option<Time>,
}

impl ManifestCache {
    /// Opens the cache in the user's cache folder; none with `--no-cache` or without such a folder.
    pub(in crate::commands) fn open(settings: &Settings, disabled: bool) -> Self {
        let folder = settings.cache_folder().filter(|_| !disabled);
        Self { folder: folder.map(|folder| folder.join("ecr").join("manifests")), ..Self::default() }
    }

    /// A manifest. What does not have the digest by which it is kept is not believed.
    pub(in crate::commands) fn get(&self, digest: &Digest, media_type: Option<&str>) -> Option<Manifest> {
        let mut bytes = Vec::new();
        let file = File::open(self.file(digest)?).ok()?;
        file.take(MAXIMUM_MANIFEST + 1).read_to_end(&mut bytes).ok()?;
        if digest.algorithm().of(&bytes) != *digest {
            return None;
        }
        Manifest::parse(bytes.into(), media_type).ok()
    }

    /// Keeps a manifest. Where that fails nothing is lost but time.
    pub(in crate::commands) fn put(&self, digest: &Digest, manifest: &Manifest) {
        let Some(file) = self.file(digest) else { return };
        let _ = write(&file, manifest.bytes());
    }

    fn file(&self, digest: &Digest) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.join(digest.algorithm().name()).join(digest.hexadecimal()))
    }

    /// Records fetches from a repository, before they are made: a failed one explains no pull.
    pub(in crate::commands) fn note(&self, repository: &str, fetches: &[OwnFetch]) {
        let Some(file) = self.journal(repository) else {
            let mut remembered = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
            remembered.entry(repository.to_owned()).or_default().extend_from_slice(fetches);
            return;
        };
        let mut text = String::new();
        for OwnFetch { digest, at, pulled_before } in fetches {
            let before = pulled_before.map_or_else(|| "-".to_owned(), |time| time.timestamp().to_string());
            let _ = writeln!(text, "{digest} {} {before}", at.timestamp());
        }
        let _ = append(&file, text.as_bytes());
    }

    /// The fetches from a repository that were noted.
    pub(in crate::commands) fn own_fetches(&self, repository: &str) -> Vec<OwnFetch> {
        let Some(file) = self.journal(repository) else {
            let remembered = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
            return remembered.get(repository).cloned().unwrap_or_default();
        };
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(OwnFetch::read).collect()
    }

    fn journal(&self, repository: &str) -> Option<PathBuf> {
        let name = Digest::of(repository.as_bytes());
        Some(self.folder.as_ref()?.join("fetches").join(name.hexadecimal()))
    }
}

impl OwnFetch {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (digest, at, before) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
        let time = |text: &str| text.parse::<Timestamp>().ok().map(Time::of);
        let pulled_before = if before == "-" { None } else { Some(time(before)?) };
        Some(Self { digest, at: time(at)?, pulled_before })
    }

    fn explains(&self, pulled: Time) -> bool {
        let late = pulled.timestamp().duration_since(self.at.timestamp());
        late >= -SKEW && late <= EXPLAINED
    }
}

/// Our own fetches from a repository, by digest.
#[derive(Debug, Clone, Default)]
pub(in crate::commands) struct OwnFetches(HashMap<Digest, Vec<OwnFetch>>);

impl OwnFetches {
    pub(in crate::commands) fn new(fetches: Vec<OwnFetch>) -> Self {
        let mut by_digest: HashMap<Digest, Vec<OwnFetch>> = HashMap::new();
        for fetch in fetches {
            by_digest.entry(fetch.digest.clone()).or_default().push(fetch);
        }
        Self(by_digest)
    }

    /// Returns when an image was last pulled by anybody but us.
    pub(in crate::commands) fn pulled_by_others(&self, image: &Image) -> Option<Time> {
        if self.0.is_empty() {
            return image.pulled();
        }
        let digest = image.digest();
        let fetches = self.0.get(&digest).map(Vec::as_slice).unwrap_or_default();
        pulled_by_others(fetches, &digest, image.pulled())
    }

    /// Returns our last fetch of an image.
    pub(in crate::commands) fn last(&self, digest: &Digest) -> Option<&OwnFetch> {
        self.0.get(digest)?.last()
    }
}

/// Returns when an image was last pulled by anybody but us.
pub(in crate::commands) fn pulled_by_others(
    fetches: &[OwnFetch],
    digest: &Digest,
    pulled: Option<Time>,
) -> Option<Time> {
    let mut pulled = pulled?;
    // The latest first: each takes the time back to what it was before, which an earlier one may explain in turn.
    for fetch in fetches.iter().rev().filter(|fetch| fetch.digest == *digest) {
        if fetch.explains(pulled) {
            pulled = fetch.pulled_before?;
        }
    }
    Some(pulled)
}

fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    create_private(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.persist(file)?;
    Ok(())
}

fn append(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    create_private(file.parent().unwrap_or(Path::new(".")))?;
    OpenOptions::new().create(true).append(true).open(file)?.write_all(bytes)
}

/// Creates a private folder: the pulls of a user concern nobody else.
fn create_private(folder: &Path) -> std::io::Result<()> {
    platform::private_folder().create(folder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::image::media_type;

    fn time(text: &str) -> Time {
        Time::of(text.parse().unwrap())
    }

    fn cache() -> (tempfile::TempDir, ManifestCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache =
            ManifestCache { folder: Some(folder.path().join("ecr/manifests")), ..ManifestCache::default() };
        (folder, cache)
    }

    #[test]
    fn manifests_come_back_and_wrong_bytes_do_not() {
        let (_folder, cache) = cache();
        let text = json!({"schemaVersion": 2, "manifests": []}).to_string();
        let manifest = Manifest::parse(text.into(), Some(media_type::OCI_INDEX)).unwrap();
        let digest = manifest.digest().clone();
        assert_eq!(cache.get(&digest, None), None);
        cache.put(&digest, &manifest);
        assert_eq!(cache.get(&digest, Some(media_type::OCI_INDEX)), Some(manifest.clone()));
        std::fs::write(cache.file(&digest).unwrap(), b"{}").unwrap();
        assert_eq!(cache.get(&digest, None), None);
        let none = ManifestCache::default();
        none.put(&digest, &manifest);
        assert_eq!(none.get(&digest, None), None);
    }

    #[cfg(unix)]
    #[test]
    fn cache_files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, cache) = cache();
        cache.note("team/app", &[]);
        let mode = |path: &str| folder.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode("ecr"), mode("ecr/manifests"), mode("ecr/manifests/fetches")),
            (0o700, 0o700, 0o700)
        );
    }

    #[test]
    fn a_pull_time_that_our_fetch_explains_is_the_one_before() {
        let (_folder, cache) = cache();
        let digest = Digest::of(b"x");
        let fetch = |at: &str, before: Option<&str>| OwnFetch {
            digest: digest.clone(),
            at: time(at),
            pulled_before: before.map(time),
        };
        let fetches = [
            fetch("2026-11-10T12:00:00Z", Some("2026-01-01T00:00:00Z")),
            fetch("2026-11-20T12:00:00Z", Some("2026-11-10T12:00:01Z")),
        ];
        cache.note("team/app", &fetches);
        assert_eq!(cache.own_fetches("team/app"), fetches);
        assert_eq!(cache.own_fetches("team/other"), []);
        let none = ManifestCache::default();
        none.note("team/app", &fetches);
        assert_eq!(
            none.own_fetches("team/app"),
            fetches,
            "a run remembers its own fetches without a cache, too"
        );
        let others = |pulled: &str| pulled_by_others(&fetches, &digest, Some(time(pulled)));
        assert_eq!(others("2026-11-20T12:00:01Z"), Some(time("2026-01-01T00:00:00Z")));
        assert_eq!(others("2026-11-11T11:00:00Z"), Some(time("2026-01-01T00:00:00Z")));
        for stranger in ["2026-11-11T13:00:00Z", "2026-11-20T11:00:00Z", "2026-11-21T13:00:00Z"] {
            assert_eq!(others(stranger), Some(time(stranger)), "{stranger}");
        }
        assert_eq!(
            pulled_by_others(&fetches, &Digest::of(b"y"), Some(time("2026-11-20T12:00:01Z"))),
            Some(time("2026-11-20T12:00:01Z"))
        );
        let first = [fetch("2026-11-10T12:00:00Z", None)];
        assert_eq!(pulled_by_others(&first, &digest, Some(time("2026-11-10T12:00:00Z"))), None);
        assert_eq!(pulled_by_others(&first, &digest, None), None);
    }
}
