//! Bytes over HTTP/1.1: connections, TLS, proxies and timeouts for every request that leaves this process.
//!
//! One connector of our own instead of the SDK's, because it must tell apart how a request failed (each has its own
//! text), bound what it reads, count upload progress against the read timeout, be able to skip the
//! verification of certificates, and not load root certificates for an `http://` endpoint.

mod ask;
mod dial;
mod failure;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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
use hyper::body::{Body as _, Frame, Incoming};
use hyper::http::{HeaderValue, Request, Response, header, request};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use crate::network::gate::{self, Gate, RequestKind};
use crate::network::upload::Upload;
use crate::network::{MAX_IDLE, Network, ProxyChooser, log};
use crate::settings::Settings;

pub(super) use crate::network::upload::Timeouts;
pub(super) use ask::{Answer, Ask, RetryPolicy};
pub(super) use failure::{TransportError, causes};

use dial::Dialer;

/// The largest answer that is read. ECR's own answers stay far below: a thousand findings of a scan have some 3 MiB, a
/// hundred manifests rarely more than 1 MiB.
const MAX_ANSWER: usize = 32 << 20;
/// Limit of the bytes read from a refusal.
const MAX_REFUSAL: usize = 1 << 20;
/// Prefixes of the operations that may be called twice where connections are few: queries, and the beginning of an
/// upload, which expires by itself if unused.
const REPEATABLE: [&str; 6] = ["Describe", "Get", "List", "BatchGet", "BatchCheck", "InitiateLayerUpload"];

/// Time limit of an answer that never ends. Silence ends by the read timeout.
const MAX_ANSWER_TIME: Duration = Duration::from_mins(5);

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

    fn connector(&self, timeouts: Timeouts) -> Connector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            Connector(Arc::new(Shared {
                network: Arc::clone(&self.network),
                timeouts,
                proxies: self.network.proxy_chooser().map(Arc::new),
                gate: Arc::default(),
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

type PlainClient = Client<gate::Connector<Dialer>, Upload<SdkBody>>;
type SecureClient = Client<gate::Connector<HttpsConnector<Dialer>>, Upload<SdkBody>>;

struct Shared {
    network: Arc<Network>,
    timeouts: Timeouts,
    proxies: Option<Arc<ProxyChooser>>,
    gate: Arc<Gate>,
    plain: OnceLock<PlainClient>,
    secure: OnceLock<Result<SecureClient, TransportError>>,
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

fn connector_error(failure: TransportError) -> ConnectorError {
    match failure {
        TransportError::ConnectTimeout | TransportError::ReadTimeout => {
            ConnectorError::timeout(failure.into())
        }
        TransportError::Endless(_) => ConnectorError::other(failure.into(), None),
        _ => ConnectorError::io(failure.into()),
    }
}

impl Shared {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let request = request.try_into_http1x().map_err(|error| TransportError::Other(error.to_string()))?;
        let response = self.logged(request).await?;
        HttpResponse::try_from(response).map_err(|error| TransportError::Other(error.to_string()))
    }

    async fn logged(&self, request: Request<SdkBody>) -> Result<Response<SdkBody>, TransportError> {
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

    async fn send(&self, request: Request<SdkBody>) -> Result<Response<SdkBody>, TransportError> {
        let (parts, body) = request.into_parts();
        let kind = RequestKind {
            is_repeatable: is_repeatable(&parts),
            is_plain: parts.uri.scheme_str() != Some("https"),
        };
        let attempt = |closes: bool| {
            let (mut parts, again) = (parts.clone(), body.try_clone());
            if closes {
                parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Box::pin(async move {
                let unrepeatable = || TransportError::Other("the request cannot be sent twice".to_owned());
                self.attempt(parts, again.ok_or_else(unrepeatable)?).await
            })
        };
        self.gate.pass(kind, attempt).await
    }

    async fn attempt(
        &self,
        parts: request::Parts,
        body: SdkBody,
    ) -> Result<Response<SdkBody>, TransportError> {
        let (upload, progress) = Upload::new(body);
        let mut request = Request::from_parts(parts, upload);
        let response = if request.uri().scheme_str() == Some("https") {
            progress.watch(self.secure()?.request(request), self.timeouts).await
        } else {
            let plain = self.plain.get_or_init(|| client(self.gated(self.dialer())));
            dial::authorize(self.proxies.as_deref(), &mut request);
            progress.watch(plain.request(request), self.timeouts).await
        };
        let response = response.ok_or(TransportError::ReadTimeout)?.map_err(|error| failure::of(&error))?;
        let late = || {
            let seconds = MAX_ANSWER_TIME.as_secs();
            TransportError::Endless(format!("The answer had no end after {seconds} seconds."))
        };
        tokio::time::timeout(MAX_ANSWER_TIME, self.read(response)).await.unwrap_or_else(|_| Err(late()))
    }

    fn gated<C>(&self, connector: C) -> gate::Connector<C> {
        gate::Connector::new(connector, Arc::clone(&self.gate))
    }

    fn dialer(&self) -> Dialer {
        Dialer::new(self.proxies.clone(), self.timeouts.connect)
    }

    fn secure(&self) -> Result<&SecureClient, TransportError> {
        let build = || {
            let configuration = self.network.tls().map_err(|error| TransportError::Tls(error.0))?;
            let connector = hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(configuration)
                .https_or_http()
                .enable_http1()
                .wrap_connector(self.dialer());
            Ok(client(self.gated(connector)))
        };
        self.secure.get_or_init(build).as_ref().map_err(Clone::clone)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Response<SdkBody>, TransportError> {
        let (parts, mut body) = response.into_parts();
        let refused = parts.status.as_u16() >= 300;
        let limit = if refused { MAX_REFUSAL } else { MAX_ANSWER };
        let mut bytes = Vec::with_capacity(body.size_hint().lower().min(1 << 20).try_into().unwrap_or(0));
        while let Some(frame) = self.frame(&mut body).await? {
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                if refused {
                    break;
                }
                return Err(TransportError::Endless(format!("The answer is larger than {limit} bytes.")));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Response::from_parts(parts, SdkBody::from(bytes)))
    }

    async fn frame(&self, body: &mut Incoming) -> Result<Option<Frame<Bytes>>, TransportError> {
        let frame = match self.timeouts.read {
            Some(limit) => {
                tokio::time::timeout(limit, body.frame()).await.map_err(|_| TransportError::ReadTimeout)?
            }
            None => body.frame().await,
        };
        frame.transpose().map_err(|_| TransportError::Closed)
    }
}

/// Returns whether a request is of an operation that may be called twice.
fn is_repeatable(request: &request::Parts) -> bool {
    let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next());
    operation.is_some_and(|operation| REPEATABLE.iter().any(|start| operation.starts_with(start)))
}

fn client<C: Connect + Clone>(connector: C) -> Client<C, Upload<SdkBody>> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(MAX_IDLE)
        .build(connector)
}
