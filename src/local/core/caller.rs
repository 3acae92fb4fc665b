//! Caller of the store: who asks, and by which address.

use std::net::IpAddr;

use crate::iam::Principal;
use crate::local::core::registry_id::Scope;

pub(in crate::local) fn own_scope(caller: &Caller) -> Scope {
    Scope { service: "ecr", account: caller.account.clone(), region: caller.region.clone() }
}

/// Caller of the store: who asks, and by which address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account of the caller, which is also the id of its registry.
    pub account: String,
    /// Region of the request.
    pub region: String,
    /// `HOST:PORT` as the client reached us; `None` in process.
    pub address: Option<String>,
    /// Principal to authorize. Its account is another than the caller's where it uses another one's registry.
    pub principal: Principal,
    /// Network address of the client; `None` in process.
    pub source: Option<IpAddr>,
}

impl Caller {
    /// An account as a whole, in this process.
    pub fn of_account(account: &str, region: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            address: None,
            principal: Principal::root(account),
            source: None,
        }
    }
}
