//! Errors between a transfer and a registry.

use std::time::Duration;

use super::super::connections::SendError;
use super::super::http::is_passing;

/// Limit of the characters of a registry's message that are repeated.
const MAX_WORDS: usize = 300;

/// Error of a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry could not be reached, or the connection was lost.
    #[error("cannot {doing} {place}: {reason}")]
    Unreachable {
        /// The registry and the repository.
        place: String,
        /// The attempted action.
        doing: &'static str,
        /// Reason for the failure.
        reason: String,
    },
    /// The registry did not accept the login.
    #[error("{place} refused to let us {doing} ({reason}); {hint}")]
    Unauthorized {
        /// The registry and the repository.
        place: String,
        /// The attempted action.
        doing: &'static str,
        /// The registry's answer.
        reason: String,
        /// Remedy.
        hint: String,
    },
    /// The registry does not list its repositories.
    #[error("{host} does not list its repositories; name them one by one, without * and ?")]
    NoCatalog {
        /// The registry.
        host: String,
    },
    /// The repository does not exist.
    #[error("there is no repository {place}")]
    NoRepository {
        /// The registry and the repository.
        place: String,
    },
    /// The registry limits the rate of requests.
    #[error("{place} refused to let us {doing} for now: {reason}")]
    Throttled {
        /// The registry and the repository.
        place: String,
        /// The attempted action.
        doing: &'static str,
        /// The registry's answer.
        reason: String,
    },
    /// Its server has a problem.
    #[error("cannot {doing} {place}: {reason}; the registry's server has a problem: try again later")]
    Failing {
        /// The registry and the repository.
        place: String,
        /// The attempted action.
        doing: &'static str,
        /// The registry's answer.
        reason: String,
    },
    /// The registry refused the request.
    #[error("{place} refused to let us {doing}: {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The registry and the repository.
        place: String,
        /// The attempted action.
        doing: &'static str,
        /// The registry's answer.
        reason: String,
    },
}

impl Error {
    /// Returns whether the registry refuses this kind of request, for everybody or for this login.
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Refused { status: 400 | 404 | 405 | 501, .. })
    }
}

/// A failed request, before the decision whether to retry.
pub(super) struct ResponseError {
    pub(super) status: Option<u16>,
    pub(super) reason: String,
    /// Another attempt may succeed.
    pub(super) passing: bool,
    /// Wait that the registry asks for.
    pub(super) retry_after: Option<Duration>,
    /// A new token may help: 401, and what Amazon ECR says instead, with 403.
    pub(super) expired: bool,
    /// There was no connection at all.
    pub(super) unreached: bool,
}

impl ResponseError {
    /// A failure that no retry will change.
    pub(super) fn plain(reason: impl Into<String>) -> Self {
        Self {
            status: None,
            reason: reason.into(),
            passing: false,
            retry_after: None,
            expired: false,
            unreached: false,
        }
    }

    /// A status that was not expected, with the body that came along.
    pub(super) fn status(status: u16, body: &str) -> Self {
        let words = words(body);
        let reason =
            if words.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {words}") };
        let passing = is_passing(status);
        let expired = status == 401 || (status == 403 && body.contains("token has expired"));
        Self { status: Some(status), passing, expired, ..Self::plain(reason) }
    }

    /// A connection that failed.
    pub(super) fn connection(error: SendError) -> Self {
        Self { passing: !error.is_final, unreached: error.unreached, ..Self::plain(error.reason) }
    }

    /// Returns whether the registry limits the rate of requests.
    pub(super) fn is_throttled(&self) -> bool {
        self.status == Some(429)
    }

    pub(super) fn explain(self, place: String, doing: &'static str, anonymous: bool) -> Error {
        let reason = self.reason;
        match self.status {
            Some(401 | 403) => {
                let host = place.split('/').next().unwrap_or_default();
                let hint = if anonymous {
                    format!("no login for {host} was found in docker's or podman's configuration")
                } else {
                    format!("the login that was found for {host} may not do this")
                };
                Error::Unauthorized { place, doing, reason, hint }
            }
            Some(429) => Error::Throttled { place, doing, reason },
            Some(status) if status >= 500 && status != 501 => Error::Failing { place, doing, reason },
            Some(status) => Error::Refused { status, place, doing, reason },
            None => Error::Unreachable { place, doing, reason },
        }
    }
}

/// Returns the messages of an error as the OCI distribution specification has it, or the body's first words.
fn words(body: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let errors = value.as_ref().and_then(|value| value.get("errors")).and_then(serde_json::Value::as_array);
    let said = errors.map(|errors| {
        let said = |error: &serde_json::Value| {
            let text = |member: &str| error.get(member).and_then(serde_json::Value::as_str);
            text("message").filter(|text| !text.is_empty()).or(text("code")).map(ToOwned::to_owned)
        };
        errors.iter().filter_map(said).collect::<Vec<_>>().join("; ")
    });
    let said = said.unwrap_or_else(|| body.trim().to_owned());
    said.chars().filter(|character| !character.is_control()).take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_words_are_short_and_plain() {
        let body =
            r#"{"errors":[{"code":"DENIED","message":"no such\u001b[31m luck"},{"code":"UNSUPPORTED"}]}"#;
        assert_eq!(words(body), "no such[31m luck; UNSUPPORTED");
        assert_eq!(words(&"x".repeat(1000)).len(), MAX_WORDS);
        assert_eq!(words(""), "");
    }
}
