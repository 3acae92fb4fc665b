//! How a server behaves, beside its store.

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

/// Where a server listens and how it deals with its clients.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The account of callers whose access key is not an account's number.
    pub account: String,
    /// The region of callers who do not say one.
    pub region: String,
    /// Whether docker's API asks for no credentials.
    pub anonymous: bool,
    /// Whether docker's API deviates from its specification where Amazon ECR does.
    pub quirks: bool,
    /// The certificate chain and the key of TLS, as PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Log of requests.
    pub log: Option<Log>,
    /// The keys with which requests to the services' API must be signed; without, signatures are not checked.
    pub credentials: Option<Credentials>,
    /// Whether the policies of registries and repositories decide who may do what.
    pub enforces_policies: bool,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// Connections at one time, as far as the process may have files open; where there are more, idle ones give way.
    pub connections: usize,
    /// Which requests fail, and how.
    pub faults: Vec<Rule>,
    /// Whether everybody who reaches an address that is not this machine's alone is let in.
    pub trusts_network: bool,
    /// Names by which a server that asks for no signatures may be asked for, beside its own.
    pub hosts: Vec<String>,
    /// How often lifecycle policies are carried out, at first when the server starts; never without.
    pub lifecycle_every: Option<Duration>,
    /// How long an archived image takes to come back.
    pub restore_time: Duration,
}

/// Where a line for each request goes.
#[derive(Clone)]
pub struct Log {
    /// Whether only those are told that this machine failed.
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

    /// Who may ask a server that listens here.
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
