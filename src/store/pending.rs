//! Blobs that are uploaded while they are still being produced, so that the network does not wait for the processor.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Source;
use super::journal::{JournalEntry, UploadState};

/// A blob that is still being produced: its reader waits for bytes that are not there yet.
pub struct PendingBlob {
    source: Source,
    started: Mutex<Option<StartedUpload>>,
    unwanted: watch::Sender<bool>,
}

/// An upload of a blob whose digest was not known when it began.
pub(super) struct StartedUpload {
    pub(super) state: UploadState,
    /// The destination has confirmed all bytes before `state.next`, and nothing more.
    pub(super) certain: bool,
    pub(super) entry: Option<JournalEntry>,
}

impl PendingBlob {
    /// Creates a blob that is still being produced. The size of its source is an upper estimate.
    pub fn new(source: Source) -> Self {
        Self { source, started: Mutex::default(), unwanted: watch::Sender::new(false) }
    }

    /// Cancels the blob, and sending it.
    pub fn stop(&self) {
        self.unwanted.send_replace(true);
    }

    /// Waits until the blob is cancelled.
    pub(super) async fn stopped(&self) {
        // The sender lives as long as there are waiters.
        let _ = self.unwanted.subscribe().wait_for(|unwanted| *unwanted).await;
    }

    /// Returns the source of the blob.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Remembers an upload.
    pub(super) fn hold(&self, started: StartedUpload) {
        *self.started() = Some(started);
    }

    /// Writes down how far the upload is. While bytes are on their way nobody knows what of them arrives.
    pub(super) fn note(&self, next: u64, certain: bool) {
        if let Some(started) = &mut *self.started() {
            (started.state.next, started.certain) = (next, certain);
            if let Some(entry) = &started.entry {
                entry.write(&started.state);
            }
        }
    }

    /// Takes the upload, for another task to continue.
    pub(super) fn take(&self) -> Option<StartedUpload> {
        self.started().take()
    }

    fn started(&self) -> MutexGuard<'_, Option<StartedUpload>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
