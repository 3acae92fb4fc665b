//! Asking the service for a password: whose settings, which endpoint, how long, and what its no means.

use std::io::{Seek as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::cached_token::{self, CachedToken};
use super::identity::{Identity, ServiceAccount, Source};
use super::log::Log;
use super::login_error::LoginError;
use super::metadata;
use super::obtain_token::now;
use super::target::Target;
use super::token_cache::Cache;
use crate::image::host::Address;
use crate::model;
use crate::platform;
use crate::service::{self, Client};
use crate::settings::{self, Settings, section};

/// Seconds for a connection, and for the next byte of the answer, where the options say nothing: a login that hangs
/// looks to docker like a registry that hangs.
const CONNECT_TIMEOUT: i64 = 5;
const READ_TIMEOUT: i64 = 20;
/// How long a password lives where the answer does not say: what the service documents.
const LIFE: u64 = 12 * 60 * 60;

/// A request for a password: registry, identity and cache.
#[derive(Clone, Copy)]
pub struct TokenRequest<'a> {
    /// The settings of the process.
    pub settings: &'a Settings,
    /// The registry.
    pub target: &'a Target,
    /// The identity of the caller.
    pub identity: &'a Identity,
    /// The service account as which is asked, where kubelet gave one.
    pub account: Option<&'a ServiceAccount>,
    /// The cache, which remembers also that nobody answers.
    pub cache: Option<&'a Cache>,
    /// The log.
    pub log: &'a Log,
}

/// Asks, for this long at most.
pub fn ask(question: TokenRequest<'_>, patience: Duration) -> Result<CachedToken, LoginError> {
    check_imds(question)?;
    let TokenRequest { settings, target, identity, account, log, .. } = question;
    // The token of a service account comes by stdin; the chain of credentials wants a file.
    let token = account.map(token_file).transpose()?;
    let settings = settings_for_target(
        settings,
        target,
        identity,
        account.zip(token.as_ref().map(|file| file.path.as_path())),
    );
    let service = if target.public { model::ecr_public() } else { model::ecr() };
    let client = Client::remote(service, &settings);
    log.info(|| {
        format!("asking {} in {} as {} for {}", service.name, target.region, identity.label(), target.host)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| LoginError::Unreachable(error.to_string()))?;
    let requested = now();
    let answer = runtime.block_on(async {
        tokio::time::timeout(patience, client.call("GetAuthorizationToken", json!({}))).await
    });
    // Threads that look up names are not waited for.
    runtime.shutdown_background();
    let answer = answer
        .map_err(|_| LoginError::Unreachable(format!("no answer for {} seconds", patience.as_secs())))?;
    let value = answer.map_err(|error| failure(&error, target, identity))?;
    let entry = read(&value, target, identity, requested).ok_or_else(|| {
        let endpoint = settings.endpoint(target.service()).ok().flatten();
        LoginError::Empty(endpoint.unwrap_or_else(|| format!("{} in {}", target.service(), target.region)))
    })?;
    if let Some((_, password)) = entry.login() {
        log.hide(&password);
    }
    log.info(|| format!("a new password for {} until {}", target.host, moment(entry.expires)));
    Ok(entry)
}

/// A time as people read it.
pub fn moment(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// Nobody waits for a metadata service that is not there.
fn check_imds(question: TokenRequest<'_>) -> Result<(), LoginError> {
    let TokenRequest { settings, target, identity, cache, log, .. } = question;
    if !identity.uses_imds() || settings.globals().no_sign_request {
        return Ok(());
    }
    let nobody = || LoginError::NoCredentials { looked: looked(settings, target) };
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

/// Where credentials were looked for.
fn looked(settings: &Settings, target: &Target) -> String {
    let rule = target.rule.as_ref().and_then(|rule| rule.profile.clone());
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

/// The settings of whoever asks for this target: region and endpoint form of the host, identity of the rule.
fn settings_for_target(
    settings: &Settings,
    target: &Target,
    identity: &Identity,
    account: Option<(&ServiceAccount, &std::path::Path)>,
) -> Settings {
    let rule = target.rule.as_ref();
    let mut globals = settings.globals().clone();
    globals.region = Some(target.region.clone());
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
    if target.fips {
        variables.push(("AWS_USE_FIPS_ENDPOINT", Some("true")));
    }
    if target.dualstack {
        variables.push(("AWS_USE_DUALSTACK_ENDPOINT", Some("true")));
    }
    if let Some((account, path)) = account {
        globals.profile = None;
        variables.extend([
            ("AWS_ROLE_ARN", Some(account.role_arn.as_str())),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", path.to_str()),
            ("AWS_ROLE_SESSION_NAME", Some("ecr-credential-provider")),
            // The pod's identity, not the node's.
            ("AWS_ACCESS_KEY_ID", None),
            ("AWS_SECRET_ACCESS_KEY", None),
            ("AWS_SESSION_TOKEN", None),
            ("AWS_PROFILE", None),
            ("AWS_DEFAULT_PROFILE", None),
        ]);
        return settings.with_changes(globals, &variables);
    }
    let changed = settings.with_changes(globals, &variables);
    with_role(changed, target, identity)
}

/// The role of a rule becomes a profile whose source is what would be used without the rule.
fn with_role(settings: Settings, target: &Target, identity: &Identity) -> Settings {
    let Some((rule, role)) = target.rule.as_ref().and_then(|rule| Some((rule, rule.role_arn.as_deref()?)))
    else {
        return settings;
    };
    let name = format!("login.conf {}", rule.name);
    let base = format!("{name} source");
    let session = rule.role_session_name.as_deref().unwrap_or("ecr-login");
    let mut keys =
        vec![("role_arn", role), ("role_session_name", session), ("region", target.region.as_str())];
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

/// The password in an answer: the private service has a list of one, the public one the thing itself.
fn read(value: &Value, target: &Target, identity: &Identity, requested: u64) -> Option<CachedToken> {
    let data = value.get("authorizationData")?;
    let data = data.get(0).unwrap_or(data);
    let token = data.get("authorizationToken")?.as_str()?;
    cached_token::login(token)?;
    let expires = data.get("expiresAt").and_then(seconds).unwrap_or(requested + LIFE);
    let mut entry = CachedToken::new(
        target.service(),
        &target.region,
        identity.label(),
        token.to_owned(),
        requested,
        expires,
    );
    entry.remember(&target.host);
    let registry = data.get("proxyEndpoint").and_then(Value::as_str).and_then(Address::parse);
    entry.registry = registry.map(|address| address.to_string()).unwrap_or_default();
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

/// Turns the service's error into a login failure.
fn failure(error: &service::Error, target: &Target, identity: &Identity) -> LoginError {
    let label = identity.label();
    match error {
        service::Error::Refused(refused) => {
            let said = &refused.refusal;
            refusal(&said.code, &said.message, said.status, target)
        }
        service::Error::NoCredentials => LoginError::NoCredentials { looked: label },
        service::Error::NoIdToken => LoginError::NoCredentials {
            looked: format!(
                "{label}, and AWS_ROLE_ARN, for which this job of GitHub Actions lacks the permission id-token: write"
            ),
        },
        service::Error::Credentials(message) => LoginError::Credentials {
            hint: hint(message, identity),
            message: stripped(message),
            source_label: label,
        },
        service::Error::Settings(settings::Error::ProfileNotFound(name)) => LoginError::Settings(format!(
            "the AWS profile {name} does not exist: name another one (AWS_PROFILE, login.conf), or make it with 'aws \
             configure --profile {name}'"
        )),
        service::Error::Transport(message) => LoginError::Unreachable(stripped(message)),
        other => LoginError::Settings(stripped(&other.to_string())),
    }
}

fn stripped(message: &str) -> String {
    message.trim().trim_end_matches('.').to_owned()
}

/// The command that renews what has ended.
fn hint(message: &str, identity: &Identity) -> String {
    let profile = match &identity.source {
        Source::Profile(name) if name != "default" => format!(" --profile {name}"),
        _ => String::new(),
    };
    let lower = message.to_lowercase();
    if lower.contains("sso") {
        format!(". Run 'aws sso login{profile}'")
    } else if lower.contains("aws login") || lower.contains("login session") {
        format!(". Run 'aws login{profile}'")
    } else {
        String::new()
    }
}

fn refusal(code: &str, message: &str, status: u16, target: &Target) -> LoginError {
    let (code, message) = (code.to_owned(), stripped(message));
    if code.contains("AccessDenied") || code == "UnauthorizedOperation" {
        return LoginError::Denied { permission: target.permission(), message };
    }
    if status >= 500 || status == 429 || code.contains("Throttl") || code == "TooManyRequestsException" {
        return LoginError::Busy { code, message };
    }
    let hint = if code.starts_with("ExpiredToken") || code == "RequestExpired" {
        ". The credentials have ended: renew them where they come from ('aws sso login', 'aws login')"
    } else if code == "UnrecognizedClientException" || code == "InvalidClientTokenId" {
        ". The access key is not valid, or not in this partition"
    } else if code.contains("Signature") {
        ". Check the secret key, and this machine's clock"
    } else {
        ""
    };
    LoginError::Refused { code, message, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::login_conf::Rules;
    use crate::settings::{Entry as Key, Environment, Globals};

    fn target(host: &str) -> Target {
        Rules::default().target(&Address::parse(host).unwrap()).unwrap()
    }

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let mut all = vec![("AWS_CONFIG_FILE", "/nowhere"), ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")];
        all.extend_from_slice(variables);
        Settings::with_environment(Globals::default(), Environment::given(all))
    }

    #[test]
    fn the_form_of_the_host_switches_endpoints_on_and_never_off() {
        let form = |host: &str, variables: &[(&str, &str)]| {
            let (settings, target) = (settings(variables), target(host));
            let for_target = settings_for_target(&settings, &target, &Identity::of(&settings, &target), None);
            (
                for_target.region().unwrap().unwrap(),
                for_target.fips().unwrap(),
                for_target.dualstack().unwrap(),
            )
        };
        let plain = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        assert_eq!(form(plain, &[("AWS_REGION", "us-east-1")]), ("eu-west-1".into(), false, false));
        assert_eq!(form(plain, &[("AWS_USE_FIPS_ENDPOINT", "true")]), ("eu-west-1".into(), true, false));
        let fips = "123456789012.dkr.ecr-fips.us-west-2.amazonaws.com";
        assert_eq!(form(fips, &[("AWS_USE_FIPS_ENDPOINT", "false")]), ("us-west-2".into(), true, false));
        assert_eq!(form("123456789012.dkr-ecr.us-west-2.on.aws", &[]), ("us-west-2".into(), false, true));
        assert_eq!(
            form("ecr-public.aws.com", &[("AWS_REGION", "eu-west-1")]),
            ("us-east-1".into(), false, true)
        );
    }

    #[test]
    fn the_role_of_a_rule_is_assumed_with_what_would_be_used_without_it() {
        let mut target = target("123456789012.dkr.ecr.eu-west-1.amazonaws.com");
        let role = "arn:aws:iam::2:role/pull";
        let mut rule = crate::auth::login_conf::Rule::default();
        (rule.name, rule.role_arn) = ("r".into(), Some(role.into()));
        target.rule = Some(rule);
        let key = |variables: &[(&str, &str)], name: &str| {
            let settings = settings(variables);
            let for_target = settings_for_target(&settings, &target, &Identity::of(&settings, &target), None);
            assert_eq!(for_target.profile().as_deref(), Some("login.conf r"));
            for_target.profile_section().unwrap().unwrap().get(name).and_then(Key::text).map(str::to_owned)
        };
        assert_eq!(key(&[], "role_arn").as_deref(), Some(role));
        assert_eq!(key(&[], "credential_source").as_deref(), Some("Ec2InstanceMetadata"));
        assert_eq!(key(&[("AWS_ACCESS_KEY_ID", "A")], "credential_source").as_deref(), Some("Environment"));
        assert_eq!(key(&[("AWS_PROFILE", "p")], "source_profile").as_deref(), Some("p"));
    }

    #[test]
    fn answers_of_both_services_are_read() {
        let target = target("123456789012.dkr.ecr.eu-west-1.amazonaws.com");
        let identity = Identity::of(&settings(&[]), &target);
        let token = base64_simd::STANDARD.encode_to_string("AWS:word");
        let data =
            json!({"authorizationToken": token, "expiresAt": 1_700_000_000.5, "proxyEndpoint": "https://x"});
        let expires = |value: Value| read(&value, &target, &identity, 7).map(|entry| entry.expires);
        assert_eq!(expires(json!({"authorizationData": [data]})), Some(1_700_000_000));
        assert_eq!(expires(json!({"authorizationData": data})), Some(1_700_000_000));
        let text = json!({"authorizationToken": token, "expiresAt": "2023-11-14T22:13:20Z"});
        assert_eq!(expires(json!({"authorizationData": [text]})), Some(1_700_000_000));
        assert_eq!(expires(json!({"authorizationData": [{"authorizationToken": token}]})), Some(7 + LIFE));
        for empty in [json!({}), json!({"authorizationData": []}), json!({"authorizationData": [{}]})] {
            assert_eq!(expires(empty), None);
        }
    }

    #[test]
    fn a_no_says_the_way_out() {
        let target = target("public.ecr.aws");
        let text = |code: &str, status: u16| refusal(code, "Words.", status, &target).line();
        assert_eq!(
            text("AccessDeniedException", 400),
            "access denied: Words. The identity needs the permission ecr-public:GetAuthorizationToken and \
             sts:GetServiceBearerToken"
        );
        assert_eq!(
            text("ThrottlingException", 400),
            "ECR cannot answer just now (ThrottlingException): Words"
        );
        assert!(refusal("Any", "", 503, &target).is_temporary());
        assert!(!refusal("Any", "", 400, &target).is_temporary());
        assert!(text("ExpiredTokenException", 400).contains("'aws sso login'"));
        let profile = Identity::of(&settings(&[("AWS_PROFILE", "p")]), &target);
        assert_eq!(hint("The SSO session has expired", &profile), ". Run 'aws sso login --profile p'");
    }
}
