//! The bytes of one blob: POST begins an upload, PATCH sends its bytes, and PUT ends it with the digest (OCI distribution
//! specification, "Pushing blobs"). A small blob goes with the PUT.
//!
//! Where a PATCH breaks off, the registry is asked how much of it arrived, and only the rest is sent. A token that
//! expires on the way is renewed, and the upload goes on. Its place is written down, so that another run goes on, too.

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::{Body, Method};
use tokio::sync::mpsc::{self, Sender};
use url::Url;

use super::super::journal::{JournalEntry, UploadState};
use super::super::stream::Parts;
use super::super::{Source, Written};
use super::Remote;
use super::error::ResponseError;
use super::token::Right;
use super::upload::{SMALL, Session, moved};
use crate::image::Descriptor;
use crate::retry::FailureCount;
use crate::store;

/// Most failures in a row without a byte arriving: a blob takes several requests.
const ATTEMPTS: u32 = 8;

enum Failure {
    Source(store::Error),
    Registry(ResponseError),
}

impl From<ResponseError> for Failure {
    fn from(error: ResponseError) -> Self {
        Self::Registry(error)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Source(error)
    }
}

/// The upload of one blob, in as many attempts as it takes.
pub(super) struct BlobUpload<'a> {
    remote: &'a Remote,
    blob: &'a Descriptor,
    source: &'a Source,
    parts: Parts,
    /// Journal entry, from which another run can resume.
    entry: Option<JournalEntry>,
    session: Option<Session>,
    /// Failures in a row without a byte that arrived.
    failures: FailureCount,
    /// The upload was begun anew since the last byte that arrived.
    restarted: bool,
}

impl<'a> BlobUpload<'a> {
    pub(super) fn new(remote: &'a Remote, source: &'a Source, parts: Parts) -> Self {
        let blob = source.blob();
        let failures = FailureCount::new(ATTEMPTS);
        Self { remote, blob, source, parts, entry: None, session: None, failures, restarted: false }
    }

    /// Creates an upload that was begun already.
    pub(super) fn resumed(self, entry: Option<JournalEntry>, session: Option<Session>) -> Self {
        Self { entry, session, ..self }
    }

    /// Sends the blob until the registry has it.
    pub(super) async fn run(mut self) -> Result<Written, store::Error> {
        let mut stale = None;
        loop {
            let before = self.session.as_ref().map_or(0, |session| session.next);
            let authorization = self.remote.reads.authorization(Right::Push, stale.as_deref()).await;
            let (known, attempted) = match authorization {
                Ok(known) => {
                    let attempted = self.attempt(&known).await;
                    (Some(known), attempted)
                }
                Err(error) => (None, Err(Failure::Registry(error))),
            };
            let error = match attempted {
                Ok(()) => {
                    self.remove_entry();
                    return Ok(Written::Moved);
                }
                Err(Failure::Source(error)) => return Err(error),
                Err(Failure::Registry(error)) => error,
            };
            let expired = error.expired && stale.is_none() && known.is_some();
            stale = known.filter(|_| expired);
            if self.session.as_ref().is_some_and(|session| session.next > before) {
                self.failures.reset();
                self.restarted = false;
            }
            if self.prepare_retry(error, expired).await? {
                return Ok(Written::Present);
            }
        }
    }

    /// Prepares the next attempt and waits until its time. Returns true if the blob turns out to be there, and the error
    /// if another attempt has no prospect.
    async fn prepare_retry(&mut self, error: ResponseError, expired: bool) -> Result<bool, store::Error> {
        // A session that is unknown may be one that an earlier answer, lost on its way, had ended.
        // A place that is not there to begin an upload is not there later either.
        let lost = error.status == Some(404) && self.session.is_some();
        if lost && self.remote.has(self.blob).await? {
            return Ok(true);
        }
        self.failures.add(error.is_throttled());
        // A new upload may come to its end where the registry does not know this one any more, or wants another
        // offset. Where that one fails alike, nothing will change.
        let restarts = (lost || error.status == Some(416)) && !self.restarted;
        let hopeful = error.passing || expired || restarts;
        if self.failures.is_exhausted() || !hopeful {
            if error.status == Some(400) {
                self.remove_entry();
                self.source.examine().await?;
            }
            return Err(self.remote.explained(error, "push to").into());
        }
        // Some registries name another offset than the one they want, ECR among them.
        if restarts || (self.is_small() && !error.is_throttled()) {
            self.session = None;
            self.restarted |= restarts;
        } else if self.is_small()
            && let Some(session) = &mut self.session
        {
            // A request that was one too many changed nothing.
            session.doubtful = false;
        }
        if !expired {
            self.remote.reads.retries.count(error.is_throttled());
            tokio::time::sleep(self.remote.pause(&error, self.failures.all())).await;
        }
        Ok(false)
    }

    /// Returns whether the blob goes with the PUT itself.
    fn is_small(&self) -> bool {
        self.blob.size <= SMALL as u64
    }

    fn remove_entry(&self) {
        if let Some(entry) = &self.entry {
            entry.remove();
        }
    }

    async fn attempt(&mut self, authorization: &str) -> Result<(), Failure> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.remote.begin(authorization).await?,
        };
        let sent = self.send(&mut session, authorization).await;
        self.session = Some(session);
        sent
    }

    /// Sends the bytes that the registry does not have yet, and ends the upload.
    async fn send(&mut self, session: &mut Session, authorization: &str) -> Result<(), Failure> {
        if session.doubtful {
            match ask(self.remote, session, authorization).await {
                // One that is unknown may have come to its end.
                Err(error)
                    if !error.expired
                        && error
                            .status
                            .is_some_and(|status| (402..500).contains(&status) && status != 404) =>
                {
                    *session = self.remote.begin(authorization).await?;
                }
                asked => asked?,
            }
        }
        if let Some(entry) = &self.entry {
            let identifier = session.place.to_string();
            entry.write(&UploadState { identifier, part_size: 0, next: session.next });
        }
        // Until everything of this attempt is well the registry may have got any part of it.
        session.doubtful = true;
        self.parts.seek_unless_at(session.next).await?;
        self.source.arrived(session.next);
        let last = if self.is_small() {
            let whole = self.parts.next().await?;
            self.parts.verified().await?;
            whole.map(|part| part.bytes).unwrap_or_default()
        } else {
            if session.next < self.blob.size {
                self.patch(session, authorization).await?;
            }
            self.parts.verified().await?;
            Bytes::new()
        };
        self.end(session.place.clone(), last, authorization).await
    }

    /// Ends the upload with the last bytes of the blob: all of a small one, none of a large one.
    async fn end(&self, mut place: Url, last: Bytes, authorization: &str) -> Result<(), Failure> {
        place.query_pairs_mut().append_pair("digest", &self.blob.digest.to_string());
        let request = self.remote.request(Method::PUT, place, authorization)?;
        let request = request.header(CONTENT_TYPE, "application/octet-stream");
        let request = request.header(CONTENT_LENGTH, last.len()).body(last);
        let accepted = self.remote.accepted(request).await;
        if accepted.as_ref().err().is_none_or(is_after_body) {
            self.source.arrived(self.blob.size);
        }
        accepted.map(|_| ()).map_err(Failure::Registry)
    }

    /// Sends everything from the session's offset on.
    async fn patch(&mut self, session: &mut Session, authorization: &str) -> Result<(), Failure> {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, &'static str>>(1);
        let body = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|bytes| (bytes, receiver))
        });
        let (remote, size) = (self.remote, self.blob.size);
        let request = remote.request(Method::PATCH, session.place.clone(), authorization)?;
        let request = request.header(CONTENT_TYPE, "application/octet-stream");
        let request = request.header(CONTENT_LENGTH, size - session.next);
        let request = if session.next == 0 {
            request
        } else {
            request.header(CONTENT_RANGE, format!("{}-{}", session.next, size - 1))
        };
        let request = request.body(Body::wrap_stream(body));
        let (answer, fed) =
            tokio::join!(remote.accepted(request), feed(&mut self.parts, self.source, sender));
        fed?;
        let response = answer?;
        if let Some(place) = moved(&session.place, &response)? {
            session.place = place;
        }
        session.next = size;
        session.doubtful = false;
        Ok(())
    }
}

/// Returns whether a request failed after its body was sent: the connection broke, or the registry failed. Where it
/// refuses a request, or has no room for one, the request's head tells it that.
fn is_after_body(error: &ResponseError) -> bool {
    error.status.map_or(!error.unreached, |status| status >= 500 && status != 503)
}

/// Asks how much of an upload arrived.
async fn ask(remote: &Remote, session: &mut Session, authorization: &str) -> Result<(), ResponseError> {
    let request = remote.request(Method::GET, session.place.clone(), authorization)?;
    let response = remote.accepted(request).await?;
    if let Some(place) = moved(&session.place, &response)? {
        session.place = place;
    }
    // `0-0` is what registries say of one byte and of none, and one byte is soon sent again.
    let range = response.headers().get(RANGE).and_then(|range| range.to_str().ok());
    let last = range.and_then(|range| range.rsplit('-').next()?.trim().parse::<u64>().ok()).unwrap_or(0);
    session.next = if last == 0 { 0 } else { last + 1 };
    Ok(())
}

/// Hands a request's body its bytes. Nobody listens any more where the registry has answered already.
async fn feed(
    parts: &mut Parts,
    source: &Source,
    sender: Sender<Result<Bytes, &'static str>>,
) -> Result<(), store::Error> {
    loop {
        match parts.next().await {
            Ok(Some(part)) => {
                let end = part.end();
                if sender.send(Ok(part.bytes)).await.is_err() {
                    return Ok(());
                }
                source.arrived(end);
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                let _ = sender.send(Err("the source failed")).await;
                return Err(error);
            }
        }
    }
}
