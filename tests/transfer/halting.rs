//! A store that comes to a halt until it is let go on.

use std::collections::HashSet;
use std::time::Duration;

use ecr::store::{Reader, Source, StoreFuture, Written};
use tokio::sync::Notify;

use super::*;

/// Time limit of a halt, so that a test fails if nothing releases it.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) struct Halting {
    memory: Arc<Memory>,
    go: Arc<Notify>,
    /// Bytes of a layer that are read before it halts.
    halts_after: usize,
    /// The store halts before it answers what is missing, as one that hashes present content.
    hashes: bool,
}

impl Halting {
    /// Halts at the first byte of each layer.
    pub(super) fn new(memory: Arc<Memory>, go: Arc<Notify>) -> Self {
        Self { memory, go, halts_after: 0, hashes: false }
    }

    /// Halts after so many bytes of each layer.
    pub(super) fn after(self, bytes: usize) -> Self {
        Self { halts_after: bytes, ..self }
    }

    /// Halts before it says what is missing.
    pub(super) fn hashing(self) -> Self {
        Self { hashes: true, ..self }
    }
}

struct HaltingReader {
    reader: Box<dyn Reader>,
    /// Bytes until it halts.
    rest: usize,
    go: Arc<Notify>,
}

impl Reader for HaltingReader {
    fn read(&mut self, buffer: Vec<u8>, limit: usize) -> StoreFuture<'_, Vec<u8>> {
        Box::pin(async move {
            if self.rest < limit {
                let gone_on = tokio::time::timeout(PATIENCE, self.go.notified()).await;
                gone_on.expect("nothing came of the bytes before the halt");
                self.rest = usize::MAX;
            }
            self.rest -= limit;
            self.reader.read(buffer, limit).await
        })
    }
}

impl Store for Halting {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest> {
        self.memory.manifest(name)
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(async move {
            let reader = self.memory.open(blob, offset).await?;
            let rest = if blob.media_type == CONFIG { usize::MAX } else { self.halts_after };
            Ok(Box::new(HaltingReader { reader, rest, go: Arc::clone(&self.go) }) as Box<dyn Reader>)
        })
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move {
            if self.hashes {
                self.go.notified().await;
            }
            self.memory.prepare(blobs).await
        })
    }

    fn is_hashing(&self) -> bool {
        self.hashes
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> StoreFuture<'a, Written> {
        self.memory.write(blob, source)
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        self.memory.put_manifest(manifest)
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> StoreFuture<'a, ()> {
        self.memory.put_image(manifest, tags)
    }
}
