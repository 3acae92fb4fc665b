//! Reports of the cause of a slow transfer while it lasts.

use std::collections::HashSet;
use std::sync::Mutex;

use ecr::store::{Reader, Source, StoreFuture, Written};
use ecr::transfer::progress::{Event, Reason};
use tokio::sync::Notify;

use super::compress::{PLAIN, compressed, store_of};
use super::*;

/// A store that reads and prepares only as far as it is let.
struct Halting {
    memory: Arc<Memory>,
    go: Arc<Notify>,
    /// The destination hashes present content before it says what is missing.
    hashes: bool,
}

struct HaltingReader {
    reader: Box<dyn Reader>,
    go: Option<Arc<Notify>>,
}

impl Reader for HaltingReader {
    fn read(&mut self, buffer: Vec<u8>, limit: usize) -> StoreFuture<'_, Vec<u8>> {
        Box::pin(async move {
            if let Some(go) = self.go.take() {
                go.notified().await;
            }
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
            let go = (blob.media_type == PLAIN).then(|| Arc::clone(&self.go));
            Ok(Box::new(HaltingReader { reader, go }) as Box<dyn Reader>)
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

/// Lets a store go on as soon as a reason is named.
struct Named {
    go: Arc<Notify>,
    reasons: Mutex<Vec<Option<Reason>>>,
}

impl Progress for Named {
    fn hear(&self, event: Event<'_>) {
        if let Event::Slow(reason) = event {
            self.reasons.lock().unwrap().push(reason);
            if reason.is_some() {
                self.go.notify_one();
            }
        }
    }
}

fn named() -> (Arc<Notify>, Arc<Named>) {
    let go = Arc::new(Notify::new());
    (Arc::clone(&go), Arc::new(Named { go, reasons: Mutex::default() }))
}

#[tokio::test]
async fn a_layer_that_takes_long_to_compress() {
    let (layer, (go, heard)) = (noise(1000, 1), named());
    let (memory, _) = store_of(&[(PLAIN, layer.clone(), &layer)], false).await;
    let source: Shared = Arc::new(Halting { memory, go, hashes: false });
    let target: Shared = Arc::new(Memory::new());
    copy(&source, &target, &compressed("gzip:1", &["1"]), &(heard.clone() as _)).await.unwrap();
    assert_eq!(*heard.reasons.lock().unwrap(), [Some(Reason::Compressing)]);
}

#[tokio::test]
async fn a_destination_that_takes_long_to_hash_what_is_there() {
    let (source, _) = single(&[noise(1000, 1)]).await;
    let (go, heard) = named();
    let target: Shared = Arc::new(Halting { memory: Arc::new(Memory::new()), go, hashes: true });
    copy(&(source as Shared), &target, &options(&["1"]), &(heard.clone() as _)).await.unwrap();
    assert_eq!(*heard.reasons.lock().unwrap(), [Some(Reason::Hashing), None]);
}
