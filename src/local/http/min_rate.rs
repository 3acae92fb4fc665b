//! Least rate of clients: they may be silent for a while, and must then have kept to a least rate from the start.

use std::time::Duration;

use tokio::time::Instant;

/// Time limits for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the head of a request, and for how long a connection may be idle before one.
    pub head: Duration,
    /// For a body, beyond the time that its bytes take at the least rate; and for a client that reads nothing of an
    /// answer.
    pub body: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { head: Duration::from_mins(1), body: Duration::from_mins(1) }
    }
}

/// The least rate of one body, and what it has received.
#[derive(Debug)]
pub(in crate::local) struct MinRate {
    begun: Instant,
    timeout: Duration,
    /// Bytes in a second.
    least: u64,
    received: u64,
}

impl MinRate {
    pub(in crate::local) fn new(timeouts: Timeouts, least: u64) -> Self {
        Self { begun: Instant::now(), timeout: timeouts.body, least, received: 0 }
    }

    /// Counts bytes that came.
    pub(in crate::local) fn count(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Leaves out a time in which nothing could arrive.
    pub(in crate::local) fn pause(&mut self, time: Duration) {
        self.begun += time;
    }

    /// Returns the time by which the next bytes must arrive.
    pub(in crate::local) fn deadline(&self) -> Instant {
        self.begun + self.timeout + Duration::from_millis(self.received.saturating_mul(1000) / self.least)
    }
}
