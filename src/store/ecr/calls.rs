//! Calls about one repository, repeated if the service was busy or the network failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::super::http::is_passing;
use super::super::retries::RetryCounter;
use super::quotas::Quotas;
use super::{Error, Repository};
use crate::image::RepositoryName;
use crate::retry::Backoff;
use crate::service::{self, Client, Prepared, ServiceError};

/// Attempts of each call. The transport's own attempts (the AWS retry modes) come first, and are meant for single
/// calls: in a transfer of minutes the tenth second of a throttle is no reason to give up.
const ATTEMPTS: u32 = 6;

/// Number of failures of all calls of a transfer before it is given up, however short each row of failures was: as
/// many as the AWS retry modes allow, counted the same way.
const FAILURE_BUDGET: i64 = 500;
const FAILURE_COST: i64 = 5;

/// A client, and the repository that every call is about.
pub(super) struct Calls {
    client: Client,
    repository: Repository,
    answered: AtomicBool,
    backoff: Backoff,
    quotas: Arc<Quotas>,
    /// Number of further failures before giving up: each takes [`FAILURE_COST`], and each answer gives one back.
    failure_budget: AtomicI64,
    pub(super) retries: RetryCounter,
}

impl Calls {
    pub(super) fn new(client: Client, repository: Repository, backoff: Backoff, quotas: Arc<Quotas>) -> Self {
        let (answered, failure_budget) = (AtomicBool::new(false), AtomicI64::new(FAILURE_BUDGET));
        Self {
            client,
            repository,
            answered,
            backoff,
            quotas,
            failure_budget,
            retries: RetryCounter::default(),
        }
    }

    /// The name of the repository.
    pub(super) fn repository(&self) -> &RepositoryName {
        &self.repository.name
    }

    /// Display name for messages.
    pub(super) fn place(&self) -> String {
        match &self.repository.registry {
            Some(registry) => format!("{} in registry {registry}", self.repository.name),
            None => self.repository.name.to_string(),
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
            self.quotas.wait(operation).await;
            match self.client.call(operation, input.clone()).await {
                Ok(answer) => return Ok(self.noted(answer)),
                Err(error) => self.wait(error, &mut failures).await?,
            }
        }
    }

    /// Gets a call about the repository ready that has a blob in it. Takes the processor for as long as hashing does.
    pub(super) fn prepare(
        &self,
        operation: &'static str,
        members: Value,
        member: &'static str,
        blob: Bytes,
    ) -> Result<Prepared, service::Error> {
        self.client.prepare(operation, self.input(members), member, blob)
    }

    /// Makes a call once.
    pub(super) async fn send(&self, call: &Prepared) -> Result<Value, service::Error> {
        self.quotas.wait("UploadLayerPart").await;
        Ok(self.noted(self.client.call_prepared(call).await?))
    }

    fn noted(&self, answer: Value) -> Value {
        self.answered.store(true, Ordering::Relaxed);
        if self.failure_budget.load(Ordering::Relaxed) < FAILURE_BUDGET {
            self.failure_budget.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Waits after an error before the next attempt, or answers it where another attempt makes no sense.
    pub(super) async fn wait(&self, error: service::Error, failures: &mut u32) -> Result<(), Error> {
        *failures += 1;
        let is_throttled = error.refusal().is_some_and(is_throttle);
        if *failures >= ATTEMPTS || !self.passes(&error) {
            return Err(self.named(error));
        }
        if self.failure_budget.fetch_sub(FAILURE_COST, Ordering::Relaxed) < FAILURE_COST {
            return Err(self.named(error));
        }
        self.retries.count(is_throttled);
        tokio::time::sleep(self.backoff.wait(*failures)).await;
        Ok(())
    }

    fn input(&self, members: Value) -> Value {
        let mut input = Map::new();
        if let Some(registry) = &self.repository.registry {
            input.insert("registryId".to_owned(), Value::String(registry.clone()));
        }
        input.insert("repositoryName".to_owned(), Value::String(self.repository.name.to_string()));
        if let Value::Object(members) = members {
            input.extend(members);
        }
        Value::Object(input)
    }

    /// Returns whether a later attempt may succeed. If no call ever reached the service, its address is wrong,
    /// and waiting does not help. A closed connection counts as reached; `service` tells it only by the AWS CLI's words.
    fn passes(&self, error: &service::Error) -> bool {
        match (error, error.refusal()) {
            (service::Error::Transport(words), _) => {
                self.answered.load(Ordering::Relaxed) || words.starts_with("Connection was closed")
            }
            (_, Some(refusal)) => {
                is_passing(refusal.status) || refusal.code == "ServerException" || is_throttle(refusal)
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

fn is_throttle(refusal: &ServiceError) -> bool {
    refusal.code.contains("Throttl")
        || matches!(refusal.code.as_str(), "RequestLimitExceeded" | "TooManyRequestsException")
}
