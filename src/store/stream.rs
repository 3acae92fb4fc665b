//! Blobs on their way: counted, hashed, read one part ahead.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::buffers::{Buffer, Buffers};
use super::{Error, Reader, Shared};
use crate::image::{Descriptor, Hasher};

/// Where a blob comes from, so that it can be read again from any offset.
pub struct Source {
    store: Shared,
    blob: Descriptor,
    report: Box<dyn Fn(u64) + Send + Sync>,
}

impl Source {
    /// A blob of a store. `report` hears how many of its bytes have arrived.
    pub fn new(store: Shared, blob: Descriptor, report: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { store, blob, report: Box::new(report) }
    }

    /// Says how many of the blob's bytes have arrived.
    pub fn arrived(&self, position: u64) {
        (self.report)(position);
    }

    /// The registry's host and the repository that the blob is in.
    pub(super) fn neighbour(&self) -> Option<(&str, &str)> {
        self.store.neighbour()
    }

    /// The blob from its first byte.
    pub async fn stream(&self) -> Result<Stream, Error> {
        self.stream_behind(self.blob.digest.algorithm().hasher(), 0).await
    }

    /// The blob behind bytes that are here already, and that were hashed.
    pub(super) async fn stream_behind(&self, hasher: Hasher, position: u64) -> Result<Stream, Error> {
        Ok(Stream {
            reader: self.store.open(&self.blob, position).await?,
            store: Arc::clone(&self.store),
            hasher,
            blob: self.blob.clone(),
            position,
            hashed: position,
        })
    }
}

/// A blob that is being read. Every byte is counted and hashed once, also where a part is read again.
pub struct Stream {
    store: Shared,
    blob: Descriptor,
    reader: Box<dyn Reader>,
    hasher: Hasher,
    position: u64,
    hashed: u64,
}

impl Stream {
    /// The next bytes into `buffer`: `limit` of them, fewer only at the end, and none after it.
    pub async fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> Result<Vec<u8>, Error> {
        let rest = self.blob.size - self.position;
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(limit);
        buffer.clear();
        let buffer = self.reader.read(buffer, wanted).await?;
        if buffer.len() < wanted {
            let found = self.position + buffer.len() as u64;
            return Err(self.doubt(Error::size(self.store.name(), &self.blob, found.to_string())));
        }
        let seen = usize::try_from(self.hashed - self.position).unwrap_or(usize::MAX).min(wanted);
        self.hasher.update(&buffer[seen..wanted]);
        self.position += wanted as u64;
        self.hashed = self.hashed.max(self.position);
        Ok(buffer)
    }

    /// Goes on at another offset. What lies between on the way forward is read, since it has to be hashed.
    pub async fn seek(&mut self, offset: u64) -> Result<(), Error> {
        const STEP: usize = 1024 * 1024;
        let start = offset.min(self.hashed);
        self.reader = self.store.open(&self.blob, start).await?;
        self.position = start;
        let mut buffer = Vec::new();
        while self.position < offset.min(self.blob.size) {
            let gap = usize::try_from(offset - self.position).unwrap_or(STEP).min(STEP);
            buffer = self.read(buffer, gap).await?;
        }
        Ok(())
    }

    /// Whether the bytes were the right ones; called when all of them were read.
    pub async fn verify(mut self) -> Result<(), Error> {
        self.seek_to_end().await?;
        if !self.reader.read(Vec::new(), 1).await?.is_empty() {
            let found = format!("more than {}", self.blob.size);
            return Err(self.doubt(Error::size(self.store.name(), &self.blob, found)));
        }
        let found = self.hasher.clone().finish();
        if found == self.blob.digest {
            return Ok(());
        }
        Err(self.doubt(Error::Mismatch {
            place: self.store.name(),
            what: "blob",
            digest: self.blob.digest.clone(),
            found,
        }))
    }

    async fn seek_to_end(&mut self) -> Result<(), Error> {
        if self.position < self.blob.size { self.seek(self.blob.size).await } else { Ok(()) }
    }

    fn doubt(&self, error: Error) -> Error {
        self.reader.suspicion().unwrap_or(error)
    }
}

/// A piece of a blob.
pub(super) struct Part {
    /// Where it begins.
    pub(super) first: u64,
    /// Its bytes; the buffer goes back to its home with the last copy.
    pub(super) bytes: Bytes,
}

impl Part {
    /// The offset behind it.
    pub(super) fn end(&self) -> u64 {
        self.first + self.bytes.len() as u64
    }
}

/// A blob in parts, of which the next one is read and hashed while the caller is busy with this one.
pub(super) struct Parts {
    buffers: Arc<Buffers>,
    size: usize,
    ahead: Option<JoinHandle<(Stream, Result<Part, Error>)>>,
}

impl Parts {
    pub(super) fn new(stream: Stream, buffers: Arc<Buffers>, size: usize) -> Self {
        let mut parts = Self { buffers, size, ahead: None };
        parts.prepare(stream);
        parts
    }

    fn prepare(&mut self, mut stream: Stream) {
        let (buffers, size) = (Arc::clone(&self.buffers), self.size);
        self.ahead = Some(tokio::spawn(async move {
            let first = stream.position;
            if first == stream.blob.size {
                return (stream, Ok(Part { first, bytes: Bytes::new() }));
            }
            let rest = usize::try_from(stream.blob.size - first).unwrap_or(usize::MAX);
            let mut buffer: Buffer = buffers.lend(size.min(rest)).await;
            let part = match stream.read(std::mem::take(&mut buffer.bytes), size).await {
                Ok(bytes) => {
                    buffer.bytes = bytes;
                    Ok(Part { first, bytes: Bytes::from_owner(buffer) })
                }
                Err(error) => Err(error),
            };
            (stream, part)
        }));
    }

    async fn ahead(&mut self) -> (Stream, Result<Part, Error>) {
        let task = self.ahead.as_mut().expect("a part is always ahead");
        let prepared = task.await;
        self.ahead = None;
        prepared.expect("reading a part does not panic, and only dropping this aborts it")
    }

    /// The next part; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, Error> {
        let (stream, part) = self.ahead().await;
        self.prepare(stream);
        let part = part?;
        Ok((!part.bytes.is_empty()).then_some(part))
    }

    /// Goes on at another offset.
    pub(super) async fn seek(&mut self, offset: u64) -> Result<(), Error> {
        let (mut stream, _) = self.ahead().await;
        let result = stream.seek(offset).await;
        self.prepare(stream);
        result
    }

    /// Whether the bytes were the right ones.
    pub(super) async fn verify(mut self) -> Result<(), Error> {
        self.ahead().await.0.verify().await
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(task) = &self.ahead {
            task.abort();
        }
    }
}
