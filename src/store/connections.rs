//! HTTP connections beside the service's own client: for downloads and registries.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use reqwest::header::{CONNECTION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Body, ClientBuilder, Method, Proxy, Request, RequestBuilder, Response};
use rustls::ClientConfig;
use url::Url;

use super::http::{is_inside, url_refusal};
use super::resolver::{self, Resolver};
use crate::network::gate::{ConnectorLayer, Gate, Loss, Lost, RequestKind};
use crate::network::upload::{Timeouts, Upload};
use crate::network::{self, find, log, tls_reason};
use crate::retry::Backoff;

const MAXIMUM_REDIRECTS: usize = 5;

/// Network settings of a transfer that the client does not apply by itself.
#[derive(Debug, Clone)]
pub struct Network {
    /// Network settings.
    pub connection: network::Network,
    /// The wait before something that failed is tried again; it doubles from one attempt to the next.
    pub first_wait: Duration,
    /// File with the request rates that this user's programs share, as AWS allows them per account and region; `None`
    /// without rates.
    pub quota_file: Option<PathBuf>,
    /// The address of the service's API where that is not AWS's own.
    pub endpoint: Option<Url>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connection: network::Network::default(),
            first_wait: Duration::from_millis(250),
            quota_file: None,
            endpoint: None,
        }
    }
}

/// HTTP connections, made when they are needed: loading root certificates takes longer than some whole pulls from
/// this machine.
pub(super) struct Connections {
    network: Network,
    resolver: Resolver,
    gate: Arc<Gate>,
    tls: OnceLock<Result<ClientConfig, String>>,
    plain: Pool,
    secure: Pool,
    plain_uploads: Pool,
    secure_uploads: Pool,
}

type Pool = OnceLock<Result<reqwest::Client, String>>;

/// Error of sending a request.
#[derive(Debug)]
pub(super) struct SendError {
    pub(super) reason: String,
    /// There was no connection at all.
    pub(super) unreached: bool,
    /// Another attempt changes nothing: a redirect or a name leads where it must not, or a certificate is not trusted.
    pub(super) is_final: bool,
    loss: Option<Loss>,
}

impl Lost for SendError {
    fn loss(&self) -> Option<Loss> {
        self.loss
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl SendError {
    fn plain(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), unreached: false, is_final: false, loss: None }
    }
}

impl From<&reqwest::Error> for SendError {
    fn from(error: &reqwest::Error) -> Self {
        let is_final = error.is_redirect()
            || find::<resolver::ForbiddenAddress>(error).is_some()
            || find::<rustls::Error>(error).is_some();
        let may_be_lost = !is_final && !error.is_timeout();
        let loss = may_be_lost.then(|| if error.is_connect() { Loss::Unsent } else { Loss::Broken });
        Self { reason: reason(error), unreached: error.is_connect(), is_final, loss }
    }
}

impl Connections {
    /// Connections to `home`, the server that the user named, and to wherever it sends us; `None` for AWS.
    pub(super) fn new(network: Network, home: Option<Url>) -> Self {
        let pool = OnceLock::new;
        Self {
            resolver: Resolver::new(home, &network.connection),
            network,
            gate: Arc::default(),
            tls: OnceLock::new(),
            plain: pool(),
            secure: pool(),
            plain_uploads: pool(),
            secure_uploads: pool(),
        }
    }

    /// Returns the waits between attempts.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.network.first_wait, self.network.first_wait * 32)
    }

    /// The address of the service's API where that is not AWS's own.
    pub(super) fn endpoint(&self) -> Option<&Url> {
        self.network.endpoint.as_ref()
    }

    /// Returns whether a URL is requested without a proxy.
    pub(super) fn is_direct(&self, url: &Url) -> bool {
        self.network.connection.is_direct(url.as_str())
    }

    /// The connections for a URL of this scheme.
    pub(super) fn client(&self, url: &Url) -> Result<&reqwest::Client, String> {
        self.pool(url, false)
    }

    fn pool(&self, url: &Url, uploads: bool) -> Result<&reqwest::Client, String> {
        let (pool, secure) = match (url.scheme(), uploads) {
            ("https", false) => (&self.secure, true),
            ("https", true) => (&self.secure_uploads, true),
            ("http", false) => (&self.plain, false),
            ("http", true) => (&self.plain_uploads, false),
            (other, _) => return Err(format!("a URL of the kind {other} was named, expected https")),
        };
        pool.get_or_init(|| self.build(secure, uploads)).as_ref().map_err(Clone::clone)
    }

    /// Builds the client; `uploads` says that [`Connections::send`] watches the time, as a body may take longer
    /// than any answer.
    fn build(&self, secure: bool, uploads: bool) -> Result<reqwest::Client, String> {
        let network = &self.network.connection;
        let mut builder = self.proxied(reqwest::Client::builder()).redirect(redirects(network.clone()));
        builder = builder.dns_resolver(self.resolver.clone()).pool_idle_timeout(network::MAX_IDLE);
        builder = builder.connector_layer(ConnectorLayer(Arc::clone(&self.gate)));
        if let Some(limit) = network.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        if let Some(limit) = network.read_timeout.filter(|_| !uploads) {
            builder = builder.read_timeout(limit);
        }
        let has_secure_proxy = network.proxies.http.as_ref().is_some_and(|url| url.starts_with("https:"));
        if secure || has_secure_proxy {
            let tls = self.tls.get_or_init(|| network.tls().map_err(|error| error.to_string()));
            builder = builder.tls_backend_preconfigured(tls.clone()?);
        } else {
            // It fails only where a provider is installed already, and any will do.
            let _ = rustls::crypto::ring::default_provider().install_default();
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(|error| reason(&error))
    }

    fn proxied(&self, builder: ClientBuilder) -> ClientBuilder {
        let builder = builder.no_proxy();
        let Some(chooser) = self.network.connection.proxy_chooser() else { return builder };
        builder.proxy(Proxy::custom(move |url| {
            let url = url.as_str().parse().ok()?;
            chooser.configured(&url).map(str::to_owned)
        }))
    }

    /// Sends a request and waits for the head of its answer. The time for that counts from the request, and for a
    /// body that is made on the way from its last byte.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, SendError> {
        let (client, request) = request.build_split();
        let request = request.map_err(|error| SendError::from(&error))?;
        let (begun, logged) = (Instant::now(), &self.network.connection.log);
        if logged.is_on() {
            let body = request.body().and_then(Body::as_bytes).filter(|_| is_text(&request));
            let (url, body) = (request.url().as_str(), body.unwrap_or_default());
            log::request(logged, request.method(), url, request.headers(), body);
        }
        let is_streamed = request.body().is_some_and(|body| body.as_bytes().is_none());
        let answer = if is_streamed {
            self.send_watched(request).await
        } else {
            self.send_in_turn(&client, request).await
        };
        match &answer {
            Ok(answer) => log::answer(logged, begun.elapsed(), answer.status(), answer.headers(), b""),
            Err(error) => log::failure(logged, begun.elapsed(), error),
        }
        answer
    }

    /// Sends a request whose body, if any, is in memory.
    async fn send_in_turn(&self, client: &reqwest::Client, request: Request) -> Result<Response, SendError> {
        let kind = RequestKind {
            is_repeatable: is_repeatable(&request),
            is_plain: request.url().scheme() == "http",
        };
        let attempt = |closes: bool| {
            let again = request.try_clone();
            Box::pin(async move {
                let failed = || SendError::plain("a request cannot be sent twice");
                let mut request = again.ok_or_else(failed)?;
                if closes {
                    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                client.execute(request).await.map_err(|error| self.lost(&error))
            })
        };
        self.gate.pass(kind, attempt).await
    }

    async fn send_watched(&self, mut request: Request) -> Result<Response, SendError> {
        let client = self.pool(request.url(), true).map_err(SendError::plain)?;
        let (body, progress) = Upload::new(request.body_mut().take().unwrap_or_default());
        *request.body_mut() = Some(Body::wrap(body));
        let network = &self.network.connection;
        let timeouts = Timeouts { connect: network.connect_timeout, read: network.read_timeout };
        match progress.watch(client.execute(request), timeouts).await {
            Some(answer) => answer.map_err(|error| self.lost(&error)),
            None => Err(SendError::plain(SILENT)),
        }
    }

    /// A failure with the proxy that the request went through.
    fn lost(&self, error: &reqwest::Error) -> SendError {
        let mut lost = SendError::from(error);
        let chooser = self.network.connection.proxy_chooser();
        let proxy = chooser.zip(error.url()).and_then(|(chooser, url)| {
            let proxy = chooser.choose(&url.as_str().parse().ok()?)?;
            Some(proxy.address.to_string().trim_end_matches('/').to_owned())
        });
        if let Some((proxy, rest)) = proxy.zip(lost.reason.strip_prefix(UNREACHED)) {
            lost.reason = format!("{UNREACHED} through the proxy {proxy}{rest}");
        }
        lost
    }
}

/// Returns whether a request may be sent twice where connections are few: a query, or the beginning of an upload, which
/// expires by itself if unused.
fn is_repeatable(request: &Request) -> bool {
    let has_body = request.body().and_then(Body::as_bytes).is_some_and(|body| !body.is_empty());
    matches!(*request.method(), Method::GET | Method::HEAD | Method::POST) && !has_body
}

/// Returns whether a request's body is text to log: a manifest or a form, and no part of a blob.
fn is_text(request: &Request) -> bool {
    let media_type = request.headers().get("content-type").and_then(|value| value.to_str().ok());
    media_type.is_some_and(|text| text.ends_with("json") || text.ends_with("form-urlencoded"))
}

/// Allows redirects to https, or back to the same host, and never from elsewhere to an address that only this machine
/// or its network can reach. Anything else could be made to ask this machine's neighbours for what they tell nobody
/// else. Credentials are taken off a request that goes to another host.
fn redirects(network: network::Network) -> Policy {
    Policy::custom(move |attempt| {
        let first = attempt.previous().first();
        let inward = is_inside(attempt.url()) && !first.is_some_and(is_inside);
        let host = || attempt.url().host_str().unwrap_or("?").to_owned();
        let astray = attempt.previous().last().and_then(|previous| url_refusal(previous, attempt.url()));
        if attempt.previous().len() > MAXIMUM_REDIRECTS {
            attempt.error("too many redirects")
        } else if astray.is_some() || inward {
            let refused = format!("refused to follow a redirect to {}", host());
            attempt.error(refused)
        } else {
            log::redirect(&network.log, attempt.url().as_str());
            attempt.follow()
        }
    })
}

const UNREACHED: &str = "cannot connect";
const SILENT: &str = "nothing arrived within the time that --cli-read-timeout allows";

/// An error with its causes. The URL stays out of it: it may hold a signature that works for an hour.
pub(super) fn reason(error: &reqwest::Error) -> String {
    if let Some(refused) = find::<resolver::ForbiddenAddress>(error) {
        return refused.to_string();
    }
    if let Some(refused) = find::<rustls::Error>(error) {
        return format!("{UNREACHED}: {}", tls_reason(refused));
    }
    let words = match std::error::Error::source(error) {
        Some(_) if error.is_timeout() && error.is_connect() => {
            return format!("{UNREACHED} within the time that --cli-connect-timeout allows");
        }
        _ if error.is_timeout() => return SILENT.to_owned(),
        Some(_) if error.is_connect() => UNREACHED,
        _ => "the connection failed",
    };
    let mut words = words.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
