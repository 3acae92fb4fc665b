//! The call for a password: its time limit, and the reading of its answer.

mod call_settings;
mod errors;

use std::io::{Seek as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use self::call_settings::settings_for_registry;
use self::errors::failure;
use super::cached_token::{self, CachedToken};
use super::ecr_registry::EcrRegistry;
use super::identity::{Identity, ServiceAccount};
use super::log::Log;
use super::login_error::LoginError;
use super::metadata;
use super::obtain_token::now;
use super::token_cache::TokenCache;
use crate::image::host::Address;
use crate::model;
use crate::platform;
use crate::service::Client;
use crate::settings::Settings;

/// Life of a password, in seconds, if the answer does not say: what the service documents.
pub const LIFETIME: u64 = 12 * 60 * 60;

/// A request for a password: registry, identity and cache.
#[derive(Clone, Copy)]
pub struct TokenRequest<'a> {
    /// The settings of the process.
    pub settings: &'a Settings,
    /// The registry.
    pub registry: &'a EcrRegistry,
    /// The identity of the caller.
    pub identity: &'a Identity,
    /// Kubernetes service account to ask as, if kubelet gave one.
    pub account: Option<&'a ServiceAccount>,
    /// Cache, which also remembers an unreachable metadata service.
    pub cache: Option<&'a TokenCache>,
    /// The log.
    pub log: &'a Log,
}

/// Requests a password from the service, and gives up after `timeout`.
pub fn request_token(request: TokenRequest<'_>, timeout: Duration) -> Result<CachedToken, LoginError> {
    check_imds(request)?;
    let TokenRequest { settings, registry, identity, account, log, .. } = request;
    // The token of a service account comes by stdin; the chain of credentials wants a file.
    let token = account.map(token_file).transpose()?;
    let settings = settings_for_registry(
        settings,
        registry,
        identity,
        account.zip(token.as_ref().map(|file| file.path.as_path())),
    );
    let service = if registry.public { model::ecr_public() } else { model::ecr() };
    let client = Client::remote(service, &settings);
    let EcrRegistry { host, region, .. } = registry;
    log.info(|| format!("asking {} in {region} as {} for {host}", service.name, identity.label()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| LoginError::Unreachable(error.to_string()))?;
    let requested = now();
    let answer = runtime.block_on(async {
        tokio::time::timeout(timeout, client.call("GetAuthorizationToken", json!({}))).await
    });
    // Threads that look up names are not waited for.
    runtime.shutdown_background();
    let answer = answer
        .map_err(|_| LoginError::Unreachable(format!("no answer for {} seconds", timeout.as_secs())))?;
    let value = answer.map_err(|error| failure(&error, registry, identity))?;
    let entry = read(&value, registry, identity, requested).ok_or_else(|| {
        let endpoint = settings.endpoint(registry.service()).ok().flatten();
        LoginError::Empty(endpoint.unwrap_or_else(|| format!("{} in {region}", registry.service())))
    })?;
    if let Some((_, password)) = entry.login() {
        log.hide(&password);
    }
    log.info(|| format!("a new password for {host} until {}", format_time(entry.expires)));
    Ok(entry)
}

/// Formats a time in seconds since 1970 as RFC 3339 in UTC, such as `2026-11-30T17:08:00Z`.
pub fn format_time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// Fails early if the only source of credentials is a metadata service that does not exist.
fn check_imds(request: TokenRequest<'_>) -> Result<(), LoginError> {
    let TokenRequest { settings, registry, identity, cache, log, .. } = request;
    if !identity.uses_imds() || settings.globals().no_sign_request {
        return Ok(());
    }
    let nobody = || LoginError::NoCredentials { searched: searched(settings, registry) };
    if settings.instance_metadata_disabled() {
        return Err(nobody());
    }
    let address =
        settings.instance_metadata_endpoint().map_err(|error| LoginError::Settings(error.to_string()))?;
    let address = address.trim_end_matches('/').to_owned();
    if cache.is_some_and(|cache| cache.is_imds_unreachable(&address)) {
        log.debug(|| "nobody answered as instance metadata service a moment ago".to_owned());
        return Err(nobody());
    }
    if metadata::answers(&address) {
        return Ok(());
    }
    log.info(|| format!("nobody answers as instance metadata service at {address}"));
    if let Some(Err(error)) = cache.map(|cache| cache.remember_imds_unreachable(&address)) {
        log.debug(|| format!("which cannot be remembered: {error}"));
    }
    Err(nobody())
}

/// Lists the places that were searched for credentials.
fn searched(settings: &Settings, registry: &EcrRegistry) -> String {
    let rule = registry.rule.as_ref().and_then(|rule| rule.profile.clone());
    let profile = rule.or_else(|| settings.profile()).unwrap_or_else(|| "default".to_owned());
    format!(
        "the environment (AWS_ACCESS_KEY_ID), the profile {profile} ({} and {}), web identity, container and instance \
         metadata",
        settings.configuration_file().display(),
        settings.credentials_file().display(),
    )
}

/// A service account's token where the chain of credentials can read it. The file has no name wherever `/dev/fd` gives
/// it one, so that nothing is left behind when the program is ended.
struct TokenFile {
    path: PathBuf,
    _file: std::fs::File,
    _named: Option<tempfile::TempPath>,
}

fn token_file(account: &ServiceAccount) -> Result<TokenFile, LoginError> {
    let write = || {
        let unnamed = tempfile::tempfile()?;
        let (mut file, path, named) = if let Some(path) = platform::path_of_unnamed(&unnamed) {
            (unnamed, path, None)
        } else {
            let (file, path) = tempfile::NamedTempFile::new()?.into_parts();
            (file, path.to_path_buf(), Some(path))
        };
        file.write_all(account.token.as_bytes())?;
        file.rewind()?;
        Ok(TokenFile { path, _file: file, _named: named })
    };
    write().map_err(|error: std::io::Error| {
        LoginError::Settings(format!(
            "the service account's token cannot be put in a temporary file: {error}"
        ))
    })
}

/// Answer of GetAuthorizationToken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationData {
    /// User name and password in base64.
    pub token: String,
    /// Expiry in seconds since 1970, if the answer says it.
    pub expires: Option<u64>,
    /// Address of the registry. The public one names none.
    pub address: Option<Address>,
}

impl AuthorizationData {
    /// Reads an answer: the private service answers a list of one, the public one a single object.
    pub fn read(answer: &Value) -> Option<Self> {
        let data = answer.get("authorizationData")?;
        let data = data.get(0).unwrap_or(data);
        let token = data.get("authorizationToken")?.as_str()?.to_owned();
        cached_token::login(&token)?;
        let address = data.get("proxyEndpoint").and_then(Value::as_str).and_then(Address::parse);
        Some(Self { token, expires: data.get("expiresAt").and_then(seconds), address })
    }
}

fn read(value: &Value, registry: &EcrRegistry, identity: &Identity, requested: u64) -> Option<CachedToken> {
    let AuthorizationData { token, expires, address } = AuthorizationData::read(value)?;
    let expires = expires.unwrap_or(requested + LIFETIME);
    let mut entry =
        CachedToken::new(registry.service(), &registry.region, identity.label(), token, requested..expires);
    entry.remember(&registry.host);
    entry.registry = address.map(|address| address.to_string()).unwrap_or_default();
    Some(entry)
}

fn seconds(value: &Value) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date, bounded before")]
    if let Some(number) = value.as_f64() {
        return (0.0..1e12).contains(&number).then_some(number as u64);
    }
    let time: jiff::Timestamp = value.as_str()?.parse().ok()?;
    u64::try_from(time.as_second()).ok()
}

#[cfg(test)]
mod tests;
