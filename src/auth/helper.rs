//! The protocol of docker's credential helpers (`docker/docker-credential-helpers`), as its clients really speak it.
//!
//! Result and error text both go to stdout, and clients compare the text with a few exact sentences. "Not found"
//! makes them go on without a password, so it is said exactly where that is right: for hosts that are not ECR's, and
//! for the public gallery, which needs none. For a private registry the cause is said instead, on stdout (which
//! crane, oras, skopeo, podman and BuildKit show) and on stderr (all that docker up to 28 shows).
//!
//! Decisions: `store` of an ECR host succeeds and keeps nothing, so that `docker login` does not fail (the password is
//! asked for anew when it is needed); of another host it fails, because a password that silently vanishes is worse;
//! `AWS_ECR_IGNORE_CREDS_STORAGE` makes it succeed for every host. `erase` forgets what is cached for the host, and
//! succeeds for other hosts, of which nothing is kept. `list` answers from the cache and login.conf, without a network.

use std::io::Read;

use super::cached_token::{CachedToken, Freshness};
use super::ecr_registry::EcrRegistry;
use super::login::LoginContext;
use super::login_conf::Rules;
use super::login_error::LoginError;
use super::obtain_token::now;
use crate::image::host::Address;
use crate::settings::Settings;

/// The sentence that makes clients go on without a password.
pub const NOT_FOUND: &str = "credentials not found in native keychain";
const NO_URL: &str = "no credentials server URL";
const NO_USER: &str = "no credentials username";
/// Limit of the bytes read from stdin, more than any server's URL has.
const MAX_URL: u64 = 64 << 10;
/// More than any password has.
const MAX_CREDENTIALS: u64 = 1 << 20;

/// Output streams and exit code of a credential helper.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelperOutput {
    /// For stdout.
    pub stdout: String,
    /// For stderr.
    pub stderr: String,
    /// The exit code.
    pub code: u8,
}

impl HelperOutput {
    /// Returns a success with this output.
    pub fn success(stdout: impl Into<String>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    /// Returns a failure as the protocol has it: the text on stdout.
    fn failure(text: &str) -> Self {
        Self { stdout: format!("{text}\n"), stderr: String::new(), code: 1 }
    }

    /// Adds a line to stderr.
    fn with_stderr_line(mut self, line: &str) -> Self {
        self.stderr.push_str(line);
        self.stderr.push('\n');
        self
    }
}

/// Runs one action. `name` is what the program calls itself.
pub fn run(settings: &Settings, name: &str, arguments: &[String], input: &mut dyn Read) -> HelperOutput {
    let usage = format!("Usage: {name} <store|get|erase|list|version>\n");
    let [action] = arguments else { return HelperOutput { code: 1, ..HelperOutput::success(usage) } };
    match action.as_str() {
        "get" => with_cache_warning(settings, |context| get(context, input)),
        "store" => with_cache_warning(settings, |context| store(context, input)),
        "erase" => with_cache_warning(settings, |context| erase(context, input)),
        "list" => with_cache_warning(settings, list),
        "version" | "--version" | "-v" => HelperOutput::success(format!(
            "{name} ({}) {}\n",
            env!("CARGO_PKG_REPOSITORY"),
            env!("CARGO_PKG_VERSION")
        )),
        "help" | "--help" | "-h" => HelperOutput::success(usage),
        other => HelperOutput::failure(&format!("{name}: unknown action: {other}")),
    }
}

/// Appends the cache's warning, which every user of the cache should see.
fn with_cache_warning(
    settings: &Settings,
    act: impl FnOnce(&LoginContext<'_>) -> HelperOutput,
) -> HelperOutput {
    let context = LoginContext::open(settings);
    let mut answer = act(&context);
    if let Some(warning) = context.warning() {
        answer = answer.with_stderr_line(&format!("ecr: {warning}"));
    }
    answer.stderr.insert_str(0, &context.log.take_lines());
    answer
}

fn get(context: &LoginContext<'_>, input: &mut dyn Read) -> HelperOutput {
    let url = match server_url(input) {
        Ok(url) => url,
        Err(answer) => return answer,
    };
    let (registry, rules) = registry(context, &url);
    let Some(registry) = registry else {
        context.log.debug(|| format!("{url} is not a registry of Amazon ECR"));
        let answer = HelperOutput::failure(NOT_FOUND);
        // An unknown host may be one that a damaged login.conf names.
        return rules.err().map_or(answer.clone(), |error| answer.with_stderr_line(&format!("ecr: {error}")));
    };
    if let Err(error) = rules {
        return refused(context, &registry, &error.into());
    }
    let public_without = registry.public && is_enabled(context.settings, "AWS_ECR_PUBLIC_ANONYMOUS");
    if registry.anonymous() || public_without {
        return HelperOutput::failure(NOT_FOUND);
    }
    match context.login(&registry, None) {
        Ok(entry) => found(&url, &entry),
        Err(failure) if registry.public => {
            let answer = HelperOutput::failure(NOT_FOUND);
            if matches!(failure, LoginError::NoCredentials { .. }) {
                return answer;
            }
            // Everybody may pull there; who wanted more sees why not.
            let said = context.one_line(&failure);
            answer.with_stderr_line(&format!("ecr: going on to {} without a login: {said}", registry.host))
        }
        Err(failure) => refused(context, &registry, &failure),
    }
}

fn found(url: &str, entry: &CachedToken) -> HelperOutput {
    let (user, password) = entry.login().unwrap_or_default();
    let fields = [("ServerURL", url), ("Username", &user), ("Secret", &password)];
    let fields = fields.map(|(name, value)| format!("\"{name}\":{}", quoted(value)));
    HelperOutput::success(format!("{{{}}}\n", fields.join(",")))
}

fn refused(context: &LoginContext<'_>, registry: &EcrRegistry, failure: &LoginError) -> HelperOutput {
    let line = format!("login to {} failed: {}", registry.host, context.one_line(failure));
    HelperOutput::failure(&line).with_stderr_line(&format!("ecr: {line}"))
}

fn store(context: &LoginContext<'_>, input: &mut dyn Read) -> HelperOutput {
    let mut text = String::new();
    if let Err(error) = input.take(MAX_CREDENTIALS).read_to_string(&mut text) {
        return HelperOutput::failure(&error.to_string());
    }
    if text.trim().is_empty() {
        return HelperOutput::failure("EOF");
    }
    let value: serde_json::Value = match serde_json::from_str(text.trim()) {
        Ok(value) => value,
        // The message tells a position and never the text, which has a password in it.
        Err(error) => {
            return HelperOutput::failure(&format!(
                "the credentials are not JSON (line {}, column {})",
                error.line(),
                error.column()
            ));
        }
    };
    let field = |name: &str| value.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    if field("ServerURL").is_empty() {
        return HelperOutput::failure(NO_URL);
    }
    if field("Username").is_empty() {
        return HelperOutput::failure(NO_USER);
    }
    if is_enabled(context.settings, "AWS_ECR_IGNORE_CREDS_STORAGE") {
        return HelperOutput::success("");
    }
    match registry(context, field("ServerURL")).0 {
        Some(registry) => HelperOutput::success("").with_stderr_line(&format!(
            "ecr: nothing is kept for {}: its password is asked for whenever it is needed, so no login is",
            registry.host
        )),
        None => {
            HelperOutput::failure("this helper only serves Amazon ECR; use credHelpers instead of credsStore")
        }
    }
}

fn erase(context: &LoginContext<'_>, input: &mut dyn Read) -> HelperOutput {
    let url = match server_url(input) {
        Ok(url) => url,
        Err(answer) => return answer,
    };
    let Some(registry) = registry(context, &url).0 else { return HelperOutput::success("") };
    match context.forget(&registry) {
        Ok(_) => HelperOutput::success(""),
        Err(error) => HelperOutput::failure(&format!(
            "the cached password of {} cannot be removed: {error}",
            registry.host
        )),
    }
}

fn list(context: &LoginContext<'_>) -> HelperOutput {
    let rules = Rules::load(context.settings).unwrap_or_default();
    let entries = context.cache.as_ref().map(super::token_cache::TokenCache::entries).unwrap_or_default();
    let now = now();
    let living = entries.into_iter().filter(|(_, entry)| entry.freshness(now) != Freshness::Expired);
    let mut hosts: Vec<String> =
        living.flat_map(|(_, entry)| entry.hosts).chain(rules.named_hosts()).collect();
    hosts.sort();
    hosts.dedup();
    let pairs: Vec<String> =
        hosts.iter().map(|host| format!("{}:\"AWS\"", quoted(&format!("https://{host}")))).collect();
    HelperOutput::success(format!("{{{}}}\n", pairs.join(",")))
}

/// Returns the registry of a URL, and the error of an invalid login.conf; the registry is a best guess then.
fn registry(
    context: &LoginContext<'_>,
    url: &str,
) -> (Option<EcrRegistry>, Result<(), super::login_conf::Error>) {
    let Some(address) = Address::parse(url) else { return (None, Ok(())) };
    match Rules::load(context.settings) {
        Ok(rules) => (rules.registry(&address), Ok(())),
        Err(error) => (Rules::default().registry(&address), Err(error)),
    }
}

/// The server's URL on stdin: lines are joined without their ends, as the Go library does it.
fn server_url(input: &mut dyn Read) -> Result<String, HelperOutput> {
    let mut bytes = Vec::new();
    if let Err(error) = input.take(MAX_URL).read_to_end(&mut bytes) {
        return Err(HelperOutput::failure(&error.to_string()));
    }
    let text = String::from_utf8_lossy(&bytes);
    let url: String = text.split(['\n', '\r']).collect();
    let url = url.trim();
    if url.is_empty() { Err(HelperOutput::failure(NO_URL)) } else { Ok(url.to_owned()) }
}

/// Returns whether a variable is set to anything but `0`, `false`, `no` or `off`.
fn is_enabled(settings: &Settings, name: &str) -> bool {
    let off = |value: &str| ["0", "false", "no", "off"].iter().any(|word| value.eq_ignore_ascii_case(word));
    settings.filled_variable(name).is_some_and(|value| !off(&value))
}

/// A JSON string as Go writes it: safe to stand in HTML.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Globals};

    const HERE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    const NAME: &str = "docker-credential-ecr-login";

    fn settings(folder: &std::path::Path, more: &[(&str, &str)]) -> Settings {
        let home = folder.to_str().unwrap();
        let mut all = vec![("HOME", home), ("AWS_EC2_METADATA_DISABLED", "true")];
        all.extend_from_slice(more);
        Settings::with_environment(Globals::default(), Environment::given(all))
    }

    fn spoken(more: &[(&str, &str)], action: &str, input: &str) -> (String, String, u8) {
        let folder = tempfile::tempdir().unwrap();
        let answer = run(&settings(folder.path(), more), NAME, &[action.to_owned()], &mut input.as_bytes());
        (answer.stdout, answer.stderr, answer.code)
    }

    fn said(text: &str, code: u8) -> (String, String, u8) {
        (text.to_owned(), String::new(), code)
    }

    #[test]
    fn the_words_of_the_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let usage = "Usage: docker-credential-ecr-login <store|get|erase|list|version>\n";
        for arguments in [vec![], vec!["get".to_owned(), "x".to_owned()]] {
            let answer = run(&settings(folder.path(), &[]), NAME, &arguments, &mut "".as_bytes());
            assert_eq!(answer, HelperOutput { stdout: usage.into(), stderr: String::new(), code: 1 });
        }
        assert_eq!(spoken(&[], "--help", ""), said(usage, 0));
        let version = format!("{NAME} (https://github.com/ecr-cli/ecr) {}\n", env!("CARGO_PKG_VERSION"));
        for word in ["version", "--version", "-v"] {
            assert_eq!(spoken(&[], word, ""), said(&version, 0));
        }
        assert_eq!(spoken(&[], "x", ""), said("docker-credential-ecr-login: unknown action: x\n", 1));
        for action in ["get", "erase"] {
            assert_eq!(spoken(&[], action, " \n"), said("no credentials server URL\n", 1));
        }
        assert_eq!(spoken(&[], "list", "unused"), said("{}\n", 0));
    }

    #[test]
    fn other_registries_are_not_found() {
        for input in ["docker.io", "https://index.docker.io/v1/\n", "\u{fffd}", &"x".repeat(70_000)] {
            assert_eq!(spoken(&[], "get", input), said("credentials not found in native keychain\n", 1));
        }
    }

    #[test]
    fn the_gallery_needs_no_credentials_and_a_private_registry_does() {
        let not_found = said("credentials not found in native keychain\n", 1);
        assert_eq!(spoken(&[], "get", "public.ecr.aws"), not_found);
        assert_eq!(spoken(&[("AWS_ECR_PUBLIC_ANONYMOUS", "1")], "get", "public.ecr.aws"), not_found);
        let (stdout, stderr, code) = spoken(&[], "get", HERE);
        assert_eq!(code, 1);
        assert!(
            stdout.starts_with(&format!("login to {HERE} failed: no AWS credentials: looked at the env")),
            "{stdout}"
        );
        assert_eq!(stderr, format!("ecr: {stdout}"));
        assert_eq!(stdout.lines().count(), 1);
    }

    #[test]
    fn storing() {
        let credentials = |url: &str| format!(r#"{{"ServerURL":"{url}","Username":"AWS","Secret":"s"}}"#);
        let (stdout, stderr, code) = spoken(&[], "store", &credentials(HERE));
        assert_eq!((stdout.as_str(), code, stderr.lines().count()), ("", 0, 1));
        let stranger = "this helper only serves Amazon ECR; use credHelpers instead of credsStore\n";
        assert_eq!(spoken(&[], "store", &credentials("docker.io")), said(stranger, 1));
        for value in ["true", "1", "yes"] {
            let ignore = [("AWS_ECR_IGNORE_CREDS_STORAGE", value)];
            assert_eq!(spoken(&ignore, "store", &credentials("docker.io")), said("", 0));
        }
        assert_eq!(
            spoken(&[("AWS_ECR_IGNORE_CREDS_STORAGE", "false")], "store", &credentials("x")),
            said(stranger, 1)
        );
        assert_eq!(spoken(&[], "store", ""), said("EOF\n", 1));
        assert_eq!(spoken(&[], "store", "{}"), said("no credentials server URL\n", 1));
        assert_eq!(spoken(&[], "store", r#"{"ServerURL":"x"}"#), said("no credentials username\n", 1));
        assert_eq!(
            spoken(&[], "store", "secret"),
            said("the credentials are not JSON (line 1, column 1)\n", 1)
        );
    }

    #[test]
    fn cached_logins_are_found_listed_and_erased_however_the_url_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), &[("AWS_ACCESS_KEY_ID", "A")]);
        let act = |action: &str, input: &str| {
            run(&settings, NAME, &[action.to_owned()], &mut input.as_bytes()).stdout
        };
        let context = LoginContext::open(&settings);
        let registry = Rules::default().registry(&Address::parse(HERE).unwrap()).unwrap();
        let key = super::super::identity::Identity::of(&settings, &registry).key(&settings, &registry);
        let token = base64_simd::STANDARD.encode_to_string("AWS:a<b>&c");
        let mut entry =
            CachedToken::new("ecr", "eu-west-1", "environment".into(), token, now()..now() + 43200);
        entry.remember(HERE);
        context.cache.as_ref().unwrap().write(&key, &entry).unwrap();
        let answer = |url: &str| {
            format!(
                "{{\"ServerURL\":\"{url}\",\"Username\":\"AWS\",\"Secret\":\"a\\u003cb\\u003e\\u0026c\"}}\n"
            )
        };
        assert_eq!(act("get", HERE), answer(HERE));
        assert_eq!(act("get", &format!("https://{HERE}\r\n")), answer(&format!("https://{HERE}")));
        assert_eq!(act("get", &HERE.replace(".ecr", "\n.ecr")), answer(HERE));
        assert_eq!(act("list", ""), format!("{{\"https://{HERE}\":\"AWS\"}}\n"));
        assert_eq!(act("erase", &format!("https://{HERE}")), "");
        assert_eq!(act("list", ""), "{}\n");
    }

    #[test]
    fn a_damaged_login_conf_is_reported_only_for_hosts_of_ecr() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("login.conf");
        std::fs::write(&file, "nonsense").unwrap();
        let more = [("ECR_LOGIN_CONFIG", file.to_str().unwrap())];
        let (stdout, stderr, code) = spoken(&more, "get", HERE);
        let what = format!("{}, line 1: neither [NAME] nor KEY = VALUE", file.display());
        assert_eq!((stdout, code), (format!("login to {HERE} failed: {what}\n"), 1));
        assert!(stderr.contains(&what));
        let (stdout, stderr, _) = spoken(&more, "get", "docker.io");
        assert_eq!(stdout, "credentials not found in native keychain\n");
        assert_eq!(stderr, format!("ecr: {what}\n"));
    }
}
