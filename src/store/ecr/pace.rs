//! The request rates that AWS allows an account in a region ("Amazon ECR service quotas" in its user guide): requests
//! are spread so that the service need not throttle them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

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

/// A bucket of tokens for each operation.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the bucket will be full again; `None` where nothing is held back.
    full: Option<Mutex<HashMap<&'static str, Instant>>>,
}

impl Pace {
    /// The pace of this process, whose transfers share the rates, or none at all.
    pub(super) fn of(paced: bool) -> Arc<Self> {
        static PACE: OnceLock<Arc<Pace>> = OnceLock::new();
        if paced { Arc::clone(PACE.get_or_init(|| Arc::new(Self::new()))) } else { Arc::default() }
    }

    fn new() -> Self {
        Self { full: Some(Mutex::default()) }
    }

    /// Waits until the operation may be called.
    pub(super) async fn wait(&self, operation: &str) {
        if let Some(wait) = self.take(operation, Instant::now()) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a token, and answers how long it will be until that is there.
    fn take(&self, operation: &str, now: Instant) -> Option<Duration> {
        let full = self.full.as_ref()?;
        let &(name, rate) = RATES.iter().find(|(name, _)| *name == operation)?;
        let mut full = full.lock().unwrap_or_else(PoisonError::into_inner);
        let at = full.entry(name).or_insert(now);
        *at = (*at).max(now) + Duration::from_secs(1) / rate;
        // A full bucket holds the tokens of a second.
        let wait = at.duration_since(now).checked_sub(Duration::from_secs(1))?;
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_may_be_spent_at_once_and_then_the_rate_is_kept() {
        let (pace, now) = (Pace::new(), Instant::now());
        for _ in 0..10 {
            assert_eq!(pace.take("PutImage", now), None);
        }
        assert_eq!(pace.take("PutImage", now), Some(Duration::from_millis(100)));
        assert_eq!(pace.take("PutImage", now), Some(Duration::from_millis(200)));
        // Half a second later five of the twelve are made up for.
        let later = now + Duration::from_millis(500);
        for _ in 0..3 {
            assert_eq!(pace.take("PutImage", later), None);
        }
        assert_eq!(pace.take("PutImage", later), Some(Duration::from_millis(100)));
        assert_eq!(pace.take("InitiateLayerUpload", now), None);
        assert_eq!(pace.take("ListTagsForResource", now), None);
        assert_eq!(Pace::default().take("PutImage", now), None);
    }
}
