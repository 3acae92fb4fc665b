//! Errors of requests that get no answer.

use std::error::Error as StdError;

use crate::network::gate::{GivenUp, Loss, Lost};
use crate::network::{find, tls_reason};

/// A peer that hangs up in the middle of the handshake.
const HUNG_UP: &str = "the connection was closed during the handshake";

/// Error of sending a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::service) enum TransportError {
    #[error("no connection")]
    Connect,
    #[error("the connection takes too long")]
    ConnectTimeout,
    #[error("the answer takes too long")]
    ReadTimeout,
    #[error("the connection was closed")]
    Closed,
    #[error("TLS: {0}")]
    Tls(String),
    #[error("no connection to the proxy {0}")]
    Proxy(String),
    /// The answer is larger, or lasts longer, than any of the service's.
    #[error("{0}")]
    Endless(String),
    #[error("{0}")]
    Other(String),
}

impl From<GivenUp> for TransportError {
    fn from(_: GivenUp) -> Self {
        Self::Connect
    }
}

impl Lost for TransportError {
    fn loss(&self) -> Option<Loss> {
        match self {
            Self::Closed => Some(Loss::Broken),
            Self::Connect | Self::Proxy(_) => Some(Loss::Unsent),
            Self::Tls(reason) if reason == HUNG_UP => Some(Loss::Unsent),
            _ => None,
        }
    }
}

/// Failure that an error of hyper's client amounts to.
pub(super) fn of(error: &hyper_util::client::legacy::Error) -> TransportError {
    if let Some(failure) = find::<TransportError>(error) {
        return failure.clone();
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return TransportError::Tls(tls_reason(error));
    }
    if find::<GivenUp>(error).is_some() {
        return TransportError::Connect;
    }
    // Anything later than a handshake is a connection that broke.
    if error.is_connect() { TransportError::Tls(HUNG_UP.into()) } else { TransportError::Closed }
}

/// Formats an error with its causes. The SDK's way of printing them adds Rust's structures.
pub(in crate::service) fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        next = cause.source();
    }
    words
}
