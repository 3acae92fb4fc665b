//! Where a request comes from, and how it reached us.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::http::request::Parts;

use crate::local::http::state::State;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(in crate::local) struct Peer(pub(in crate::local) Option<IpAddr>);

/// Where a request comes from.
pub(in crate::local) fn source(head: &Parts) -> Option<IpAddr> {
    head.extensions.get().and_then(|Peer(address)| *address)
}

/// `HOST:PORT` as a client reached us; a name that cannot be part of a URL is not repeated.
pub(in crate::local) fn host(state: &State, head: &Parts) -> String {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_sound = |host: &&str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
    };
    host.filter(is_sound).unwrap_or(&state.presence.address).to_owned()
}
