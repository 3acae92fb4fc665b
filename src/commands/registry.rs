//! Settings of a registry, and arguments and errors that commands about images have in common.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::anyhow;

use super::block_on;
use super::login_hosts::rules;
use crate::error::Error;
use crate::image::host::Address;
use crate::image::{self, Digest, Registry};
use crate::local::ServerInfo;
use crate::network::probe::speaks_tls;
use crate::settings::{Globals, Settings};
use crate::store::Journal;
use crate::store::ecr::Network;
use crate::store::{self, ecr};
use crate::transfer;

/// The region of a registry on this machine where none is configured.
pub(super) const LOOPBACK_REGION: &str = "us-east-1";

/// Returns the settings for a registry: its host, if given, decides region and endpoint.
pub(super) fn settings_of(settings: &Settings, registry: Option<&Registry>) -> anyhow::Result<Settings> {
    let mut globals = settings.globals().clone();
    let mut variables = Vec::new();
    match registry {
        None => {}
        Some(Registry::Ecr { region, fips, dualstack, .. }) => {
            globals.region = Some(region.clone());
            variables = forms(*fips, *dualstack);
        }
        Some(Registry::Loopback(host)) => at_loopback(settings, &mut globals, host)?,
        Some(Registry::Other(host)) => {
            return Err(usage(format!(
                "{host} is not a registry of Amazon ECR; expected a repository's name alone, or a host such as \
                 123456789012.dkr.ecr.us-east-1.amazonaws.com in front of it"
            )));
        }
    }
    Ok(settings.with_changes(globals, &variables))
}

/// Returns the journal of unfinished uploads to a registry, or `None` without a cache folder.
pub(super) fn journal_of(settings: &Settings, registry: String) -> Option<Journal> {
    Some(Journal::new(settings.cache_folder()?.join("ecr").join("uploads"), registry))
}

/// Environment variables that select the FIPS and dual-stack endpoints that a registry's host names.
pub(super) fn forms(fips: bool, dualstack: bool) -> Vec<(&'static str, Option<&'static str>)> {
    let forms = [(fips, "AWS_USE_FIPS_ENDPOINT"), (dualstack, "AWS_USE_DUALSTACK_ENDPOINT")];
    forms.into_iter().filter(|(on, _)| *on).map(|(_, name)| (name, Some("true"))).collect()
}

/// Network options of transfers.
pub(super) fn network(settings: &Settings) -> anyhow::Result<Network> {
    Ok(Network {
        connection: crate::network::Network::from_settings(settings)?,
        // What is served elsewhere than at AWS has other rates, or none.
        quota_file: if settings.local() || settings.endpoint("ecr")?.is_some() {
            None
        } else {
            Some(quota_file(settings)?)
        },
        endpoint: settings.endpoint("ecr")?.and_then(|endpoint| endpoint.parse().ok()),
        ..Network::default()
    })
}

/// The file by which programs keep to the rates of a region. Without a folder for it, each does so alone.
fn quota_file(settings: &Settings) -> anyhow::Result<PathBuf> {
    let region = settings.region()?.unwrap_or_default();
    let name = Digest::of(region.as_bytes()).hexadecimal().to_owned();
    let folder = settings.cache_folder().map(|folder| folder.join("ecr").join("pace")).unwrap_or_default();
    Ok(folder.join(name))
}

/// Returns whether the configured endpoint says that a host of this machine is served with TLS.
pub(super) fn is_secured(settings: &Settings, host: &str) -> anyhow::Result<bool> {
    let configured = settings.endpoint("ecr")?.unwrap_or_default();
    Ok(configured.trim_end_matches('/').strip_prefix("https://") == Some(host))
}

/// Finds the URL scheme of a host of this machine by connecting, since its name does not tell.
fn scheme_of(settings: &Settings, host: &str) -> anyhow::Result<&'static str> {
    let plain = "http";
    if !crate::network::Network::from_settings(settings)?.is_direct(&format!("{plain}://{host}")) {
        return Ok(plain);
    }
    let is_secure = block_on(async { Ok::<_, anyhow::Error>(speaks_tls(host).await) })?;
    Ok(if is_secure { "https" } else { plain })
}

/// Returns whether a host of this machine is an embedded ECR, which has ECR's API besides `/v2/`: it is the configured
/// endpoint, the server of the store's folder, or what login.conf calls a registry of ECR. Any other program may listen
/// there.
pub(super) fn is_embedded_ecr(settings: &Settings, host: &str) -> anyhow::Result<bool> {
    if settings.endpoint("ecr")?.is_some_and(|endpoint| is_same_port(&endpoint, host)) {
        return Ok(true);
    }
    let rules = rules(settings)?;
    if Address::parse(host).is_some_and(|address| rules.registry(&address).is_some()) {
        return Ok(true);
    }
    let folder = settings.local_folder().ok();
    let server = folder.and_then(|folder| ServerInfo::find(&folder));
    Ok(server.is_some_and(|server| is_same_port(&server.url(), host)))
}

/// Returns whether a URL and a host of this machine name the same port of it, by whatever names.
fn is_same_port(url: &str, host: &str) -> bool {
    let here = |host: &str| match Registry::of_host(host) {
        Some(Registry::Loopback(host)) => Address::parse(&host).map(|address| address.port.unwrap_or(80)),
        _ => None,
    };
    let default = if url.starts_with("https://") { 443 } else { 80 };
    let port =
        Address::parse(url).filter(|_| here(url).is_some()).map(|address| address.port.unwrap_or(default));
    port.is_some() && port == here(host)
}

/// Returns the settings for an embedded ECR at `host`: the host is the endpoint, unless another one is given.
fn at_loopback(settings: &Settings, globals: &mut Globals, host: &str) -> anyhow::Result<()> {
    if globals.endpoint_url.is_none() && !is_secured(settings, host)? {
        globals.endpoint_url = Some(format!("{}://{host}", scheme_of(settings, host)?));
    }
    if settings.region()?.is_none_or(|region| region.is_empty()) {
        globals.region = Some(LOOPBACK_REGION.to_owned());
    }
    Ok(())
}

/// Wrong use of the command line, with its exit code.
pub(super) fn usage(error: impl Into<String>) -> anyhow::Error {
    Error::Usage(error.into()).into()
}

/// A wrong digest, tag, platform or reference on the command line.
#[allow(clippy::needless_pass_by_value, reason = "so that it can be given to map_err")]
pub(super) fn wrong(error: image::Error) -> anyhow::Error {
    usage(error.to_string())
}

/// Puts the service's own refusal, which decides the exit code, at the root of a transfer's error.
pub(super) fn explained(error: transfer::Error) -> anyhow::Error {
    match error {
        transfer::Error::Store(store::Error::Ecr(ecr::Error::Service(error))) => error.into(),
        transfer::Error::Store(store::Error::Ecr(ecr::Error::NoRepository { repository, source })) => {
            anyhow::Error::from(source).context(format!("the repository {repository} does not exist"))
        }
        // The reader of standard output may stop before its end.
        transfer::Error::Store(store::Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
            source.into()
        }
        transfer::Error::Store(store::Error::Ecr(error @ ecr::Error::Inaccessible { .. })) => {
            Error::Unavailable(error.to_string()).into()
        }
        // The service's own no, only sooner.
        transfer::Error::Store(store::Error::Ecr(error @ ecr::Error::Immutable { .. })) => {
            let text = error.to_string();
            let members = [("Message", text.as_str()), ("Code", "ImageTagAlreadyExistsException")];
            let members = members.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect();
            Error::Refused { text, members }.into()
        }
        error => anyhow!("{error}"),
    }
}
