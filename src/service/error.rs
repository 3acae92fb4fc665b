//! Errors of calls. The texts are AWS CLI's.

use std::fmt;

use super::ServiceError;
use super::wire::reason;
use crate::settings;

/// Error of a call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The service refused the request.
    #[error(transparent)]
    Refused(Box<OperationError>),
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// No region is configured.
    #[error(r#"You must specify a region. You can also configure your region by running "aws configure"."#)]
    NoRegion,
    /// No credentials are configured.
    #[error(r#"Unable to locate credentials. You can configure credentials by running "aws login"."#)]
    NoCredentials,
    /// No credentials are configured, and a job of GitHub Actions asks for a role without the permission for it.
    #[error(
        "Unable to locate credentials. AWS_ROLE_ARN is set, and this job of GitHub Actions may not ask for an ID token: \
         give the job the permission id-token: write."
    )]
    NoIdToken,
    /// The configured credentials are unusable; the text says which.
    #[error("{0}")]
    Credentials(String),
    /// The input does not fit the operation; the text lists all that is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The request got no answer.
    #[error("{0}")]
    Transport(String),
    /// The answer is larger than any of the service's, or has no end.
    #[error("{0}")]
    Endless(String),
    /// The pages do not follow from each other, or the starting token is none.
    #[error("{0}")]
    Pagination(String),
    /// A waiter's end that is not success.
    #[error("Waiter {waiter} failed: {reason}")]
    Waiter {
        /// The waiter's name, such as `ImageScanComplete`.
        waiter: String,
        /// The reason why it ended.
        reason: String,
    },
    /// The user did not answer a question but stopped the program.
    #[error("interrupted")]
    Interrupted,
    /// The operation is not in the model.
    #[error("{service} has no operation {operation}")]
    UnknownOperation {
        /// The service's name.
        service: &'static str,
        /// Name of the operation.
        operation: String,
    },
}

/// Refusal of the service, with the operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationError {
    /// The operation's API name.
    pub operation: String,
    /// The service's error. The members are the modelled ones in model order, `message` among them.
    pub refusal: ServiceError,
    /// Number of repetitions, if the limit of attempts was reached.
    pub retries: Option<u32>,
}

impl OperationError {
    /// Returns whether the answer came from something in front of the service, whose page tells nothing.
    pub fn is_from_gateway(&self) -> bool {
        let ServiceError { code, message, members, status } = &self.refusal;
        *status >= 500 && *code == status.to_string() && members.is_empty() && message == reason(*status)
    }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServiceError { code, message, .. } = &self.refusal;
        write!(f, "An error occurred ({code}) when calling the {} operation", self.operation)?;
        if let Some(retries) = self.retries {
            write!(f, " (reached max retries: {retries})")?;
        }
        write!(f, ": {message}")
    }
}

impl std::error::Error for OperationError {}

impl Error {
    /// Returns the service's error code, if the service refused.
    pub fn code(&self) -> Option<&str> {
        self.refusal().map(|refusal| refusal.code.as_str())
    }

    /// The service's error, if it answered with one.
    pub fn refusal(&self) -> Option<&ServiceError> {
        match self {
            Self::Refused(refused) => Some(&refused.refusal),
            _ => None,
        }
    }
}
