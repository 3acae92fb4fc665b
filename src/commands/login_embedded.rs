//! `ecr --local login`: a password of the embedded ECR, which `ecr local serve` takes from docker and podman.

use serde_json::json;

use super::connect::{caller, connect};
use super::login_args::LoginArgs;
use super::registry::usage;
use super::{Context, runtime};
use crate::auth::cached_token::CachedToken;
use crate::auth::get_authorization_token::{AuthorizationData, LIFETIME};
use crate::auth::obtain_token::now;
use crate::error::Error;
use crate::local::Local;
use crate::model;

/// Returns the address that the store's repository URIs begin with, and a password for it.
///
/// No server needs to run: the store keeps the secret that a later server checks passwords by.
pub(super) fn entry(context: &Context, args: &LoginArgs) -> anyhow::Result<(String, CachedToken)> {
    if args.all || !args.places.hosts.is_empty() {
        return Err(usage(
            "--local logs in to the embedded ECR alone, at the address of its repository URIs: leave out HOST and --all",
        ));
    }
    if args.dry_run && !Local::exists(&context.settings.local_folder()?) {
        return Err(usage("--dry-run: there is no embedded ECR yet, and a login would make one"));
    }
    let client = connect(&context.settings, model::ecr())?;
    let caller = caller(&context.settings)?;
    let requested = now();
    let answer = runtime::block_on(async {
        client.call("GetAuthorizationToken", json!({})).await.map_err(anyhow::Error::from)
    })?;
    let missing = |what: &str| Error::Other(format!("the embedded ECR names no {what}"));
    let AuthorizationData { token, expires, address } =
        AuthorizationData::read(&answer).ok_or_else(|| missing("password"))?;
    let host = address.ok_or_else(|| missing("address"))?.to_string();
    let expires = expires.unwrap_or(requested + LIFETIME);
    let entry = CachedToken::new("ecr", &caller.region, "embedded ECR".to_owned(), token, requested..expires);
    Ok((host, entry))
}
