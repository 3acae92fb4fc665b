//! Calls about one repository, repeated where the service was busy or the network gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::super::Error;
use super::Repository;
use crate::service::{self, Client};

/// How often a call is made in all. The transport's own attempts (the AWS retry modes) come first, and are meant for
/// single calls: in a transfer of minutes the tenth second of a throttle is no reason to give up.
const ATTEMPTS: u32 = 6;

/// A client, and the repository that every call is about.
pub(super) struct Calls {
    client: Client,
    repository: Repository,
    answered: AtomicBool,
    first_wait: Duration,
}

impl Calls {
    pub(super) fn new(client: Client, repository: Repository, first_wait: Duration) -> Self {
        Self { client, repository, answered: AtomicBool::new(false), first_wait }
    }

    /// What messages call the repository.
    pub(super) fn place(&self) -> String {
        match &self.repository.registry {
            Some(registry) => format!("{} in registry {registry}", self.repository.name),
            None => self.repository.name.clone(),
        }
    }

    /// An answer that the operation may not give.
    pub(super) fn nonsense(&self, operation: &'static str, answer: &str) -> Error {
        Error::Answer { place: self.place(), operation, answer: answer.to_owned() }
    }

    /// Calls an operation about the repository.
    pub(super) async fn call(&self, operation: &'static str, members: Value) -> Result<Value, Error> {
        self.repeat(operation, members, None).await
    }

    /// Calls an operation about the repository with a blob in it.
    pub(super) async fn call_with_blob(
        &self,
        operation: &'static str,
        members: Value,
        member: &'static str,
        blob: Bytes,
    ) -> Result<Value, Error> {
        self.repeat(operation, members, Some((member, blob))).await
    }

    async fn repeat(
        &self,
        operation: &'static str,
        members: Value,
        blob: Option<(&'static str, Bytes)>,
    ) -> Result<Value, Error> {
        let input = self.input(members);
        let mut wait = self.first_wait;
        for attempt in 1.. {
            let call = match &blob {
                None => self.client.call(operation, input.clone()).await,
                Some((member, blob)) => {
                    self.client.call_with_blob(operation, input.clone(), member, blob.clone()).await
                }
            };
            match call {
                Ok(answer) => {
                    self.answered.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) if attempt < ATTEMPTS && self.passes(&error) => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Err(error) => return Err(self.named(error)),
            }
        }
        unreachable!("the last attempt returns")
    }

    fn input(&self, members: Value) -> Value {
        let mut input = Map::new();
        if let Some(registry) = &self.repository.registry {
            input.insert("registryId".to_owned(), Value::String(registry.clone()));
        }
        input.insert("repositoryName".to_owned(), Value::String(self.repository.name.clone()));
        if let Value::Object(members) = members {
            input.extend(members);
        }
        Value::Object(input)
    }

    /// Whether waiting helps. A service that never answered was not lost on the way: its address is wrong.
    fn passes(&self, error: &service::Error) -> bool {
        match (error, error.refusal()) {
            (service::Error::Transport(_), _) => self.answered.load(Ordering::Relaxed),
            (_, Some(refusal)) => {
                refusal.status >= 500
                    || refusal.code == "ServerException"
                    || refusal.code.contains("Throttl")
                    || refusal.code == "RequestLimitExceeded"
                    || refusal.code == "TooManyRequestsException"
            }
            _ => false,
        }
    }

    fn named(&self, error: service::Error) -> Error {
        if error.code() == Some("RepositoryNotFoundException") {
            return Error::NoRepository { repository: self.place(), source: error };
        }
        Error::Service(error)
    }
}
