//! Limit of concurrent blob transfers.
//!
//! Small blobs spend their time waiting for answers, so as many of them move as the memory holds. Large ones keep a
//! line busy with few; more are started while that makes the transfer faster, and fewer after failed requests.

use std::time::{Duration, Instant};

/// Large blobs that move at once until it is known that more are faster.
const LARGE: usize = 4;
/// The most large blobs at once.
const MAX_LARGE: usize = 16;
/// Memory of a connection besides the blob's bytes.
const CONNECTION: u64 = 128 * 1024;
/// Interval of measuring throughput. Long enough for a part of several megabytes.
pub(super) const WINDOW: Duration = Duration::from_secs(1);
/// Windows without a new attempt after one that did not help, or after failed requests.
const PATIENCE: u32 = 8;

/// Decides whether one more blob may move.
#[derive(Debug)]
pub(super) struct Limits {
    /// Requested limit of concurrent blobs.
    ceiling: usize,
    /// The most blobs at once for now: fewer than the ceiling after failed requests.
    most: usize,
    /// Bytes of memory for all of them.
    memory: u64,
    /// Number of large blobs that fit into the memory.
    large: usize,
    /// More large blobs may be tried.
    adapts: bool,
    held: Vec<u64>,
    begun: Instant,
    moved: u64,
    retries: u64,
    /// Bytes per second before there were more large blobs; `None` where none were added in the last window.
    before: Option<f64>,
    rest: u32,
}

impl Limits {
    /// Limits for so many blobs within so much memory. `far` says that bytes go over a network.
    pub(super) fn new(ceiling: usize, memory: usize, far: bool, now: Instant) -> Self {
        // Files of this machine gain nothing from more.
        let ceiling = if far { ceiling.max(1) } else { ceiling.clamp(1, LARGE) };
        Self {
            ceiling,
            most: ceiling,
            memory: memory as u64,
            large: LARGE.min(ceiling),
            adapts: far,
            held: Vec::new(),
            begun: now,
            moved: 0,
            retries: 0,
            before: None,
            rest: 1,
        }
    }

    /// Admits a blob of this size, if there is room for it.
    pub(super) fn admit(&mut self, size: u64) -> bool {
        let weight = self.weight(size);
        let held: u64 = self.held.iter().map(|&size| self.weight(size)).sum();
        let admitted = self.held.is_empty() || (self.held.len() < self.most && held + weight <= self.memory);
        if admitted {
            self.held.push(size);
        }
        admitted
    }

    /// A blob of this size moves no longer.
    pub(super) fn release(&mut self, size: u64) {
        if let Some(at) = self.held.iter().position(|&held| held == size) {
            self.held.swap_remove(at);
        }
    }

    /// The memory that a blob takes: all of it, or a large one's share.
    fn weight(&self, size: u64) -> u64 {
        let share = (self.memory / self.large as u64).max(1);
        size.saturating_add(CONNECTION).min(share)
    }

    /// Hears once a window how many bytes have moved in all, and how many retries there were: requests that were
    /// throttled or failed. `waiting` says that blobs wait for room.
    pub(super) fn observe(&mut self, moved: u64, retries: u64, waiting: bool, now: Instant) {
        let seconds = now.duration_since(self.begun).as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let rate = moved.saturating_sub(self.moved) as f64 / seconds;
        let failed = retries > self.retries;
        (self.begun, self.moved, self.retries) = (now, moved, retries);
        if failed {
            self.most = (self.held.len() / 2).clamp(1, self.most.max(1));
            (self.large, self.before, self.rest) = ((self.large / 2).max(1), None, PATIENCE);
            return;
        }
        self.most = (self.most + self.most.div_ceil(4)).min(self.ceiling);
        if let Some(before) = self.before.take()
            && rate < before * 1.1
        {
            (self.large, self.rest) = ((self.large - self.large.div_ceil(3)).max(1), PATIENCE);
            return;
        }
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        let most = MAX_LARGE.min(self.most);
        if self.adapts && waiting && self.large < most {
            self.before = Some(rate);
            self.large = (self.large + self.large.div_ceil(2)).min(most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: u64 = 1024 * 1024;
    const MEMORY: usize = 36 * 1024 * 1024;

    fn admitted(limits: &mut Limits, size: u64) -> usize {
        (0..1000).take_while(|_| limits.admit(size)).count()
    }

    #[test]
    fn small_blobs_move_many_at_a_time_and_large_ones_few() {
        for (ceiling, size, expected) in [
            (128, 1000, 128),
            (128, MEBIBYTE / 5, 110),
            (128, MEBIBYTE, 32),
            (128, 4 * MEBIBYTE, 8),
            (128, 10 * MEBIBYTE, 4),
            (128, u64::MAX, 4),
            (2, 1000, 2),
            (1, u64::MAX, 1),
        ] {
            let mut limits = Limits::new(ceiling, MEMORY, true, Instant::now());
            assert_eq!(admitted(&mut limits, size), expected, "{ceiling} {size}");
        }
        // Files of this machine gain nothing from more.
        let mut limits = Limits::new(128, MEMORY, false, Instant::now());
        assert_eq!(admitted(&mut limits, 1000), 4);
    }

    #[test]
    fn one_blob_always_moves_and_room_comes_back() {
        let mut limits = Limits::new(128, 1, true, Instant::now());
        assert!(limits.admit(u64::MAX));
        assert!(!limits.admit(1));
        limits.release(u64::MAX);
        assert!(limits.admit(1));
    }

    /// Windows of one second in each of which so many bytes move for each large blob that does, up to the line's limit.
    fn large_after(windows: u64, line: u64, retries: &[u64]) -> usize {
        let mut now = Instant::now();
        let mut limits = Limits::new(128, MEMORY, true, now);
        let (mut moved, mut failed) = (0, 0);
        for window in 0..windows {
            while limits.admit(100 * MEBIBYTE) {}
            now += WINDOW;
            moved += (limits.held.len() as u64 * MEBIBYTE).min(line);
            failed += u64::from(retries.contains(&window));
            limits.observe(moved, failed, true, now);
        }
        limits.large
    }

    #[test]
    fn more_large_blobs_move_while_that_is_faster() {
        assert_eq!(large_after(1, u64::MAX, &[]), 4);
        assert_eq!(large_after(2, u64::MAX, &[]), 6);
        assert_eq!(large_after(20, u64::MAX, &[]), 16);
        assert_eq!(large_after(4, 4 * MEBIBYTE, &[]), 4, "the line is full with four");
        assert_eq!(large_after(3, u64::MAX, &[2]), 3, "a setback halves them");
        assert_eq!(large_after(4, u64::MAX, &[0, 1, 2, 3]), 1);
    }
}
