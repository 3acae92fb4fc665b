//! Names the identity that would ask for a password, without any request.
//!
//! The cache needs a name for the identity before credentials are resolved, and one that stays the same while the
//! credentials rotate: an assumed role has a new access key with every call, and its tokens would never be found
//! again under it. So the name is taken from where credentials come from: the access key of the environment, the
//! profile's own lines in the AWS configuration files (and those that they refer to), the role of a web identity,
//! the container's or the instance's own service.
//!
//! The lines are taken as they stand, by a reader that knows sections and nothing else: a definition that changed
//! is another identity, and what the lines mean is found out only when credentials are really needed. Secrets in
//! them are left out, so that nothing on disk is derived from a secret.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::ecr_registry::EcrRegistry;
use crate::ini::{self, Line};
use crate::settings::Settings;

/// Source of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The environment's access key.
    Environment,
    /// A profile, which defines the source.
    Profile(String),
    /// A web identity that the environment names.
    WebIdentity,
    /// A job of GitHub Actions, for the role that the environment names.
    GithubJob,
    /// The service that a container is given.
    Container,
    /// The metadata service of an EC2 instance, the last resort.
    Instance,
    /// The token of a Kubernetes service account.
    ServiceAccount,
}

/// Source of credentials, with all facts that distinguish it from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Source of the credentials.
    pub source: Source,
    uses_imds: bool,
    facts: Vec<String>,
}

/// A service account's token and the role that it stands for.
#[derive(Clone)]
pub struct ServiceAccount {
    /// The signed token.
    pub token: String,
    /// ARN of the role.
    pub role_arn: String,
}

/// Variables that affect the endpoint or the identity; their values are part of the name.
const VARIABLES: &[&str] = &[
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ECR",
    "AWS_ENDPOINT_URL_ECR_PUBLIC",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
];

/// Keys whose values are secrets or change with them.
const SECRETS: &[&str] = &["aws_secret_access_key", "aws_session_token", "aws_security_token"];

/// Keys with which a profile defines its credentials.
const CREDENTIALS: &[&str] = &[
    "aws_access_key_id",
    "role_arn",
    "credential_process",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
    "login_session",
];

impl Identity {
    /// The identity that would ask for a registry's password.
    pub fn of(settings: &Settings, registry: &EcrRegistry) -> Self {
        let rule = registry.rule.as_ref();
        let profile = rule.and_then(|rule| rule.profile.clone());
        let explicit = profile.is_some() || settings.profile_is_explicit();
        let asked = profile.or_else(|| settings.profile());
        let name = asked.clone().unwrap_or_else(|| "default".to_owned());
        let mut facts = vec![format!("profile {name}")];
        let definition = Definition::read(settings, &name);
        facts.extend(definition.lines.iter().cloned());
        let variable = |name: &&&str| settings.filled_variable(name).map(|value| format!("{name}={value}"));
        facts.extend(VARIABLES.iter().filter_map(|name| variable(&name)));
        let key = settings.filled_variable("AWS_ACCESS_KEY_ID");
        let source = match &key {
            Some(_) if !explicit => Source::Environment,
            _ if definition.has_credentials || (asked.is_some() && explicit) => Source::Profile(name),
            _ => default_source(settings, asked),
        };
        if let Some(key) = key
            && (source == Source::Environment || definition.refers_to("Environment"))
        {
            facts.push(format!("key {key}"));
        }
        let uses_imds = source == Source::Instance || definition.refers_to("Ec2InstanceMetadata");
        if uses_imds {
            facts.push(format!("machine {}", machine_id()));
        }
        if source == Source::Container || definition.refers_to("EcsContainer") {
            facts.push(format!("subject {}", subject_of_file(settings)));
        }
        if let Some(rule) = rule {
            let parts = [&rule.role_arn, &rule.external_id, &rule.role_session_name];
            facts.extend(parts.into_iter().flatten().map(|part| format!("rule {part}")));
        }
        Self { source, uses_imds, facts }
    }

    /// The identity that a service account's token gives.
    pub fn of_service_account(account: &ServiceAccount) -> Self {
        let facts =
            vec![format!("role {}", account.role_arn), format!("subject {}", subject(&account.token))];
        Self { source: Source::ServiceAccount, uses_imds: false, facts }
    }

    /// Returns whether an instance's metadata service would be asked: as the last resort, or because a profile says so.
    pub fn uses_imds(&self) -> bool {
        self.uses_imds
    }

    /// Returns the source's display name.
    pub fn label(&self) -> String {
        match &self.source {
            Source::Environment => "environment".to_owned(),
            Source::Profile(name) => format!("profile {name}"),
            Source::WebIdentity => "web identity".to_owned(),
            Source::GithubJob => "GitHub Actions job".to_owned(),
            Source::Container => "container".to_owned(),
            Source::Instance => "instance".to_owned(),
            Source::ServiceAccount => "service account".to_owned(),
        }
    }

    /// The name under which this identity's password for a registry is kept: the same for every account of a region,
    /// because a password opens every registry there that the identity may use.
    pub fn key(&self, settings: &Settings, registry: &EcrRegistry) -> String {
        let mut hash = Sha256::new();
        let mut add = |fact: &str| {
            hash.update(fact.len().to_le_bytes());
            hash.update(fact.as_bytes());
        };
        add("ecr password 1");
        add(&self.label());
        add(registry.service());
        add(&registry.region);
        add(if registry.fips { "fips" } else { "" });
        add(if registry.dualstack { "dualstack" } else { "" });
        add(registry.rule.as_ref().and_then(|rule| rule.endpoint_url.as_deref()).unwrap_or_default());
        add(settings.globals().endpoint_url.as_deref().unwrap_or_default());
        self.facts.iter().for_each(|fact| add(fact));
        hex::encode(&hash.finalize()[..16])
    }
}

/// Identity if neither the environment nor a profile has credentials: container or instance.
fn default_source(settings: &Settings, asked: Option<String>) -> Source {
    let set = |name: &str| settings.filled_variable(name).is_some();
    if set("AWS_ROLE_ARN") && set("AWS_WEB_IDENTITY_TOKEN_FILE") {
        Source::WebIdentity
    } else if set("AWS_ROLE_ARN") && set("ACTIONS_ID_TOKEN_REQUEST_URL") {
        Source::GithubJob
    } else if set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        Source::Container
    } else if let Some(name) = asked.filter(|name| name != "default") {
        Source::Profile(name)
    } else {
        Source::Instance
    }
}

/// Lines of a profile and of the sections that they refer to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Definition {
    lines: Vec<String>,
    has_credentials: bool,
}

impl Definition {
    fn read(settings: &Settings, profile: &str) -> Self {
        // What cannot be read has no lines; the real reader complains when it is its turn.
        let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        Self::of(&text(&settings.configuration_file()), &text(&settings.credentials_file()), profile)
    }

    fn of(configuration: &str, credentials: &str, profile: &str) -> Self {
        let mut definition = Self::default();
        let mut wanted = vec![("profile", profile.to_owned())];
        let mut at = 0;
        while at < wanted.len() {
            let (kind, name) = wanted[at].clone();
            let own = kind == "profile" && name == profile;
            let mut lines = section(configuration, |heading| names(heading, kind, &name));
            if kind == "profile" {
                lines.extend(section(credentials, |heading| heading == name));
            }
            for line in lines {
                let (key, value) = line.option().unwrap_or((line.text, ""));
                let key = key.to_ascii_lowercase();
                if SECRETS.contains(&key.as_str()) {
                    continue;
                }
                definition.has_credentials |= own && CREDENTIALS.contains(&key.as_str());
                let referred = match key.as_str() {
                    "source_profile" => Some("profile"),
                    "sso_session" => Some("sso-session"),
                    "services" => Some("services"),
                    _ => None,
                };
                definition.lines.push(format!("{kind} {name} {key}={value}"));
                if let Some(kind) = referred
                    && !wanted.iter().any(|(known, name)| *known == kind && name == value)
                {
                    wanted.push((kind, value.to_owned()));
                }
            }
            at += 1;
        }
        definition
    }

    fn refers_to(&self, credential_source: &str) -> bool {
        self.lines.iter().any(|line| line.ends_with(&format!(" credential_source={credential_source}")))
    }
}

/// The lines below the headings that are wanted, and, where there are any, those of `[DEFAULT]`, which are everyone's.
///
/// Lines, and no sections that are understood as a whole: a password from the cache is handed out whether or not the
/// file is well formed, so all that counts here is whether a line has changed.
fn section(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<Line<'_>> {
    let (mut heading, mut is_there) = ("", false);
    let (mut lines, mut defaults) = (Vec::new(), Vec::new());
    for line in ini::lines(text).filter(|line| !line.text.is_empty()) {
        if let Some(name) = line.header() {
            heading = name.trim();
            is_there |= wanted(heading);
        } else if heading == ini::DEFAULT {
            defaults.push(line);
        } else if wanted(heading) {
            lines.push(line);
        }
    }
    // A section without lines of its own has the defaults, too.
    if is_there {
        lines.append(&mut defaults);
    }
    lines
}

fn names(heading: &str, kind: &str, name: &str) -> bool {
    if heading == "default" {
        return kind == "profile" && name == "default";
    }
    heading
        .strip_prefix(kind)
        .is_some_and(|rest| rest.starts_with([' ', '\t']) && rest.trim().trim_matches(['"', '\'']) == name)
}

/// Identifier of this machine, different from others that share the folder or the disk image.
fn machine_id() -> String {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let id = read("/proc/sys/kernel/random/boot_id").or_else(|| read("/etc/machine-id"));
    id.unwrap_or_default().trim().to_owned()
}

fn subject_of_file(settings: &Settings) -> String {
    let file = settings.filled_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    file.and_then(|file| std::fs::read_to_string(file).ok())
        .map_or_else(String::new, |token| subject(token.trim()))
}

/// Returns the subject of a signed token: the token is renewed often, its subject stays.
fn subject(token: &str) -> String {
    let claims = token.split('.').nth(1).and_then(|part| {
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part.trim_end_matches('=').as_bytes()).ok()?;
        serde_json::from_slice::<serde_json::Value>(&bytes).ok()
    });
    let claim = |name: &str| claims.as_ref().and_then(|claims| claims.get(name)?.as_str().map(str::to_owned));
    match claim("sub") {
        Some(subject) => format!("{} {subject}", claim("iss").unwrap_or_default()),
        // No readable claims: the token as a whole, by its hash.
        None => hex::encode(Sha256::digest(token.as_bytes())),
    }
}

#[cfg(test)]
mod tests;
