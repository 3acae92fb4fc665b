//! One rule of `login.conf`: its conditions, its keys, and which of them go together.

use crate::image::glob;
use crate::image::host::{Address, EcrHost};
use crate::settings::without_login;

/// Rule: conditions, and the login for hosts that satisfy them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// The section's name.
    pub name: String,
    /// The line on which it starts.
    pub line: usize,
    pub(super) match_host: Option<Vec<String>>,
    pub(super) match_account: Option<Vec<String>>,
    pub(super) match_region: Option<Vec<String>>,
    pub(super) registry: Option<EcrHost>,
    /// The profile whose credentials are used.
    pub profile: Option<String>,
    /// The role that is assumed with them.
    pub role_arn: Option<String>,
    /// The external id for the role.
    pub external_id: Option<String>,
    /// The name of the role's session.
    pub role_session_name: Option<String>,
    /// Region of the API.
    pub region: Option<String>,
    /// Endpoint of the API.
    pub endpoint_url: Option<String>,
    /// Use no credentials for this registry.
    pub anonymous: bool,
}

impl Rule {
    /// Returns whether the rule is for a host, which by its own form may be a registry of ECR (`own`).
    pub(super) fn fits(&self, address: &Address, own: Option<&EcrHost>) -> bool {
        let ecr = self.registry.as_ref().or(own);
        let host = |glob: &String| {
            let whole = glob.contains(':') && !glob.contains('[');
            if whole { glob::matches(glob, &address.to_string()) } else { glob::matches(glob, &address.name) }
        };
        let any = |globs: &Option<Vec<String>>, text: Option<&str>| {
            globs.as_ref().is_none_or(|globs| {
                text.is_some_and(|text| globs.iter().any(|glob| glob::matches(glob, text)))
            })
        };
        // A rule without a host condition speaks of ECR's own hosts only: `match_region = *` makes no alias.
        self.match_host.as_ref().map_or(own.is_some(), |globs| globs.iter().any(host))
            && any(&self.match_account, ecr.and_then(EcrHost::account))
            && any(&self.match_region, ecr.map(EcrHost::region))
    }

    /// Sets a key.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let globs = || -> Vec<String> {
            let parts = value.split([' ', '\t', ',']).filter(|part| !part.is_empty());
            parts.map(str::to_ascii_lowercase).collect()
        };
        let text = Some(value.to_owned());
        match key {
            "match_host" => self.match_host = Some(globs()),
            "match_account" => self.match_account = Some(globs()),
            "match_region" => self.match_region = Some(globs()),
            "registry" => self.registry = Some(registry(value)?),
            "profile" => self.profile = text,
            "role_arn" if value.starts_with("arn:") => self.role_arn = text,
            "role_arn" => return Err(format!("'{value}' is no ARN of a role")),
            "external_id" => self.external_id = text,
            "role_session_name" => self.role_session_name = text,
            "region" => self.region = text,
            "endpoint_url" if ["http://", "https://"].iter().any(|scheme| value.starts_with(scheme)) => {
                self.endpoint_url = text;
            }
            "endpoint_url" => {
                let shown = without_login(value);
                return Err(format!("'{shown}' is no URL: it starts with http:// or https://"));
            }
            "anonymous" => self.anonymous = is_anonymous(value)?,
            _ => {
                return Err(format!(
                    "'{key}' is no key of a rule (match_host, match_account, match_region, registry, profile, role_arn, \
                     external_id, role_session_name, region, endpoint_url, anonymous)"
                ));
            }
        }
        Ok(())
    }

    /// Checks the rule as a whole: which keys exclude or need each other.
    pub(super) fn validate(&self) -> Result<(), String> {
        let who = format!("the rule '{}'", self.name);
        if self.match_host.is_none() && self.match_account.is_none() && self.match_region.is_none() {
            return Err(format!("{who} has no condition: give it match_host, match_account or match_region"));
        }
        let settings = [&self.profile, &self.role_arn, &self.region, &self.endpoint_url];
        if self.anonymous && settings.iter().any(|setting| setting.is_some()) {
            return Err(format!("{who} is anonymous and names credentials too"));
        }
        if self.role_arn.is_none() && (self.external_id.is_some() || self.role_session_name.is_some()) {
            return Err(format!("{who} has external_id or role_session_name, but no role_arn"));
        }
        if self.registry.is_some() && self.match_host.is_none() {
            return Err(format!("{who} has a registry, but no match_host that stands for it"));
        }
        let is_foreign_host = |glob: &&String| {
            !glob.contains(['*', '?']) && Address::parse(glob).is_none_or(|address| address.ecr().is_none())
        };
        if self.registry.is_none()
            && self.region.is_none()
            && !self.anonymous
            && let Some(host) = self.match_host.iter().flatten().find(is_foreign_host)
        {
            return Err(format!(
                "{who}: {host} is no host of ECR; say which registry it stands for \
                 (registry = ACCOUNT.dkr.ecr.REGION.amazonaws.com), or its region (region = REGION)"
            ));
        }
        Ok(())
    }
}

fn registry(host: &str) -> Result<EcrHost, String> {
    let ecr = Address::parse(host).and_then(|address| address.ecr());
    ecr.ok_or_else(|| {
        format!("'{host}' is no registry host of ECR such as 111111111111.dkr.ecr.eu-west-1.amazonaws.com")
    })
}

fn is_anonymous(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("anonymous is true or false, not '{value}'")),
    }
}
