//! The services' API: an operation in a header, its input as JSON in the body.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde::de::DeserializeSeed as _;
use serde_json::{Map, Value};

use super::bounded::{Bounded, MOST_VALUES};
use super::input::{self, Input};
use super::reply::{self, AWS_JSON, Body};
use super::{State, host, source};
use crate::local::upstream::{self, Need};
use crate::local::{Caller, Fault, Principal, blob_member, time};
use crate::model::{self, Service};

/// Answers one request of the API.
pub(super) async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let result = match target(&head) {
        Err(fault) => Err(fault),
        Ok((service, operation)) => {
            let known = service.operation(&operation);
            let member = known.and_then(|operation| blob_member(service, operation));
            match input::read(&state.buffers, body, member, state.credentials.is_some(), state.patience).await
            {
                Err(fault) => Err(fault),
                Ok(input) => handle(state, head, service, operation, member, input).await,
            }
        }
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
    member: Option<&'static str>,
    input: Input,
) -> Result<Vec<u8>, Fault> {
    let shared = Arc::clone(state);
    let work = move || {
        if let (Some(credentials), Some(hash)) = (&shared.credentials, &input.hash) {
            credentials.check(&head, hash, time::now() / 1000)?;
        }
        let caller = caller(&shared, &head);
        let mut members = members(&input.text.bytes)?;
        let blob = input.blob.map(Bytes::from_owner);
        if let Some(member) = member.filter(|_| blob.is_some()) {
            members.remove(member);
        }
        let input = Value::Object(members);
        if !upstream::may_need(&operation) {
            let answer = shared.local.answer(&caller, service, &operation, input, blob)?;
            return Ok(Outcome::Answer(written(&answer)?));
        }
        match shared.local.answer(&caller, service, &operation, input.clone(), blob) {
            Err(Fault { need: Some(need), .. }) => {
                Ok(Outcome::Need(Box::new((need, caller, operation, input))))
            }
            answer => Ok(Outcome::Answer(written(&answer?)?)),
        }
    };
    let (need, caller, operation, input) = match in_turn(state, work).await? {
        Outcome::Answer(answer) => return Ok(answer),
        Outcome::Need(again) => *again,
    };
    // Nobody's turn is held up while upstream is asked: upstream may be this very server.
    let settled = upstream::settle(&state.local, &need).await;
    let local = Arc::clone(&state.local);
    let work = move || written(&local.answer_settled(&caller, service, &operation, input, Some(&settled))?);
    in_turn(state, work).await
}

fn written(answer: &Value) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(answer).map_err(|error| Fault::server(error.to_string()))
}

/// What came of a request at first.
enum Outcome {
    Answer(Vec<u8>),
    /// It has to be asked once more after something was fetched from upstream.
    Need(Box<(Box<Need>, Caller, String, Value)>),
}

/// Does something that waits for the disk, a few at a time.
async fn in_turn<T: Send + 'static>(
    state: &State,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let _turn = state.handlers.acquire().await.map_err(|_| Fault::server("the server is stopping"))?;
    // A bug in a handler must not take the server with it.
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Fault::server("the embedded ECR failed on this request; its log says where")))
}

/// The members of an input.
fn members(text: &[u8]) -> Result<Map<String, Value>, Fault> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    let broken = |reason: String| {
        let text = format!("the request's body is not the JSON that was expected: {reason}");
        Fault::new("SerializationException", text)
    };
    let (mut deserializer, left) = (serde_json::Deserializer::from_slice(text), Cell::new(MOST_VALUES));
    let read = Bounded(&left).deserialize(&mut deserializer);
    let read = read.and_then(|value| deserializer.end().map(|()| value));
    match read.map_err(|error| broken(error.to_string()))? {
        Value::Object(members) => Ok(members),
        _ => Err(broken("it is no structure".to_owned())),
    }
}
