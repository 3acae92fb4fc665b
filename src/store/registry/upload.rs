//! A blob's way up: POST begins an upload, PATCH sends its bytes, and PUT ends it with the digest (OCI distribution
//! specification, "Pushing blobs"). What is small goes with the PUT.
//!
//! Where a PATCH breaks off, the registry is asked how much of it arrived, and only the rest is sent. A token that
//! expires on the way is renewed, and the upload goes on. Its place is written down, so that another run goes on, too.

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, USER_AGENT};
use reqwest::{Body, Method, RequestBuilder, Response};
use tokio::sync::mpsc::{self, Sender};
use url::Url;

use super::super::http::{is_same_registry, leads_astray};
use super::super::journal::{JournalEntry, UploadState};
use super::super::stream::Parts;
use super::super::{Source, Written};
use super::Remote;
use super::error::ResponseError;
use super::resource::Resource;
use super::token::{Right, with};
use crate::image::Descriptor;
use crate::store;

/// How much is read and sent at once.
pub(super) const STEP: usize = 256 * 1024;
/// Largest blob, in bytes, that is sent with the PUT itself.
pub(super) const SMALL: usize = 4 * 1024 * 1024;

/// How often in a row something may fail on a blob's way without a byte arriving: it takes several requests.
const ATTEMPTS: u32 = 8;

/// An upload that the registry has begun.
pub(super) struct Session {
    pub(super) place: Url,
    /// Whether it is to be asked how far it is, since something went wrong.
    doubtful: bool,
    next: u64,
}

impl Session {
    /// An upload that was written down.
    fn of(state: &UploadState, certain: bool) -> Option<Self> {
        let place = state.identifier.parse().ok()?;
        Some(Self { place, doubtful: !certain, next: if certain { state.next } else { 0 } })
    }
}

/// StoreFuture to the wish to mount a blob.
enum Mount {
    /// The blob is here.
    Done,
    /// It is to be sent in this upload.
    Begun(Session),
    /// Nothing came of it.
    Refused,
}

enum Failure {
    Source(store::Error),
    Registry(ResponseError),
}

impl From<ResponseError> for Failure {
    fn from(trouble: ResponseError) -> Self {
        Self::Registry(trouble)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Source(error)
    }
}

impl Remote {
    pub(super) async fn upload(&self, blob: &Descriptor, source: &Source) -> Result<Written, store::Error> {
        let begun = match self.mount(blob, source).await {
            Mount::Done => return Ok(Written::Present),
            Mount::Begun(session) => Some(session),
            Mount::Refused => None,
        };
        let step = if blob.size <= SMALL as u64 { SMALL } else { STEP };
        let mut parts = Parts::new(source.stream_to_verifier().await?, source.buffers(), step);
        let (entry, mut session) = if let Some(started) = source.started_upload() {
            let session = Session::of(&started.state, started.certain);
            (started.entry, session)
        } else {
            let entry = self.journal.as_ref().filter(|_| blob.size > SMALL as u64);
            let entry = entry.and_then(|journal| journal.entry(&self.repository, &blob.digest));
            let session =
                entry.as_ref().and_then(JournalEntry::read).and_then(|state| Session::of(&state, false));
            (entry, session.or(begun))
        };
        let (mut failures, mut stale, mut restarted) = (0, None, false);
        loop {
            let before = session.as_ref().map_or(0, |session: &Session| session.next);
            let authorization = self.reads.authorization(Right::Push, stale.as_deref()).await;
            let (known, attempted) = match authorization {
                Ok(known) => {
                    let attempted =
                        self.attempt(&mut session, entry.as_ref(), &mut parts, blob, source, &known).await;
                    (Some(known), attempted)
                }
                Err(trouble) => (None, Err(Failure::Registry(trouble))),
            };
            let trouble = match attempted {
                Ok(()) => {
                    if let Some(entry) = &entry {
                        entry.remove();
                    }
                    break;
                }
                Err(Failure::Source(error)) => return Err(error),
                Err(Failure::Registry(trouble)) => trouble,
            };
            let expired = trouble.expired && stale.is_none() && known.is_some();
            stale = known.filter(|_| expired);
            // A session that is unknown may be one that an earlier answer, lost on its way, had ended.
            // A place that is not there to begin an upload is not there later either.
            let lost = trouble.status == Some(404) && session.is_some();
            if lost && self.has(blob).await? {
                return Ok(Written::Present);
            }
            if session.as_ref().is_some_and(|session| session.next > before) {
                (failures, restarted) = (0, false);
            }
            failures += 1;
            // A new upload may come to its end where the registry does not know this one any more, or wants another
            // offset. Where that one fails alike, nothing will change.
            let restarts = (lost || trouble.status == Some(416)) && !restarted;
            let hopeful = trouble.passing || expired || restarts;
            if failures >= ATTEMPTS || !hopeful {
                if trouble.status == Some(400) {
                    if let Some(entry) = &entry {
                        entry.remove();
                    }
                    source.examine().await?;
                }
                return Err(self.trouble(trouble, "push to").into());
            }
            // Some registries name another offset than the one they want, ECR among them.
            let small = blob.size <= SMALL as u64;
            if restarts || (small && trouble.status != Some(429)) {
                session = None;
                restarted |= restarts;
            } else if let Some(session) = session.as_mut().filter(|_| small) {
                // A request that was one too many changed nothing.
                session.doubtful = false;
            }
            if !expired {
                self.reads.setbacks.count(trouble.status == Some(429));
                tokio::time::sleep(self.pause(&trouble, failures)).await;
            }
        }
        Ok(Written::Moved)
    }

    /// Asks the registry to take the blob over from another of its repositories. Where it does not, for whatever
    /// reason, the blob is sent.
    async fn mount(&self, blob: &Descriptor, source: &Source) -> Mount {
        let Some((host, repository)) = source.mount_source() else { return Mount::Refused };
        if host != self.host || repository == self.repository.as_str() {
            return Mount::Refused;
        }
        let Ok(repository) = repository.parse() else { return Mount::Refused };
        // Neither a digest nor a repository's name has anything in it that a query would have to say otherwise.
        let resource = Resource::Mount { digest: &blob.digest, from: &repository };
        let mount = |request: RequestBuilder| request.header(CONTENT_LENGTH, 0);
        let Ok(response) = self.reads.ask(Right::Push, &Method::POST, resource, mount).await else {
            return Mount::Refused;
        };
        match response.status().as_u16() {
            201 => Mount::Done,
            202 => {
                let place = self.reads.url(resource).and_then(|url| moved(&url, &response));
                let place = place.ok().flatten();
                place
                    .map_or(Mount::Refused, |place| Mount::Begun(Session { place, doubtful: false, next: 0 }))
            }
            _ => Mount::Refused,
        }
    }

    async fn attempt(
        &self,
        session: &mut Option<Session>,
        entry: Option<&JournalEntry>,
        parts: &mut Parts,
        blob: &Descriptor,
        source: &Source,
        authorization: &str,
    ) -> Result<(), Failure> {
        let session = match session {
            Some(session) => session,
            None => session.insert(self.begin(authorization).await?),
        };
        if session.doubtful {
            match self.ask(session, authorization).await {
                // One that is unknown may have come to its end.
                Err(trouble)
                    if !trouble.expired
                        && trouble
                            .status
                            .is_some_and(|status| (402..500).contains(&status) && status != 404) =>
                {
                    *session = self.begin(authorization).await?;
                }
                asked => asked?,
            }
        }
        if let Some(entry) = entry {
            let identifier = session.place.to_string();
            entry.write(&UploadState { identifier, part_size: 0, next: session.next });
        }
        // Until everything of this attempt is well the registry may have got any part of it.
        session.doubtful = true;
        parts.seek_unless_at(session.next).await?;
        source.arrived(session.next);
        let small = blob.size <= SMALL as u64;
        let last = if small {
            let whole = parts.next().await?;
            parts.verified().await?;
            whole.map(|part| part.bytes).unwrap_or_default()
        } else {
            if session.next < blob.size {
                self.patch(session, parts, blob, source, authorization).await?;
            }
            parts.verified().await?;
            Bytes::new()
        };
        let mut place = session.place.clone();
        place.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        let request = self.request(Method::PUT, place, authorization)?;
        let request = request.header(CONTENT_TYPE, "application/octet-stream");
        let request = request.header(CONTENT_LENGTH, last.len()).body(last);
        self.accepted(request).await.map(|_| ()).map_err(Failure::Registry)
    }

    pub(super) async fn begin(&self, authorization: &str) -> Result<Session, ResponseError> {
        let url = self.reads.url(Resource::Uploads)?;
        let request = self.request(Method::POST, url.clone(), authorization)?.header(CONTENT_LENGTH, 0);
        let response = self.accepted(request).await?;
        let place =
            moved(&url, &response)?.ok_or_else(|| ResponseError::plain("it named no place for an upload"))?;
        Ok(Session { place, doubtful: false, next: 0 })
    }

    /// Asks how much of an upload arrived.
    async fn ask(&self, session: &mut Session, authorization: &str) -> Result<(), ResponseError> {
        let request = self.request(Method::GET, session.place.clone(), authorization)?;
        let response = self.accepted(request).await?;
        if let Some(place) = moved(&session.place, &response)? {
            session.place = place;
        }
        // `0-0` is what registries say of one byte and of none, and one byte is soon sent again.
        let range = response.headers().get(RANGE).and_then(|range| range.to_str().ok());
        let last = range.and_then(|range| range.rsplit('-').next()?.trim().parse::<u64>().ok()).unwrap_or(0);
        session.next = if last == 0 { 0 } else { last + 1 };
        Ok(())
    }

    /// Sends everything from the session's offset on.
    async fn patch(
        &self,
        session: &mut Session,
        parts: &mut Parts,
        blob: &Descriptor,
        source: &Source,
        authorization: &str,
    ) -> Result<(), Failure> {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, &'static str>>(1);
        let body = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|bytes| (bytes, receiver))
        });
        let request = self.request(Method::PATCH, session.place.clone(), authorization)?;
        let request = request.header(CONTENT_TYPE, "application/octet-stream");
        let request = request.header(CONTENT_LENGTH, blob.size - session.next);
        let request = if session.next == 0 {
            request
        } else {
            request.header(CONTENT_RANGE, format!("{}-{}", session.next, blob.size - 1))
        };
        let request = request.body(Body::wrap_stream(body));
        let (answer, fed) = tokio::join!(self.accepted(request), feed(parts, source, sender));
        fed?;
        let response = answer?;
        if let Some(place) = moved(&session.place, &response)? {
            session.place = place;
        }
        session.next = blob.size;
        session.doubtful = false;
        Ok(())
    }

    /// A request to a place that the registry named. Another host than the registry's own never sees the login.
    pub(super) fn request(
        &self,
        method: Method,
        url: Url,
        authorization: &str,
    ) -> Result<RequestBuilder, ResponseError> {
        let own = self.reads.url(Resource::Root)?;
        if let Some(reason) = leads_astray(&own, &url) {
            return Err(ResponseError::plain(reason));
        }
        let trusted = is_same_registry(&own, &url);
        let client = self.reads.connections.client(&url).map_err(ResponseError::plain)?;
        let request = client.request(method, url).header(USER_AGENT, super::USER_AGENT);
        Ok(if trusted { with(request, authorization) } else { request })
    }

    /// Sends a request that any kind of success answers.
    pub(super) async fn accepted(&self, request: RequestBuilder) -> Result<Response, ResponseError> {
        let response = self.reads.connections.send(request).await.map_err(ResponseError::connection)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(super::read::refused(response).await)
    }
}

/// Where an upload goes on, as an answer says it.
pub(super) fn moved(from: &Url, response: &Response) -> Result<Option<Url>, ResponseError> {
    let Some(place) = response.headers().get(LOCATION) else { return Ok(None) };
    let place = place.to_str().ok().and_then(|place| from.join(place).ok());
    place.map(Some).ok_or_else(|| ResponseError::plain("it named a place for an upload that is no URL"))
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
