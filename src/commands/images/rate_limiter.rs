//! Limits the rate of calls, per operation.
//!
//! AWS publishes no rate for Describe*, List* and BatchDeleteImage, and throttles low. So a row of calls begins slowly,
//! gets faster while nobody objects, and slower when somebody does.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Calls per second at the beginning. As many may be made at once before the rate is felt.
const FIRST_RATE: f64 = 5.0;
/// The highest rate, above all that AWS publishes.
const HIGHEST_RATE: f64 = 3000.0;
/// The lowest rate.
const LOWEST_RATE: f64 = 0.5;
/// Time without throttling after which the rate is doubled.
const RAISE_AFTER: Duration = Duration::from_secs(5);
/// Time whose calls may be made at once.
const BURST: Duration = Duration::from_secs(1);

/// The rates of one account in one region, an operation each.
#[derive(Debug, Default)]
pub(in crate::commands) struct RateLimiter {
    /// Rates by operation; `None` without limits, on this machine.
    rates: Option<Mutex<HashMap<&'static str, Rate>>>,
}

#[derive(Debug)]
struct Rate {
    per_second: f64,
    /// Time of the next call if no burst were allowed.
    next: Instant,
    /// Time of the rate's last change.
    changed: Instant,
}

impl RateLimiter {
    /// Creates a limiter for AWS, or one without limits.
    pub(super) fn new(is_limiting: bool) -> Self {
        Self { rates: is_limiting.then(Mutex::default) }
    }

    /// Returns whether calls are limited at all.
    pub(super) fn is_limiting(&self) -> bool {
        self.rates.is_some()
    }

    /// Waits until the operation may be called.
    pub(super) async fn wait(&self, operation: &'static str) {
        if let Some(wait) = self.take(operation, Instant::now()) {
            tokio::time::sleep(wait).await;
        }
    }

    fn take(&self, operation: &'static str, now: Instant) -> Option<Duration> {
        let mut rates = self.rates.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = rates.entry(operation).or_insert(Rate { per_second: FIRST_RATE, next: now, changed: now });
        if now.duration_since(rate.changed) >= RAISE_AFTER {
            rate.per_second = (rate.per_second * 2.0).min(HIGHEST_RATE);
            rate.changed = now;
        }
        rate.next = rate.next.max(now) + Duration::from_secs_f64(1.0 / rate.per_second);
        let wait = rate.next.duration_since(now).checked_sub(BURST)?;
        (!wait.is_zero()).then_some(wait)
    }

    /// Halves the rate of an operation that was throttled.
    pub(super) fn throttled(&self, operation: &'static str) {
        self.slow_down(operation, Instant::now());
    }

    fn slow_down(&self, operation: &'static str, now: Instant) {
        let Some(rates) = &self.rates else { return };
        let mut rates = rates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rate) = rates.get_mut(operation) {
            rate.per_second = (rate.per_second / 2.0).max(LOWEST_RATE);
            rate.changed = now;
            // What was saved up for a burst is gone.
            rate.next = rate.next.max(now + BURST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the calls made in `time`, if each is made as soon as it may.
    fn calls(limiter: &RateLimiter, from: Instant, time: Duration) -> usize {
        let (mut now, mut count) = (from, 0);
        loop {
            now += limiter.take("DescribeImages", now).unwrap_or_default();
            if now >= from + time {
                return count;
            }
            count += 1;
        }
    }

    #[test]
    fn it_begins_with_five_a_second_and_doubles_every_five_seconds() {
        let (limiter, now) = (RateLimiter::new(true), Instant::now());
        // A burst of five, then five a second.
        assert_eq!(calls(&limiter, now, Duration::from_millis(4900)), 5 + 24);
        let limiter = RateLimiter::new(true);
        let fast = calls(&limiter, now, Duration::from_secs(10));
        assert!((75..=82).contains(&fast), "{fast}");
        assert_eq!(RateLimiter::new(false).take("DescribeImages", now), None);
    }

    #[test]
    fn a_throttle_halves_the_rate_and_takes_the_burst() {
        let (limiter, now) = (RateLimiter::new(true), Instant::now());
        assert_eq!(limiter.take("DescribeImages", now), None);
        limiter.slow_down("DescribeImages", now);
        assert_eq!(limiter.take("DescribeImages", now), Some(Duration::from_millis(400)));
        // Other operations are not concerned.
        assert_eq!(limiter.take("ListTagsForResource", now), None);
        for _ in 0..20 {
            limiter.slow_down("DescribeImages", now);
        }
        let slowest = limiter.rates.as_ref().unwrap().lock().unwrap()["DescribeImages"].per_second;
        assert!((slowest - LOWEST_RATE).abs() < f64::EPSILON);
    }
}
