//! Network address of a request's client.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::http::request::Parts;

use crate::local::http::state::State;

/// Network address of the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(in crate::local) struct Peer(pub(in crate::local) Option<IpAddr>);

/// Returns the network address that a request comes from.
pub(in crate::local) fn source(head: &Parts) -> Option<IpAddr> {
    head.extensions.get().and_then(|Peer(address)| *address)
}

/// `HOST:PORT` as a client reached us; a name that cannot be part of a URL is not repeated.
pub(in crate::local) fn host(state: &State, head: &Parts) -> String {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_sound = |host: &&str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
    };
    host.filter(is_sound).unwrap_or(&state.server_info.address).to_owned()
}
