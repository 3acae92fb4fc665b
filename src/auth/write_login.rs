//! Writing a password where docker, podman or helm will look for it, without any of them.
//!
//! docker does not read a login in its file where the same file names a helper for the host (`credHelpers`) or a
//! store for all (`credsStore`): then the password goes to that program, as `docker login` would do it. Where the
//! helper is our own, there is nothing to write: docker will ask us.

use std::path::Path;

use serde_json::json;

use super::auth_file::{self, Change, Client};
use super::credential_program;
use super::json_text::JsonText;
use crate::settings::Settings;

/// Docker's name for our helper: the program is `docker-credential-ecr-login`.
pub const HELPER: &str = "ecr-login";

/// Place where a host's password is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialLocation {
    /// In the file.
    File,
    /// With a program that keeps passwords: its name after `docker-credential-`.
    Program(String),
    /// Nowhere: our own helper is called for each use.
    OwnHelper,
}

/// Error of writing a login.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be changed.
    #[error(transparent)]
    File(#[from] auth_file::Error),
    /// The program that keeps passwords did not.
    #[error("docker-credential-{program}, which {file} names for passwords, failed: {reason}")]
    Program {
        /// Its name.
        program: String,
        /// The file that names it.
        file: String,
        /// Its message.
        reason: String,
    },
}

/// Returns where the file says that a host's password is stored.
pub fn credential_location(json: &JsonText, host: &str) -> CredentialLocation {
    let text = |path: &[&str]| json.get(path).and_then(|value| value.as_str().map(str::to_owned));
    match text(&["credHelpers", host]).or_else(|| text(&["credsStore"])).filter(|name| !name.is_empty()) {
        None => CredentialLocation::File,
        Some(name) if name == HELPER => CredentialLocation::OwnHelper,
        Some(name) => CredentialLocation::Program(name),
    }
}

/// Returns where a client's password for a host is stored: in its file, if the client knows no credential stores.
pub fn location_of(client: Option<Client>, file: &Path, host: &str) -> Result<CredentialLocation, Error> {
    if client.is_none_or(Client::has_credential_store) {
        Ok(credential_location(&auth_file::read(file)?, host))
    } else {
        Ok(CredentialLocation::File)
    }
}

/// Puts a login into the file.
pub fn store_in_file(file: &Path, host: &str, token: &str, dry_run: bool) -> Result<Change, Error> {
    Ok(auth_file::change(file, dry_run, &|json| json.set(&["auths", host], &json!({ "auth": token })))?)
}

/// Takes logins out of the file, under every name that clients have written them.
pub fn remove_from_file(file: &Path, host: &str, dry_run: bool) -> Result<Change, Error> {
    Ok(auth_file::change(file, dry_run, &|json| {
        forget(json, host);
        Ok(())
    })?)
}

/// Removes a host's logins; whether there were any.
pub fn forget(json: &mut JsonText, host: &str) -> bool {
    let names = json.keys(&["auths"]).into_iter().filter(|name| names_host(name, host));
    names.collect::<Vec<_>>().iter().filter(|name| json.remove(&["auths", name])).count() > 0
}

/// Returns whether a key of `auths` names this host, with or without a scheme and a path.
pub fn names_host(key: &str, host: &str) -> bool {
    crate::image::host::Address::parse(key).is_some_and(|address| address.to_string() == host)
}

/// Has a program keep a login.
pub fn store_with_program(
    settings: &Settings,
    program: &str,
    file: &Path,
    host: &str,
    login: (&str, &str),
) -> Result<(), Error> {
    let credentials = json!({ "ServerURL": host, "Username": login.0, "Secret": login.1 }).to_string();
    run(settings, program, "store", &credentials, file)
}

/// Has a program forget a login.
pub fn erase_with_program(settings: &Settings, program: &str, file: &Path, host: &str) -> Result<(), Error> {
    run(settings, program, "erase", host, file)
}

fn run(settings: &Settings, program: &str, action: &str, input: &str, file: &Path) -> Result<(), Error> {
    let failed = |reason: String| Error::Program {
        program: program.to_owned(),
        file: file.display().to_string(),
        reason,
    };
    let said = credential_program::run(settings, program, action, input).map_err(failed)?;
    if said.status.success() {
        return Ok(());
    }
    let words = [said.stdout, said.stderr].concat();
    let words = String::from_utf8_lossy(&words).split_whitespace().collect::<Vec<_>>().join(" ");
    Err(failed(if words.is_empty() { said.status.to_string() } else { words }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_where_a_password_belongs() {
        let location = |text: &str| credential_location(&JsonText::read(text).unwrap(), "h.example");
        assert_eq!(location("{}"), CredentialLocation::File);
        assert_eq!(location(r#"{"credsStore":""}"#), CredentialLocation::File);
        assert_eq!(location(r#"{"credsStore":"pass"}"#), CredentialLocation::Program("pass".into()));
        assert_eq!(
            location(r#"{"credsStore":"pass","credHelpers":{"h.example":"ecr-login"}}"#),
            CredentialLocation::OwnHelper
        );
        assert_eq!(location(r#"{"credHelpers":{"o.example":"x"}}"#), CredentialLocation::File);
    }

    #[test]
    fn every_way_of_writing_a_host_is_forgotten() {
        let mut json = JsonText::read(
            r#"{"auths":{"https://H.example/v1/":{},"h.example":{},"h.example:5000":{},"o":{}}}"#,
        )
        .unwrap();
        assert!(forget(&mut json, "h.example"));
        assert!(!forget(&mut json, "h.example"));
        assert_eq!(json.text(), r#"{"auths":{"h.example:5000":{},"o":{}}}"#);
    }
}
