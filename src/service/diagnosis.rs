//! Checks of a service besides calling it: its address, whether it answers, and the credentials of a call.

use std::time::Duration;

pub use super::credentials::CallerIdentity;
use super::credentials::CredentialChain;
use super::endpoint;
use super::error::Error;
use super::transport::{Ask, Timeouts, Transport, TransportError};
use crate::model::Service;
use crate::network::Network;
use crate::settings::Settings;

/// Time limit of connecting.
const CONNECT: Duration = Duration::from_secs(5);
/// Time limit of the answer.
const READ: Duration = Duration::from_secs(10);

/// Examines the way to a service, one step at a time.
pub struct Diagnosis {
    settings: Settings,
    http: Transport,
    credentials: CredentialChain,
}

/// The head of an answer to a plain GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The server's clock, as the header `Date` has it.
    pub date: Option<String>,
}

/// Reason for which nothing answers at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The connection is refused, or the name has no address.
    #[error("no connection")]
    Connection,
    /// The connection or the answer takes too long.
    #[error("no answer in time")]
    Timeout,
    /// The connection was closed without an answer.
    #[error("the connection was closed without an answer")]
    Closed,
    /// The server's certificate is not trusted, or TLS failed otherwise.
    #[error("{0}")]
    Tls(String),
    /// The proxy, named here without its login, does not answer.
    #[error("no connection to the proxy {0}")]
    Proxy(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Diagnosis {
    /// Prepares to examine with these settings, without any request.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            settings: settings.clone(),
            http: Transport::new(Network::from_settings(settings)?),
            credentials: CredentialChain::new(settings.clone(), None),
        })
    }

    /// Describes the source of the credentials; `None` if there are none.
    pub async fn credential_source(&self) -> Result<Option<String>, Error> {
        self.credentials.source(&self.http).await
    }

    /// Asks the Security Token Service whose the credentials are.
    pub async fn caller_identity(&self) -> Result<CallerIdentity, Error> {
        self.credentials.caller_identity(&self.http).await
    }

    /// The region of the EC2 instance, for where none is configured.
    pub async fn region_of_instance(&self) -> Result<Option<String>, Error> {
        self.credentials.region_of_instance().await
    }

    /// The URL at which a service is called.
    pub async fn endpoint(&self, service: &'static Service, region: &str) -> Result<String, Error> {
        let configured = self.settings.endpoint(service.name)?;
        let endpoint = endpoint::resolve(service, &self.settings, configured, region.to_owned()).await?;
        Ok(endpoint.url())
    }

    /// Asks a URL for its first byte, without credentials. Any answer will do.
    pub async fn reach(&self, url: &str) -> Result<Reply, Unreachable> {
        let timeouts = Timeouts { connect: Some(CONNECT), read: Some(READ) };
        let headers = [("range", "bytes=0-0"), ("user-agent", "ecr")];
        let answer = self.http.ask(timeouts, &Ask { method: "GET", url, headers: &headers, body: &[] }).await;
        let answer = answer.map_err(|failure| match failure {
            TransportError::Connect => Unreachable::Connection,
            TransportError::ConnectTimeout | TransportError::ReadTimeout => Unreachable::Timeout,
            TransportError::Closed => Unreachable::Closed,
            TransportError::Tls(reason) => Unreachable::Tls(reason),
            TransportError::Proxy(proxy) => Unreachable::Proxy(proxy),
            TransportError::Endless(reason) | TransportError::Other(reason) => Unreachable::Other(reason),
        })?;
        Ok(Reply { status: answer.status, date: answer.header("date") })
    }
}
