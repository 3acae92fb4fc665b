//! Options of a server, beside its store.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::local::distribution::registry::Rules;
use crate::local::http::DEFAULT_ACCOUNT;
use crate::local::http::DEFAULT_REGION;
use crate::local::http::auth::credentials::Credentials;
use crate::local::http::fault_injection::Rule;
use crate::local::http::hosts::Clients;
use crate::local::http::min_rate::Timeouts;

/// Options of a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub address: SocketAddr,
    /// The account of callers whose access key is not an account's number.
    pub account: String,
    /// Region of callers who give none.
    pub region: String,
    /// Ask for no credentials in docker's API.
    pub anonymous: bool,
    /// Deviate from the specification of docker's API where Amazon ECR does.
    pub quirks: bool,
    /// The certificate chain and the key of TLS, as PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Log of requests.
    pub log: Option<Log>,
    /// The keys with which requests to the services' API must be signed; without, signatures are not checked.
    pub credentials: Option<Credentials>,
    /// Enforce the policies of registries and repositories.
    pub enforces_policies: bool,
    /// Time limits for clients.
    pub timeouts: Timeouts,
    /// Limit of connections, reduced to the files that the process may have open; beyond it, idle ones are closed.
    pub connections: usize,
    /// Faults to inject.
    pub faults: Vec<Rule>,
    /// Serve everybody who reaches an address that is not this machine's alone.
    pub trusts_network: bool,
    /// Further host names of a server that asks for no signatures.
    pub hosts: Vec<String>,
    /// Interval of lifecycle evaluations, of which the first is at the start; `None` for none.
    pub lifecycle_every: Option<Duration>,
    /// Time that an archived image takes to be restored.
    pub restore_time: Duration,
}

/// Log with a line for each request.
#[derive(Clone)]
pub struct Log {
    /// Log only requests on which this machine failed.
    pub failures_only: bool,
    /// Takes one line.
    pub write: Arc<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Log").field("failures_only", &self.failures_only).finish_non_exhaustive()
    }
}

impl Options {
    /// A server on this machine, for this machine.
    pub fn loopback(port: u16) -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            account: DEFAULT_ACCOUNT.to_owned(),
            region: DEFAULT_REGION.to_owned(),
            anonymous: false,
            quirks: false,
            tls: None,
            log: None,
            credentials: None,
            enforces_policies: false,
            timeouts: Timeouts::default(),
            connections: 1024,
            faults: Vec::new(),
            trusts_network: false,
            hosts: Vec::new(),
            lifecycle_every: None,
            restore_time: Duration::ZERO,
        }
    }

    /// Returns the clients that a server with this address is for.
    pub(super) fn clients(&self) -> Clients {
        match (self.address.ip().is_loopback(), self.trusts_network) {
            (true, _) => Clients::ThisMachine,
            (false, true) => Clients::Network,
            (false, false) => Clients::Signing,
        }
    }

    pub(super) fn rules(&self) -> Rules {
        Rules {
            quirks: self.quirks,
            anonymous: self.anonymous,
            account: self.account.clone(),
            region: self.region.clone(),
        }
    }
}
