//! Settings of every connection of the program: certificates to trust, proxies, timeouts and the log of `--debug`,
//! taken from the settings here and nowhere else.

pub mod gate;
pub mod log;
pub mod probe;
mod proxies;
pub mod resolver;
mod tls;
pub mod upload;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper::http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;

use crate::settings::{self, Log, Proxies, Settings};

pub use tls::reason as tls_reason;

/// Time that a connection without a request is kept. Short, because a proxy in between may limit connections: waiting
/// ones get their turn when one ends. A request follows the one before it within milliseconds, or a new connection is
/// cheap enough.
pub const MAX_IDLE: Duration = Duration::from_millis(200);

/// Settings with which connections are made.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Accept any server certificate (`--no-verify-ssl`).
    pub unverified: bool,
    /// The file or folder of certificates to trust instead of the system's.
    pub ca_bundle: Option<String>,
    /// The proxies.
    pub proxies: Proxies,
    /// Time limit of connecting; `None` is without limit.
    pub connect_timeout: Option<Duration>,
    /// Time limit of waiting for the next byte; `None` is without limit.
    pub read_timeout: Option<Duration>,
    /// Log of requests and answers.
    pub log: Log,
}

/// Error of setting up TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(pub String);

/// A proxy for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its address, without a login.
    pub address: Uri,
    /// Its login, as the header `Proxy-Authorization` has it.
    pub authorization: Option<HeaderValue>,
}

impl Network {
    /// The network of these settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, settings::Error> {
        Ok(Self {
            unverified: settings.globals().no_verify_ssl,
            ca_bundle: settings.ca_bundle()?,
            proxies: settings.proxies(),
            connect_timeout: settings.connect_timeout()?,
            read_timeout: settings.read_timeout()?,
            log: settings.log().clone(),
        })
    }

    /// Returns this network without proxies: for addresses that mean something only on this machine.
    #[must_use]
    pub fn direct(self) -> Self {
        Self { proxies: Proxies::default(), ..self }
    }

    /// The client's side of every TLS handshake. Reads the trusted certificates, which takes milliseconds.
    pub fn tls(&self) -> Result<ClientConfig, TlsError> {
        tls::configuration(self)
    }

    /// Returns whether a URL is requested without a proxy.
    pub fn is_direct(&self, url: &str) -> bool {
        let url = url.parse().ok();
        url.is_some_and(|url| self.proxy_chooser().is_none_or(|chooser| chooser.choose(&url).is_none()))
    }

    /// Rules that choose a request's proxy; `None` if no proxy is configured.
    pub fn proxy_chooser(&self) -> Option<ProxyChooser> {
        let Proxies { http, https, except } = &self.proxies;
        if http.is_none() && https.is_none() {
            return None;
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let matcher = Matcher::builder().http(text(http)).https(text(https)).build();
        let (http, https) = (http.clone(), https.clone());
        Some(ProxyChooser { matcher, http, https, except: text(except) })
    }
}

/// The first error of a type in a chain of causes, also where an `io::Error` wraps it.
pub fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // `io::Error::source` skips the error that it carries.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

/// Chooses the proxy of a request by its URL.
pub struct ProxyChooser {
    matcher: Matcher,
    http: Option<String>,
    https: Option<String>,
    except: String,
}

impl ProxyChooser {
    /// Returns the proxy for a URL; `None` if it is requested directly.
    pub fn choose(&self, url: &Uri) -> Option<Proxy> {
        let authority = url.authority()?.as_str();
        if proxies::are_bypassed(&self.except, authority) {
            return None;
        }
        let found = self.matcher.intercept(url)?;
        Some(Proxy { address: found.uri().clone(), authorization: found.basic_auth().cloned() })
    }

    /// Returns the configured proxy for a URL, with its login; `None` if the URL is requested directly.
    pub fn configured(&self, url: &Uri) -> Option<&str> {
        self.choose(url)?;
        if url.scheme_str() == Some("https") { self.https.as_deref() } else { self.http.as_deref() }
    }
}

impl fmt::Debug for ProxyChooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyChooser")
    }
}
