//! How fast a transfer is, for lines now and then.

use std::time::{Duration, Instant};

use super::human;

/// Often enough to see that something happens, and seldom enough for a log.
const EVERY: Duration = Duration::from_secs(10);

/// How far a transfer is.
pub(super) struct Pace {
    bytes: u64,
    moved: u64,
    begun: Instant,
    said: Instant,
}

impl Pace {
    pub(super) fn new(bytes: u64, now: Instant) -> Self {
        Self { bytes, moved: 0, begun: now, said: now }
    }

    /// A blob got from one position to another, backwards where something was lost. Now and then there is a line to
    /// be said about it.
    pub(super) fn moved(&mut self, from: u64, to: u64, now: Instant) -> Option<String> {
        self.moved = (self.moved + to).saturating_sub(from);
        if now.duration_since(self.said) < EVERY {
            return None;
        }
        self.said = now;
        let rate = rate(self.moved, now.duration_since(self.begun));
        let left = self.bytes.saturating_sub(self.moved).checked_div(rate);
        let left = left.map_or_else(String::new, |seconds| format!(", {} left", lasting(seconds)));
        Some(format!("{} of {}, {}/s{left}", human(self.moved), human(self.bytes), human(rate)))
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

    #[test]
    fn a_line_now_and_then() {
        const MEBIBYTE: u64 = 1024 * 1024;
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut pace = Pace::new(1000 * MEBIBYTE, begun);
        assert_eq!(pace.moved(0, 5 * MEBIBYTE, at(9)), None);
        let line = "100.0 MiB of 1000.0 MiB, 10.0 MiB/s, 1 min 30 s left".to_owned();
        assert_eq!(pace.moved(5 * MEBIBYTE, 100 * MEBIBYTE, at(10)), Some(line));
        assert_eq!(pace.moved(0, MEBIBYTE, at(19)), None);
        // Part of it was lost.
        let line = "20.0 MiB of 1000.0 MiB, 1.0 MiB/s, 16 min 20 s left".to_owned();
        assert_eq!(pace.moved(100 * MEBIBYTE, 19 * MEBIBYTE, at(20)), Some(line));
        assert_eq!((lasting(59), lasting(10_800)), ("59 s".to_owned(), "3 h 0 min".to_owned()));
        let line = Pace::new(1, begun).moved(0, 0, at(60));
        assert_eq!(line, Some("0 B of 1 B, 0 B/s".to_owned()));
    }
}
