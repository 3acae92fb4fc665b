//! Waits before another attempt, and between looks at something that takes its time.
//!
//! The loops that wait differ in what they repeat, in which failures pass, and in what counts as progress; "Retries" in
//! `docs/architecture.md` lists them. So each loop limits its own attempts; the schedule is here, and the count of those
//! loops that allow more throttled requests than other failures. A wait is a sleep of the loop: dropping the loop's future
//! cancels it.

use std::time::Duration;

/// Schedule of waits: the first one, which doubles after each further failure up to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Creates a schedule.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// Returns the wait after the `failures`-th failure in a row, from 1 on.
    pub fn wait(self, failures: u32) -> Duration {
        self.first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(self.longest)
    }

    /// Like [`Backoff::wait`], but at least as long as the server asked for ([`retry_after`]).
    pub fn wait_at_least(self, failures: u32, asked: Option<Duration>) -> Duration {
        self.wait(failures).max(asked.unwrap_or_default())
    }

    /// Like [`Backoff::wait`], less a random share of up to half, so that many clients do not return at once.
    pub fn wait_with_jitter(self, failures: u32) -> Duration {
        let random = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
        self.wait(failures).mul_f64(0.5 + random / 2.0)
    }
}

/// Limit of throttled requests in a row: where every third request is one too many, some of a thousand are refused six
/// times in a row.
const THROTTLED_LIMIT: u32 = 10;

/// Count of failures in a row, throttled requests apart from all others: neither uses up what the other is allowed.
#[derive(Debug)]
pub struct FailureCount {
    limit: u32,
    throttled: u32,
    others: u32,
}

impl FailureCount {
    /// Creates a count that allows `limit` failures, and of throttled requests at least ten.
    pub const fn new(limit: u32) -> Self {
        Self { limit, throttled: 0, others: 0 }
    }

    /// Counts a failure.
    pub fn add(&mut self, is_throttled: bool) {
        let count = if is_throttled { &mut self.throttled } else { &mut self.others };
        *count += 1;
    }

    /// Forgets the failures, after progress.
    pub fn reset(&mut self) {
        (self.throttled, self.others) = (0, 0);
    }

    /// Returns the number of failures of both kinds.
    pub fn all(&self) -> u32 {
        self.throttled + self.others
    }

    /// Returns whether no other attempt is allowed.
    pub fn is_exhausted(&self) -> bool {
        self.others >= self.limit || self.throttled >= self.limit.max(THROTTLED_LIMIT)
    }
}

/// Parses the header `Retry-After`: a number of seconds, taken for at most `longest`, so that no server can make us wait
/// for ever. `None` for its other form, a date.
pub fn retry_after(header: &str, longest: Duration) -> Option<Duration> {
    header.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1));

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u128> =
            [1, 2, 3, 4, u32::MAX].map(|failures| BACKOFF.wait(failures).as_millis()).into();
        assert_eq!(waits, [250, 500, 1000, 1000, 1000]);
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).wait(5), Duration::ZERO);
    }

    #[test]
    fn a_server_can_only_lengthen_a_wait() {
        let waits =
            [None, Some(0), Some(3)].map(|asked| BACKOFF.wait_at_least(2, asked.map(Duration::from_secs)));
        assert_eq!(waits.map(|wait| wait.as_millis()), [500, 500, 3000]);
    }

    #[test]
    fn jitter_takes_at_most_half_of_a_wait() {
        let waits: Vec<Duration> = (0..100).map(|_| BACKOFF.wait_with_jitter(3)).collect();
        assert!(waits.iter().all(|wait| (500..=1000).contains(&wait.as_millis())), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }

    #[test]
    fn each_kind_of_failure_has_its_limit() {
        let mut count = FailureCount::new(5);
        for is_throttled in [true; 9].into_iter().chain([false; 4]) {
            count.add(is_throttled);
            assert!(!count.is_exhausted(), "{count:?}");
        }
        assert_eq!(count.all(), 13);
        count.add(false);
        assert!(count.is_exhausted());
        count.reset();
        assert_eq!((count.all(), count.is_exhausted()), (0, false));
        let exhausts = |limit, failures| {
            let mut count = FailureCount::new(limit);
            (0..failures).for_each(|_| count.add(true));
            count.is_exhausted()
        };
        assert_eq!(
            [(5, 9), (5, 10), (12, 11), (12, 12)].map(|(limit, failures)| exhausts(limit, failures)),
            [false, true, false, true]
        );
    }

    #[test]
    fn retry_after_is_bounded_seconds() {
        let minute = Duration::from_mins(1);
        assert_eq!(retry_after(" 7 ", minute), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("86400", minute), Some(minute));
        for text in ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1.5", ""] {
            assert_eq!(retry_after(text, minute), None, "{text}");
        }
    }
}
