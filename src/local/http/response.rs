//! Answers as HTTP has them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::local::aws_api::error::ApiError;
use crate::local::http::budget::Share;
use crate::local::http::connections::Connection;
use crate::local::http::state::State;

/// The body of an answer.
pub(in crate::local) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The media type of the services' answers.
pub(in crate::local) const AWS_JSON: &str = "application/x-amz-json-1.1";

/// Bytes of an answer that go to the network at once.
const PIECE: usize = 64 * 1024;
/// Answers up to this size are not counted.
pub(in crate::local) const SMALL: usize = 64 * 1024;

/// A body that is whole already.
pub(in crate::local) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The body of an answer, whose memory is counted until it is out where it is large. A client that does not take it
/// loses its connection where others wait. `None` where there is no room in time.
pub(in crate::local) async fn answer_body(state: &State, head: &Parts, bytes: Bytes) -> Option<Body> {
    if bytes.len() <= SMALL {
        return Some(whole(bytes));
    }
    let share = room(state, head, bytes.len()).await?;
    Some(shared(bytes, share))
}

/// Room for a large answer, once there is some.
pub(in crate::local) async fn room(state: &State, head: &Parts, length: usize) -> Option<Share> {
    let connection = head.extensions.get::<Arc<Connection>>();
    let lost = connection.map(|connection| Arc::clone(connection.close())).unwrap_or_default();
    let share = state.answers.share(lost);
    share.grow(length, state.timeouts.body).await.then_some(share)
}

/// Bytes that take part in a budget until they are out.
pub(in crate::local) fn shared(bytes: Bytes, share: Share) -> Body {
    let pieces = stream::unfold((bytes, share), |(mut bytes, share)| async move {
        let piece = bytes.split_to(bytes.len().min(PIECE));
        share.moved(piece.len());
        (!piece.is_empty()).then(|| (Ok(Frame::data(piece)), (bytes, share)))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// An answer of one status, type and body.
pub(in crate::local) fn plain(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(media_type));
    response
}

/// A JSON answer.
pub(in crate::local) fn json(status: StatusCode, media_type: &'static str, value: &Value) -> Response<Body> {
    plain(status, media_type, whole(value.to_string()))
}

/// Returns the answer to a request that is not for this server, in the form of the requested API.
pub(in crate::local) fn forbidden(head: &Parts, reason: &str) -> Response<Body> {
    if head.uri.path().starts_with("/v2") {
        let body = json!({ "errors": [{ "code": "DENIED", "message": reason }] });
        return json(StatusCode::FORBIDDEN, "application/json", &body);
    }
    api_error(ApiError { status: 403, ..ApiError::new("AccessDeniedException", reason) })
}

/// Reason for which this machine failed on a request, for the log: goes with the answer as an extension.
#[derive(Debug, Clone)]
pub(in crate::local) struct Reason(pub(in crate::local) String);

/// Returns an error in the form of the services' API.
pub(in crate::local) fn api_error(error: ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut members = json!({ "__type": error.code, "message": error.message.clone() });
    for (name, value) in error.members {
        members[name] = value;
    }
    let mut response = json(status, AWS_JSON, &members);
    response.extensions_mut().insert(Reason(error.message));
    response
}
