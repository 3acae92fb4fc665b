//! Entries of a login file for a host, by the rules that docker, podman and helm share.

use std::path::Path;

use serde_json::Value;

use super::finding::Finding;
use super::report::DoctorReport;
use crate::auth::auth_file::{self, Client};
use crate::auth::expiry;
use crate::auth::json_text::JsonText;
use crate::auth::read_login::{StoredLogin, login_in_auths};
use crate::auth::write_login::names_host;
use crate::image::host::Address;
use crate::settings::Settings;

/// Place where a file says that the login for a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// A program for this host (`credHelpers`).
    Helper(String),
    /// The program for all hosts (`credsStore`).
    Store(String),
    /// The file itself (`auths`).
    File(StoredLogin),
    /// Nowhere.
    Nobody,
}

/// The holder of a host's login. docker looks for the host exactly: it knows neither globs nor URLs in `credHelpers`.
pub(super) fn holder(file: &JsonText, host: &str) -> Holder {
    let text = |path: &[&str]| file.get(path).and_then(|value| value.as_str().map(str::to_owned));
    let filled = |path: &[&str]| text(path).filter(|name| !name.is_empty());
    if let Some(program) = filled(&["credHelpers", host]) {
        return Holder::Helper(program);
    }
    if let Some(program) = filled(&["credsStore"]) {
        return Holder::Store(program);
    }
    login(file, host).map_or(Holder::Nobody, Holder::File)
}

/// Returns the login in the file, whether or not docker uses it.
pub(super) fn login(file: &JsonText, host: &str) -> Option<StoredLogin> {
    login_in_auths(file, host, "")
}

/// The keys of `auths` that mean a host and have a login.
pub(super) fn keys(file: &JsonText, host: &str) -> Vec<String> {
    let is_filled = |key: &String| {
        let entry = file.get(&["auths", key]).unwrap_or_default();
        entry.as_object().is_some_and(|entry| !entry.is_empty())
    };
    file.keys(&["auths"]).into_iter().filter(|key| names_host(key, host) && is_filled(key)).collect()
}

/// Reads a login's expiry, in seconds since 1970, from its password.
pub(super) fn end(login: &StoredLogin) -> Option<u64> {
    match login {
        StoredLogin::Password(_, password) => expiry::of_password(password),
        _ => None,
    }
}

/// The hosts of Amazon ECR that a login file names.
pub(super) fn hosts(settings: &Settings) -> Vec<String> {
    let mut hosts = Vec::new();
    for client in Client::ALL {
        let Some(file) = client.file(settings).ok().and_then(|file| auth_file::read(&file).ok()) else {
            continue;
        };
        let keys = [file.keys(&["credHelpers"]), file.keys(&["auths"])].concat();
        let addresses = keys.iter().filter_map(|key| Address::parse(key));
        hosts.extend(addresses.filter(|address| address.ecr().is_some()).map(|address| address.to_string()));
    }
    hosts.sort();
    hosts.dedup();
    hosts
}

/// Returns whether a program is installed here, or its file exists.
pub(super) fn is_used(settings: &Settings, programs: &[&str], file: &Path) -> bool {
    file.exists() || programs.iter().any(|name| !settings.programs(name).is_empty())
}

/// Reads a login file and remembers its secrets. One that cannot be read is reported.
pub(super) fn read(
    report: &mut DoctorReport,
    file: &Path,
    unreadable: Finding,
    hint: &str,
) -> Option<JsonText> {
    match auth_file::read(file) {
        Ok(json) => {
            hide(report, &json);
            Some(json)
        }
        Err(error) => {
            let reason = error.to_string().replace(". Nothing was changed", "");
            report.add(unreadable, reason, hint);
            None
        }
    }
}

/// Remembers every text below `auths`, and the passwords in them, as secrets.
pub(super) fn hide(report: &mut DoctorReport, file: &JsonText) {
    fn texts(report: &mut DoctorReport, value: &Value) {
        match value {
            Value::Object(members) => members.values().for_each(|value| texts(report, value)),
            Value::Array(values) => values.iter().for_each(|value| texts(report, value)),
            Value::String(text) => {
                report.hide(text);
                if let Some((_, password)) = crate::auth::cached_token::login(text) {
                    report.hide(&password);
                }
            }
            _ => {}
        }
    }
    texts(report, &file.get(&["auths"]).unwrap_or_default());
    texts(report, &file.get(&["HttpHeaders"]).unwrap_or_default());
}
