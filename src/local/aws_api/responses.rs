//! What answers and errors of several operations have in common.

use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::repository::Repository;

/// An error about a member that only the newer operations have.
pub(in crate::local) fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", text)
}

/// What an answer about a repository begins with, and one member more.
pub(in crate::local) fn about(repository: &Repository, member: &str, value: impl Into<Value>) -> Value {
    json!({
        "registryId": repository.scope.account,
        "repositoryName": repository.name,
        member: value.into(),
    })
}

/// A structure of the input as it came; empty where it is absent.
pub(in crate::local) fn given(call: &Call<'_>, member: &str) -> Value {
    call.input.get(member).cloned().unwrap_or_else(|| json!({}))
}
