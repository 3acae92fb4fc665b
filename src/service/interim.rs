//! Stands in until the service engineer's client is merged.
#![allow(missing_docs, clippy::unused_async)]
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::{Backend, Refusal, Request};
use crate::model::Service;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("{}: {}", .0.code, .0.message)]
    Refused(Box<Refusal>),
    #[error("{0}")]
    Transport(String),
}

impl Error {
    pub fn code(&self) -> Option<&str> {
        self.refusal().map(|refusal| refusal.code.as_str())
    }
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Transport(_) => None,
        }
    }
}

#[derive(Clone)]
pub struct Client(&'static Service, Arc<dyn Backend>);

impl Client {
    pub fn in_process(service: &'static Service, backend: Arc<dyn Backend>) -> Self {
        Self(service, backend)
    }
    pub fn is_in_process(&self) -> bool {
        true
    }
    pub async fn call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        let request = Request { service: self.0, operation: operation.to_owned(), input, blob: None };
        self.1.answer(request).map_err(|refusal| Error::Refused(Box::new(refusal)))
    }
    pub async fn call_with_blob(
        &self,
        operation: &str,
        input: Value,
        member: &'static str,
        blob: Bytes,
    ) -> Result<Value, Error> {
        let blob = Some((member, blob));
        let request = Request { service: self.0, operation: operation.to_owned(), input, blob };
        self.1.answer(request).map_err(|refusal| Error::Refused(Box::new(refusal)))
    }
}
