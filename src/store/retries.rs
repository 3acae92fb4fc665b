//! Counters of repeated requests.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Retries;

/// A counter of [`Retries`].
#[derive(Debug, Default)]
pub(super) struct RetryCounter {
    throttled: AtomicU64,
    failed: AtomicU64,
}

impl RetryCounter {
    pub(super) fn count(&self, is_throttled: bool) {
        let counter = if is_throttled { &self.throttled } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> Retries {
        Retries {
            throttled: self.throttled.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}
