//! `ecr --local login`: a password of the embedded ECR, which `ecr local serve` takes from docker and podman.

use super::connect::{caller, connect};
use super::login_args::LoginArgs;
use super::registry::usage;
use super::{Context, runtime};
use crate::auth::cached_token::CachedToken;
use crate::auth::obtain_token::now;
use crate::error::Error;
use crate::image::host::Address;
use crate::local::Local;
use crate::model;
use crate::service::api::authorization;

/// Seconds for which a password is good where the answer does not say.
const LIFETIME: u64 = 12 * 60 * 60;

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
    let answer = runtime::block_on(async { authorization(&client).await.map_err(anyhow::Error::from) })?;
    let address = answer.endpoint.as_deref().and_then(Address::parse);
    let host =
        address.ok_or_else(|| Error::Other("the embedded ECR names no address".to_owned()))?.to_string();
    let token = base64_simd::STANDARD.encode_to_string(format!("{}:{}", answer.user, answer.password));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date after 1970")]
    let expires = answer.expires_at.map_or(requested + LIFETIME, |seconds| seconds as u64);
    let entry = CachedToken::new("ecr", &caller.region, "embedded ECR".to_owned(), token, requested..expires);
    Ok((host, entry))
}
