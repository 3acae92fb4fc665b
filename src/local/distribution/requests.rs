//! Docker's registry API over HTTP, to the OCI distribution specification 1.1. What it does is `registry`'s.

use std::sync::{Arc, OnceLock};

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use crate::local::core::upstream::FetchResults;
use crate::local::distribution::error::OciError;
use crate::local::distribution::identity::Identity;
use crate::local::distribution::path::{Endpoint, Query};
use crate::local::distribution::registry::Registry;
use crate::local::distribution::{blob_requests, manifest_requests, upload_requests};
use crate::local::http::body;
use crate::local::http::peer::host;
use crate::local::http::peer::source;
use crate::local::http::response::{self, Body, Reason};
use crate::local::http::state::State;
use crate::local::pull_through;

/// Public repositories can be read by everybody.
const PUBLIC: &str = "/v2/public.ecr.aws/";

/// A request to the distribution API, its body not read yet.
pub(in crate::local) struct RegistryRequest {
    pub(in crate::local) head: Parts,
    pub(in crate::local) body: Incoming,
    pub(in crate::local) query: Query,
    /// Identity of the client, once known.
    who: Arc<OnceLock<Identity>>,
}

impl RegistryRequest {
    pub(in crate::local) fn header(&self, name: HeaderName) -> Option<&str> {
        text(&self.head, name)
    }

    pub(in crate::local) fn is_head(&self) -> bool {
        self.head.method == Method::HEAD
    }
}

/// Answers one request below `/v2`.
pub(in crate::local) async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer_whole(state, request).await;
    }
    // A connection that breaks takes the future of its request with it; what an upload has received counts all the same.
    let state = Arc::clone(state);
    let answered = tokio::spawn(async move { answer_whole(&state, request).await }).await;
    answered.unwrap_or_else(|_| empty(StatusCode::INTERNAL_SERVER_ERROR))
}

async fn answer_whole(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let query = Query::of(head.uri.query());
    let mut asked = RegistryRequest { head, body, query, who: Arc::default() };
    let mut response = match route(state, &mut asked).await {
        Ok(response) => response,
        Err(error) => {
            drain(state, &mut asked).await;
            refuse(state, &asked.head, &error)
        }
    };
    put(&mut response, "docker-distribution-api-version", "registry/2.0");
    if asked.is_head() {
        // The length of what GET would answer stays.
        *response.body_mut() = response::whole("");
    }
    response
}

async fn route(state: &Arc<State>, asked: &mut RegistryRequest) -> Result<Response<Body>, OciError> {
    let path = asked.head.uri.path();
    let endpoint = Endpoint::of(path).ok_or_else(|| {
        OciError::new(404, "UNSUPPORTED", format!("{path} is not of docker's registry API"))
    })?;
    let method = asked.head.method.clone();
    match (&method, &endpoint) {
        (&Method::GET | &Method::HEAD, Endpoint::Base) => {
            asked.with(state, |_| Ok(())).await?;
            Ok(response::json(StatusCode::OK, JSON, &json!({})))
        }
        (&Method::GET | &Method::HEAD, Endpoint::Catalog) => manifest_requests::catalog(state, asked).await,
        (&Method::GET | &Method::HEAD, Endpoint::Tags { name }) => {
            manifest_requests::tags(state, asked, name).await
        }
        (&Method::GET | &Method::HEAD, Endpoint::Referrers { name, digest }) => {
            manifest_requests::referrers(state, asked, name, digest).await
        }
        (_, Endpoint::Manifest { name, reference }) if endpoint.knows(&method) => {
            manifest_requests::manifest(state, asked, name, reference).await
        }
        (_, Endpoint::Blob { name, digest }) if endpoint.knows(&method) => {
            blob_requests::blob(state, asked, name, digest).await
        }
        (&Method::POST, Endpoint::Uploads { name }) => upload_requests::begin(state, asked, name).await,
        (_, Endpoint::Upload { name, id }) if endpoint.knows(&method) => {
            upload_requests::upload(state, asked, name, id).await
        }
        _ => Err(OciError::new(
            405,
            "UNSUPPORTED",
            format!("{method} is not for this; it takes {}", endpoint.methods()),
        )),
    }
}

impl Endpoint {
    fn knows(&self, method: &Method) -> bool {
        self.methods().split(", ").any(|known| known == method.as_str())
    }
}

pub(in crate::local) const JSON: &str = "application/json";

impl RegistryRequest {
    fn client(&self, fetch_results: Option<FetchResults>) -> Client<'_> {
        Client { head: &self.head, who: &self.who, fetch_results }
    }

    /// Runs `work` with the registry that the client sees.
    pub(in crate::local) async fn with<T: Send + 'static>(
        &self,
        state: &Arc<State>,
        work: impl FnOnce(&Registry<'_>) -> Result<T, OciError> + Send + 'static,
    ) -> Result<T, OciError> {
        with(state, self.client(None), work).await
    }

    /// Like [`RegistryRequest::with`], for work that takes a lot of memory.
    pub(in crate::local) async fn with_memory<T: Send + 'static>(
        &self,
        state: &Arc<State>,
        work: impl FnOnce(&Registry<'_>) -> Result<T, OciError> + Send + 'static,
    ) -> Result<T, OciError> {
        state.large.run(as_client(state, self.client(None), work)?).await.unwrap_or_else(|| Err(failed()))
    }

    /// Like [`RegistryRequest::with`], for content that may have to be fetched from upstream first.
    pub(in crate::local) async fn through<T: Send + 'static>(
        &self,
        state: &Arc<State>,
        work: impl Fn(&Registry<'_>) -> Result<T, OciError> + Clone + Send + 'static,
    ) -> Result<T, OciError> {
        pull_through::with_upstream(&state.local, |fetch_results| {
            with(state, self.client(fetch_results), work.clone())
        })
        .await
    }
}

/// Client of a request, identified once.
pub(in crate::local) struct Client<'a> {
    pub(in crate::local) head: &'a Parts,
    pub(in crate::local) who: &'a Arc<OnceLock<Identity>>,
    /// Results of fetching the request's images from upstream, once that was tried.
    pub(in crate::local) fetch_results: Option<FetchResults>,
}

/// Runs `work` with the registry that a client sees, on a thread that may wait for the disk.
pub(in crate::local) async fn with<T: Send + 'static>(
    state: &Arc<State>,
    client: Client<'_>,
    work: impl FnOnce(&Registry<'_>) -> Result<T, OciError> + Send + 'static,
) -> Result<T, OciError> {
    let stopping = |_| OciError::new(503, "UNKNOWN", "the server is stopping");
    let _turn = state.handlers.acquire().await.map_err(stopping)?;
    tokio::task::spawn_blocking(as_client(state, client, work)?).await.unwrap_or_else(|_| Err(failed()))
}

fn failed() -> OciError {
    OciError::new(500, "UNKNOWN", "the embedded ECR failed on this request; its log says where")
}

/// Work with the registry as the client of a request sees it.
fn as_client<T: 'static>(
    state: &Arc<State>,
    client: Client<'_>,
    work: impl FnOnce(&Registry<'_>) -> Result<T, OciError> + Send + 'static,
) -> Result<Work<T>, OciError> {
    let Client { head, who, fetch_results } = client;
    if head.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        let text = "the request has more than one Authorization header";
        return Err(OciError::new(400, "UNAUTHORIZED", text));
    }
    let header = text(head, AUTHORIZATION).map(str::to_owned);
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    let open = is_read && head.uri.path().starts_with(PUBLIC);
    let source = source(head);
    let (state, who) = (Arc::clone(state), Arc::clone(who));
    Ok(Box::new(move || {
        let (local, rules) = (&*state.local, &state.rules);
        let who = if let Some(known) = who.get() {
            known
        } else {
            let found = Identity::of(local, rules, header.as_deref(), open)?;
            who.get_or_init(|| found)
        };
        work(&Registry { local, rules, who, source, fetch_results: fetch_results.as_ref() })
    }))
}

type Work<T> = Box<dyn FnOnce() -> Result<T, OciError> + Send>;

/// A header's text.
fn text(head: &Parts, name: HeaderName) -> Option<&str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads the rest of a body that is not wanted, within bounds. One that the client holds back until it is asked for
/// is not asked for.
async fn drain(state: &State, asked: &mut RegistryRequest) {
    if asked.head.headers.contains_key(EXPECT) {
        return;
    }
    body::drain(&mut asked.body, state.timeouts).await;
}

pub(in crate::local) fn refuse(state: &State, head: &Parts, error: &OciError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = if status == StatusCode::UNAUTHORIZED && state.rules.quirks {
        response::plain(status, "text/plain; charset=utf-8", response::whole(error.message.clone()))
    } else {
        response::json(status, JSON, &error.body())
    };
    response.extensions_mut().insert(Reason(error.message.clone()));
    if status == StatusCode::UNAUTHORIZED {
        let address = host(state, head);
        let realm =
            format!("Basic realm=\"{}://{address}/\",service=\"ecr.amazonaws.com\"", state.local.scheme());
        put(&mut response, "www-authenticate", &realm);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED
        && let Some(endpoint) = Endpoint::of(head.uri.path())
    {
        put(&mut response, "allow", endpoint.methods());
    }
    if let Some((location, size)) = &error.session {
        put(&mut response, "location", location);
        put(&mut response, "range", &upload_requests::range(*size));
    }
    response
}

/// An answer without a body.
pub(in crate::local) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(response::whole(""));
    *response.status_mut() = status;
    put(&mut response, CONTENT_LENGTH.as_str(), "0");
    response
}

pub(in crate::local) fn put(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Returns an answer with its length, so that it is the same for GET and HEAD.
pub(in crate::local) fn content(media_type: &str, bytes: String) -> Response<Body> {
    let length = bytes.len();
    let mut response = Response::new(response::whole(bytes));
    put(&mut response, CONTENT_TYPE.as_str(), media_type);
    put(&mut response, CONTENT_LENGTH.as_str(), &length.to_string());
    response
}
