//! Bearer tokens: the basic scheme's token, issued again. `GET` as docker asks, `POST` as OAuth 2 does.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use crate::local::distribution::error::OciError;
use crate::local::distribution::identity::{ANONYMOUS, password};
use crate::local::distribution::path::Query;
use crate::local::distribution::requests::{Client, JSON, refuse, with};
use crate::local::http::response::{self, Body};
use crate::local::http::state::State;

/// Seconds that a client may keep a token before it asks again.
const SECONDS: u32 = 3600;

/// The largest form that is read.
const FORM: usize = 64 * 1024;

/// Answers `/token`.
pub(in crate::local) async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let is_form = head.method == Method::POST;
    let form = if is_form {
        let read = timeout(state.timeouts.body, Limited::new(body, FORM).collect()).await;
        let read = read.ok().and_then(Result::ok).map(Collected::to_bytes).unwrap_or_default();
        Query::of(std::str::from_utf8(&read).ok())
    } else {
        Query::default()
    };
    if let Some(secret) = form.get("password").or(form.get("refresh_token")) {
        let user = form.get("username").unwrap_or("AWS");
        let pair = base64_simd::STANDARD.encode_to_string(format!("{user}:{secret}"));
        if let Ok(value) = format!("Basic {pair}").parse() {
            head.headers.insert(AUTHORIZATION, value);
        }
    }
    let given = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    match check(state, head, given).await {
        Ok(token) => response::json(
            StatusCode::OK,
            JSON,
            &json!({ "token": token, "access_token": token, "expires_in": SECONDS }),
        ),
        Err((head, error)) => refuse(state, &head, &error),
    }
}

async fn check(
    state: &Arc<State>,
    head: hyper::http::request::Parts,
    given: Option<String>,
) -> Result<String, (hyper::http::request::Parts, OciError)> {
    // A client without credentials gets a token without permissions.
    let Some(given) = given else { return Ok(ANONYMOUS.to_owned()) };
    let secret = password(&given).unwrap_or_else(|| ANONYMOUS.to_owned());
    let who = Arc::default();
    let client = Client { head: &head, who: &who, fetch_results: None };
    let result = with(state, client, move |_| Ok(secret)).await;
    result.map_err(|error| (head, error))
}
