//! Reading from a registry: manifests whole and bounded, blobs from any offset.

use std::future::Future;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use reqwest::{Method, RequestBuilder, Response};
use tokio::sync::Mutex;

use super::super::connections::{Connections, SendError};
use super::super::download::{Failure, Origin, ReadyRequest};
use super::super::http::retry_after;
use super::super::lanes::Lanes;
use super::super::retries::RetryCounter;
use super::error::ResponseError;
use super::listing::is_no_answer;
use super::resource::Resource;
use super::token::{Authentication, Renew, Right, with};
use super::{Error, Login, Remote};
use crate::image::{Descriptor, Digest, MAXIMUM_MANIFEST, Manifest, Name, RepositoryName, Tag, media_type};
use crate::retry::Backoff;
use crate::store;

/// Limit of the bytes read from an error's body.
const MAX_COMPLAINT: u64 = 64 * 1024;

/// The longest time for an answer that is no blob.
const ANSWER: Duration = Duration::from_mins(2);

/// Read access to a repository of a registry.
pub(super) struct Reads {
    /// Host of the registry, as requested.
    pub(super) host: String,
    /// The registry is asked with TLS; empty until that is found out, for a registry of this machine.
    pub(super) is_secured: OnceLock<bool>,
    pub(super) repository: RepositoryName,
    pub(super) login: Mutex<Login>,
    pub(super) renew: Option<Renew>,
    pub(super) connections: Connections,
    /// Last `Authorization` header for pulling; empty if none is needed.
    pub(super) pulling: Mutex<Option<String>>,
    /// Last `Authorization` header for pushing.
    pub(super) pushing: Mutex<Option<String>>,
    /// Last `Authorization` header for the catalog.
    pub(super) listing: Mutex<Option<String>>,
    /// Authentication that the registry asks for.
    pub(super) challenge: std::sync::Mutex<Authentication>,
    /// Number of requests that failed and were repeated.
    pub(super) retries: RetryCounter,
    /// Connections for downloads beyond one for each blob.
    pub(super) lanes: Arc<Lanes>,
}

impl Reads {
    /// The registry's URL, without a path.
    pub(super) fn root(&self) -> String {
        let scheme = if self.is_secured.get() == Some(&true) { "https" } else { "http" };
        format!("{scheme}://{}", self.host)
    }

    /// Asks for nothing but whether we are welcome.
    async fn greet(&self) -> Result<Response, ResponseError> {
        self.ask(Right::Pull, &Method::GET, Resource::Root, |request| request).await
    }

    /// Sends a request with a short body or none, and waits for the head of its answer.
    pub(super) async fn answered(&self, request: RequestBuilder) -> Result<Response, ResponseError> {
        in_time(async { self.connections.send(request).await.map_err(ResponseError::connection) }).await
    }

    /// Reads something.
    pub(super) async fn answer(
        &self,
        method: &Method,
        resource: Resource<'_>,
    ) -> Result<Response, ResponseError> {
        let accept = media_type::MANIFESTS.join(", ");
        self.ask(Right::Pull, method, resource, |request| request.header(ACCEPT, &accept)).await
    }
}

impl Origin for Reads {
    fn request<'a>(
        &'a self,
        blob: &'a Descriptor,
        stale: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ReadyRequest, Failure>> {
        let asked = async move {
            let url = self.url(Resource::Blob(&blob.digest))?;
            let client = self.connections.client(&url).map_err(ResponseError::plain)?;
            let request = client.get(url).header(USER_AGENT, super::USER_AGENT);
            let authorization = self.authorization(Right::Pull, stale).await?;
            Ok(ReadyRequest { request: with(request, &authorization), authorization })
        };
        Box::pin(async move {
            asked.await.map_err(|error: ResponseError| {
                if error.passing {
                    return Failure::Passing(error.reason);
                }
                let digest = blob.digest.clone();
                Failure::Final(store::Error::Download { digest, reason: error.reason })
            })
        })
    }

    fn send(&self, request: RequestBuilder) -> BoxFuture<'_, Result<Response, SendError>> {
        Box::pin(self.connections.send(request))
    }

    fn backoff(&self) -> Backoff {
        self.connections.backoff()
    }

    fn lanes(&self) -> Arc<Lanes> {
        Arc::clone(&self.lanes)
    }

    fn count_retry(&self, is_throttled: bool) {
        self.retries.count(is_throttled);
    }
}

impl Remote {
    /// Checks that the registry answers and accepts the login.
    pub async fn greet(&self) -> Result<(), Error> {
        let greeted = match self.reads.greet().await {
            Ok(response) if response.status() == 200 => Ok(()),
            Ok(response) => Err(refused(response).await),
            Err(error) => Err(error),
        };
        greeted.map_err(|error| error.explain(self.host.clone(), "enter", self.is_anonymous))
    }

    /// The size of a blob; `None` where the registry has none of this digest.
    pub async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let ask = async || {
            for method in [Method::HEAD, Method::GET] {
                let response = self.reads.answer(&method, Resource::Blob(digest)).await?;
                let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
                let length = length.and_then(|text| text.parse().ok());
                match response.status().as_u16() {
                    200 if length.is_some() => return Ok(length),
                    status if method == Method::HEAD && (status == 200 || is_no_answer(status)) => {}
                    200 => return Err(ResponseError::plain("it does not say how long the blob is")),
                    404 => return Ok(None),
                    _ => return Err(refused(response).await),
                }
            }
            Ok(None)
        };
        self.repeated("look for a blob in", ask).await
    }

    pub(super) async fn holds(&self, digest: &Digest) -> Result<bool, Error> {
        let ask = async || {
            let response = self.reads.answer(&Method::HEAD, Resource::Manifest(digest)).await?;
            match response.status().as_u16() {
                200 => Ok(true),
                // Where HEAD tells nothing the image is sent again, which changes nothing.
                404 | 405 | 501 => Ok(false),
                _ => Err(refused(response).await),
            }
        };
        self.repeated("look for an image in", ask).await
    }

    /// Returns whether a tag names an image, as far as the registry says what it names.
    pub(super) async fn is_named(&self, tag: &Tag, digest: &Digest) -> Result<bool, Error> {
        let ask = async || {
            let response = match self.reads.answer(&Method::HEAD, Resource::Tag(tag)).await {
                Err(error) if error.status == Some(403) => return Ok(false),
                answer => answer?,
            };
            let named = response.headers().get("docker-content-digest");
            let same = named.is_some_and(|named| named.as_bytes() == digest.to_string().as_bytes());
            match response.status().as_u16() {
                200 => Ok(same),
                // Whatever it has against the tag, it says so in full when that is put.
                400..=407 | 409..=428 | 430..500 => Ok(false),
                _ => Err(refused(response).await),
            }
        };
        self.repeated("look for a tag in", ask).await
    }

    pub(super) async fn get(&self, name: &Name) -> Result<Manifest, store::Error> {
        let latest = Tag::latest();
        let resource = Resource::named(name, &latest);
        let ask = async || {
            let response = self.reads.answer(&Method::GET, resource).await?;
            match response.status().as_u16() {
                200 => {}
                404 => return Ok(None),
                _ => return Err(refused(response).await),
            }
            let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let media_type =
                media_type.and_then(|text| text.split(';').next()).map(|text| text.trim().to_owned());
            Ok(Some((beginning(response, MAXIMUM_MANIFEST + 1).await?.0, media_type)))
        };
        let place = self.place();
        let missing =
            || store::Error::NoImage { place: self.place(), name: name.to_string(), instead: String::new() };
        let (bytes, media_type) = self.repeated("read from", ask).await?.ok_or_else(missing)?;
        // Some registries call every manifest plain JSON; then it has to say itself what it is.
        let media_type = media_type.filter(|text| media_type::MANIFESTS.contains(&text.as_str()));
        if let Name::Digest(digest) = name {
            let found = digest.algorithm().of(&bytes);
            if found != *digest {
                return Err(store::Error::Mismatch {
                    place,
                    what: "manifest",
                    digest: digest.clone(),
                    found,
                });
            }
        }
        Manifest::parse(bytes, media_type.as_deref()).map_err(store::Error::image(place))
    }
}

/// Turns a response that is not the expected one into an error.
pub(super) async fn refused(response: Response) -> ResponseError {
    let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
    let body = beginning(response, MAX_COMPLAINT).await.map(|(body, _)| body).unwrap_or_default();
    ResponseError { retry_after, ..ResponseError::status(status, &String::from_utf8_lossy(&body)) }
}

/// A whole body of at most so many bytes. What is longer, or takes longer than anybody waits, is an error that no
/// other attempt will change.
pub(super) async fn bounded(response: Response, limit: u64) -> Result<Bytes, ResponseError> {
    match beginning(response, limit).await? {
        (bytes, true) => Ok(bytes),
        (_, false) => Err(ResponseError::plain(format!("its answer is longer than {limit} bytes"))),
    }
}

/// A body up to so many bytes, and whether that is all of it.
async fn beginning(mut response: Response, limit: u64) -> Result<(Bytes, bool), ResponseError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let body = async {
        let mut bytes = BytesMut::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| ResponseError::connection((&error).into()))?
        {
            let room = limit - bytes.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                return Ok((bytes.freeze(), false));
            }
        }
        Ok((bytes.freeze(), true))
    };
    in_time(body).await
}

/// Waits for an answer with the time limit of the settings. Connections fail after a while of silence; this is for
/// those that are never silent and never at their end.
async fn in_time<T>(answer: impl Future<Output = Result<T, ResponseError>>) -> Result<T, ResponseError> {
    let late = || ResponseError::plain(format!("its answer has no end after {} seconds", ANSWER.as_secs()));
    tokio::time::timeout(ANSWER, answer).await.unwrap_or_else(|_| Err(late()))
}
