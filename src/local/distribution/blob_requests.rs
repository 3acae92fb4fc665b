//! Requests for blobs: whole, ranges, and deletions.

use std::ops::Range;
use std::sync::Arc;

use hyper::header::{CONTENT_RANGE, RANGE};
use hyper::{Method, Response, StatusCode};

use crate::local::distribution::error::OciError;
use crate::local::distribution::registry::Registry;
use crate::local::distribution::requests::{RegistryRequest, empty, put, refuse};
use crate::local::http::download::{self, RequestedRange};
use crate::local::http::response::{self, Body};
use crate::local::http::state::State;

pub(in crate::local) async fn blob(
    state: &Arc<State>,
    asked: &RegistryRequest,
    name: &str,
    digest: &str,
) -> Result<Response<Body>, OciError> {
    let (path, text) = (name.to_owned(), digest.to_owned());
    if asked.head.method == Method::DELETE {
        asked.with(state, move |registry| registry.delete_blob(&registry.repository(&path)?, &text)).await?;
        return Ok(empty(StatusCode::ACCEPTED));
    }
    let head = asked.is_head();
    let (file, size) = if head {
        // Pushes look for blobs too, and want to know what is here.
        asked.with(state, move |registry| registry.blob(&registry.repository(&path)?, &text, head)).await?
    } else {
        let found = move |registry: &Registry<'_>| registry.pulled_blob(&registry.repository(&path)?, &text);
        asked.through(state, found).await?
    };
    let (status, range) = match download::wanted(asked.head.headers.get(RANGE), size) {
        RequestedRange::Whole => (StatusCode::OK, 0..size),
        RequestedRange::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        RequestedRange::Nothing => {
            let text = format!("the blob has {size} bytes, none of which is in the requested range");
            let error = OciError::new(416, "UNSUPPORTED", text);
            let mut response = refuse(state, &asked.head, &error);
            put(&mut response, CONTENT_RANGE.as_str(), &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    let body = if asked.is_head() {
        response::whole("")
    } else {
        let sound = |_| OciError::new(400, "DIGEST_INVALID", format!("{digest} is not a digest"));
        let pieces = download::pieces(state, file, digest.parse().map_err(sound)?, range.clone());
        pieces.await.map_err(|error| OciError::new(500, "UNKNOWN", error.to_string()))?
    };
    let mut response = response::plain(status, "application/octet-stream", body);
    put_blob_headers(&mut response, digest, &range);
    if status == StatusCode::PARTIAL_CONTENT {
        let described = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        put(&mut response, CONTENT_RANGE.as_str(), &described);
    }
    Ok(response)
}

fn put_blob_headers(response: &mut Response<Body>, digest: &str, range: &Range<u64>) {
    put(response, "content-length", &(range.end - range.start).to_string());
    put(response, "accept-ranges", "bytes");
    put(response, "docker-content-digest", digest);
    put(response, "etag", &format!("\"{digest}\""));
}
