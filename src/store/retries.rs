//! Counting what did not succeed at once.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Setbacks;

/// A counter of [`Setbacks`].
#[derive(Debug, Default)]
pub(super) struct SetbackCounter {
    throttled: AtomicU64,
    failed: AtomicU64,
}

impl SetbackCounter {
    pub(super) fn count(&self, is_throttled: bool) {
        let counter = if is_throttled { &self.throttled } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> Setbacks {
        Setbacks {
            throttled: self.throttled.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}
