//! The services' API: an operation in a header, its input as JSON in the body.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::body::Buffer;
use super::reply::{self, AWS_JSON, Body};
use super::{State, host, source};
use crate::local::{Caller, Fault, Principal, blob_member, time};
use crate::model::{self, Service};

/// Answers one request of the API.
pub(super) async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let result = match target(&head) {
        Err(fault) => Err(fault),
        Ok((service, operation)) => match state.buffers.read(body).await {
            Err(fault) => Err(fault),
            Ok(buffer) => handle(state, head, service, operation, buffer).await,
        },
    };
    let mut response = match result {
        Ok(answer) => reply::plain(StatusCode::OK, AWS_JSON, reply::whole(answer)),
        Err(fault) => reply::fault(fault),
    };
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-amzn-RequestId", id);
    }
    response
}

/// The service and operation that `X-Amz-Target` names.
fn target(head: &Parts) -> Result<(&'static Service, String), Fault> {
    let unknown = |text: String| Fault::new("UnknownOperationException", text);
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let Some((prefix, operation)) = target.and_then(|target| target.split_once('.')) else {
        return Err(unknown("the request names no operation in X-Amz-Target".to_owned()));
    };
    match model::service_of_target_prefix(prefix) {
        Some(service) => Ok((service, operation.to_owned())),
        None => Err(unknown(format!("{prefix} is neither Amazon ECR nor Amazon ECR Public"))),
    }
}

/// Who asks: account and region as the request's signature tells them. The signature itself is checked before, where
/// other machines can reach the server.
fn caller(state: &State, head: &Parts) -> Caller {
    let credential =
        head.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()).and_then(|header| {
            let (_, rest) = header.split_once("Credential=")?;
            rest.split(',').next()
        });
    let mut scope = credential.unwrap_or_default().split('/');
    let key = scope.next().unwrap_or_default();
    let region = scope.nth(1).filter(|region| !region.is_empty()).unwrap_or(&state.rules.region);
    let is_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
    let named = state.credentials.as_ref().and_then(|credentials| credentials.principal(key).cloned());
    let principal =
        named.unwrap_or_else(|| Principal::root(if is_account { key } else { &state.rules.account }));
    Caller {
        account: principal.account().to_owned(),
        region: region.to_owned(),
        address: Some(host(state, head)),
        principal,
        source: source(head),
    }
}

async fn handle(
    state: &Arc<State>,
    head: Parts,
    service: &'static Service,
    operation: String,
    buffer: Buffer,
) -> Result<Vec<u8>, Fault> {
    let _turn = state.handlers.acquire().await.map_err(|_| Fault::server("the server is stopping"))?;
    let state = Arc::clone(state);
    let work = move || {
        if let Some(credentials) = &state.credentials {
            credentials.check(&head, &buffer.bytes, time::now() / 1000)?;
        }
        let caller = caller(&state, &head);
        let (input, blob) = read(service, &operation, buffer)?;
        let answer = state.local.answer(&caller, service, &operation, Value::Object(input), blob)?;
        serde_json::to_vec(&answer).map_err(|error| Fault::server(error.to_string()))
    };
    // A bug in a handler must not take the server with it.
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Fault::server("the embedded ECR failed on this request; its log says where")))
}

/// Reads a body: its members, and the bytes of its blob member, which are decoded where they lie.
fn read(
    service: &'static Service,
    operation: &str,
    mut buffer: Buffer,
) -> Result<(Map<String, Value>, Option<Bytes>), Fault> {
    if buffer.bytes.is_empty() {
        return Ok((Map::new(), None));
    }
    let member = service.operation(operation).and_then(|operation| blob_member(service, operation));
    let broken = |text: String| Fault::new("SerializationException", text);
    let mut deserializer = serde_json::Deserializer::from_slice(&buffer.bytes);
    let document = Document { member }
        .deserialize(&mut deserializer)
        .and_then(|document| deserializer.end().map(|()| document))
        .map_err(|error| broken(format!("the request's body is not the JSON that was expected: {error}")))?;
    let not_base64 = || broken(format!("{} is not base64 text", member.unwrap_or_default()));
    let (input, text) = document;
    let range = match text {
        None => return Ok((input, None)),
        Some(Cow::Owned(text)) => {
            let bytes = base64_simd::STANDARD.decode_to_vec(text).map_err(|_| not_base64())?;
            return Ok((input, Some(bytes.into())));
        }
        Some(Cow::Borrowed(text)) => {
            let start = text.as_ptr().addr() - buffer.bytes.as_ptr().addr();
            start..start + text.len()
        }
    };
    let start = range.start;
    let decoded = base64_simd::STANDARD.decode_inplace(&mut buffer.bytes[range]);
    let range = start..start + decoded.map_err(|_| not_base64())?.len();
    Ok((input, Some(Bytes::from_owner(Slice { buffer, range }))))
}

/// A part of a body, which keeps the body.
struct Slice {
    buffer: Buffer,
    range: Range<usize>,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        &self.buffer.bytes[self.range.clone()]
    }
}

/// Reads a structure as values, all but one member, which stays a piece of the text.
struct Document {
    member: Option<&'static str>,
}

impl<'de> DeserializeSeed<'de> for Document {
    type Value = (Map<String, Value>, Option<Cow<'de, str>>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document {
    type Value = (Map<String, Value>, Option<Cow<'de, str>>);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a structure")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut piece) = (Map::new(), None);
        while let Some(name) = access.next_key::<String>()? {
            if self.member == Some(name.as_str()) {
                piece = access.next_value_seed(Piece)?;
            } else {
                members.insert(name, access.next_value()?);
            }
        }
        Ok((members, piece))
    }
}

/// Reads a string without copying it, unless it has escapes.
struct Piece;

impl<'de> DeserializeSeed<'de> for Piece {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Piece {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("base64 text")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
