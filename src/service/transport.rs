//! Bytes over HTTP/1.1: connections, TLS, proxies and timeouts for every request that leaves this process.
//!
//! One connector of our own instead of the SDK's, because it must tell apart how a request failed (each has its own
//! text), bound what it reads, count upload progress against the read timeout, be able to skip the
//! verification of certificates, and not load root certificates for an `http://` endpoint.

mod dial;
mod failure;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::http::{HeaderMap, Request, Response};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::Instant;

use crate::service::network::{Network, ProxyChooser, log};
use crate::settings::Settings;

pub(super) use failure::{Failure, causes, find};

use dial::Dialer;

/// The largest answer that is read. ECR's own answers stay far below (100 manifests of 4 MiB each would be a page).
const LARGEST_ANSWER: usize = 512 << 20;
/// The largest refusal that is read; what follows is left unread.
const LARGEST_REFUSAL: usize = 1 << 20;
/// How much of a request's body is handed to the socket between two looks at the clock.
const STRIDE: usize = 64 << 10;

/// How long to wait for a connection, and for the next byte; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Timeouts {
    pub(super) connect: Option<Duration>,
    pub(super) read: Option<Duration>,
}

/// An answer of a service that is not asked through the SDK's orchestrator.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connector for each pair of timeouts, over the same network. Cloning shares connections.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    network: Arc<Network>,
    connectors: Arc<Mutex<HashMap<Timeouts, Connector>>>,
}

impl Transport {
    pub(super) fn new(network: Network) -> Self {
        Self { network: Arc::new(network), connectors: Arc::default() }
    }

    /// A transport without proxies, for addresses that no proxy can reach.
    pub(super) fn direct(settings: &Settings) -> Self {
        Self::new(Network { log: settings.log().clone(), ..Network::default() })
    }

    /// The transport as the SDK's clients take it.
    pub(super) fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Sends one request and reads its answer.
    pub(super) async fn ask(
        &self,
        timeouts: Timeouts,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(SdkBody::from(body));
        let request = request.map_err(|error| Failure::Other(format!("{url} cannot be asked: {error}")))?;
        let response = self.connector(timeouts).0.logged(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.bytes().unwrap_or_default().to_vec();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    fn connector(&self, timeouts: Timeouts) -> Connector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            Connector(Arc::new(Shared {
                network: Arc::clone(&self.network),
                connect_timeout: timeouts.connect,
                read_timeout: timeouts.read,
                proxies: self.network.proxy_chooser().map(Arc::new),
                plain: OnceLock::new(),
                secure: OnceLock::new(),
            }))
        };
        connectors.entry(timeouts).or_insert_with(make).clone()
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let timeouts = Timeouts { connect: settings.connect_timeout(), read: settings.read_timeout() };
        SharedHttpConnector::new(self.connector(timeouts))
    }
}

#[derive(Clone)]
struct Connector(Arc<Shared>);

struct Shared {
    network: Arc<Network>,
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    proxies: Option<Arc<ProxyChooser>>,
    plain: OnceLock<Client<Dialer, Upload>>,
    secure: OnceLock<Result<Client<HttpsConnector<Dialer>, Upload>, Failure>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let shared = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move { shared.exchange(request).await.map_err(connector_error) })
    }
}

fn connector_error(failure: Failure) -> ConnectorError {
    match failure {
        Failure::ConnectTimeout | Failure::ReadTimeout => ConnectorError::timeout(failure.into()),
        _ => ConnectorError::io(failure.into()),
    }
}

impl Shared {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let request = request.try_into_http1x().map_err(|error| Failure::Other(error.to_string()))?;
        let response = self.logged(request).await?;
        HttpResponse::try_from(response).map_err(|error| Failure::Other(error.to_string()))
    }

    async fn logged(&self, request: Request<SdkBody>) -> Result<Response<SdkBody>, Failure> {
        let (begun, logged) = (Instant::now(), &self.network.log);
        if logged.is_on() {
            let url = request.uri().to_string();
            let body = request.body().bytes().unwrap_or_default();
            log::request(logged, request.method(), &url, request.headers(), body);
        }
        let result = self.send(request).await;
        match &result {
            Ok(response) => {
                let body = response.body().bytes().unwrap_or_default();
                log::answer(logged, begun.elapsed(), response.status(), response.headers(), body);
            }
            Err(failure) => log::failure(logged, begun.elapsed(), failure),
        }
        result
    }

    async fn send(&self, request: Request<SdkBody>) -> Result<Response<SdkBody>, Failure> {
        let (parts, body) = request.into_parts();
        let progress = Arc::new(Progress::new(body.content_length() == Some(0)));
        let upload = Upload { rest: body, piece: Bytes::new(), progress: Arc::clone(&progress) };
        let mut request = Request::from_parts(parts, upload);
        let response = if request.uri().scheme_str() == Some("https") {
            self.patient(self.secure()?.request(request), &progress).await?
        } else {
            let plain = self.plain.get_or_init(|| Client::builder(TokioExecutor::new()).build(self.dialer()));
            dial::authorize(self.proxies.as_deref(), &mut request);
            self.patient(plain.request(request), &progress).await?
        };
        let response = response.map_err(|error| failure::of(&error))?;
        self.read(response).await
    }

    fn dialer(&self) -> Dialer {
        Dialer::new(self.proxies.clone(), self.connect_timeout)
    }

    fn secure(&self) -> Result<&Client<HttpsConnector<Dialer>, Upload>, Failure> {
        let build = || {
            let configuration = self.network.tls().map_err(|error| Failure::Tls(error.0))?;
            let connector = hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(configuration)
                .https_or_http()
                .enable_http1()
                .wrap_connector(self.dialer());
            Ok(Client::builder(TokioExecutor::new()).build(connector))
        };
        self.secure.get_or_init(build).as_ref().map_err(Clone::clone)
    }

    /// Awaits an answer's head for as long as the request's body moves.
    async fn patient<F: Future>(&self, work: F, progress: &Progress) -> Result<F::Output, Failure> {
        let Some(limit) = self.read_timeout else { return Ok(work.await) };
        let mut work = pin!(work);
        loop {
            let now = Instant::now();
            let deadline = progress.deadline(limit, self.connect_timeout);
            if deadline <= now {
                return Err(Failure::ReadTimeout);
            }
            if let Ok(output) = tokio::time::timeout_at(deadline.min(now + limit), work.as_mut()).await {
                return Ok(output);
            }
        }
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Response<SdkBody>, Failure> {
        let (parts, mut body) = response.into_parts();
        let refused = parts.status.as_u16() >= 300;
        let limit = if refused { LARGEST_REFUSAL } else { LARGEST_ANSWER };
        let mut bytes = Vec::with_capacity(body.size_hint().lower().min(1 << 20).try_into().unwrap_or(0));
        while let Some(frame) = self.frame(&mut body).await? {
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                if refused {
                    break;
                }
                return Err(Failure::Other(format!("The answer is larger than {limit} bytes.")));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Response::from_parts(parts, SdkBody::from(bytes)))
    }

    async fn frame(&self, body: &mut Incoming) -> Result<Option<Frame<Bytes>>, Failure> {
        let frame = match self.read_timeout {
            Some(limit) => {
                tokio::time::timeout(limit, body.frame()).await.map_err(|_| Failure::ReadTimeout)?
            }
            None => body.frame().await,
        };
        frame.transpose().map_err(|_| Failure::Closed)
    }
}

/// When a request's body last moved.
struct Progress {
    begun: Instant,
    moved: Mutex<Option<Instant>>,
}

impl Progress {
    fn new(moving: bool) -> Self {
        let begun = Instant::now();
        Self { begun, moved: Mutex::new(moving.then_some(begun)) }
    }

    fn moves(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// When patience ends. Until the body starts moving, a connection is being made,
    /// which has its own time: the second more lets that end first.
    fn deadline(&self, limit: Duration, connecting: Option<Duration>) -> Instant {
        match *self.moved.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(moved) => moved + limit,
            None => self.begun + limit.max(connecting.unwrap_or(limit)) + Duration::from_secs(1),
        }
    }
}

/// A request's body, handed out in strides.
struct Upload {
    rest: SdkBody,
    /// What of the body has come and was not handed out yet.
    piece: Bytes,
    progress: Arc<Progress>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.progress.moves();
        while self.piece.is_empty() {
            match ready!(Pin::new(&mut self.rest).poll_frame(context)).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => self.piece = bytes,
                Some(Err(_)) => {}
                None => return Poll::Ready(None),
            }
        }
        let stride = self.piece.len().min(STRIDE);
        Poll::Ready(Some(Ok(Frame::data(self.piece.split_to(stride)))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && Body::is_end_stream(&self.rest)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = Body::size_hint(&self.rest);
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(rest + self.piece.len() as u64),
            None => rest,
        }
    }
}
