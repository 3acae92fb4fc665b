//! Client of a service, be it remote or in this process.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::blob::{Encoded, Prepared};
use super::credentials::Prompt;
use super::error::{Error, OperationError};
use super::remote::Remote;
use super::{Backend, Request, ServiceError, validate, wire};
use crate::model::{Operation, Service};
use crate::settings::Settings;

/// A service that can be called. Cloning shares connections and credentials.
#[derive(Clone)]
pub struct Client {
    service: &'static Service,
    route: Route,
}

#[derive(Clone)]
enum Route {
    Remote(Arc<Remote>),
    InProcess(Arc<dyn Backend>),
}

impl Client {
    /// The service over the network. Costs nothing: everything is looked up by the first call.
    pub fn remote(service: &'static Service, settings: &Settings) -> Self {
        Self { service, route: Route::Remote(Arc::new(Remote::new(service, settings.clone(), None))) }
    }

    /// Creates a client of the remote service, with a prompt for the code of an MFA device.
    pub fn remote_with_prompt(service: &'static Service, settings: &Settings, prompt: Prompt) -> Self {
        Self { service, route: Route::Remote(Arc::new(Remote::new(service, settings.clone(), Some(prompt)))) }
    }

    /// The service as something in this process answers for it.
    pub fn in_process(service: &'static Service, backend: Arc<dyn Backend>) -> Self {
        Self { service, route: Route::InProcess(backend) }
    }

    /// The service that is called.
    pub fn service(&self) -> &'static Service {
        self.service
    }

    /// Returns whether the service runs in this process.
    pub fn is_in_process(&self) -> bool {
        matches!(self.route, Route::InProcess(_))
    }

    /// Calls an operation by its API name.
    ///
    /// The answer has the modelled members only, in model order, with scalars as they came. The input is checked
    /// first, as botocore does, unless the profile says `parameter_validation = false`.
    pub async fn call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        let operation = self.operation(operation)?;
        match &self.route {
            Route::Remote(remote) => remote.call(operation, input).await,
            Route::InProcess(backend) => self.call_in_process(backend, operation, input, None).await,
        }
    }

    /// Encodes and hashes the body of a call with a blob, which takes the processor about as long as SHA-256. `input`
    /// lacks the blob's member, and must satisfy the model.
    pub fn prepare(
        &self,
        operation: &str,
        input: Value,
        member: &'static str,
        blob: Bytes,
    ) -> Result<Prepared, Error> {
        let operation = self.operation(operation)?;
        let body = match &self.route {
            Route::Remote(_) => Some(Arc::new(Encoded::new(&input, member, blob.clone()))),
            Route::InProcess(_) => None,
        };
        Ok(Prepared { operation, input, member, blob, body })
    }

    /// Makes a call that was prepared by this client or its like.
    pub async fn call_prepared(&self, call: &Prepared) -> Result<Value, Error> {
        match &self.route {
            Route::Remote(remote) => remote.call_prepared(call).await,
            Route::InProcess(backend) => {
                let blob = Some((call.member, call.blob.clone()));
                self.call_in_process(backend, call.operation, call.input.clone(), blob).await
            }
        }
    }

    fn operation(&self, name: &str) -> Result<&'static Operation, Error> {
        self.service
            .operation(name)
            .ok_or_else(|| Error::UnknownOperation { service: self.service.name, operation: name.to_owned() })
    }

    async fn call_in_process(
        &self,
        backend: &Arc<dyn Backend>,
        operation: &'static Operation,
        input: Value,
        blob: Option<(&'static str, Bytes)>,
    ) -> Result<Value, Error> {
        check(self.service, operation, &input, blob.as_ref().map(|(member, _)| *member))?;
        let request = Request { service: self.service, operation: operation.name.to_owned(), input, blob };
        let answer = answer_off_the_reactor(Arc::clone(backend), request).await;
        self.received(operation, answer)
    }

    fn received(
        &self,
        operation: &'static Operation,
        answer: Result<Value, ServiceError>,
    ) -> Result<Value, Error> {
        match answer {
            Ok(value) => wire::arranged_answer(self.service, self.service.output(operation), value)
                .map_err(|unfit| Error::Transport(unfit.0)),
            Err(mut refusal) => {
                refusal.members = wire::modelled(self.service, &refusal.code, refusal.members);
                let refused = OperationError { operation: operation.name.to_owned(), refusal, retries: None };
                Err(Error::Refused(Box::new(refused)))
            }
        }
    }
}

/// Answers off the reactor, since a backend blocks: on a runtime with threads on one of its own, on a current-thread
/// one in place.
async fn answer_off_the_reactor(backend: Arc<dyn Backend>, request: Request) -> Result<Value, ServiceError> {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::spawn_blocking(move || backend.answer(request))
            .await
            .unwrap_or_else(|gone| std::panic::resume_unwind(gone.into_panic())),
        _ => backend.answer(request),
    }
}

/// Checks an input against the model. A blob that travels apart counts as given.
pub(super) fn check(
    service: &'static Service,
    operation: &Operation,
    input: &Value,
    blob: Option<&str>,
) -> Result<(), Error> {
    let Some(shape) = operation.input else { return Ok(()) };
    let whole;
    let input = match (blob, input) {
        (Some(member), Value::Object(members)) => {
            let mut members = members.clone();
            members.insert(member.to_owned(), Value::String(String::new()));
            whole = Value::Object(members);
            &whole
        }
        _ => input,
    };
    validate::validate(service, shape, input).map_err(|invalid| Error::Invalid(invalid.to_string()))
}
