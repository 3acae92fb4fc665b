//! The services' API: an operation in a header, its input as JSON in the body.

use crate::local::aws_api::dispatch::ApiRequest;
use crate::local::core::download_url;
use crate::local::pull_through;
use crate::local::store::time;
use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, EXPECT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde::de::DeserializeSeed as _;
use serde_json::{Map, Value};

use super::body;
use super::json_body;
use super::other_services;
use super::response;
use crate::local::aws_api::dispatch::blob_member;
use crate::local::aws_api::error::ApiError;
use crate::local::core::caller::Caller;
use crate::local::core::upstream::FetchResults;
use crate::local::http::auth::SECURITY_TOKEN;
use crate::local::http::auth::UnverifiedRequest;
use crate::local::http::bounded_json::Bounded;
use crate::local::http::bounded_json::MAX_VALUES;
use crate::local::http::json_body::Input;
use crate::local::http::peer::host;
use crate::local::http::peer::source;
use crate::local::http::response::AWS_JSON;
use crate::local::http::response::Body;
use crate::local::http::state::State;
use crate::model::{self, Service};

/// Answers one request of the API.
pub(super) async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut response = match respond(state, &head, body).await {
        Ok(answer) => written_out(state, &head, answer).await,
        Err(error) => response::api_error(error),
    };
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-amzn-RequestId", id);
    }
    response
}

async fn written_out(state: &State, head: &Parts, answer: Vec<u8>) -> Response<Body> {
    let length = answer.len();
    let Some(body) = response::answer_body(state, head, answer.into()).await else {
        let text = "too many clients take their answers too slowly; try again";
        return response::api_error(ApiError {
            status: 503,
            ..ApiError::new("ServiceUnavailableException", text)
        });
    };
    let mut response = response::plain(StatusCode::OK, AWS_JSON, body);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

async fn respond(state: &Arc<State>, head: &Parts, body: Incoming) -> Result<Vec<u8>, ApiError> {
    // Nothing of a body is kept before its head is in order.
    let (service, operation, claim) = match examine_operation(state, head).await {
        Ok(examined) => examined,
        Err(error) => {
            // A client that holds its body back until it is asked for is not asked for it.
            if !head.headers.contains_key(EXPECT) {
                body::drain(body, state.timeouts).await;
            }
            return Err(error);
        }
    };
    let known = service.operation(&operation);
    let member = known.and_then(|operation| blob_member(service, operation));
    let input = json_body::read(&state.buffers, body, member, claim.wants_hash(), state.timeouts).await?;
    let identity = claim.verify(head, input.hash.as_ref())?;
    let caller = identity.into_caller(host(state, head), source(head));
    handle(state, caller, RequestedOperation { service, operation, member }, input).await
}

async fn examine_operation(
    state: &Arc<State>,
    head: &Parts,
) -> Result<(&'static Service, String, UnverifiedRequest), ApiError> {
    let (service, operation) = target(head)?;
    if service.operation(&operation).is_none() {
        let text = format!("{} has no operation {operation}", service.full_name);
        return Err(ApiError::new("UnknownOperationException", text));
    }
    let claim = examine(state, head).await?;
    if let Some(scope) = claim.service().filter(|scope| *scope != service.name) {
        let text =
            format!("Credential should be scoped to correct service: '{}', not '{scope}'.", service.name);
        return Err(ApiError::new("InvalidSignatureException", text));
    }
    Ok((service, operation, claim))
}

/// Checks a request as far as possible before its body is read.
pub(super) async fn examine(state: &Arc<State>, head: &Parts) -> Result<UnverifiedRequest, ApiError> {
    let mut secret = None;
    if head.headers.contains_key(SECURITY_TOKEN) {
        let shared = Arc::clone(state);
        secret = Some(in_turn(state, move || Ok(shared.local.read(download_url::secret)?)).await?);
    }
    state.authenticator.examine(head, secret.as_deref(), time::now())
}

/// The service and the operation that a request names.
struct RequestedOperation {
    service: &'static Service,
    operation: String,
    /// The member of the input that is a blob.
    member: Option<&'static str>,
}

/// The service and operation that `X-Amz-Target` names.
fn target(head: &Parts) -> Result<(&'static Service, String), ApiError> {
    let unknown = |text: String| ApiError::new("UnknownOperationException", text);
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let Some((prefix, operation)) = target.and_then(|target| target.split_once('.')) else {
        let text = "the request names no operation in X-Amz-Target";
        return Err(unknown(format!("{text}; {}", other_services::words(&head.headers))));
    };
    let service = model::service_of_target_prefix(prefix).ok_or_else(|| {
        let text = format!("{prefix} is neither Amazon ECR nor Amazon ECR Public");
        unknown(format!("{text}; {}", other_services::words(&head.headers)))
    })?;
    Ok((service, operation.to_owned()))
}

async fn handle(
    state: &Arc<State>,
    caller: Caller,
    asked: RequestedOperation,
    input: Input,
) -> Result<Vec<u8>, ApiError> {
    let RequestedOperation { service, operation, member } = asked;
    let (text, blob) = (Arc::new(input.text), input.blob.map(Bytes::from_owner));
    let attempt = |fetch_results: Option<FetchResults>| {
        let local = Arc::clone(&state.local);
        let (caller, operation, text, blob) =
            (caller.clone(), operation.clone(), Arc::clone(&text), blob.clone());
        in_turn(state, move || {
            let mut members = members(&text.bytes)?;
            if let Some(member) = member.filter(|_| blob.is_some()) {
                members.remove(member);
            }
            let input = Value::Object(members);
            let request = ApiRequest { caller: &caller, service, operation: &operation, input, blob };
            written(&local.answer_request(request, fetch_results.as_ref())?)
        })
    };
    pull_through::with_upstream(&state.local, attempt).await
}

fn written(answer: &Value) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(answer).map_err(|error| ApiError::server(error.to_string()))
}

/// Runs `work`, which waits for the disk, at most a few at a time.
pub(super) async fn in_turn<T: Send + 'static>(
    state: &State,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let _turn = state.handlers.acquire().await.map_err(|_| ApiError::server("the server is stopping"))?;
    // A bug in a handler must not take the server with it.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(ApiError::server("the embedded ECR failed on this request; its log says where"))
    })
}

/// The members of an input.
fn members(text: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    let broken = |reason: String| {
        let text = format!("the request's body is not the JSON that was expected: {reason}");
        ApiError::new("SerializationException", text)
    };
    let (mut deserializer, left) = (serde_json::Deserializer::from_slice(text), Cell::new(MAX_VALUES));
    let read = Bounded(&left).deserialize(&mut deserializer);
    let read = read.and_then(|value| deserializer.end().map(|()| value));
    match read.map_err(|error| broken(error.to_string()))? {
        Value::Object(members) => Ok(members),
        _ => Err(broken("it is no structure".to_owned())),
    }
}
