//! Download of a blob from a server that answers plain GET: after a broken connection or an expired URL it continues
//! where it stopped.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, HeaderValue, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode};

use super::connections::{SendError, reason};
use super::http::{is_passing, is_throttled, retry_after};
use super::lanes::Lanes;
use super::{Error, Reader, StoreFuture};
use crate::image::Descriptor;
use crate::retry::{Backoff, FailureCount};

/// Limit of interruptions in a row without progress in between; throttled requests have [`FailureCount`]'s.
const ATTEMPTS: u32 = 5;
/// Time without bytes after which the rest is requested again; twice as long each time.
const STALL_TIMEOUT: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(5) };

/// The bytes that count as progress: the least that a slow line brings in [`PERIOD`]. A silent connection ends by the
/// read timeout; one that trickles would never end.
const MIN_COUNT: u64 = 16 * 1024;
const PERIOD: Duration = Duration::from_mins(1);

/// Source of blobs.
pub(super) trait Origin: Send + Sync {
    /// A request for a whole blob. `stale` is the authorization of the one before where that was refused: it has
    /// expired, as likely as not.
    fn request<'a>(
        &'a self,
        blob: &'a Descriptor,
        stale: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ReadyRequest, Failure>>;

    /// Sends the request of a download.
    fn send(&self, request: RequestBuilder) -> BoxFuture<'_, Result<Response, SendError>>;

    /// Returns the waits between attempts.
    fn backoff(&self) -> Backoff;

    /// The further connections to the host.
    fn lanes(&self) -> Arc<Lanes>;

    /// A request failed, and is repeated.
    fn count_retry(&self, is_throttled: bool);
}

/// A request that is ready to be sent.
pub(super) struct ReadyRequest {
    pub(super) request: RequestBuilder,
    /// Value of the `Authorization` header; empty if there is none.
    pub(super) authorization: String,
}

/// Download of a part of a blob, as one stream.
pub(super) struct Download {
    origin: Arc<dyn Origin>,
    lanes: Arc<Lanes>,
    blob: Descriptor,
    position: u64,
    end: u64,
    /// Bytes at the response's beginning that are already here.
    skip: u64,
    response: Option<Response>,
    rest: Bytes,
    failures: FailureCount,
    rate: Rate,
    /// Bytes since the last failure.
    since_failure: u64,
    /// Wait that the server asked for.
    asked: Option<Duration>,
    /// `Authorization` header of the last request.
    authorization: String,
    /// The last request was not authorized.
    refused: bool,
    /// The last answer was that there are too many requests.
    is_throttled: bool,
    /// The server does not support ranges.
    is_whole: bool,
    /// The part is fetched ahead of its reader, and given up at the first error.
    is_ahead: bool,
    version: Version,
}

/// The `ETag` of the first answer, which all others have to have.
pub(super) type Version = Arc<OnceLock<Option<HeaderValue>>>;
/// Rate of a connection.
#[derive(Default)]
struct Rate {
    waited: Duration,
    bytes: u64,
}

impl Rate {
    /// Counts bytes that were waited for. False where too few came in too long a time.
    fn suffices(&mut self, waited: Duration, count: usize) -> bool {
        self.waited += waited;
        self.bytes += count as u64;
        if self.bytes >= MIN_COUNT {
            *self = Self::default();
        }
        self.waited < PERIOD
    }
}

/// Failure of a request, with whether to go on.
pub(super) enum Failure {
    /// Another attempt may succeed.
    Passing(String),
    /// Another attempt fails as well.
    Final(Error),
}

impl Download {
    /// These bytes of a blob.
    pub(super) fn new(
        origin: Arc<dyn Origin>,
        blob: &Descriptor,
        bytes: Range<u64>,
        version: Version,
    ) -> Self {
        Self {
            lanes: origin.lanes(),
            origin,
            blob: blob.clone(),
            position: bytes.start,
            end: bytes.end,
            skip: 0,
            response: None,
            rest: Bytes::new(),
            failures: FailureCount::new(ATTEMPTS),
            rate: Rate::default(),
            since_failure: 0,
            asked: None,
            authorization: String::new(),
            refused: false,
            is_throttled: false,
            is_whole: false,
            is_ahead: false,
            version,
        }
    }

    /// Prepares a download ahead of its reader: given up at the first error, since the reader can fetch the bytes
    /// itself.
    pub(super) fn ahead(self) -> Self {
        Self { is_ahead: true, ..self }
    }

    /// The offset behind its last byte.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    fn failed(&self, reason: impl Into<String>) -> Error {
        Error::Download { digest: self.blob.digest.clone(), reason: reason.into() }
    }

    /// Asks for the rest.
    async fn request(&mut self) -> Result<Response, Failure> {
        let stale = self.refused.then_some(self.authorization.as_str());
        let ReadyRequest { mut request, authorization } = self.origin.request(&self.blob, stale).await?;
        self.authorization = authorization;
        if self.end < self.blob.size {
            request = request.header(RANGE, format!("bytes={}-{}", self.position, self.end - 1));
        } else if self.position > 0 && !self.is_whole {
            request = request.header(RANGE, format!("bytes={}-", self.position));
        }
        let begun = Instant::now();
        let mut response = self.origin.send(request).await.map_err(|error| {
            if error.is_final {
                Failure::Final(self.failed(error.reason))
            } else {
                Failure::Passing(error.reason)
            }
        })?;
        let latency = begun.elapsed();
        self.asked = retry_after(&response);
        let refused_before = self.refused;
        self.refused = matches!(response.status().as_u16(), 401 | 403);
        self.is_throttled = is_throttled(&mut response).await;
        let response = self.check(response, refused_before)?;
        self.lanes.answered(latency);
        Ok(response)
    }

    fn check(&mut self, response: Response, refused_before: bool) -> Result<Response, Failure> {
        let is_part = self.position > 0 || self.end < self.blob.size;
        let expected = if is_part && !self.is_whole { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let status = response.status();
        // A server without ranges sends everything, and the bytes already here are skipped.
        let whole = status == StatusCode::OK;
        if status != expected && !whole {
            let reason = format!("the server answered {status}, expected {expected}");
            // 403 is what an expired URL gives, and 401 an expired token: both may expire on the way, but not at once.
            let passing = is_passing(status.as_u16()) || (self.refused && !refused_before);
            return Err(if passing { Failure::Passing(reason) } else { Failure::Final(self.failed(reason)) });
        }
        let is_same = *self.version.get_or_init(|| response.headers().get(ETAG).cloned())
            == response.headers().get(ETAG).cloned();
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let is_right = whole || range.map_or(!self.is_ahead, |range| self.is_range(range));
        if self.is_ahead && (whole || !is_same || !is_right) {
            self.lanes.turn_off();
            return Err(Failure::Final(self.failed("the server does not answer ranges as it should")));
        }
        let accepts = response.headers().get(ACCEPT_RANGES).is_some_and(|value| value == "bytes");
        if self.is_ahead || accepts {
            self.lanes.prove();
        }
        if !is_right {
            // Without a range it cannot name a wrong one.
            (self.is_whole, self.end) = (true, self.blob.size);
            return Err(Failure::Passing(
                "the server answered another range than it was asked for".to_owned(),
            ));
        }
        let rest = if whole { self.blob.size } else { self.end - self.position };
        match response.content_length() {
            Some(length) if length != rest => {
                let reason = format!("the server offers {length} bytes, and {rest} are missing");
                Err(Failure::Final(self.failed(reason)))
            }
            _ => Ok(response),
        }
    }

    /// Returns whether a `Content-Range` is the one that was asked for (RFC 9110, 14.4): `bytes FIRST-LAST/SIZE`.
    fn is_range(&self, range: &str) -> bool {
        let Some((range, size)) = range.trim().strip_prefix("bytes ").and_then(|range| range.split_once('/'))
        else {
            return false;
        };
        let wanted = format!("{}-{}", self.position, self.end - 1);
        range.trim() == wanted && (size.trim() == "*" || size.trim() == self.blob.size.to_string())
    }

    /// Returns the next bytes; none at the end.
    async fn chunk(&mut self) -> Result<Bytes, Error> {
        loop {
            let next = if self.is_ahead {
                let late = || Err(Failure::Passing("no answer came".to_owned()));
                tokio::time::timeout(STALL_TIMEOUT, self.next()).await.unwrap_or_else(|_| late())
            } else {
                self.next().await
            };
            let failure = match next {
                Ok(bytes) => {
                    let count = bytes.len() as u64;
                    self.position += count;
                    self.since_failure += count;
                    if self.since_failure >= MIN_COUNT {
                        self.failures.reset();
                    }
                    self.lanes.arrived(bytes.len(), Instant::now());
                    return Ok(bytes);
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(reason)) => reason,
            };
            self.response = None;
            (self.rate, self.since_failure) = (Rate::default(), 0);
            let is_throttled = std::mem::take(&mut self.is_throttled);
            self.failures.add(is_throttled);
            self.origin.count_retry(is_throttled);
            let attempts = self.failures.all();
            if self.failures.is_exhausted() || self.is_ahead {
                return Err(self.failed(format!("{failure} ({attempts} attempts)")));
            }
            // Twice the wait of a request.
            let wait = self.origin.backoff().wait_at_least(attempts + 1, self.asked.take());
            tokio::time::sleep(wait).await;
        }
    }

    async fn next(&mut self) -> Result<Bytes, Failure> {
        if self.response.is_none() {
            if self.position >= self.end {
                return Ok(Bytes::new());
            }
            let response = self.request().await?;
            self.skip = if response.status() == StatusCode::OK { self.position } else { 0 };
            self.response = Some(response);
        }
        let Some(response) = self.response.as_mut() else { return Ok(Bytes::new()) };
        let timeout = STALL_TIMEOUT * 2u32.pow(self.failures.all().min(4));
        loop {
            let halted = |_| Failure::Passing("it came to a halt".to_owned());
            let asked = Instant::now();
            return match tokio::time::timeout(timeout, response.chunk()).await.map_err(halted)? {
                Ok(Some(bytes)) if !self.rate.suffices(asked.elapsed(), bytes.len()) => {
                    let (came, waited) = (self.rate.bytes, self.rate.waited.as_secs());
                    Err(Failure::Passing(format!("only {came} bytes arrived in {waited} seconds")))
                }
                Ok(Some(mut bytes)) => {
                    let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                    self.skip -= known as u64;
                    bytes.advance(known);
                    if bytes.is_empty() {
                        continue;
                    }
                    Ok(bytes)
                }
                Ok(None) if self.position < self.end => {
                    Err(Failure::Passing(format!("the server stopped after {} bytes", self.position)))
                }
                Ok(None) => Ok(Bytes::new()),
                Err(error) => Err(Failure::Passing(reason(&error))),
            };
        }
    }
}

impl Download {
    /// Appends the next bytes, at most `limit`; nothing at the end.
    pub(super) async fn read_some(&mut self, mut buffer: Vec<u8>, limit: usize) -> Result<Vec<u8>, Error> {
        if self.rest.is_empty() {
            self.rest = self.chunk().await?;
        }
        let some = self.rest.split_to(self.rest.len().min(limit));
        buffer.extend_from_slice(&some);
        Ok(buffer)
    }
}

impl Reader for Download {
    fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> StoreFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let full = buffer.len() + limit;
            while buffer.len() < full {
                let before = buffer.len();
                buffer = self.read_some(buffer, full - before).await?;
                if buffer.len() == before {
                    break;
                }
            }
            Ok(buffer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_no_progress() {
        let second = Duration::from_secs(1);
        let mut rate = Rate::default();
        assert_eq!((0..1000).take_while(|_| rate.suffices(second, 1)).count(), 59);
        let mut rate = Rate::default();
        assert_eq!((0..1000).take_while(|_| rate.suffices(second, 300)).count(), 1000);
        assert!(Rate::default().suffices(Duration::from_mins(10), 1 << 20));
    }
}
