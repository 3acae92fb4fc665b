//! Repositories over `/v2/`, the OCI distribution API: which registries are reached by it, and the login for them.

use std::sync::Arc;

use anyhow::Context as _;

use super::login_hosts::{address, rules};
use super::{block_on, registry};
use crate::auth::login::LoginContext;
use crate::auth::{self, cached_token};
use crate::image::{Registry, RepositoryName};
use crate::settings::{Globals, Settings};
use crate::store::registry::{Login, Remote};

/// Returns whether to speak `/v2/` to a registry: where `docker://` asks for it (`is_explicit`), and where it is
/// neither Amazon ECR nor an embedded ECR that the settings know.
pub(super) fn is_used(settings: &Settings, is_explicit: bool, registry: &Registry) -> anyhow::Result<bool> {
    Ok(is_explicit
        || match registry {
            Registry::Ecr { .. } => false,
            Registry::Loopback(host) => !registry::is_embedded_ecr(settings, host)?,
            Registry::Other(_) => true,
        })
}

/// A repository over `/v2/`, with the login for its registry.
pub(super) fn remote(
    settings: &Settings,
    registry: &Registry,
    repository: &RepositoryName,
) -> anyhow::Result<Remote> {
    let login = login(settings, registry, repository, false)?;
    let is_undecided = match registry {
        Registry::Loopback(host) => !registry::is_secured(settings, host)?,
        _ => false,
    };
    let network = registry::network(settings)?;
    // What expires is ECR's; it does after twelve hours, and a transfer may begin in the last minute of them.
    let (own, renewed, path) = (settings.clone(), registry.clone(), repository.to_owned());
    let renew = move || self::login(&own, &renewed, &path, true).map_err(|error| format!("{error:#}"));
    let expires =
        login != Login::Anonymous && matches!(registry, Registry::Ecr { .. } | Registry::Loopback(_));
    let remote = Remote::new(registry.host(), repository, is_undecided, login, network);
    let remote = if is_undecided { remote.with_scheme_found_out() } else { remote };
    let remote = match registry::journal_of(settings, format!("docker://{}", registry.host())) {
        Some(journal) => remote.with_journal(journal),
        None => remote,
    };
    Ok(if expires { remote.renewed_by(Arc::new(renew)) } else { remote })
}

/// Returns the login for a registry: for ECR and registries that login.conf names, as for every client that logs in
/// through us; for others the login that docker and podman keep. `fresh` where the one that is kept has expired.
fn login(settings: &Settings, registry: &Registry, repository: &str, fresh: bool) -> anyhow::Result<Login> {
    let host = registry.host();
    let ecr = rules(settings)?.registry(&address(host)?);
    if let Some(ecr) = ecr.filter(|ecr| !ecr.public) {
        if ecr.anonymous() {
            return Ok(Login::Anonymous);
        }
        let (user, password) = token(settings, &ecr, fresh)?
            .as_deref()
            .and_then(cached_token::login)
            .with_context(|| format!("GetAuthorizationToken gave no password for {host}"))?;
        return Ok(Login::Password(user, password));
    }
    Ok(super::connect::stored_login(settings, host, repository)?.unwrap_or(Login::Anonymous))
}

fn token(
    settings: &Settings,
    ecr: &auth::ecr_registry::EcrRegistry,
    fresh: bool,
) -> anyhow::Result<Option<String>> {
    if !settings.local() {
        return Ok(Some(super::login::password(&LoginContext::open(settings), ecr, fresh)?.token));
    }
    // The embedded ECR in this process has no endpoint, and nothing to keep.
    let globals = Globals { region: Some(ecr.region.clone()), ..settings.globals().clone() };
    let client = super::connect(&settings.with_globals(globals), crate::model::ecr())?;
    let answer =
        block_on(async { anyhow::Ok(client.call("GetAuthorizationToken", serde_json::json!({})).await?) })?;
    let token = answer.pointer("/authorizationData/0/authorizationToken").and_then(|token| token.as_str());
    Ok(token.map(str::to_owned))
}
