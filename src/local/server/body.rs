//! Request bodies, within a fixed budget of memory however many clients send at once.
//!
//! A layer part of 10 MiB is a body of 14 MB. Its buffer is used again for the next one: fresh memory for every part
//! would cost more processor time than decoding it.

use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::pace::{Pace, Patience};
use crate::local::Fault;

/// The largest body: a part of 20 MiB takes 28 MB as base64, and what surrounds it is small.
const LARGEST: u64 = 32 * KIB as u64 * KIB as u64;
/// All large bodies together, in KiB: three parts of 10 MiB, or one of 20.
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

impl Buffers {
    /// Reads a request's body.
    pub(super) async fn read(
        self: &Arc<Self>,
        mut body: Incoming,
        patience: Patience,
    ) -> Result<Buffer, Fault> {
        let length = body.size_hint().exact();
        if length.is_some_and(|length| length > LARGEST) {
            drain(body, patience).await;
            return Err(too_large());
        }
        let mut buffer = self.buffer(length.unwrap_or(LARGEST)).await;
        let mut pace = Pace::new(patience, SLOWEST);
        loop {
            let frame = match timeout_at(pace.deadline(), body.frame()).await {
                Err(_) => {
                    let text = "the request's body did not arrive in time";
                    return Err(Fault { status: 408, ..Fault::new("RequestTimeout", text) });
                }
                Ok(None) => return Ok(buffer),
                Ok(Some(Err(error))) => {
                    return Err(Fault::new(
                        "IncompleteBody",
                        format!("the request's body broke off: {error}"),
                    ));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Some(data) = frame.data_ref() else { continue };
            pace.count(data.len());
            if (buffer.bytes.len() + data.len()) as u64 > LARGEST {
                drop(buffer);
                drain(body, patience).await;
                return Err(too_large());
            }
            buffer.bytes.extend_from_slice(data);
        }
    }

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
async fn drain(mut body: Incoming, patience: Patience) {
    let deadline = Instant::now() + patience.body;
    let mut dropped = 0;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        dropped += frame.data_ref().map_or(0, |data| data.len() as u64);
        if dropped > DROPPED {
            return;
        }
    }
}
