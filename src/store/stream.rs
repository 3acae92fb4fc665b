//! Streams of blobs: counted, hashed, read one part ahead.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::buffers::{Buffer, Buffers, DEFAULT_MEMORY};
use super::pending::{PendingBlob, StartedUpload};
use super::{Error, Reader, Shared};
use crate::image::{Descriptor, Hasher};

/// Default size of a read, in bytes.
const STEP: usize = 1024 * 1024;

/// Source of a blob, which can be read again from any offset.
pub struct Source {
    store: Shared,
    blob: Descriptor,
    buffers: Arc<Buffers>,
    trusted: bool,
    pending: Option<Arc<PendingBlob>>,
    report: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Source {
    /// A blob of a store. `report` hears how many of its bytes have arrived.
    pub fn new(store: Shared, blob: Descriptor, report: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let buffers = Buffers::within(DEFAULT_MEMORY);
        Self { store, blob, buffers, trusted: false, pending: None, report: Arc::new(report) }
    }

    /// Shares buffers with other sources.
    #[must_use]
    pub fn with_buffers(self, buffers: Arc<Buffers>) -> Self {
        Self { buffers, ..self }
    }

    /// Trusts the digests of local files if the destination computes them itself.
    #[must_use]
    pub fn trusted(self) -> Self {
        Self { trusted: self.store.capabilities().has_content_addressed_files, ..self }
    }

    /// Names the [`PendingBlob`] of which the destination may have a part already.
    #[must_use]
    pub fn with_pending(self, pending: Arc<PendingBlob>) -> Self {
        Self { pending: Some(pending), ..self }
    }

    /// Takes the upload that `Store::begin` started.
    pub(super) fn started_upload(&self) -> Option<StartedUpload> {
        self.pending.as_ref().and_then(|pending| pending.take())
    }

    /// The blob, as far as it is known.
    pub(super) fn blob(&self) -> &Descriptor {
        &self.blob
    }

    /// The blob's bytes, unchecked.
    pub(super) async fn reader(&self) -> Result<Box<dyn Reader>, Error> {
        self.store.open(&self.blob, 0).await
    }

    /// Returns the memory for the blob's bytes.
    pub(super) fn buffers(&self) -> Arc<Buffers> {
        Arc::clone(&self.buffers)
    }

    /// Reports the number of the blob's bytes that have arrived.
    pub fn arrived(&self, position: u64) {
        (self.report)(position);
    }

    /// Returns a function that reports the bytes from elsewhere.
    pub(super) fn reporter(&self) -> Arc<dyn Fn(u64) + Send + Sync> {
        Arc::clone(&self.report)
    }

    /// The registry's host and the repository that the blob is in.
    pub(super) fn mount_source(&self) -> Option<(&str, &str)> {
        self.store.mount_source()
    }

    /// The blob from its first byte.
    pub async fn stream(&self) -> Result<Stream, Error> {
        self.open(Some(self.blob.digest.algorithm().hasher()), 0).await
    }

    /// Opens the blob for a destination that computes the digest itself and refuses other bytes.
    pub(super) async fn stream_to_verifier(&self) -> Result<Stream, Error> {
        let hasher = (!self.trusted).then(|| self.blob.digest.algorithm().hasher());
        self.open(hasher, 0).await
    }

    /// Finds out whether the source is to blame for a blob that was refused: reads all of it where its digest was only
    /// trusted until now.
    pub(super) async fn examine(&self) -> Result<(), Error> {
        if !self.trusted {
            return Ok(());
        }
        let mut stream = self.stream().await?;
        stream.seek(self.blob.size).await?;
        stream.verify().await
    }

    /// The blob behind bytes that are here already, and that were hashed.
    pub(super) async fn stream_behind(&self, hasher: Hasher, position: u64) -> Result<Stream, Error> {
        self.open(Some(hasher), position).await
    }

    async fn open(&self, hasher: Option<Hasher>, position: u64) -> Result<Stream, Error> {
        Ok(Stream {
            reader: self.store.open_ahead(&self.blob, position, &self.buffers).await?,
            store: Arc::clone(&self.store),
            buffers: Arc::clone(&self.buffers),
            hasher,
            blob: self.blob.clone(),
            position,
            hashed: position,
        })
    }
}

/// A blob that is being read. Every byte is counted and, unless it is trusted, hashed once, also where a part is read
/// again.
pub struct Stream {
    store: Shared,
    buffers: Arc<Buffers>,
    blob: Descriptor,
    reader: Box<dyn Reader>,
    hasher: Option<Hasher>,
    position: u64,
    hashed: u64,
}

impl Stream {
    /// The next bytes into `buffer`: `limit` of them, fewer only at the end, and none after it.
    pub async fn read(&mut self, buffer: Vec<u8>, limit: usize) -> Result<Vec<u8>, Error> {
        let start = self.position;
        let buffer = self.fetch(buffer, limit).await?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(unhashed(&buffer, start, self.hashed));
        }
        self.hashed = self.hashed.max(self.position);
        Ok(buffer)
    }

    /// The next bytes, which are yet to be hashed.
    async fn fetch(&mut self, mut buffer: Vec<u8>, limit: usize) -> Result<Vec<u8>, Error> {
        let rest = self.blob.size - self.position;
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(limit);
        buffer.clear();
        let buffer = self.reader.read(buffer, wanted).await?;
        if buffer.len() < wanted {
            let found = self.position + buffer.len() as u64;
            return Err(self.doubt(Error::size(self.store.name(), &self.blob, found.to_string())));
        }
        self.position += wanted as u64;
        Ok(buffer)
    }

    /// Continues at another offset. What lies between on the way forward is read, since it has to be hashed.
    pub async fn seek(&mut self, offset: u64) -> Result<(), Error> {
        let start = if self.hasher.is_some() { offset.min(self.hashed) } else { offset };
        self.reader = self.store.open_ahead(&self.blob, start, &self.buffers).await?;
        self.position = start;
        let mut buffer = Vec::new();
        while self.position < offset.min(self.blob.size) {
            let gap = usize::try_from(offset - self.position).unwrap_or(STEP).min(STEP);
            buffer = self.read(buffer, gap).await?;
        }
        Ok(())
    }

    /// Checks that the bytes match the digest; called when all of them were read.
    pub async fn verify(mut self) -> Result<(), Error> {
        self.check().await
    }

    /// Verifies size and digest. A trusted blob has no hasher: then only a file that was changed meanwhile is an error.
    async fn check(&mut self) -> Result<(), Error> {
        if self.hasher.is_none() {
            return self.reader.suspicion().map_or(Ok(()), Err);
        }
        self.seek_to_end().await?;
        if !self.reader.read(Vec::new(), 1).await?.is_empty() {
            let found = format!("more than {}", self.blob.size);
            return Err(self.doubt(Error::size(self.store.name(), &self.blob, found)));
        }
        let Some(found) = self.hasher.take().map(Hasher::finish).filter(|found| *found != self.blob.digest)
        else {
            return Ok(());
        };
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

/// Returns the part of `bytes`, which begin at offset `start`, behind offset `hashed`.
fn unhashed(bytes: &[u8], start: u64, hashed: u64) -> &[u8] {
    let seen = usize::try_from(hashed.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
    &bytes[seen..]
}

/// A piece of a blob.
pub(super) struct Part {
    /// Offset of the part's first byte.
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

/// Function applied to a part before the caller gets it.
type Work<T> = Arc<dyn Fn(Part) -> T + Send + Sync>;

/// A blob in parts, of which the next one is read, hashed and worked on while the caller is busy with this one.
pub(super) struct Parts<T = Part> {
    buffers: Arc<Buffers>,
    size: usize,
    work: Work<T>,
    /// Offset of the next part.
    at: u64,
    ahead: Option<JoinHandle<Ahead<T>>>,
}

/// The stream behind a part, and the part; `None` at the end.
type Ahead<T> = (Stream, Result<Option<T>, Error>);

impl Parts {
    pub(super) fn new(stream: Stream, buffers: Arc<Buffers>, size: usize) -> Self {
        Self::with(stream, buffers, size, |part| part)
    }
}

impl<T: Send + 'static> Parts<T> {
    /// Parts with something done to each of them off the reactor.
    pub(super) fn with(
        stream: Stream,
        buffers: Arc<Buffers>,
        size: usize,
        work: impl Fn(Part) -> T + Send + Sync + 'static,
    ) -> Self {
        let mut parts = Self { buffers, size, work: Arc::new(work), at: stream.position, ahead: None };
        parts.prepare(stream);
        parts
    }

    fn prepare(&mut self, stream: Stream) {
        let (buffers, size, work) = (Arc::clone(&self.buffers), self.size, Arc::clone(&self.work));
        self.ahead = Some(tokio::spawn(prepare(stream, buffers, size, work)));
    }

    async fn ahead(&mut self) -> Ahead<T> {
        let task = self.ahead.as_mut().expect("a part is always ahead");
        let prepared = task.await;
        self.ahead = None;
        prepared.expect("reading a part does not panic, and only dropping this aborts it")
    }

    /// The next part; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<T>, Error> {
        let (stream, part) = self.ahead().await;
        self.at = stream.position;
        self.prepare(stream);
        part
    }

    /// Continues at another offset.
    pub(super) async fn seek(&mut self, offset: u64) -> Result<(), Error> {
        let (mut stream, _) = self.ahead().await;
        let result = stream.seek(offset).await;
        self.at = stream.position;
        self.prepare(stream);
        result
    }

    /// Makes sure that the next part begins at an offset.
    pub(super) async fn seek_unless_at(&mut self, offset: u64) -> Result<(), Error> {
        if self.at == offset { Ok(()) } else { self.seek(offset).await }
    }

    /// Checks that the bytes match the digest, where some of them may be wanted again.
    pub(super) async fn verified(&mut self) -> Result<(), Error> {
        let (mut stream, _) = self.ahead().await;
        let result = stream.check().await;
        self.at = stream.position;
        self.prepare(stream);
        result
    }

    /// Checks that the bytes match the digest.
    pub(super) async fn verify(mut self) -> Result<(), Error> {
        self.ahead().await.0.verify().await
    }
}

async fn prepare<T: Send + 'static>(
    mut stream: Stream,
    buffers: Arc<Buffers>,
    size: usize,
    work: Work<T>,
) -> Ahead<T> {
    let first = stream.position;
    if first == stream.blob.size {
        return (stream, Ok(None));
    }
    let rest = usize::try_from(stream.blob.size - first).unwrap_or(usize::MAX);
    let mut buffer: Buffer = buffers.lend(size.min(rest)).await;
    let bytes = std::mem::take(&mut buffer.bytes);
    if size <= STEP {
        // What is done to little takes less time than handing it to another thread.
        let read = stream.read(bytes, size).await;
        return (stream, read.map(|bytes| Some(work(part(buffer, first, bytes)))));
    }
    match stream.fetch(bytes, size).await {
        Ok(bytes) => {
            let worked = tokio::task::spawn_blocking(move || {
                if let Some(hasher) = &mut stream.hasher {
                    hasher.update(unhashed(&bytes, first, stream.hashed));
                }
                stream.hashed = stream.hashed.max(stream.position);
                (stream, Ok(Some(work(part(buffer, first, bytes)))))
            });
            worked.await.expect("neither hashing nor encoding panics")
        }
        Err(error) => (stream, Err(error)),
    }
}

/// A part of bytes that were read into a buffer's room.
pub(super) fn part(mut buffer: Buffer, first: u64, bytes: Vec<u8>) -> Part {
    buffer.bytes = bytes;
    Part { first, bytes: Bytes::from_owner(buffer) }
}

impl<T> Drop for Parts<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.ahead {
            task.abort();
        }
    }
}
