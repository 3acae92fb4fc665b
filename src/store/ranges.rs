//! Download of a blob on several connections.
//!
//! The front of the blob comes as one stream. While further connections make it faster ([`Lanes`]), they fetch ranges
//! ahead of it into memory, and the reader gets everything in order. If the server does not answer ranges as it should,
//! the stream goes on alone.

use std::collections::VecDeque;
use std::ops;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::task::JoinSet;

use super::buffers::{Buffer, Buffers};
use super::download::{Download, Origin, Version};
use super::lanes::{Lane, Lanes};
use super::{Error, Reader, StoreFuture};
use crate::image::Descriptor;

const MEBIBYTE: u64 = 1024 * 1024;
/// Smallest blob, in bytes, that is worth more than one connection: to find out whether they bring more costs some
/// megabytes that come twice where they do not.
const MIN_BYTES: u64 = if cfg!(test) { 8 } else { 32 } * MEBIBYTE;
/// Bytes of a range.
const RANGE: u64 = MEBIBYTE;
/// Memory of a connection besides the range's bytes.
const CONNECTION: u64 = 256 * 1024;
/// Shortest distance of the first range from the stream, in bytes: what the stream brings until the range is there.
const LEAD: u64 = 2 * MEBIBYTE;
/// Longest distance of the first range from the stream, in bytes.
const MAX_LEAD: u64 = 64 * MEBIBYTE;

/// Reads a blob from an offset on, within this memory.
pub(super) fn read(
    origin: Arc<dyn Origin>,
    blob: &Descriptor,
    offset: u64,
    buffers: Option<&Arc<Buffers>>,
) -> Box<dyn Reader> {
    match buffers.filter(|_| blob.size.saturating_sub(offset) >= MIN_BYTES) {
        None => Box::new(Download::new(origin, blob, offset..blob.size, Version::default())),
        Some(buffers) => Box::new(Ranged::new(origin, blob, offset, buffers)),
    }
}

struct Ranged {
    lanes: Arc<Lanes>,
    ahead: Arc<Ahead>,
    /// Stream at the front; `None` while the next bytes are in a range.
    stream: Option<Download>,
    /// Offset at which the reader began, and the time of its first bytes.
    offset: u64,
    begun: Option<Instant>,
    position: u64,
    /// Range at the front, and the bytes of it that were read.
    current: Option<(Buffer, usize)>,
    workers: JoinSet<()>,
}

/// Ranges ahead of the reader.
struct Ahead {
    origin: Arc<dyn Origin>,
    blob: Descriptor,
    buffers: Arc<Buffers>,
    version: Version,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Offset of the next range.
    next: u64,
    ranges: VecDeque<Range>,
}

struct Range {
    first: u64,
    end: u64,
    bytes: oneshot::Receiver<Buffer>,
}

/// Range to fetch, with a buffer for it.
struct Order {
    first: u64,
    end: u64,
    buffer: Buffer,
    done: oneshot::Sender<Buffer>,
}

impl Ahead {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next range, if there is one and memory for it.
    fn order(&self) -> Option<Order> {
        let mut queue = self.queue();
        let first = queue.next;
        if first >= self.blob.size {
            return None;
        }
        let end = (first + RANGE).min(self.blob.size);
        let buffer = self.buffers.try_lend(usize::try_from(end - first + CONNECTION).ok()?)?;
        let (done, bytes) = oneshot::channel();
        queue.next = end;
        queue.ranges.push_back(Range { first, end, bytes });
        Some(Order { first, end, buffer, done })
    }

    fn download(&self, bytes: ops::Range<u64>) -> Download {
        Download::new(Arc::clone(&self.origin), &self.blob, bytes, Arc::clone(&self.version))
    }

    /// Fetches ranges, one after another, as long as there is memory for them.
    async fn work(self: Arc<Self>, lanes: Arc<Lanes>, lane: Lane, order: Order) {
        let mut next = Some(order);
        while let Some(Order { first, end, mut buffer, mut done }) = next {
            let mut download = self.download(first..end).ahead();
            let bytes = std::mem::take(&mut buffer.bytes);
            let size = usize::try_from(end - first).unwrap_or(0);
            let read = tokio::select! {
                read = download.read(bytes, size) => Some(read),
                // The stream was here first.
                () = done.closed() => None,
            };
            let Some(Ok(bytes)) = read else {
                if read.is_some() {
                    // The reader finds out by itself, and fetches the range in its own way.
                    lanes.count_retry();
                }
                break;
            };
            buffer.bytes = bytes;
            // The reader may be gone.
            let _ = done.send(buffer);
            next = if lanes.are_too_many() { None } else { self.order() };
        }
        drop(lane);
    }
}

impl Ranged {
    /// Creates the reader of a blob from an offset on.
    fn new(origin: Arc<dyn Origin>, blob: &Descriptor, offset: u64, buffers: &Arc<Buffers>) -> Self {
        let lanes = origin.lanes();
        let ahead = Arc::new(Ahead {
            origin,
            blob: blob.clone(),
            buffers: Arc::clone(buffers),
            version: Version::default(),
            queue: Mutex::default(),
        });
        Self {
            lanes,
            stream: Some(ahead.download(offset..blob.size)),
            ahead,
            offset,
            position: offset,
            begun: None,
            current: None,
            workers: JoinSet::new(),
        }
    }

    /// Starts as many workers as are allowed.
    fn employ(&mut self) {
        while self.workers.try_join_next().is_some() {}
        // Without a stream, which is slower, ranges begin where the reader is.
        let begins = match &self.stream {
            None if self.lanes.help() => self.position,
            _ => (self.position + self.lead()).next_multiple_of(RANGE),
        };
        // What the reader holds is not fetched again.
        let held = self.position
            + self.current.as_ref().map_or(0, |(range, read)| (range.bytes.len() - read) as u64);
        {
            let mut queue = self.ahead.queue();
            // A stream may have overtaken a range that was ordered at the same time.
            while queue.ranges.front().is_some_and(|range| range.first < self.position) {
                queue.ranges.pop_front();
            }
            // As long as none is ordered, it is not settled where ranges begin.
            if queue.ranges.is_empty() {
                queue.next = begins.max(held);
            }
            if queue.next >= self.ahead.blob.size {
                return;
            }
        }
        while self.ahead.buffers.has_room(usize::try_from(RANGE + CONNECTION).unwrap_or(0))
            && let Some(lane) = self.lanes.take()
        {
            let Some(order) = self.ahead.order() else { break };
            self.workers.spawn(Arc::clone(&self.ahead).work(Arc::clone(&self.lanes), lane, order));
        }
    }

    /// Returns the bytes that the stream brings until the first range is there.
    fn lead(&self) -> u64 {
        match self.begun {
            Some(begun) if !self.lanes.help() => {
                lead(self.position - self.offset, begun.elapsed(), self.lanes.verdict())
            }
            _ => LEAD,
        }
    }

    /// Returns the offset at which the ranges ahead begin.
    fn front(&self) -> u64 {
        self.ahead.queue().ranges.front().map_or(self.ahead.blob.size, |range| range.first)
    }

    /// Reads the next bytes; none at the end.
    async fn piece(&mut self, mut buffer: Vec<u8>, limit: usize) -> Result<Vec<u8>, Error> {
        self.employ();
        if let Some((range, read)) = &mut self.current {
            let some = (range.bytes.len() - *read).min(limit);
            buffer.extend_from_slice(&range.bytes[*read..*read + some]);
            *read += some;
            if *read == range.bytes.len() {
                self.current = None;
            }
            self.position += some as u64;
            return Ok(buffer);
        }
        let front = self.front().max(self.position);
        if self.position == front && front < self.ahead.blob.size {
            let range = self.ahead.queue().ranges.pop_front();
            // One that was ordered while the stream passed it is of no use.
            if let Some(range) = range.filter(|range| range.first == self.position) {
                self.take(range).await;
            }
            return Ok(buffer);
        }
        let position = self.position;
        let mut stream = match self.stream.take().filter(|stream| stream.end() > position) {
            Some(stream) => stream,
            None => self.stream_of(front),
        };
        let room = usize::try_from(front - self.position).unwrap_or(usize::MAX).min(limit);
        let before = buffer.len();
        let buffer = stream.read_some(buffer, room).await?;
        self.position += (buffer.len() - before) as u64;
        self.begun.get_or_insert_with(Instant::now);
        self.stream = Some(stream);
        Ok(buffer)
    }

    /// Goes on with a range ahead, if it has arrived or is known to be faster than the stream.
    async fn take(&mut self, mut range: Range) {
        let is_streaming = self.stream.as_ref().is_some_and(|stream| stream.end() > range.first);
        let bytes = match range.bytes.try_recv() {
            Ok(bytes) => Some(bytes),
            Err(TryRecvError::Closed) => None,
            Err(TryRecvError::Empty) if is_streaming && !self.lanes.help() => return,
            Err(TryRecvError::Empty) => range.bytes.await.ok(),
        };
        match bytes {
            Some(bytes) => (self.stream, self.current) = (None, Some((bytes, 0))),
            None if is_streaming => {}
            None => self.stream = Some(self.stream_of(range.end)),
        }
    }

    /// Returns a stream of the bytes between the reader and an offset.
    fn stream_of(&self, end: u64) -> Download {
        self.ahead.download(self.position..end)
    }
}

/// Returns the bytes that a stream which brought `read` bytes in `elapsed` brings until it is known whether ranges are
/// faster.
fn lead(read: u64, elapsed: Duration, verdict: Duration) -> u64 {
    // The first bytes come in one piece, and would seem to be fast.
    let elapsed = elapsed.max(verdict / 4).as_millis().max(1);
    let bytes = u128::from(read) * verdict.as_millis() / elapsed;
    u64::try_from(bytes).unwrap_or(u64::MAX).clamp(LEAD, MAX_LEAD)
}

impl Reader for Ranged {
    fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> StoreFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let full = buffer.len() + limit;
            while buffer.len() < full && self.position < self.ahead.blob.size {
                let wanted = full - buffer.len();
                buffer = self.piece(buffer, wanted).await?;
            }
            // A stream that goes on behind the end has more than was announced.
            match &mut self.stream {
                Some(stream) if buffer.len() < full => {
                    let wanted = full - buffer.len();
                    stream.read_some(buffer, wanted).await
                }
                _ => Ok(buffer),
            }
        })
    }
}

#[cfg(test)]
mod tests;
