//! Errors of getting a password: the cause and the remedy in one line, because docker shows no more.

use super::login_conf;

/// Error of getting a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// There are no credentials.
    #[error(
        "no AWS credentials: looked at {searched}. Run 'aws configure' or 'aws sso login', set AWS_PROFILE, or name a \
         profile for this registry in login.conf ('ecr login --check' shows what is used)"
    )]
    NoCredentials {
        /// Places that were searched, in order.
        searched: String,
    },
    /// The credentials that are configured cannot be had.
    #[error("the AWS credentials of {source_label} cannot be used: {message}{hint}")]
    Credentials {
        /// Display name of the credentials' source.
        source_label: String,
        /// The problem.
        message: String,
        /// The command to run.
        hint: String,
    },
    /// The identity may not.
    #[error("access denied: {message}. The identity needs the permission {permission}")]
    Denied {
        /// The missing permission.
        permission: &'static str,
        /// Message of the service.
        message: String,
    },
    /// The service refused for another reason.
    #[error("ECR refused the login ({code}): {message}{hint}")]
    Refused {
        /// The error's code.
        code: String,
        /// Message of the service.
        message: String,
        /// The remedy.
        hint: &'static str,
    },
    /// The service has trouble of its own, or too much to do.
    #[error("ECR cannot answer just now ({code}): {message}")]
    Busy {
        /// The error's code.
        code: String,
        /// Message of the service.
        message: String,
    },
    /// The service does not answer.
    #[error("ECR cannot be reached: {0}. Check the network, HTTPS_PROXY and the region")]
    Unreachable(String),
    /// The service's answer has no password in it.
    #[error("ECR answered without a password; is '{0}' really an endpoint of ECR?")]
    Empty(String),
    /// login.conf makes no sense.
    #[error(transparent)]
    Rules(#[from] login_conf::Error),
    /// The AWS configuration makes no sense.
    #[error("{0}")]
    Settings(String),
}

impl LoginError {
    /// Returns whether the same request may succeed a little later with the same identity.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unreachable(_))
    }

    /// The text in one line.
    pub fn line(&self) -> String {
        self.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_whatever_the_service_says() {
        let failure = LoginError::Refused { code: "X".into(), message: "a\n  b".into(), hint: "" };
        assert_eq!(failure.line(), "ECR refused the login (X): a b");
    }
}
