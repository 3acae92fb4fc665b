//! Answers as HTTP has them.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::local::Fault;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The media type of the services' answers.
pub(super) const AWS_JSON: &str = "application/x-amz-json-1.1";

/// A body that is whole already.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer of one status, type and body.
pub(super) fn plain(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(media_type));
    response
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, media_type: &'static str, value: &Value) -> Response<Body> {
    plain(status, media_type, whole(value.to_string()))
}

/// Why this machine failed on a request, for the log: goes with the answer as an extension.
#[derive(Debug, Clone)]
pub(super) struct Reason(pub(super) String);

/// A refusal, as the services' API words it.
pub(super) fn fault(fault: Fault) -> Response<Body> {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut members = json!({ "__type": fault.code, "message": fault.message.clone() });
    for (name, value) in fault.members {
        members[name] = value;
    }
    let mut response = json(status, AWS_JSON, &members);
    response.extensions_mut().insert(Reason(fault.message));
    response
}
