//! The log of `--debug`: what was resolved, and from where. Requests and answers are logged where they are sent.

use crate::error::Error;
use crate::settings::{Log, Settings};
use crate::ui::Ui;

const PART: &str = "settings";

/// Returns the log of `--debug`, if given: one line on stderr for each event.
pub(super) fn log(ui: &Ui, debug: bool) -> Log {
    if !debug {
        return Log::default();
    }
    let ui = ui.clone();
    Log::to(move |part, text| {
        let time = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string();
        ui.note(&format!("{time} - MainThread - ecr.{part} - DEBUG - {text}"));
    })
}

/// Logs how this run is configured.
pub(super) fn settings(settings: &Settings, arguments: &[String]) {
    let log = settings.log();
    if !log.is_on() {
        return;
    }
    log.line(PART, || format!("ecr {} for {}", env!("CARGO_PKG_VERSION"), settings.platform()));
    log.line(PART, || {
        format!("arguments: {}", arguments.iter().map(|word| word_shown(word)).collect::<Vec<_>>().join(" "))
    });
    for (what, path) in
        [("configuration", settings.configuration_file()), ("credentials", settings.credentials_file())]
    {
        let state = if path.is_file() { "" } else { ", which does not exist" };
        log.line(PART, || format!("{what} file: {}{state}", path.display()));
    }
    log.line(PART, || format!("profile: {}", profile(settings)));
    for (name, value, option, variables, key) in rows(settings) {
        let from = origin(settings, option, variables, Some(key));
        log.line(PART, || format!("{name}: {value} (from {from})"));
    }
    if settings.local() {
        let folder =
            settings.local_folder().map_or_else(|error| error.to_string(), |path| path.display().to_string());
        log.line(PART, || format!("the embedded ECR in {folder} answers"));
    }
}

/// The name of the profile, and where it is from.
fn profile(settings: &Settings) -> String {
    let name = settings.profile().unwrap_or_else(|| "default".to_owned());
    let is_named = settings.globals().profile.as_ref().is_some_and(|name| !name.is_empty());
    let option = is_named.then_some("--profile");
    let from = origin(settings, option, &["AWS_PROFILE", "AWS_DEFAULT_PROFILE"], None);
    format!("{name} (from {from})")
}

/// The settings that options, variables and the profile give.
#[expect(clippy::too_many_lines, reason = "a table, a row for each setting")]
fn rows(settings: &Settings) -> [Row<'_>; 8] {
    let globals = settings.globals();
    [
        (
            "region",
            known(settings.region()),
            globals.region.as_ref().map(|_| "--region"),
            &["AWS_REGION", "AWS_DEFAULT_REGION"],
            "region",
        ),
        (
            "output",
            plain(settings.output()),
            globals.output.as_ref().map(|_| "--output"),
            &["AWS_DEFAULT_OUTPUT"],
            "output",
        ),
        (
            "pager",
            known(settings.pager()),
            globals.no_pager.then_some("--no-cli-pager"),
            &["AWS_PAGER"],
            "cli_pager",
        ),
        (
            "retry mode",
            plain(settings.retry_mode().map(|mode| format!("{mode:?}").to_lowercase())),
            None,
            &["AWS_RETRY_MODE"],
            "retry_mode",
        ),
        (
            "attempts",
            plain(settings.max_attempts().map(|most| most.to_string())),
            None,
            &["AWS_MAX_ATTEMPTS"],
            "max_attempts",
        ),
        (
            "CA bundle",
            known(settings.ca_bundle()),
            globals.ca_bundle.as_ref().map(|_| "--ca-bundle"),
            &["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"],
            "ca_bundle",
        ),
        (
            "timestamps",
            plain(settings.timestamp_format().map(|format| format!("{format:?}").to_lowercase())),
            None,
            &[],
            "cli_timestamp_format",
        ),
        (
            "binary values",
            plain(settings.binary_format().map(|format| format!("{format:?}").to_lowercase())),
            globals.binary_format.as_ref().map(|_| "--cli-binary-format"),
            &[],
            "cli_binary_format",
        ),
    ]
}

/// A setting: its name and value, the option that gave it, the variables and the profile's key that may.
type Row<'a> = (&'a str, String, Option<&'a str>, &'a [&'a str], &'a str);

fn known<E: Into<Error>>(value: Result<Option<String>, E>) -> String {
    plain(value.map(|value| value.unwrap_or_else(|| "none".to_owned())))
}

fn plain<E: Into<Error>>(value: Result<String, E>) -> String {
    value.unwrap_or_else(|error| error.into().to_string())
}

/// Names the source of a setting, in the order of precedence.
fn origin(settings: &Settings, option: Option<&str>, variables: &[&str], key: Option<&str>) -> String {
    if let Some(option) = option {
        return option.to_owned();
    }
    if let Some(name) = variables.iter().find(|name| settings.variable(name).is_some()) {
        return (*name).to_owned();
    }
    match key {
        Some(key) if matches!(settings.profile_key(key), Ok(Some(_))) => format!("{key} of the profile"),
        _ => "nothing, so the default".to_owned(),
    }
}

/// Returns a word of the command line, shortened if it is a document.
fn word_shown(word: &str) -> String {
    const MAX_COUNT: usize = 200;
    let shown: String = word.chars().take(MAX_COUNT).collect();
    let more = if shown.len() < word.len() { "…" } else { "" };
    format!("{shown:?}{more}")
}
