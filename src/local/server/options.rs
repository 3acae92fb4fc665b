//! How a server behaves, beside its store.

use std::net::{Ipv4Addr, SocketAddr};

use super::{DEFAULT_ACCOUNT, DEFAULT_REGION};
use crate::local::registry::Rules;

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
