//! Classification of failures that are worth another attempt, and the headers that count attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;

use super::remote::CarriedServiceError;
use crate::retry;

/// Botocore's standard rules. ECR's own `LimitExceededException`, a quota, is among them.
#[derive(Debug)]
pub(super) struct Retryable;

const THROTTLING: [&str; 14] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "RequestThrottled",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
];
const TRANSIENT: [&str; 2] = ["RequestTimeout", "RequestTimeoutException"];

impl ClassifyRetry for Retryable {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else { return RetryAction::NoActionIndicated };
        let kind = match error
            .as_operation_error()
            .and_then(|error| error.downcast_ref::<CarriedServiceError>())
        {
            Some(CarriedServiceError(refusal)) if THROTTLING.contains(&refusal.code.as_str()) => {
                ErrorKind::ThrottlingError
            }
            Some(CarriedServiceError(refusal)) if TRANSIENT.contains(&refusal.code.as_str()) => {
                ErrorKind::TransientError
            }
            Some(CarriedServiceError(refusal)) if matches!(refusal.status, 500 | 502 | 503 | 504) => {
                ErrorKind::TransientError
            }
            // What is endless is no failure of the connection.
            None if error.as_connector_error().is_some_and(|error| error.is_io() || error.is_timeout()) => {
                ErrorKind::TransientError
            }
            _ => return RetryAction::NoActionIndicated,
        };
        let header = context.response().and_then(|response| response.headers().get("retry-after"));
        match header.and_then(|header| retry::retry_after(header, MAX_WAIT)) {
            Some(wait) => RetryAction::retryable_error_with_explicit_delay(kind, wait),
            None => RetryAction::retryable_error(kind),
        }
    }

    fn name(&self) -> &'static str {
        "Retryable"
    }
}

/// The longest wait of the AWS retry modes.
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// Counts attempts and puts the number into each request.
#[derive(Debug)]
pub(super) struct Attempts {
    made: Arc<AtomicU32>,
    most: u32,
    invocation: String,
}

impl Attempts {
    pub(super) fn new(made: Arc<AtomicU32>, most: u32) -> Self {
        Self { made, most, invocation: uuid::Uuid::new_v4().to_string() }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    // After signing: botocore does not sign these headers either.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempt = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let count = if attempt == 1 {
            "attempt=1".to_owned()
        } else {
            format!("attempt={attempt}; max={}", self.most)
        };
        let headers = context.request_mut().headers_mut();
        headers.insert("amz-sdk-invocation-id", self.invocation.clone());
        headers.insert("amz-sdk-request", count);
        Ok(())
    }
}
