//! Requests of uploads: begin, continue, status, complete and cancel; whole in one request, or mounted.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Body as _;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE};
use hyper::{Method, Response, StatusCode};

use crate::local::core::uploads::Session;
use crate::local::distribution::error::OciError;
use crate::local::distribution::receive::receive;
use crate::local::distribution::registry::Registry;
use crate::local::distribution::requests::{RegistryRequest, empty, put};
use crate::local::http::response::Body;
use crate::local::http::state::State;

/// The least that Amazon ECR takes as a part.
const MIN_PART: &str = "5242880";

/// Attempts to open a session that another request has open: that request's connection may have broken without the
/// server knowing yet.
const TRIES: u32 = 100;

const PAUSE: Duration = Duration::from_millis(50);

/// `POST /v2/NAME/blobs/uploads/`
pub(in crate::local) async fn begin(
    state: &Arc<State>,
    asked: &mut RegistryRequest,
    name: &str,
) -> Result<Response<Body>, OciError> {
    if let Some(digest) = asked.query.get("mount").map(str::to_owned) {
        let (path, from, wanted) =
            (name.to_owned(), asked.query.get("from").map(str::to_owned), digest.clone());
        let mount = move |registry: &Registry<'_>| {
            registry.mount(&registry.repository(&path)?, &wanted, from.as_deref())
        };
        if asked.with(state, mount).await? {
            return Ok(stored(name, &digest));
        }
    }
    let path = name.to_owned();
    let id = asked.with(state, move |registry| registry.begin(&registry.repository(&path)?)).await?;
    if let Some(digest) = asked.query.get("digest").map(str::to_owned) {
        let result = whole(state, asked, name, &id, &digest).await;
        if result.is_err() {
            // No client knows of the session, so none could continue it.
            let path = name.to_owned();
            let _ =
                asked.with(state, move |registry| registry.cancel(&registry.repository(&path)?, &id)).await;
        }
        return result;
    }
    let mut response = progress(StatusCode::ACCEPTED, name, &id, 0, None);
    if state.rules.quirks {
        put(&mut response, "oci-chunk-min-length", MIN_PART);
    }
    Ok(response)
}

async fn whole(
    state: &Arc<State>,
    asked: &mut RegistryRequest,
    name: &str,
    id: &str,
    digest: &str,
) -> Result<Response<Body>, OciError> {
    let session = open(state, asked, name, id).await?;
    let (session, received) = receive(session, &mut asked.body, state.timeouts).await?;
    if let Err(error) = received {
        // The file is unlocked before the session is cancelled.
        drop(session);
        return Err(error);
    }
    complete(state, asked, session, digest).await?;
    Ok(stored(name, digest))
}

/// Requests about a session.
pub(in crate::local) async fn upload(
    state: &Arc<State>,
    asked: &mut RegistryRequest,
    name: &str,
    id: &str,
) -> Result<Response<Body>, OciError> {
    let (path, session) = (name.to_owned(), id.to_owned());
    match asked.head.method {
        Method::PATCH => patch(state, asked, name, id).await,
        Method::PUT => finish(state, asked, name, id).await,
        Method::DELETE => {
            asked
                .with(state, move |registry| registry.cancel(&registry.repository(&path)?, &session))
                .await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => {
            let size = asked
                .with(state, move |registry| registry.received(&registry.repository(&path)?, &session))
                .await?;
            Ok(progress(StatusCode::NO_CONTENT, name, id, size, None))
        }
    }
}

async fn patch(
    state: &Arc<State>,
    asked: &mut RegistryRequest,
    name: &str,
    id: &str,
) -> Result<Response<Body>, OciError> {
    let session = open(state, asked, name, id).await?;
    let session = in_order(asked, name, session)?;
    let size = take(state, asked, session).await?;
    if !state.rules.quirks {
        return Ok(progress(StatusCode::ACCEPTED, name, id, size, None));
    }
    // Amazon ECR answers another status, and goes on telling the end of the first chunk.
    let first = asked.query.get("first").and_then(|text| text.parse().ok()).unwrap_or(size);
    Ok(progress(StatusCode::CREATED, name, id, first, Some(first)))
}

/// Takes in the body of a request; answers the size of the session then.
async fn take(state: &Arc<State>, asked: &mut RegistryRequest, session: Session) -> Result<i64, OciError> {
    let (session, received) = receive(session, &mut asked.body, state.timeouts).await?;
    let size = asked.with(state, move |registry| registry.keep(session)).await?;
    received.map(|()| size)
}

async fn finish(
    state: &Arc<State>,
    asked: &mut RegistryRequest,
    name: &str,
    id: &str,
) -> Result<Response<Body>, OciError> {
    let Some(digest) = asked.query.get("digest").map(str::to_owned) else {
        return Err(OciError::new(400, "DIGEST_INVALID", "the request has no digest"));
    };
    let mut session = open(state, asked, name, id).await?;
    if !asked.body.is_end_stream() {
        session = in_order(asked, name, session)?;
        let (taken, received) = receive(session, &mut asked.body, state.timeouts).await?;
        if let Err(error) = received {
            asked.with(state, move |registry| registry.keep(taken)).await?;
            return Err(error);
        }
        session = taken;
    }
    complete(state, asked, session, &digest).await?;
    Ok(stored(name, &digest))
}

async fn complete(
    state: &Arc<State>,
    asked: &RegistryRequest,
    session: Session,
    digest: &str,
) -> Result<(), OciError> {
    let digest = digest.to_owned();
    asked.with(state, move |registry| registry.complete(session, &digest)).await
}

/// Opens a session, waiting a while for another request to let go of it.
async fn open(
    state: &Arc<State>,
    asked: &RegistryRequest,
    name: &str,
    id: &str,
) -> Result<Session, OciError> {
    for _ in 0..TRIES {
        let (path, id) = (name.to_owned(), id.to_owned());
        let opened =
            asked.with(state, move |registry| registry.open(&registry.repository(&path)?, &id)).await?;
        if let Some(session) = opened {
            return Ok(session);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(OciError::new(429, "TOOMANYREQUESTS", format!("another request is writing to upload {id}")))
}

/// Checks that a chunk begins where the session ends, and has the length in its header.
fn in_order(asked: &RegistryRequest, name: &str, session: Session) -> Result<Session, OciError> {
    let Some(text) = asked.header(CONTENT_RANGE) else { return Ok(session) };
    let refuse = |status, text: String| {
        let location = location(name, &session.id);
        let at = Some((location, session.size()));
        OciError { session: at, ..OciError::new(status, "BLOB_UPLOAD_INVALID", text) }
    };
    let bounds = text.trim_start_matches("bytes").trim().split('/').next().and_then(|text| {
        let (first, last) = text.split_once('-')?;
        Some((first.parse::<i64>().ok()?, last.parse::<i64>().ok()?))
    });
    let Some((first, last)) = bounds.filter(|(first, last)| first <= last) else {
        return Err(refuse(400, format!("{text} is not the range of a chunk")));
    };
    if first != session.size() {
        let text = format!("First byte of the layer part is {first} instead of {}", session.size());
        return Err(refuse(416, text));
    }
    let length = asked.header(CONTENT_LENGTH).and_then(|text| text.parse::<i64>().ok());
    if length.is_some_and(|length| Some(length) != (last - first).checked_add(1)) {
        return Err(refuse(400, format!("the chunk does not have the length of its range {text}")));
    }
    Ok(session)
}

/// The value of the header `Range` of a session.
pub(in crate::local) fn range(size: i64) -> String {
    format!("0-{}", (size - 1).max(0))
}

fn location(name: &str, id: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// Answers with the progress of a session. With `first`, which goes round with the client, it stays at the end of its
/// first chunk.
fn progress(status: StatusCode, name: &str, id: &str, size: i64, first: Option<i64>) -> Response<Body> {
    let mut response = empty(status);
    if status == StatusCode::NO_CONTENT {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    let first = first.map(|first| format!("?first={first}")).unwrap_or_default();
    put(&mut response, "location", &(location(name, id) + &first));
    put(&mut response, "range", &range(size));
    put(&mut response, "docker-upload-uuid", id);
    response
}

/// The answer to a blob that is in the repository now.
fn stored(name: &str, digest: &str) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    put(&mut response, "location", &format!("/v2/{name}/blobs/{digest}"));
    put(&mut response, "docker-content-digest", digest);
    response
}
