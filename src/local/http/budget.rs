//! Memory shared by requests: acquired as bytes arrive, and withdrawn from slow requests while others wait.
//!
//! The oldest share may always grow, so that shares that wait for one another cannot stand still together. What all hold
//! is at most the budget and one request more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Time over which the rate of a share is measured, and between two looks at it while others wait.
const WINDOW: Duration = Duration::from_secs(1);
/// The bytes of a second that keep a share while others wait for room.
const MIN_COUNT: u64 = 512 * 1024;

/// A number of bytes that shares are of.
#[derive(Debug)]
pub(in crate::local) struct Budget {
    most: usize,
    shares: Mutex<Shares>,
    released: Notify,
}

#[derive(Debug, Default)]
struct Shares {
    held: usize,
    next: u64,
    all: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    held: usize,
    is_waiting: bool,
    since: Instant,
    moved: u64,
    /// Notified when the share has to be given up.
    lost: Arc<Notify>,
}

/// Share of a budget that one request holds.
#[derive(Debug)]
pub(in crate::local) struct Share {
    budget: Arc<Budget>,
    number: u64,
    lost: Arc<Notify>,
}

impl Budget {
    pub(in crate::local) fn new(most: usize) -> Self {
        Self { most, shares: Mutex::default(), released: Notify::new() }
    }

    /// A share of nothing yet. `lost` is told when it has to be given up.
    pub(in crate::local) fn share(self: &Arc<Self>, lost: Arc<Notify>) -> Share {
        let mut shares = self.shares();
        let number = shares.next;
        shares.next += 1;
        let entry =
            Entry { held: 0, is_waiting: false, since: Instant::now(), moved: 0, lost: Arc::clone(&lost) };
        shares.all.insert(number, entry);
        Share { budget: Arc::clone(self), number, lost }
    }

    /// Sum of all shares.
    pub(in crate::local) fn held(&self) -> usize {
        self.shares().held
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shares {
    /// Lets a share grow if there is room, or if it is the oldest that is in use.
    fn grow(&mut self, number: u64, bytes: usize, most: usize) -> bool {
        let oldest = self.all.iter().find(|(_, entry)| entry.held > 0 || entry.is_waiting);
        let is_oldest = oldest.is_none_or(|(oldest, _)| *oldest >= number);
        if self.held.saturating_add(bytes) > most && !is_oldest {
            return false;
        }
        if let Some(entry) = self.all.get_mut(&number) {
            (entry.held, entry.is_waiting) = (entry.held + bytes, false);
            self.held += bytes;
        }
        true
    }

    fn wait(&mut self, number: u64) {
        if let Some(entry) = self.all.get_mut(&number) {
            entry.is_waiting = true;
        }
    }

    /// Takes away the shares that have moved too little since they were last looked at.
    fn sweep(&mut self, now: Instant) {
        for entry in self.all.values_mut().filter(|entry| entry.held > 0) {
            let elapsed = now.saturating_duration_since(entry.since);
            if elapsed < WINDOW {
                continue;
            }
            let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            if !entry.is_waiting && entry.moved < MIN_COUNT.saturating_mul(milliseconds) / 1000 {
                entry.lost.notify_one();
            }
            (entry.since, entry.moved) = (now, 0);
        }
    }
}

impl Share {
    /// Takes so many bytes more, once there is room; false where there is none in time.
    pub(in crate::local) async fn grow(&self, bytes: usize, timeouts: Duration) -> bool {
        let end = Instant::now() + timeouts;
        loop {
            let released = self.budget.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            {
                let mut shares = self.budget.shares();
                if shares.grow(self.number, bytes, self.budget.most) {
                    return true;
                }
                shares.wait(self.number);
            }
            let now = Instant::now();
            if now >= end {
                return false;
            }
            if timeout_at(end.min(now + WINDOW), released).await.is_err() {
                self.budget.shares().sweep(Instant::now());
            }
        }
    }

    /// Counts bytes that came or went.
    pub(in crate::local) fn moved(&self, bytes: usize) {
        if let Some(entry) = self.budget.shares().all.get_mut(&self.number) {
            let now = Instant::now();
            // A long and quick past does not make up for a standstill.
            if now.saturating_duration_since(entry.since) > WINDOW {
                (entry.since, entry.moved) = (now, 0);
            }
            entry.moved = entry.moved.saturating_add(bytes as u64);
        }
    }

    /// Waits until the share has to be given up.
    pub(in crate::local) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.budget.shares();
        if let Some(entry) = shares.all.remove(&self.number) {
            shares.held -= entry.held;
        }
        drop(shares);
        self.budget.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn shares<const N: usize>(budget: &Arc<Budget>) -> [Share; N] {
        std::array::from_fn(|_| budget.share(Arc::default()))
    }

    #[tokio::test]
    async fn held_memory_keeps_to_the_budget_and_one_request() {
        let budget = Arc::new(Budget::new(10));
        let [one, two, three] = shares(&budget);
        assert!(one.grow(6, LONG).await && two.grow(4, LONG).await);
        assert!(!three.grow(1, Duration::ZERO).await);
        // The oldest request goes on, otherwise none could.
        assert!(one.grow(6, Duration::ZERO).await);
        assert!(!two.grow(1, Duration::ZERO).await);
        drop(one);
        assert!(two.grow(6, LONG).await);
        assert_eq!(budget.held(), 10);
        drop(two);
        assert!(three.grow(10, LONG).await);
    }

    #[tokio::test]
    async fn stalled_requests_give_way_to_waiting_ones() {
        let budget = Arc::new(Budget::new(10));
        let [still, quick, waiting] = shares(&budget);
        assert!(still.grow(5, LONG).await && quick.grow(5, LONG).await);
        let move_on = async {
            loop {
                quick.moved(usize::try_from(MIN_COUNT).unwrap());
                tokio::time::sleep(WINDOW / 2).await;
            }
        };
        let give_way = async move {
            still.lost().await;
            drop(still);
        };
        tokio::select! {
            () = move_on => {}
            () = quick.lost() => panic!("the quick one gives way"),
            (grown, ()) = async { tokio::join!(waiting.grow(5, LONG), give_way) } => assert!(grown),
        }
    }
}
