//! Upload of a blob that is still being produced: one PATCH without a length that ends with the blob, as docker sends
//! its layers. [`Store::write`](crate::store::Store::write) ends the upload, or goes on where it broke off.

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Method};
use tokio::sync::mpsc::{self, Sender};

use super::super::Reader;
use super::super::journal::{JournalEntry, UploadState};
use super::super::pending::{PendingBlob, StartedUpload};
use super::Remote;
use super::token::Right;
use super::upload::{SMALL, STEP, moved};

impl Remote {
    /// Begins an upload and sends the blob as it is produced, unless it is small. `None` where that did not come to its
    /// end.
    pub(super) async fn upload_pending(&self, pending: &PendingBlob) -> Option<()> {
        let mut reader = pending.source().reader().await.ok()?;
        let front = reader.read(Vec::new(), SMALL + 1).await.ok()?;
        if front.len() <= SMALL {
            return None;
        }
        let journal = self.journal.as_ref();
        let entry =
            journal.and_then(|journal| journal.entry(&self.repository, &pending.source().blob().digest));
        if let Some(state) = entry.as_ref().and_then(JournalEntry::read) {
            // An earlier run's. How far it is will be asked when the blob is whole.
            pending.hold(StartedUpload { state, certain: false, entry });
            return None;
        }
        let authorization = self.reads.authorization(Right::Push, None).await.ok()?;
        let session = self.begin(&authorization).await.ok()?;
        let state = UploadState { identifier: session.place.to_string(), part_size: 0, next: 0 };
        pending.hold(StartedUpload { state, certain: false, entry });
        pending.note(0, false);
        let (sender, receiver) = mpsc::channel::<Result<Bytes, &'static str>>(1);
        let body = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|bytes| (bytes, receiver))
        });
        let request = self.request(Method::PATCH, session.place.clone(), &authorization).ok()?;
        let request = request.header(CONTENT_TYPE, "application/octet-stream").body(Body::wrap_stream(body));
        let (answer, sent) = tokio::select! {
            sent = async { tokio::join!(self.accepted(request), feed(pending, reader, front, sender)) } => sent,
            () = pending.stopped() => return None,
        };
        match answer {
            Ok(response) => {
                let place = moved(&session.place, &response).ok()?.unwrap_or(session.place);
                let state = UploadState { identifier: place.into(), part_size: 0, next: sent? };
                pending.hold(StartedUpload { state, certain: true, ..pending.take()? });
            }
            // Then it may be asked how much it has.
            Err(error) if error.passing || error.expired || error.status.is_none() => {}
            // A registry that does not take blobs this way may take them in another one, in another upload.
            Err(_) => self.forget(pending).await,
        }
        Some(())
    }

    /// Cancels an unneeded upload.
    pub(super) async fn forget(&self, pending: &PendingBlob) {
        let Some(started) = pending.take() else { return };
        if let Some(entry) = &started.entry {
            entry.remove();
        }
        let Ok(place) = started.state.identifier.parse() else { return };
        let Ok(authorization) = self.reads.authorization(Right::Push, None).await else { return };
        if let Ok(request) = self.request(Method::DELETE, place, &authorization) {
            // The registry forgets it by itself, later.
            let _ = self.accepted(request).await;
        }
    }
}

/// Hands the request its bytes, and answers how many there were. Where the blob does not become whole, the request
/// fails too.
async fn feed(
    pending: &PendingBlob,
    mut reader: Box<dyn Reader>,
    front: Vec<u8>,
    sender: Sender<Result<Bytes, &'static str>>,
) -> Option<u64> {
    let (mut piece, mut sent) = (front, 0);
    while !piece.is_empty() {
        let length = piece.len() as u64;
        sender.send(Ok(piece.into())).await.ok()?;
        sent += length;
        pending.source().arrived(sent);
        let Ok(next) = reader.read(Vec::with_capacity(STEP), STEP).await else {
            let _ = sender.send(Err("the blob did not become whole")).await;
            return None;
        };
        piece = next;
    }
    Some(sent)
}
