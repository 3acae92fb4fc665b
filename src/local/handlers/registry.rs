//! The registry itself, and authorization tokens for it.

use rusqlite::params;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::repository::is_account;
use crate::local::call::{Call, Scope, alias};
use crate::local::{Fault, random, time};

/// How long a token is good for, in milliseconds: 12 hours.
const TOKEN_LIFE: i64 = 12 * 60 * 60 * 1000;

#[allow(clippy::unnecessary_wraps, reason = "the signature is that of every handler")]
/// DescribeRegistries of the public service: the one registry that an account has.
pub(crate) fn describe_public(call: &Call<'_>) -> Result<Value, Fault> {
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

/// GetAuthorizationToken: one entry for each registry that is asked for, the caller's own where none is.
pub(crate) fn authorize(call: &Call<'_>) -> Result<Value, Fault> {
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
    Ok(json!({ "authorizationData": entries.collect::<Result<Vec<_>, Fault>>()? }))
}

/// GetAuthorizationToken of the public service.
pub(crate) fn authorize_public(call: &Call<'_>) -> Result<Value, Fault> {
    Ok(json!({ "authorizationData": token(call, &call.scope_of(&call.caller.account))? }))
}

/// Makes a token. The store keeps only its password's hash, with what it is good for.
fn token(call: &Call<'_>, scope: &Scope) -> Result<Value, Fault> {
    if !is_account(&scope.account) {
        return Err(Fault::parameter("registryIds", "Member must satisfy regular expression '[0-9]{12}'"));
    }
    let password = base64_simd::URL_SAFE_NO_PAD.encode_to_string(random::<96>());
    let expires_at = call.now + TOKEN_LIFE;
    call.write(|transaction| {
        transaction.execute("DELETE FROM token WHERE expires_at < ?1", [call.now])?;
        transaction.execute(
            "INSERT INTO token (hash, service, account, region, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                Sha256::digest(&password).as_slice(),
                scope.service,
                scope.account,
                scope.region,
                expires_at
            ],
        )?;
        Ok(())
    })?;
    Ok(json!({
        "authorizationToken": base64_simd::STANDARD.encode_to_string(format!("AWS:{password}")),
        "expiresAt": time::number(expires_at),
    }))
}
