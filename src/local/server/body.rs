//! Request bodies, within a fixed budget of memory however many clients send at once.
//!
//! The buffer of a layer part is used again for the next one: fresh memory for every part would cost more processor
//! time than decoding it.

use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::pace::{Pace, Patience};
use crate::local::Fault;

/// The largest body: a part of 20 MiB takes 28 MB as base64, and what surrounds it is small.
const LARGEST: u64 = 32 * KIB as u64 * KIB as u64;
/// All large bodies together, in KiB, as far as they are kept: four parts of 10 MiB, or two of 20.
const BUDGET: usize = 48 * KIB;
/// What buffers that wait to be used again may hold, in bytes.
const KEPT: usize = 42 * KIB * KIB;
/// Bodies up to this size are not counted.
const SMALL: u64 = 64 * KIB as u64;
/// The least bytes in a second: a body takes its part of the budget for as long as it comes.
const SLOWEST: u64 = 64 * KIB as u64;
/// How much of a body that is too large is read and dropped, so that the client gets to read the answer.
const DROPPED: u64 = 256 * KIB as u64 * KIB as u64;
const KIB: usize = 1024;

/// Buffers for large bodies.
#[derive(Debug)]
pub(super) struct Buffers {
    budget: Arc<Semaphore>,
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { budget: Arc::new(Semaphore::new(BUDGET)), idle: Mutex::default() }
    }
}

/// A body that was read. Where its buffer is one of the large ones, it goes back to them when this is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    home: Option<(Arc<Buffers>, OwnedSemaphorePermit)>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some((home, _permit)) = self.home.take() {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            let mut idle = home.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.iter().map(Vec::capacity).sum::<usize>() + bytes.capacity() <= KEPT {
                idle.push(bytes);
            }
        }
    }
}

/// A body on its way, and the buffer for it.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) buffer: Buffer,
    body: Incoming,
    patience: Patience,
    pace: Pace,
    length: u64,
}

impl Reading {
    /// Begins to read a body of which `shrink` (such as 3 of 4 bytes) is to be kept.
    pub(super) async fn begin(
        buffers: &Arc<Buffers>,
        body: Incoming,
        shrink: (u64, u64),
        patience: Patience,
    ) -> Result<Self, Fault> {
        let length = body.size_hint().exact();
        if length.is_some_and(|length| length > LARGEST) {
            drain(body, patience).await;
            return Err(too_large());
        }
        let length = length.unwrap_or(LARGEST);
        let buffer = buffers.buffer(length * shrink.0 / shrink.1).await;
        Ok(Self { buffer, body, patience, pace: Pace::new(patience, SLOWEST), length: 0 })
    }

    /// What comes next; nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let frame = match timeout_at(self.pace.deadline(), self.body.frame()).await {
                Err(_) => {
                    let text = "the request's body did not arrive in time";
                    return Err(Fault { status: 408, ..Fault::new("RequestTimeout", text) });
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    let text = format!("the request's body broke off: {error}");
                    return Err(Fault::new("IncompleteBody", text));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            self.pace.count(data.len());
            self.length += data.len() as u64;
            if self.length > LARGEST {
                self.buffer = Buffer::small(Vec::new());
                self.drain().await;
                return Err(too_large());
            }
            return Ok(Some(data));
        }
    }

    /// Reads the rest, which nobody wants, so that the client gets to read the answer.
    pub(super) async fn drain(&mut self) {
        drain(&mut self.body, self.patience).await;
    }
}

impl Buffer {
    /// Bytes that are not worth to be counted.
    pub(super) fn small(bytes: Vec<u8>) -> Self {
        Self { bytes, home: None }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Buffers {
    /// A buffer for so many bytes, once the budget has room for them.
    async fn buffer(self: &Arc<Self>, length: u64) -> Buffer {
        let room = usize::try_from(length).unwrap_or(usize::MAX);
        if length <= SMALL {
            return Buffer { bytes: Vec::with_capacity(room), home: None };
        }
        let share = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.budget).acquire_many_owned(share).await;
        let permit = permit.expect("the budget is never closed");
        let mut bytes = self.idle_buffer(room);
        bytes.reserve_exact(room);
        Buffer { bytes, home: Some((Arc::clone(self), permit)) }
    }

    /// The smallest idle buffer that is large enough; failing that, an empty one, for which an idle one makes room.
    fn idle_buffer(&self, room: usize) -> Vec<u8> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = idle.iter().enumerate().filter(|(_, bytes)| bytes.capacity() >= room);
        if let Some(index) = fitting.min_by_key(|(_, bytes)| bytes.capacity()).map(|(index, _)| index) {
            return idle.swap_remove(index);
        }
        idle.pop();
        Vec::new()
    }
}

fn too_large() -> Fault {
    let text = format!("a request may have {LARGEST} bytes at most");
    Fault { status: 413, ..Fault::new("RequestEntityTooLargeException", text) }
}

/// Reads a body to its end without keeping it, within bounds.
pub(super) async fn drain(mut body: impl Body<Data = Bytes> + Unpin, patience: Patience) {
    let deadline = Instant::now() + patience.body;
    let mut dropped = 0;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        dropped += frame.data_ref().map_or(0, |data| data.len() as u64);
        if dropped > DROPPED {
            return;
        }
    }
}
