//! Registries that `login` and `logout` are for.

use super::Context;
use crate::auth::auth_file::{self, Client};
use crate::auth::ecr_registry::EcrRegistry;
use crate::auth::login::LoginContext;
use crate::auth::login_conf::Rules;
use crate::auth::token_cache::TokenCache;
use crate::error::Error;
use crate::image::host::Address;
use crate::settings::Settings;

/// login.conf.
pub(super) fn rules(settings: &Settings) -> anyhow::Result<Rules> {
    Rules::load(settings).map_err(|error| {
        anyhow::Error::from(Error::Configuration { code: "Configuration", message: error.to_string() })
    })
}

/// A host as it was typed, perhaps with an image's name behind it.
pub(super) fn address(host: &str) -> anyhow::Result<Address> {
    Address::parse(host)
        .ok_or_else(|| anyhow::Error::from(Error::Usage(format!("'{host}' is no registry's host"))))
}

/// Returns how to log in to a host, by login.conf or the host's own name.
pub(super) fn registry(rules: &Rules, address: &Address) -> anyhow::Result<EcrRegistry> {
    rules.registry(address).ok_or_else(|| {
        anyhow::Error::from(Error::Usage(format!(
            "{address} is no registry of Amazon ECR. If it stands for one, say so in login.conf: [NAME], match_host = \
             {address}, registry = ACCOUNT.dkr.ecr.REGION.amazonaws.com"
        )))
    })
}

/// The identity's own registry in the configured region.
pub(super) fn own(context: &Context) -> anyhow::Result<EcrRegistry> {
    let settings = &context.settings;
    let region =
        settings.region()?.filter(|region| !region.is_empty()).ok_or_else(|| Error::Configuration {
            code: "NoRegion",
            message: "Which registry? Name its HOST, or a region (--region, AWS_REGION) for your own"
                .to_owned(),
        })?;
    Ok(EcrRegistry {
        host: String::new(),
        account: None,
        public: false,
        region,
        fips: settings.fips()?,
        dualstack: settings.dualstack()?,
        rule: None,
    })
}

/// These hosts, and all that docker's file, login.conf and the cache name.
pub(super) fn in_use(
    context: &Context,
    logins: &LoginContext<'_>,
    rules: &Rules,
    mut hosts: Vec<String>,
) -> anyhow::Result<Vec<String>> {
    let json = auth_file::read(&Client::Docker.file(&context.settings)?)?;
    hosts.extend(json.keys(&["auths"]));
    hosts.extend(json.keys(&["credHelpers"]));
    hosts.extend(rules.named_hosts());
    hosts.extend(logins.cache.iter().flat_map(TokenCache::entries).flat_map(|(_, entry)| entry.hosts));
    let known = hosts.iter().filter_map(|host| Address::parse(host));
    let mut known: Vec<String> = known
        .filter(|address| rules.registry(address).is_some_and(|registry| !registry.anonymous()))
        .map(|address| address.to_string())
        .collect();
    known.sort();
    known.dedup();
    if known.is_empty() {
        anyhow::bail!(Error::Usage(
            "no registry of ECR is in use yet (in docker's file, login.conf or the cache): name a HOST"
                .to_owned()
        ));
    }
    Ok(known)
}
