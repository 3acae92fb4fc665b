//! Parts of answers and errors that several operations share.

use std::str::FromStr as _;

use serde_json::{Number, Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, Setting};

/// An error about a member that only the newer operations have.
pub(in crate::local) fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", text)
}

/// Response about a repository: its registry, its name, and one member more.
pub(in crate::local) fn about(repository: &Repository, member: &str, value: impl Into<Value>) -> Value {
    json!({
        "registryId": repository.scope.account,
        "repositoryName": repository.name,
        member: value.into(),
    })
}

/// The members of a setting beside others, in one structure.
pub(in crate::local) fn described(setting: &Setting, members: &[(&str, Value)]) -> Value {
    let mut described: Value = setting.value().unwrap_or_default();
    for (name, value) in members {
        described[*name] = value.clone();
    }
    described["createdAt"] = timestamp(setting.created_at);
    described["updatedAt"] = timestamp(setting.updated_at);
    described
}

/// The only setting of a kind as it was put, or what stands for it until it is.
pub(in crate::local) fn configuration(
    call: &Call<'_>,
    kind: Kind,
    otherwise: Value,
) -> Result<Value, ApiError> {
    let setting = call.read(|connection| Ok(Setting::get(connection, &call.scope(), kind, "")?))?;
    Ok(setting.map_or(otherwise, |setting| setting.value().unwrap_or_default()))
}

/// A structure of the input as it came; empty where it is absent.
pub(in crate::local) fn given(call: &Call<'_>, member: &str) -> Value {
    call.input.get(member).cloned().unwrap_or_else(|| json!({}))
}

/// A point in time, given in milliseconds, as the service writes it: seconds since 1970 with a fraction.
pub(in crate::local) fn timestamp(milliseconds: i64) -> Value {
    let (seconds, fraction) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
    Number::from_str(&format!("{seconds}.{fraction:03}")).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn milliseconds_become_seconds() {
        assert_eq!(timestamp(1_700_000_000_007).to_string(), "1700000000.007");
    }
}
