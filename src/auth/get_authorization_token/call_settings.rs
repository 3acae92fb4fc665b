//! Settings of the call that requests a password: endpoint and region of the host, identity of the rule or the service account.

use std::path::Path;

use crate::auth::ecr_registry::EcrRegistry;
use crate::auth::identity::{Identity, ServiceAccount, Source};
use crate::settings::{Settings, section};

/// Seconds for a connection, and for the next byte of the answer, where the options say nothing: a login that hangs
/// looks to docker like a registry that hangs.
const CONNECT_TIMEOUT: i64 = 5;
const READ_TIMEOUT: i64 = 20;
/// Returns the settings of the call for this registry: region and endpoint form of the host, identity of the rule.
pub(super) fn settings_for_registry(
    settings: &Settings,
    registry: &EcrRegistry,
    identity: &Identity,
    account: Option<(&ServiceAccount, &Path)>,
) -> Settings {
    let rule = registry.rule.as_ref();
    let mut globals = settings.globals().clone();
    globals.region = Some(registry.region.clone());
    globals.connect_timeout = globals.connect_timeout.or(Some(CONNECT_TIMEOUT));
    globals.read_timeout = globals.read_timeout.or(Some(READ_TIMEOUT));
    if let Some(profile) = rule.and_then(|rule| rule.profile.clone()) {
        globals.profile = Some(profile);
    }
    if let Some(endpoint) = rule.and_then(|rule| rule.endpoint_url.clone()) {
        globals.endpoint_url = Some(endpoint);
    }
    // The host's form can only switch these on: an environment that asks for FIPS gets it for every host.
    let mut variables: Vec<(&str, Option<&str>)> = Vec::new();
    if registry.fips {
        variables.push(("AWS_USE_FIPS_ENDPOINT", Some("true")));
    }
    if registry.dualstack {
        variables.push(("AWS_USE_DUALSTACK_ENDPOINT", Some("true")));
    }
    if let Some((account, path)) = account {
        globals.profile = None;
        variables.extend(of_service_account(account, path));
        return settings.with_changes(globals, &variables);
    }
    let changed = settings.with_changes(globals, &variables);
    with_role(changed, registry, identity)
}

/// Adds a profile for the role of a rule, whose source is the identity without the rule.
fn with_role(settings: Settings, registry: &EcrRegistry, identity: &Identity) -> Settings {
    let Some((rule, role)) = registry.rule.as_ref().and_then(|rule| Some((rule, rule.role_arn.as_deref()?)))
    else {
        return settings;
    };
    let name = format!("login.conf {}", rule.name);
    let base = format!("{name} source");
    let session = rule.role_session_name.as_deref().unwrap_or("ecr-login");
    let mut keys =
        vec![("role_arn", role), ("role_session_name", session), ("region", registry.region.as_str())];
    keys.extend(rule.external_id.as_deref().map(|id| ("external_id", id)));
    let (arn, file) =
        (settings.filled_variable("AWS_ROLE_ARN"), settings.filled_variable("AWS_WEB_IDENTITY_TOKEN_FILE"));
    let mut profiles = Vec::new();
    match &identity.source {
        Source::Environment => keys.push(("credential_source", "Environment")),
        Source::GithubJob => keys.push(("credential_source", "GitHubActions")),
        Source::Container => keys.push(("credential_source", "EcsContainer")),
        Source::Instance => keys.push(("credential_source", "Ec2InstanceMetadata")),
        Source::Profile(profile) => keys.push(("source_profile", profile)),
        Source::WebIdentity | Source::ServiceAccount => {
            keys.push(("source_profile", &base));
            let source = [("role_arn", arn.as_deref()), ("web_identity_token_file", file.as_deref())];
            let source = source.into_iter().filter_map(|(key, value)| Some((key, value?)));
            profiles.push((base.clone(), section(source)));
        }
    }
    profiles.insert(0, (name, section(keys)));
    settings.with_profiles(profiles)
}

/// The variables of a pod's service account, without the node's own identity.
fn of_service_account<'a>(account: &'a ServiceAccount, token: &'a Path) -> [(&'a str, Option<&'a str>); 8] {
    [
        ("AWS_ROLE_ARN", Some(account.role_arn.as_str())),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str()),
        ("AWS_ROLE_SESSION_NAME", Some("ecr-credential-provider")),
        ("AWS_ACCESS_KEY_ID", None),
        ("AWS_SECRET_ACCESS_KEY", None),
        ("AWS_SESSION_TOKEN", None),
        ("AWS_PROFILE", None),
        ("AWS_DEFAULT_PROFILE", None),
    ]
}
