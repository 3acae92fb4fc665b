//! Blobs under signed URLs, as S3 serves layers: no other permission, ranges, errors in XML.

use crate::local::core::download_url;
use crate::local::core::download_url::DOWNLOADS;
use crate::local::core::error::Error;
use crate::local::store::time;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    RANGE,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::task::JoinHandle;

use super::response;
use crate::image::{Digest, Hasher};
use crate::local::http::response::Body;
use crate::local::http::state::State;
use crate::local::store::verified::FileStamp;

/// Bytes read from the disk at once. Two such pieces are in memory per download.
const PIECE: u64 = 256 * 1024;
/// Pieces' buffers that are kept to be used again.
const KEPT: usize = 16;

/// Buffers for pieces. Fresh memory for each would leave the allocator with far more than is in use.
#[derive(Debug, Default)]
pub(in crate::local) struct Pieces(Mutex<Vec<Vec<u8>>>);

/// Piece of a blob being sent, whose buffer is used again.
struct Piece {
    bytes: Vec<u8>,
    home: Arc<Pieces>,
}

impl Piece {
    fn new(home: Arc<Pieces>) -> Self {
        let idle = home.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self { bytes: idle.unwrap_or_default(), home }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut idle = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(bytes);
        }
    }
}

/// The answer where the blob ends before the range begins.
fn not_satisfiable(size: u64) -> Response<Body> {
    let error = S3Error {
        status: StatusCode::RANGE_NOT_SATISFIABLE,
        code: "InvalidRange",
        message: "The requested range is not satisfiable".to_owned(),
    };
    let mut response = error.response();
    put(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

/// Answers GET or HEAD of a signed URL.
pub(in crate::local) async fn answer(state: &Arc<State>, request: &Request<Incoming>) -> Response<Body> {
    let digest = request.uri().path().trim_start_matches(DOWNLOADS).to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let opened = {
        let state = Arc::clone(state);
        tokio::task::spawn_blocking(move || open(&state, &digest, &query)).await
    };
    let opened = opened.unwrap_or_else(|_| Err(internal("the download failed")));
    let blob = match opened {
        Ok(blob) => blob,
        Err(s3_error) => return s3_error.response(),
    };
    let (status, range) = match wanted(request.headers().get(RANGE), blob.size) {
        RequestedRange::Whole => (StatusCode::OK, 0..blob.size),
        RequestedRange::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        RequestedRange::Nothing => return not_satisfiable(blob.size),
    };
    let body = if request.method() == Method::HEAD {
        Ok(response::whole(""))
    } else {
        pieces(state, blob.file, blob.digest.clone(), range.clone()).await
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => return internal(&error.to_string()).response(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    put(headers, CONTENT_TYPE, "application/octet-stream");
    put(headers, CONTENT_LENGTH, &(range.end - range.start).to_string());
    put(headers, ACCEPT_RANGES, "bytes");
    put(headers, ETAG, &format!("\"{}\"", blob.digest.hexadecimal()));
    if status == StatusCode::PARTIAL_CONTENT {
        put(headers, CONTENT_RANGE, &format!("bytes {}-{}/{}", range.start, range.end - 1, blob.size));
    }
    response
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Authorized blob.
struct Blob {
    file: File,
    size: u64,
    digest: Digest,
}

/// Error in the form of Amazon S3.
struct S3Error {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl S3Error {
    fn response(&self) -> Response<Body> {
        let Self { status, code, message } = self;
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        response::plain(*status, "application/xml", response::whole(text))
    }
}

/// The answer of S3 to a request that is one too many.
pub(super) fn slow_down() -> Response<Body> {
    let message = "Please reduce your request rate.".to_owned();
    S3Error { status: StatusCode::SERVICE_UNAVAILABLE, code: "SlowDown", message }.response()
}

/// A failure of S3 with this status.
pub(super) fn failed(status: u16, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    S3Error { status, ..internal(message) }.response()
}

fn internal(message: &str) -> S3Error {
    S3Error { status: StatusCode::INTERNAL_SERVER_ERROR, code: "InternalError", message: message.to_owned() }
}

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        internal(&error.message)
    }
}

fn open(state: &State, digest: &str, query: &str) -> Result<Blob, S3Error> {
    let denied =
        |code, message: &str| S3Error { status: StatusCode::FORBIDDEN, code, message: message.to_owned() };
    let value = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let expires: Option<i64> = value("expires").and_then(|text| text.parse().ok());
    let (Some(expires), Some(signature)) = (expires, value("signature")) else {
        return Err(denied("AccessDenied", "Access Denied"));
    };
    let secret = state.local.read(download_url::secret)?;
    if !download_url::is_genuine(&secret, digest, expires, signature) {
        return Err(denied("SignatureDoesNotMatch", "The signature does not match the URL"));
    }
    if time::now() / 1000 >= expires {
        return Err(denied("AccessDenied", "Request has expired"));
    }
    let missing = || S3Error {
        status: StatusCode::NOT_FOUND,
        code: "NoSuchKey",
        message: "The specified key does not exist.".to_owned(),
    };
    let path = state.local.store.blobs.path(digest).ok_or_else(missing)?;
    let digest: Digest = digest.parse().map_err(|_| missing())?;
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(),
        _ => internal("the blob cannot be read"),
    })?;
    let size = file.metadata().map_err(|_| internal("the blob cannot be read"))?.len();
    Ok(Blob { file, size, digest })
}

/// Range that a Range header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::local) enum RequestedRange {
    Whole,
    Part(Range<u64>),
    Nothing,
}

/// Reads a Range header (RFC 9110, 14.2). One that asks for several ranges, or in another unit, is ignored, as S3
/// ignores it; one that no byte of the blob satisfies cannot be answered.
pub(in crate::local) fn wanted(header: Option<&HeaderValue>, size: u64) -> RequestedRange {
    let text = header.and_then(|header| header.to_str().ok()).and_then(|text| text.strip_prefix("bytes="));
    let Some((first, last)) = text.and_then(|text| text.split_once('-')) else {
        return RequestedRange::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return RequestedRange::Whole,
    };
    if range.is_empty() { RequestedRange::Nothing } else { RequestedRange::Part(range) }
}

/// File of a blob being sent.
struct Source {
    state: Arc<State>,
    file: File,
    digest: Digest,
    /// Hash of the bytes read so far; `None` if the blob is known to be sound.
    hash: Option<(Hasher, FileStamp)>,
}

/// A range of a blob's file as a body. The next piece is read while the network takes this one. A file that is not
/// known to be sound is hashed on its way, or, for a part of it, before; if it is damaged, its last bytes do not go out
/// and the connection breaks, so that nobody takes it for the blob. What is wrong with its first piece is told.
pub(in crate::local) async fn pieces(
    state: &Arc<State>,
    file: File,
    digest: Digest,
    mut range: Range<u64>,
) -> io::Result<Body> {
    let (state, wanted) = (Arc::clone(state), range.clone());
    if wanted.is_empty() {
        return Ok(response::whole(""));
    }
    let piece = Piece::new(Arc::clone(&state.pieces));
    let reading: Reading =
        tokio::task::spawn_blocking(move || read(prepare(state, file, digest, &wanted)?, &wanted, piece));
    let (source, first) = finish(reading).await?;
    range.start += first.len() as u64;
    let rest = ahead(source, &range);
    let rest = stream::unfold((rest, range), |(reading, mut range)| async move {
        let (source, bytes) = match finish(reading?).await {
            Ok(read) => read,
            // The connection is closed, so that the client does not take the part for the whole.
            Err(error) => return Some((Err(error), (None, range))),
        };
        range.start += bytes.len() as u64;
        Some((Ok(Frame::data(bytes)), (ahead(source, &range), range)))
    });
    let first = stream::once(std::future::ready(Ok(Frame::data(first))));
    Ok(StreamBody::new(first.chain(rest)).boxed_unsync())
}

type Reading = JoinHandle<io::Result<(Source, Bytes)>>;

/// Begins to read the next piece, if there is one.
fn ahead(source: Source, range: &Range<u64>) -> Option<Reading> {
    let (range, piece) = (range.clone(), Piece::new(Arc::clone(&source.state.pieces)));
    (!range.is_empty()).then(|| tokio::task::spawn_blocking(move || read(source, &range, piece)))
}

async fn finish(reading: Reading) -> io::Result<(Source, Bytes)> {
    reading.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn prepare(state: Arc<State>, file: File, digest: Digest, range: &Range<u64>) -> io::Result<Source> {
    let metadata = file.metadata()?;
    let (stamp, verified) = (FileStamp::of(&metadata), &state.local.store.blobs.verified);
    let mut hash = None;
    if !verified.knows(&digest, stamp) {
        if *range == (0..metadata.len()) {
            hash = Some((digest.algorithm().hasher(), stamp));
        } else {
            verified.check(&digest, &file).inspect_err(|error| state.tell(error))?;
        }
    }
    Ok(Source { state, file, digest, hash })
}

fn read(mut source: Source, range: &Range<u64>, mut piece: Piece) -> io::Result<(Source, Bytes)> {
    let length = usize::try_from(PIECE.min(range.end - range.start)).unwrap_or(usize::MAX);
    source.file.seek(SeekFrom::Start(range.start))?;
    piece.bytes.reserve_exact(length);
    let count = (&mut source.file).take(length as u64).read_to_end(&mut piece.bytes)?;
    if count != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if let Some((hasher, _)) = &mut source.hash {
        hasher.update(&piece.bytes);
    }
    let is_last = range.start + length as u64 == range.end;
    if let Some((hasher, stamp)) = source.hash.take_if(|_| is_last) {
        let verified = &source.state.local.store.blobs.verified;
        let outcome = verified.settle(&source.digest, stamp, &hasher.finish());
        outcome.inspect_err(|error| source.state.tell(error))?;
    }
    Ok((source, Bytes::from_owner(piece)))
}
