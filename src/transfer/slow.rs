//! Reasons why a transfer is slow, looked for once a window.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use super::limits::WINDOW;
use super::progress::{Event, Progress, Reason};
use crate::store::{Retries, Shared};

/// Watch that reports the cause of a slow transfer.
pub(super) struct SlowWatch {
    source: Shared,
    destination: Shared,
    progress: Arc<dyn Progress>,
    before: Seen,
}

/// Counters and activities at a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Bytes that have moved.
    pub(super) moved: u64,
    pub(super) retries: Retries,
    /// Layers are being compressed.
    is_compressing: bool,
    /// Present files are being hashed.
    is_hashing: bool,
}

impl SlowWatch {
    pub(super) fn new(source: &Shared, destination: &Shared, progress: &Arc<dyn Progress>) -> Self {
        let (source, destination) = (Arc::clone(source), Arc::clone(destination));
        Self { source, destination, progress: Arc::clone(progress), before: Seen::default() }
    }

    /// Looks when a window has passed, in which `moved` bytes in all had moved at its end.
    pub(super) fn look(&mut self, moved: u64, is_compressing: bool) -> Seen {
        let seen = Seen {
            moved,
            retries: self.source.retries() + self.destination.retries(),
            is_compressing,
            is_hashing: self.source.is_hashing() || self.destination.is_hashing(),
        };
        self.progress.hear(Event::Slow(slow(self.before, seen)));
        self.before = seen;
        seen
    }
}

/// Waits for a destination's list of missing blobs, and reports if it hashes files for longer than a window.
pub(super) async fn while_hashing<T>(
    destination: &Shared,
    progress: &Arc<dyn Progress>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    let mut window = tokio::time::interval(WINDOW);
    window.reset();
    let mut is_named = false;
    loop {
        tokio::select! {
            done = &mut work => {
                if is_named {
                    progress.hear(Event::Slow(None));
                }
                return done;
            }
            _ = window.tick() => if destination.is_hashing() {
                is_named = true;
                progress.hear(Event::Slow(Some(Reason::Hashing)));
            }
        }
    }
}

/// Returns why little or nothing moved in a window, by the states before and after it.
fn slow(before: Seen, after: Seen) -> Option<Reason> {
    if after.retries.throttled > before.retries.throttled {
        return Some(Reason::Throttled);
    }
    if after.retries.failed > before.retries.failed {
        return Some(Reason::Failing);
    }
    if after.is_compressing {
        return Some(Reason::Compressing);
    }
    let reason = if after.is_hashing { Reason::Hashing } else { Reason::Waiting };
    (after.moved == before.moved).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_a_slow_transfer_is_named() {
        let seen = |moved, throttled, failed| Seen {
            moved,
            retries: Retries { throttled, failed },
            ..Seen::default()
        };
        let compressing = |seen| Seen { is_compressing: true, ..seen };
        let hashing = |seen| Seen { is_hashing: true, ..seen };
        for (after, expected) in [
            (seen(2, 1, 1), None),
            (seen(1, 1, 1), Some(Reason::Waiting)),
            (seen(2, 1, 2), Some(Reason::Failing)),
            (seen(2, 2, 2), Some(Reason::Throttled)),
            (compressing(seen(2, 1, 1)), Some(Reason::Compressing)),
            (compressing(seen(2, 2, 1)), Some(Reason::Throttled)),
            (hashing(seen(1, 1, 1)), Some(Reason::Hashing)),
            (hashing(seen(2, 1, 1)), None),
        ] {
            assert_eq!(slow(seen(1, 1, 1), after), expected, "{after:?}");
        }
    }
}
