//! Blobs that are sent while they are still being made, so that the network does not wait for the processor.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::buffers::Buffers;
use super::journal::{Page, Record};
use super::{Error, Reader, Shared};
use crate::image::Descriptor;

/// A blob that is still being made: a reader of it waits for what is not there yet.
pub struct Growing {
    store: Shared,
    blob: Descriptor,
    buffers: Arc<Buffers>,
    report: Box<dyn Fn(u64) + Send + Sync>,
    begun: Mutex<Option<Begun>>,
    unwanted: watch::Sender<bool>,
}

/// An upload of a blob whose digest was not known when it began.
pub(super) struct Begun {
    pub(super) record: Record,
    /// Whether the destination has said that it has everything in front of the record's next byte, and nothing more.
    pub(super) certain: bool,
    pub(super) page: Option<Page>,
}

impl Growing {
    /// A blob of a store. The descriptor's digest stands for what the blob is made of, and how: the same must always
    /// become the same bytes. Its size is about the most that comes of it. `report` hears how many bytes have arrived.
    pub fn new(
        store: Shared,
        blob: Descriptor,
        buffers: Arc<Buffers>,
        report: impl Fn(u64) + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            blob,
            buffers,
            report: Box::new(report),
            begun: Mutex::default(),
            unwanted: watch::Sender::new(false),
        }
    }

    /// Nobody wants the blob any more, and sending it ends.
    pub fn stop(&self) {
        self.unwanted.send_replace(true);
    }

    /// Waits until nobody wants the blob.
    pub(super) async fn stopped(&self) {
        // The sender is here for as long as anybody waits.
        let _ = self.unwanted.subscribe().wait_for(|unwanted| *unwanted).await;
    }

    /// What is known of the blob.
    pub(super) fn blob(&self) -> &Descriptor {
        &self.blob
    }

    pub(super) fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    /// The blob from its first byte.
    pub(super) async fn open(&self) -> Result<Box<dyn Reader>, Error> {
        self.store.open(&self.blob, 0).await
    }

    /// Remembers an upload.
    pub(super) fn hold(&self, begun: Begun) {
        *self.begun() = Some(begun);
    }

    /// Says how many bytes have arrived.
    pub(super) fn arrived(&self, position: u64) {
        (self.report)(position);
    }

    /// Writes down how far the upload is. While bytes are on their way nobody knows what of them arrives.
    pub(super) fn note(&self, next: u64, certain: bool) {
        if let Some(begun) = &mut *self.begun() {
            (begun.record.next, begun.certain) = (next, certain);
            if let Some(page) = &begun.page {
                page.write(&begun.record);
            }
        }
    }

    /// The upload, for somebody else to go on with.
    pub(super) fn take(&self) -> Option<Begun> {
        self.begun().take()
    }

    fn begun(&self) -> MutexGuard<'_, Option<Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
