//! The API: configuration, calls, validation, pagination and waiters. The only module that uses the AWS crates.

mod attempt;
mod blob;
mod client;
mod credentials;
pub mod diagnosis;
mod endpoint;
mod error;
#[cfg(test)]
mod listing_tests;
mod os_error;
pub mod paginate;
mod path;
mod remote;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
mod token;
mod transport;
pub mod validate;
pub mod wait;
mod wire;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::model::Service;

pub use attempt::MAX_WAIT;
pub use blob::Prepared;
pub use client::Client;
pub use credentials::Prompt;
pub use error::{Error, OperationError};

/// One request to a service, before it takes a form on the wire.
#[derive(Debug)]
pub struct Request {
    /// The service.
    pub service: &'static Service,
    /// The operation's API name.
    pub operation: String,
    /// The input structure. A blob member is absent here where `blob` carries it.
    pub input: Value,
    /// A blob member's name and bytes, kept out of `input` so that no layer part is copied into JSON needlessly.
    pub blob: Option<(&'static str, Bytes)>,
}

/// Error response of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceError {
    /// The error's code, such as `RepositoryNotFoundException`.
    pub code: String,
    /// Message of the service; empty if it gave none.
    pub message: String,
    /// Further members of the error as received, such as `lastValidByteReceived`.
    pub members: Map<String, Value>,
    /// The HTTP status.
    pub status: u16,
}

/// Answers requests inside this process instead of over the network.
pub trait Backend: Send + Sync {
    /// Answers one request. Blocks; callers in asynchronous code move it off the reactor.
    fn answer(&self, request: Request) -> Result<Value, ServiceError>;
}
