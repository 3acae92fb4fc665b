//! Uploads of blobs: mounting instead of sending, beginning an upload, resuming an unfinished one, and requests to the
//! URLs that a registry names for them. [`BlobUpload`] sends the bytes.

use reqwest::header::{CONTENT_LENGTH, LOCATION, USER_AGENT};
use reqwest::{Method, RequestBuilder, Response};
use url::Url;

use super::super::http::{is_same_registry, url_refusal};
use super::super::journal::{JournalEntry, UploadState};
use super::super::stream::Parts;
use super::super::{Source, Written};
use super::Remote;
use super::blob_upload::BlobUpload;
use super::error::ResponseError;
use super::resource::Resource;
use super::token::{Right, with};
use crate::image::Descriptor;
use crate::store;

/// Bytes read and sent at once.
pub(super) const STEP: usize = 256 * 1024;
/// Largest blob, in bytes, that is sent with the PUT itself.
pub(super) const SMALL: usize = 4 * 1024 * 1024;

/// An upload that the registry has begun.
pub(super) struct Session {
    pub(super) place: Url,
    /// The registry must be asked how many bytes it has, since something went wrong.
    pub(super) doubtful: bool,
    /// Offset of the next byte that the registry wants.
    pub(super) next: u64,
}

impl Session {
    /// An upload that was written down.
    fn of(state: &UploadState, certain: bool) -> Option<Self> {
        let place = state.identifier.parse().ok()?;
        Some(Self { place, doubtful: !certain, next: if certain { state.next } else { 0 } })
    }
}

/// Result of a request to mount a blob.
enum Mount {
    /// The registry has mounted it.
    Done,
    /// The registry has begun an upload instead, in which the blob is to be sent.
    Begun(Session),
    /// The registry did neither, or was not asked.
    Refused,
}

impl Remote {
    /// Uploads a blob, or has it mounted from the source's repository.
    pub(super) async fn upload(&self, blob: &Descriptor, source: &Source) -> Result<Written, store::Error> {
        let begun = match self.mount(blob, source).await {
            Mount::Done => return Ok(Written::Present),
            Mount::Begun(session) => Some(session),
            Mount::Refused => None,
        };
        let step = if blob.size <= SMALL as u64 { SMALL } else { STEP };
        let parts = Parts::new(source.stream_to_verifier().await?, source.buffers(), step);
        let (entry, session) = self.unfinished_upload(blob, source, begun);
        BlobUpload::new(self, source, parts).resumed(entry, session).run().await
    }

    /// Returns the upload to continue: the source's own, one from the journal, or the one just begun.
    fn unfinished_upload(
        &self,
        blob: &Descriptor,
        source: &Source,
        begun: Option<Session>,
    ) -> (Option<JournalEntry>, Option<Session>) {
        if let Some(started) = source.started_upload() {
            let session = Session::of(&started.state, started.certain);
            return (started.entry, session);
        }
        let journal = self.journal.as_ref().filter(|_| blob.size > SMALL as u64);
        let entry = journal.and_then(|journal| journal.entry(&self.repository, &blob.digest));
        let state = entry.as_ref().and_then(JournalEntry::read);
        let session = state.and_then(|state| Session::of(&state, false));
        (entry, session.or(begun))
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

    pub(super) async fn begin(&self, authorization: &str) -> Result<Session, ResponseError> {
        let url = self.reads.url(Resource::Uploads)?;
        let request = self.request(Method::POST, url.clone(), authorization)?.header(CONTENT_LENGTH, 0);
        let response = self.accepted(request).await?;
        let place =
            moved(&url, &response)?.ok_or_else(|| ResponseError::plain("it named no place for an upload"))?;
        Ok(Session { place, doubtful: false, next: 0 })
    }

    /// Creates a request to a URL that the registry named. Another host than the registry's own never sees the login.
    pub(super) fn request(
        &self,
        method: Method,
        url: Url,
        authorization: &str,
    ) -> Result<RequestBuilder, ResponseError> {
        let own = self.reads.url(Resource::Root)?;
        if let Some(reason) = url_refusal(&own, &url) {
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

/// Returns the upload's next URL from an answer.
pub(super) fn moved(from: &Url, response: &Response) -> Result<Option<Url>, ResponseError> {
    let Some(place) = response.headers().get(LOCATION) else { return Ok(None) };
    let place = place.to_str().ok().and_then(|place| from.join(place).ok());
    place.map(Some).ok_or_else(|| ResponseError::plain("it named a place for an upload that is no URL"))
}
