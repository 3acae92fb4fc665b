//! A form of the query protocol: parameters, each once.

use url::form_urlencoded;

use crate::local::aws_api::error::ApiError;

/// The parameters of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a request's body.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, ApiError> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(bytes).into_owned().collect();
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|two| two[0] == two[1]) {
            return Err(ApiError::new("MalformedQueryString", "the form has a parameter more than once"));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns whether a list has members.
    pub(super) fn has_list(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key.strip_prefix(name).is_some_and(|rest| rest.starts_with(".member.")))
    }

    /// Returns the value of a required parameter, which errors call `member`.
    pub(super) fn required(&self, name: &str, member: &str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            let text = format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
            );
            ApiError::new("ValidationError", text)
        })
    }
}
