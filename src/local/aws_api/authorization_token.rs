//! The registry itself, and authorization tokens for it.

use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::responses::timestamp;
use crate::local::core::registry_id::{Scope, alias};
use crate::local::core::repository::is_account;
use crate::local::core::token::PasswordSecret;

/// Life of a token, in milliseconds: 12 hours.
const TOKEN_LIFE: i64 = 12 * 60 * 60 * 1000;

#[allow(clippy::unnecessary_wraps, reason = "the signature is that of every handler")]
/// DescribeRegistries of the public service: the one registry that an account has.
pub(in crate::local) fn describe_public(call: &Call<'_>) -> Result<Value, ApiError> {
    let account = &call.caller.account;
    let name = alias(account);
    let registry = json!({
        "registryId": account,
        "registryArn": format!("arn:aws:ecr-public::{account}:registry/{account}"),
        "registryUri": format!("{}/public.ecr.aws/{name}", call.address()),
        "verified": false,
        "aliases": [{
            "name": name,
            "status": "ACTIVE",
            "primaryRegistryAlias": true,
            "defaultRegistryAlias": true,
        }],
    });
    Ok(json!({ "registries": [registry] }))
}

/// GetAuthorizationToken: one entry for each requested registry, by default the caller's own.
pub(in crate::local) fn authorize(call: &Call<'_>) -> Result<Value, ApiError> {
    let accounts = match call.list("registryIds") {
        Some(_) => call.texts("registryIds"),
        None => vec![call.caller.account.as_str()],
    };
    let address = call.address();
    let endpoint = format!("{}://{address}", call.local.scheme());
    let entries = accounts.into_iter().map(|account| {
        let mut entry = token(call, &call.scope_of(account))?;
        entry["proxyEndpoint"] = endpoint.as_str().into();
        Ok(entry)
    });
    Ok(json!({ "authorizationData": entries.collect::<Result<Vec<_>, ApiError>>()? }))
}

/// GetAuthorizationToken of the public service.
pub(in crate::local) fn authorize_public(call: &Call<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "authorizationData": token(call, &call.scope_of(&call.caller.account))? }))
}

/// Makes a token for the caller.
fn token(call: &Call<'_>, scope: &Scope) -> Result<Value, ApiError> {
    if !is_account(&scope.account) {
        return Err(ApiError::parameter("registryIds", "Member must satisfy regular expression '[0-9]{12}'"));
    }
    let expires_at = call.now + TOKEN_LIFE;
    let mint = call.local.read(PasswordSecret::of)?;
    let password = mint.password(&scope.account, &scope.region, &call.caller.principal, expires_at);
    Ok(json!({
        "authorizationToken": base64_simd::STANDARD.encode_to_string(format!("AWS:{password}")),
        "expiresAt": timestamp(expires_at),
    }))
}
