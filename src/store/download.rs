//! A blob's way down, from whoever answers a plain GET of it: connections break and URLs expire, and after either the
//! download goes on where it stopped.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::future::BoxFuture;
use reqwest::header::RANGE;
use reqwest::{RequestBuilder, Response, StatusCode};

use super::connections::{SendError, reason};
use super::http::retry_after;
use super::{Answer, Error, Reader};
use crate::image::Descriptor;

/// How often in a row a download may break off without a byte in between.
const ATTEMPTS: u32 = 5;

/// Where blobs are fetched from.
pub(super) trait Origin: Send + Sync {
    /// A request for a whole blob. `stale` is the authorization of the one before where that was refused: it has
    /// expired, as likely as not.
    fn request<'a>(
        &'a self,
        blob: &'a Descriptor,
        stale: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Asked, Failure>>;

    /// Sends such a request.
    fn send(&self, request: RequestBuilder) -> BoxFuture<'_, Result<Response, SendError>>;

    /// The wait before something that failed is tried again; it doubles from one attempt to the next.
    fn first_wait(&self) -> Duration;
}

/// A request that is ready to be sent.
pub(super) struct Asked {
    pub(super) request: RequestBuilder,
    /// Value of the `Authorization` header; empty if there is none.
    pub(super) authorization: String,
}

/// A blob from an offset on.
pub(super) fn read(origin: Arc<dyn Origin>, blob: &Descriptor, offset: u64) -> Box<dyn Reader> {
    let blob = blob.clone();
    Box::new(Download {
        origin,
        blob,
        position: offset,
        skip: 0,
        response: None,
        rest: Bytes::new(),
        failures: 0,
        asked: None,
        authorization: String::new(),
        refused: false,
    })
}

struct Download {
    origin: Arc<dyn Origin>,
    blob: Descriptor,
    position: u64,
    /// How much of the response's beginning is here already.
    skip: u64,
    response: Option<Response>,
    rest: Bytes,
    failures: u32,
    /// How long the server asked to be left alone.
    asked: Option<Duration>,
    /// `Authorization` header of the last request.
    authorization: String,
    refused: bool,
}

/// Whether to go on after something failed.
pub(super) enum Failure {
    /// It may work the next time.
    Passing(String),
    /// It will not.
    Final(Error),
}

impl Download {
    fn failed(&self, reason: impl Into<String>) -> Error {
        Error::Download { digest: self.blob.digest.clone(), reason: reason.into() }
    }

    /// Asks for the rest.
    async fn request(&mut self) -> Result<Response, Failure> {
        let stale = self.refused.then_some(self.authorization.as_str());
        let Asked { mut request, authorization } = self.origin.request(&self.blob, stale).await?;
        self.authorization = authorization;
        if self.position > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.position));
        }
        let response = self.origin.send(request).await.map_err(|error| {
            if error.astray {
                Failure::Final(self.failed(error.reason))
            } else {
                Failure::Passing(error.reason)
            }
        })?;
        self.asked = retry_after(&response);
        self.refused = matches!(response.status().as_u16(), 401 | 403);
        self.check(response)
    }

    fn check(&self, response: Response) -> Result<Response, Failure> {
        let expected = if self.position > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let status = response.status();
        // Who does not know ranges sends everything, and what is here already is passed over.
        let whole = status == StatusCode::OK;
        if status != expected && !whole {
            let reason = format!("the server answered {status}, expected {expected}");
            // 403 is what an expired URL gives, and 401 an expired token: both may expire on the way.
            let passing = status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 408 | 429);
            return Err(if passing { Failure::Passing(reason) } else { Failure::Final(self.failed(reason)) });
        }
        let rest = if whole { self.blob.size } else { self.blob.size - self.position };
        match response.content_length() {
            Some(length) if length != rest => {
                let reason = format!("the server offers {length} bytes, and {rest} are missing");
                Err(Failure::Final(self.failed(reason)))
            }
            _ => Ok(response),
        }
    }

    /// The next bytes as they come; none at the end.
    async fn chunk(&mut self) -> Result<Bytes, Error> {
        loop {
            let failure = match self.next().await {
                Ok(bytes) => {
                    self.failures = 0;
                    self.position += bytes.len() as u64;
                    return Ok(bytes);
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(reason)) => reason,
            };
            self.response = None;
            self.failures += 1;
            if self.failures >= ATTEMPTS {
                return Err(self.failed(format!("{failure} ({ATTEMPTS} attempts)")));
            }
            let wait = self.origin.first_wait() * 2u32.pow(self.failures);
            tokio::time::sleep(self.asked.take().map_or(wait, |asked| asked.max(wait))).await;
        }
    }

    async fn next(&mut self) -> Result<Bytes, Failure> {
        if self.response.is_none() {
            if self.position >= self.blob.size {
                return Ok(Bytes::new());
            }
            let response = self.request().await?;
            self.skip = if response.status() == StatusCode::OK { self.position } else { 0 };
            self.response = Some(response);
        }
        let Some(response) = self.response.as_mut() else { return Ok(Bytes::new()) };
        loop {
            return match response.chunk().await {
                Ok(Some(mut bytes)) => {
                    let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                    self.skip -= known as u64;
                    bytes.advance(known);
                    if bytes.is_empty() {
                        continue;
                    }
                    Ok(bytes)
                }
                Ok(None) if self.position < self.blob.size => {
                    Err(Failure::Passing(format!("the server stopped after {} bytes", self.position)))
                }
                Ok(None) => Ok(Bytes::new()),
                Err(error) => Err(Failure::Passing(reason(&error))),
            };
        }
    }
}

impl Reader for Download {
    fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> Answer<'_, Vec<u8>> {
        Box::pin(async move {
            let full = buffer.len() + limit;
            while buffer.len() < full {
                if self.rest.is_empty() {
                    self.rest = self.chunk().await?;
                }
                if self.rest.is_empty() {
                    break;
                }
                let some = self.rest.split_to(self.rest.len().min(full - buffer.len()));
                buffer.extend_from_slice(&some);
            }
            Ok(buffer)
        })
    }
}
