//! The request rates that AWS allows an account in a region ("Amazon ECR service quotas" in its user guide): requests
//! are spread so that the service need not throttle them.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::folder::Folder;
use crate::platform::FileExt as _;

/// Calls per second. As many may be made at once before the rate is felt.
const RATES: [(&str, u32); 8] = [
    ("PutImage", 10),
    ("InitiateLayerUpload", 100),
    ("CompleteLayerUpload", 100),
    ("UploadLayerPart", 500),
    ("BatchCheckLayerAvailability", 1000),
    ("DescribeImages", 1000),
    ("BatchGetImage", 2000),
    ("GetDownloadUrlForLayer", 3000),
];

/// Limit of the wait for a bucket: what is more is the work of a clock that was set.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Attempts to lock the file that programs share. Its holder is done in microseconds.
const TRIES: usize = 200;

/// A bucket of tokens for each operation.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    buckets: Option<Mutex<Buckets>>,
}

#[derive(Debug, Default)]
struct Buckets {
    /// The time since 1970 at which each bucket is full again.
    full: [Duration; RATES.len()],
    /// Rates shared by all programs of this user on this machine.
    shared: Option<File>,
}

impl Quotas {
    /// The quotas of this user's programs in a region, of which a file keeps account.
    pub(super) fn of(file: Option<&Path>) -> Arc<Self> {
        static ALL: Mutex<Option<HashMap<PathBuf, Arc<Quotas>>>> = Mutex::new(None);
        let Some(file) = file else { return Arc::default() };
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        Arc::clone(all.entry(file.to_owned()).or_insert_with(|| Arc::new(Self::shared(file))))
    }

    /// Opens the shared rates; if the file cannot be used, this process keeps the rates alone.
    fn shared(file: &Path) -> Self {
        let opened = || {
            let folder = Folder::create_private(file.parent()?).ok()?;
            folder.own_file(file.file_name()?.to_str()?, true).ok()?
        };
        let buckets = Buckets { shared: opened(), ..Buckets::default() };
        Self { buckets: Some(Mutex::new(buckets)) }
    }

    /// Waits until the operation may be called.
    pub(super) async fn wait(&self, operation: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let Some(wait) = self.take(operation, now) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a token, and returns the wait until it is available.
    fn take(&self, operation: &str, now: Duration) -> Option<Duration> {
        let mut buckets = self.buckets.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = RATES.iter().position(|(name, _)| *name == operation)?;
        let at = buckets.fill(bucket, now);
        // A full bucket holds the tokens of a second.
        let wait = at.saturating_sub(now).checked_sub(Duration::from_secs(1))?;
        (!wait.is_zero()).then_some(wait)
    }
}

impl Buckets {
    /// Takes a token, and answers when the bucket is full again.
    fn fill(&mut self, bucket: usize, now: Duration) -> Duration {
        let shared = self.shared.as_ref().filter(|file| is_locked(file));
        let known = shared.and_then(|file| read(file, bucket)).unwrap_or_default();
        let known = known.max(self.full[bucket]).min(now + MAX_WAIT);
        let at = known.max(now) + Duration::from_secs(1) / RATES[bucket].1;
        self.full[bucket] = at;
        if let Some(file) = shared {
            let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
            // Where it cannot be written, the others do not know of this token.
            let _ = file.write_all_at(&micros.to_le_bytes(), offset(bucket));
            let _ = file.unlock();
        }
        at
    }
}

fn is_locked(file: &File) -> bool {
    (0..TRIES).any(|_| {
        let locked = file.try_lock().is_ok();
        if !locked {
            std::thread::yield_now();
        }
        locked
    })
}

fn read(file: &File, bucket: usize) -> Option<Duration> {
    let mut micros = [0; 8];
    file.read_exact_at(&mut micros, offset(bucket)).ok()?;
    Some(Duration::from_micros(u64::from_le_bytes(micros)))
}

fn offset(bucket: usize) -> u64 {
    bucket as u64 * 8
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_hours(500_000);

    #[test]
    fn a_second_may_be_spent_at_once_and_then_the_rate_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let quotas = Quotas::shared(&folder.path().join("new/quotas"));
        for _ in 0..10 {
            assert_eq!(quotas.take("PutImage", NOW), None);
        }
        assert_eq!(quotas.take("PutImage", NOW), Some(Duration::from_millis(100)));
        assert_eq!(quotas.take("PutImage", NOW), Some(Duration::from_millis(200)));
        // Half a second later five of the twelve are made up for.
        let later = NOW + Duration::from_millis(500);
        for _ in 0..3 {
            assert_eq!(quotas.take("PutImage", later), None);
        }
        assert_eq!(quotas.take("PutImage", later), Some(Duration::from_millis(100)));
        assert_eq!(quotas.take("InitiateLayerUpload", NOW), None);
        assert_eq!(quotas.take("ListTagsForResource", NOW), None);
        assert_eq!(Quotas::default().take("PutImage", NOW), None);
    }

    /// Each opens the file for itself, as eight programs do.
    #[test]
    fn eight_programs_together_keep_the_rate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("quotas");
        let programs: Vec<Quotas> = (0..8).map(|_| Quotas::shared(&file)).collect();
        let mut waits: Vec<Duration> = std::thread::scope(|scope| {
            let calls: Vec<_> = programs
                .iter()
                .map(|quotas| {
                    scope.spawn(|| (0..5).filter_map(|_| quotas.take("PutImage", NOW)).collect::<Vec<_>>())
                })
                .collect();
            calls.into_iter().flat_map(|calls| calls.join().unwrap()).collect()
        });
        waits.sort();
        // Forty calls at ten a second: ten at once, and one every tenth of a second.
        let expected: Vec<Duration> = (1..=30).map(|tenth| Duration::from_millis(100 * tenth)).collect();
        assert_eq!(waits, expected);
    }

    #[test]
    fn a_clock_that_was_set_back_stops_calls_briefly() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("quotas");
        assert_eq!(Quotas::shared(&file).take("PutImage", NOW * 2), None);
        let wait = Quotas::shared(&file).take("PutImage", NOW).unwrap();
        assert!(wait <= MAX_WAIT, "{wait:?}");
    }
}
