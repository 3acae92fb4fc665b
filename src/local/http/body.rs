//! Request bodies, within a fixed budget of memory however many clients send at once. A body takes its part of the
//! budget as its bytes come: who only announces one holds nothing.
//!
//! The buffer of a layer part is used again for the next one: fresh memory for every part would cost more processor
//! time than decoding it.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes};
use tokio::time::{Instant, timeout_at};

use crate::local::aws_api::error::ApiError;
use crate::local::http::budget::Budget;
use crate::local::http::budget::Share;
use crate::local::http::min_rate::MinRate;
use crate::local::http::min_rate::Timeouts;

/// Limit of a body: a part of 20 MiB takes 28 MB as base64, and the rest of the request is small.
pub(in crate::local) const MAX_BYTES: u64 = 32 * MIB as u64;
/// All layer parts together, as far as they are kept: four of 10 MiB, or two of 20.
const LAYER_PART_BUDGET: usize = 42 * MIB;
/// All manifests of docker's API together.
const MANIFESTS: usize = 16 * MIB;
/// Bodies up to this size are not counted.
const SMALL: usize = 32 * 1024;
/// Slowest rate at which a body may arrive.
const MIN_BYTES_PER_SECOND: u64 = 64 * 1024;
/// Bytes of a body that is too large which are read and dropped, so that the client gets to read the answer.
const DRAIN_LIMIT: u64 = 256 * MIB as u64;
/// Time limit of waiting for more of a body that is dropped.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
const MIB: usize = 1024 * 1024;

/// Error of reading a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::local) enum Error {
    /// The client sent too little in the time that it had.
    #[error("the request's body did not arrive in time")]
    Late,
    /// The client sent slowly, and other requests needed the memory.
    #[error("the request's body came too slowly while others waited for its memory")]
    Starved,
    /// The body exceeds the operation's limit.
    #[error("a request may have {limit} bytes at most")]
    TooLarge {
        /// The most bytes.
        limit: u64,
    },
    /// The connection broke.
    #[error("the request's body broke off: {0}")]
    Incomplete(String),
    /// The budget is in use by other requests.
    #[error("this server has no memory for the request's body now; try again")]
    NoMemory,
}

impl Error {
    /// The HTTP status to answer with.
    pub(in crate::local) fn status(&self) -> u16 {
        match self {
            Self::Late | Self::Starved => 408,
            Self::TooLarge { .. } => 413,
            Self::Incomplete(_) => 400,
            Self::NoMemory => 503,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Late | Self::Starved => "RequestTimeout",
            Self::TooLarge { .. } => "RequestEntityTooLargeException",
            Self::Incomplete(_) => "IncompleteBody",
            Self::NoMemory => "ServiceUnavailableException",
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self { status: error.status(), ..Self::new(error.code(), error.to_string()) }
    }
}

/// Buffers for large bodies.
#[derive(Debug)]
pub(in crate::local) struct Buffers {
    budget: Arc<Budget>,
    idle: Mutex<Vec<Vec<u8>>>,
    /// The most bytes of buffers in use and idle ones together; none are kept idle where it is 0.
    kept: usize,
}

/// A body that was read. Where its buffer is one of the large ones, it goes back to them when this is dropped.
#[derive(Debug, Default)]
pub(in crate::local) struct Buffer {
    pub(in crate::local) bytes: Vec<u8>,
    home: Option<(Arc<Buffers>, Share)>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some((home, share)) = self.home.take() {
            drop(share);
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            let mut idle = home.idle();
            if idle.iter().map(Vec::capacity).sum::<usize>() + bytes.capacity() + home.budget.held()
                <= home.kept
            {
                idle.push(bytes);
            }
        }
    }
}

/// Body being read, with its buffer.
#[derive(Debug)]
pub(in crate::local) struct Reading<B> {
    pub(in crate::local) buffer: Buffer,
    buffers: Arc<Buffers>,
    body: B,
    timeouts: Timeouts,
    min_rate: MinRate,
    length: u64,
    limit: u64,
    /// Size that the buffer is going to have.
    expected: usize,
}

impl<B: Body<Data = Bytes, Error: Display> + Unpin> Reading<B> {
    /// Begins to read a body of at most `limit` bytes, of which a fraction (`shrink`, such as 3 of 4 bytes) is
    /// kept.
    pub(in crate::local) async fn begin(
        buffers: &Arc<Buffers>,
        body: B,
        limit: u64,
        shrink: (u64, u64),
        timeouts: Timeouts,
    ) -> Result<Self, Error> {
        let length = body.size_hint().exact();
        if length.is_some_and(|length| length > limit) {
            drain(body, timeouts).await;
            return Err(Error::TooLarge { limit });
        }
        // What is encoded comes in pieces that are a little larger than what is kept of them.
        let expected = length.unwrap_or(limit) * shrink.0 / shrink.1 + SMALL as u64;
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        let (buffers, min_rate) = (Arc::clone(buffers), MinRate::new(timeouts, MIN_BYTES_PER_SECOND));
        Ok(Self { buffer: Buffer::default(), buffers, body, timeouts, min_rate, length: 0, limit, expected })
    }

    /// Next piece, with room for it in the buffer; `None` at the end.
    pub(in crate::local) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let share = self.buffer.home.as_ref().map(|(_, share)| share);
            let lost = async {
                match share {
                    Some(share) => share.lost().await,
                    None => std::future::pending().await,
                }
            };
            let frame = tokio::select! {
                frame = timeout_at(self.min_rate.deadline(), self.body.frame()) => frame,
                () = lost => return Err(Error::Starved),
            };
            let frame = match frame {
                Err(_) => return Err(Error::Late),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(Error::Incomplete(error.to_string()));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            self.min_rate.count(data.len());
            self.length += data.len() as u64;
            if self.length > self.limit {
                self.buffer = Buffer::default();
                self.drain().await;
                return Err(Error::TooLarge { limit: self.limit });
            }
            self.reserve(data.len()).await?;
            return Ok(Some(data));
        }
    }

    /// Makes room for some more bytes, once the budget has it.
    async fn reserve(&mut self, more: usize) -> Result<(), Error> {
        let bytes = &mut self.buffer.bytes;
        let needed = bytes.len() + more;
        if needed > SMALL.max(bytes.capacity()) {
            let held = if self.buffer.home.is_some() { bytes.capacity() } else { 0 };
            let (_, share) = self.buffer.home.get_or_insert_with(|| {
                (Arc::clone(&self.buffers), self.buffers.budget.share(Arc::default()))
            });
            let capacity = needed.max(2 * bytes.capacity()).max(MIB).min(self.expected.max(needed));
            let idle = self.buffers.fitting(self.expected);
            let capacity = idle.as_ref().map_or(capacity, Vec::capacity);
            let begun = Instant::now();
            if !share.grow(capacity.saturating_sub(held), self.timeouts.body).await {
                return Err(Error::NoMemory);
            }
            self.min_rate.pause(begun.elapsed());
            if let Some(mut idle) = idle {
                idle.extend_from_slice(bytes);
                *bytes = idle;
            }
            bytes.reserve_exact(capacity.saturating_sub(bytes.len()));
            self.buffers.trim();
        }
        if let Some((_, share)) = &self.buffer.home {
            share.moved(more);
        }
        Ok(())
    }

    /// Reads the rest and drops it, so that the client gets to read the answer.
    pub(in crate::local) async fn drain(&mut self) {
        drain(&mut self.body, self.timeouts).await;
    }
}

impl Buffer {
    /// Bytes that are not worth to be counted.
    pub(in crate::local) fn small(bytes: Vec<u8>) -> Self {
        Self { bytes, home: None }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Buffers {
    /// Returns the buffers of layer parts.
    pub(in crate::local) fn of_parts() -> Self {
        Self {
            budget: Arc::new(Budget::new(LAYER_PART_BUDGET)),
            idle: Mutex::default(),
            kept: LAYER_PART_BUDGET,
        }
    }

    /// Returns the buffers of manifests.
    pub(in crate::local) fn of_manifests() -> Self {
        Self { budget: Arc::new(Budget::new(MANIFESTS)), idle: Mutex::default(), kept: 0 }
    }

    /// The smallest idle buffer that is large enough.
    fn fitting(&self, room: usize) -> Option<Vec<u8>> {
        let mut idle = self.idle();
        let fitting = idle.iter().enumerate().filter(|(_, bytes)| bytes.capacity() >= room);
        let index = fitting.min_by_key(|(_, bytes)| bytes.capacity()).map(|(index, _)| index)?;
        Some(idle.swap_remove(index))
    }

    /// Gives idle buffers back to the system as far as the budget is in use.
    fn trim(&self) {
        let held = self.budget.held();
        let mut idle = self.idle();
        while held + idle.iter().map(Vec::capacity).sum::<usize>() > self.kept && idle.pop().is_some() {}
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a body to its end without keeping it, within bounds.
pub(in crate::local) async fn drain(mut body: impl Body<Data = Bytes> + Unpin, timeouts: Timeouts) {
    let deadline = Instant::now() + timeouts.body;
    let mut dropped = 0;
    // Who sends nothing has nothing that would keep it from reading.
    while let Ok(Some(Ok(frame))) =
        timeout_at(deadline.min(Instant::now() + DRAIN_TIMEOUT), body.frame()).await
    {
        dropped += frame.data_ref().map_or(0, |data| data.len() as u64);
        if dropped > DRAIN_LIMIT {
            return;
        }
    }
}
