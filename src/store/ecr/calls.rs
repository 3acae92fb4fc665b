//! Calls about one repository, repeated where the service was busy or the network gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Error, Repository};
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

    /// Calls an operation about the repository, again where that may help.
    pub(super) async fn call(&self, operation: &'static str, members: Value) -> Result<Value, Error> {
        self.repeated(operation, self.input(members)).await
    }

    /// Describes the repository. DescribeRepositories alone takes a list of names.
    pub(super) async fn describe(&self) -> Result<Value, Error> {
        let mut input = json!({"repositoryNames": [self.repository.name]});
        if let Some(registry) = &self.repository.registry {
            input["registryId"] = json!(registry);
        }
        self.repeated("DescribeRepositories", input).await
    }

    async fn repeated(&self, operation: &'static str, input: Value) -> Result<Value, Error> {
        let mut failures = 0;
        loop {
            match self.client.call(operation, input.clone()).await {
                Ok(answer) => return Ok(self.noted(answer)),
                Err(error) => self.wait(error, &mut failures).await?,
            }
        }
    }

    /// Calls an operation about the repository with a blob in it, once: whoever has the blob can read it again,
    /// and until then nobody has to keep it.
    pub(super) async fn call_with_blob(
        &self,
        operation: &'static str,
        members: Value,
        member: &'static str,
        blob: Bytes,
    ) -> Result<Value, service::Error> {
        let answer = self.client.call_with_blob(operation, self.input(members), member, blob).await?;
        Ok(self.noted(answer))
    }

    fn noted(&self, answer: Value) -> Value {
        self.answered.store(true, Ordering::Relaxed);
        answer
    }

    /// Waits after an error before the next attempt, or answers it where another attempt makes no sense.
    pub(super) async fn wait(&self, error: service::Error, failures: &mut u32) -> Result<(), Error> {
        *failures += 1;
        if *failures >= ATTEMPTS || !self.passes(&error) {
            return Err(self.named(error));
        }
        tokio::time::sleep(self.first_wait * 2u32.pow(*failures - 1)).await;
        Ok(())
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
