//! Turns the service's errors into login errors with a remedy.

use crate::auth::ecr_registry::EcrRegistry;
use crate::auth::identity::{Identity, Source};
use crate::auth::login_error::LoginError;
use crate::{service, settings};

/// Turns the service's error into a login failure.
pub(super) fn failure(error: &service::Error, registry: &EcrRegistry, identity: &Identity) -> LoginError {
    let label = identity.label();
    match error {
        service::Error::Refused(refused) => {
            let said = &refused.refusal;
            refusal(&said.code, &said.message, said.status, registry)
        }
        service::Error::NoCredentials => LoginError::NoCredentials { searched: label },
        service::Error::NoIdToken => LoginError::NoCredentials {
            searched: format!(
                "{label}, and AWS_ROLE_ARN, for which this job of GitHub Actions lacks the permission id-token: write"
            ),
        },
        service::Error::Credentials(message) => LoginError::Credentials {
            hint: hint(message, identity),
            message: stripped(message),
            source_label: label,
        },
        service::Error::Settings(settings::Error::ProfileNotFound(name)) => LoginError::Settings(format!(
            "the AWS profile {name} does not exist: name another one (AWS_PROFILE, login.conf), or make it with 'aws \
             configure --profile {name}'"
        )),
        service::Error::Transport(message) => LoginError::Unreachable(stripped(message)),
        other => LoginError::Settings(stripped(&other.to_string())),
    }
}

fn stripped(message: &str) -> String {
    message.trim().trim_end_matches('.').to_owned()
}

/// Returns the command that renews the expired credentials.
pub(super) fn hint(message: &str, identity: &Identity) -> String {
    let profile = match &identity.source {
        Source::Profile(name) if name != "default" => format!(" --profile {name}"),
        _ => String::new(),
    };
    let lower = message.to_lowercase();
    if lower.contains("sso") {
        format!(". Run 'aws sso login{profile}'")
    } else if lower.contains("aws login") || lower.contains("login session") {
        format!(". Run 'aws login{profile}'")
    } else {
        String::new()
    }
}

/// Sorts a code and message of the service by their remedy.
pub(super) fn refusal(code: &str, message: &str, status: u16, registry: &EcrRegistry) -> LoginError {
    let (code, message) = (code.to_owned(), stripped(message));
    if code.contains("AccessDenied") || code == "UnauthorizedOperation" {
        return LoginError::Denied { permission: registry.permission(), message };
    }
    if status >= 500 || status == 429 || code.contains("Throttl") || code == "TooManyRequestsException" {
        return LoginError::Busy { code, message };
    }
    let hint = if code.starts_with("ExpiredToken") || code == "RequestExpired" {
        ". The credentials have ended: renew them where they come from ('aws sso login', 'aws login')"
    } else if code == "UnrecognizedClientException" || code == "InvalidClientTokenId" {
        ". The access key is not valid, or not in this partition"
    } else if code.contains("Signature") {
        ". Check the secret key, and this machine's clock"
    } else {
        ""
    };
    LoginError::Refused { code, message, hint }
}
