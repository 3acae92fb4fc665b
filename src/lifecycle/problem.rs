//! Problems of a policy document, with their positions.

/// One reason why a document is no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// A stable identifier, such as `wrong-type`.
    pub(super) code: &'static str,
    /// Position in the document, as a JSON pointer.
    pub(super) pointer: String,
    /// Message of the service, if known.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, pointer: pointer.into(), message: message.into() }
    }
}

/// Error of a policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PolicyError {
    /// The document is not a JSON object.
    NoObject,
    /// The document does not fit the schema; the service lists all reasons.
    Schema(Vec<Problem>),
    /// The rules conflict; the service reports the first reason.
    Rules(Vec<Problem>),
}

impl PolicyError {
    /// The service's message.
    pub(super) fn message(&self) -> String {
        match self {
            Self::NoObject => "Could not map policyString into LifecyclePolicy.".to_owned(),
            Self::Schema(problems) => {
                problems.iter().flat_map(|problem| [problem.message.as_str(), "\n"]).collect()
            }
            Self::Rules(problems) => {
                problems.first().map(|problem| problem.message.clone()).unwrap_or_default()
            }
        }
    }
}
