//! Rate of a transfer over the last seconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::human;

/// Often enough to see that something happens, and seldom enough for a log.
const EVERY: Duration = Duration::from_secs(10);
/// The time over which bytes are counted.
const WINDOW: Duration = Duration::from_secs(8);
/// Shortest time between two samples.
const SAMPLE: Duration = Duration::from_millis(200);
/// Time before the remaining time is known.
const SETTLING: Duration = Duration::from_secs(3);

/// Progress and rate of a transfer.
pub(super) struct Throughput {
    bytes: u64,
    moved: u64,
    said: Instant,
    /// Bytes moved at some moments of the last seconds, the oldest first.
    samples: VecDeque<(Instant, u64)>,
}

impl Throughput {
    pub(super) fn new(bytes: u64, now: Instant) -> Self {
        Self { bytes, moved: 0, said: now, samples: VecDeque::from([(now, 0)]) }
    }

    /// A blob got from one position to another, backwards where something was lost.
    pub(super) fn moved(&mut self, from: u64, to: u64, now: Instant) {
        self.moved = (self.moved + to).saturating_sub(from);
        if self.samples.back().is_none_or(|(last, _)| now.duration_since(*last) >= SAMPLE) {
            self.samples.push_back((now, self.moved));
        }
        while self.samples.get(1).is_some_and(|(next, _)| now.duration_since(*next) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Bytes a second since the oldest sample.
    pub(super) fn rate(&self, now: Instant) -> u64 {
        let Some(&(since, before)) = self.samples.front() else { return 0 };
        rate(self.moved.saturating_sub(before), now.duration_since(since))
    }

    /// Returns the remaining seconds, if the rate is steady: not in the first seconds, and not while it jumps.
    fn left(&self, now: Instant) -> Option<u64> {
        let (&(since, first), &(between, middle)) =
            (self.samples.front()?, self.samples.get(self.samples.len() / 2)?);
        if now.duration_since(since) < SETTLING {
            return None;
        }
        let older = rate(middle.saturating_sub(first), between.duration_since(since));
        let newer = rate(self.moved.saturating_sub(middle), now.duration_since(between));
        let is_steady = older <= newer.saturating_mul(2) && newer <= older.saturating_mul(2);
        self.bytes.saturating_sub(self.moved).checked_div(self.rate(now)).filter(|_| is_steady)
    }

    /// Describes the progress, the rate, and the remaining time if that is known.
    pub(super) fn text(&self, now: Instant) -> String {
        let left = self.left(now).map_or_else(String::new, |seconds| format!(", {} left", lasting(seconds)));
        let rate = human(self.rate(now));
        format!("{} of {}, {rate}/s{left}", human(self.moved), human(self.bytes))
    }

    /// Returns a line about the progress, now and then.
    pub(super) fn line(&mut self, now: Instant) -> Option<String> {
        if now.duration_since(self.said) < EVERY {
            return None;
        }
        self.said = now;
        Some(self.text(now))
    }
}

/// Bytes per second.
fn rate(bytes: u64, time: Duration) -> u64 {
    let rate = u128::from(bytes) * 1000 / time.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// So many seconds for a person: `59 s`, `2 min 5 s`, `3 h 0 min`.
fn lasting(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: u64 = 1024 * 1024;

    /// A transfer of 1000 MiB after so many seconds, in each of which so many MiB moved.
    fn after(seconds: &[u64]) -> (Throughput, Instant) {
        let begun = Instant::now();
        let (mut throughput, mut at, mut position) = (Throughput::new(1000 * MEBIBYTE, begun), begun, 0);
        for mebibytes in seconds {
            at += Duration::from_secs(1);
            throughput.moved(position, position + mebibytes * MEBIBYTE, at);
            position += mebibytes * MEBIBYTE;
        }
        (throughput, at)
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        for (seconds, text) in [
            (&[10; 10][..], "100.0 MiB of 1000.0 MiB, 10.0 MiB/s, 1 min 30 s left"),
            // What was is forgotten.
            (&[&[90; 5][..], &[10; 10]].concat(), "550.0 MiB of 1000.0 MiB, 10.0 MiB/s, 45 s left"),
            // It is too early to tell.
            (&[10, 10], "20.0 MiB of 1000.0 MiB, 10.0 MiB/s"),
            (&[0, 0, 0, 0, 0], "0 B of 1000.0 MiB, 0 B/s"),
            // It jumps.
            (&[1, 1, 1, 1, 30, 30, 30, 30], "124.0 MiB of 1000.0 MiB, 15.5 MiB/s"),
        ] {
            let (throughput, now) = after(seconds);
            assert_eq!(throughput.text(now), text, "{seconds:?}");
        }
    }

    #[test]
    fn a_line_now_and_then() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut throughput = Throughput::new(1000 * MEBIBYTE, begun);
        throughput.moved(0, 5 * MEBIBYTE, at(9));
        assert_eq!(throughput.line(at(9)), None);
        throughput.moved(5 * MEBIBYTE, 100 * MEBIBYTE, at(10));
        assert_eq!(throughput.line(at(10)).as_deref(), Some("100.0 MiB of 1000.0 MiB, 10.0 MiB/s"));
        assert_eq!(throughput.line(at(19)), None);
        // Part of it was lost.
        throughput.moved(100 * MEBIBYTE, 19 * MEBIBYTE, at(20));
        assert_eq!(
            throughput.line(at(20)).map(|line| line.starts_with("19.0 MiB of 1000.0 MiB, ")),
            Some(true)
        );
        assert_eq!((lasting(59), lasting(10_800)), ("59 s".to_owned(), "3 h 0 min".to_owned()));
    }
}
