//! Logins that others keep: docker's and podman's files, and the programs that those name.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::client_file::{self, Client};
use super::entry;
use super::json_text::JsonText;
use crate::settings::Settings;

/// The name under which docker keeps the login of Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Why a login that should be there cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] client_file::Error),
    /// A program that keeps passwords does not answer.
    #[error("docker-credential-{program}, which keeps the login for {host}, failed: {reason}")]
    Program {
        /// The program's name behind `docker-credential-`.
        program: String,
        /// The registry.
        host: String,
        /// What it said.
        reason: String,
    },
}

/// User name and password for a registry; `None` where nobody keeps any. docker's file counts before podman's.
pub fn login(settings: &Settings, host: &str) -> Result<Option<(String, String)>, Error> {
    for client in [Client::Docker, Client::Podman] {
        let Ok(file) = client.file(settings) else { continue };
        let text = client_file::read(&file)?;
        if let Some(login) = in_file(settings, &text, host)? {
            return Ok(Some(login));
        }
    }
    Ok(None)
}

fn in_file(settings: &Settings, file: &JsonText, host: &str) -> Result<Option<(String, String)>, Error> {
    let names = names(host);
    for name in &names {
        if let Some(Value::String(program)) = file.get(&["credHelpers", name]) {
            return ask(settings, &program, host, name);
        }
    }
    if let Some(Value::String(program)) = file.get(&["credsStore"]).filter(|program| program != "") {
        for name in &names {
            if let Some(login) = ask(settings, &program, host, name)? {
                return Ok(Some(login));
            }
        }
    }
    Ok(names.iter().find_map(|name| written(&file.get(&["auths", name])?)))
}

/// Under which names a registry's login is kept.
fn names(host: &str) -> Vec<String> {
    if matches!(host, "docker.io" | "index.docker.io") {
        return vec![DOCKER_HUB.to_owned(), "docker.io".to_owned(), "index.docker.io".to_owned()];
    }
    vec![host.to_owned(), format!("https://{host}"), format!("https://{host}/v2/"), format!("http://{host}")]
}

fn written(entry: &Value) -> Option<(String, String)> {
    let text = |member: &str| entry.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("auth"), text("username"), text("password")) {
        (Some(token), ..) => entry::login(token),
        (None, Some(user), Some(password)) => Some((user.to_owned(), password.to_owned())),
        _ => None,
    }
}

fn ask(
    settings: &Settings,
    program: &str,
    host: &str,
    name: &str,
) -> Result<Option<(String, String)>, Error> {
    let failed =
        |reason: String| Error::Program { program: program.to_owned(), host: host.to_owned(), reason };
    let paths = settings.programs(&format!("docker-credential-{program}"));
    let path = paths.first().ok_or_else(|| failed("it is not on PATH".to_owned()))?;
    let mut child = Command::new(path)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // A program that reads nothing may still answer.
        let _ = input.write_all(name.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        let known = said.to_lowercase();
        let nothing = known.contains("not found") || known.contains("no credentials");
        return if nothing { Ok(None) } else { Err(failed(said.lines().next().unwrap_or("").to_owned())) };
    }
    let answer: Value =
        serde_json::from_str(&said).map_err(|_| failed("its answer is not JSON".to_owned()))?;
    let text = |member: &str| answer.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (user, password) = (text("Username"), text("Secret"));
    Ok((!user.is_empty() && !password.is_empty()).then_some((user, password)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Globals};

    #[test]
    fn logins_are_found_in_either_file_by_any_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let token = base64_simd::STANDARD.encode_to_string("me:secret");
        std::fs::write(
            folder.path().join("config.json"),
            serde_json::json!({"auths": {
                "https://index.docker.io/v1/": {"auth": token},
                "https://one.example": {"username": "you", "password": "other"},
                "two.example": {},
            }})
            .to_string(),
        )
        .unwrap();
        std::fs::write(
            folder.path().join("auth.json"),
            r#"{"auths":{"two.example":{"auth":"bWU6cG9kbWFu"}}}"#,
        )
        .unwrap();
        let docker = folder.path().to_str().unwrap();
        let podman = folder.path().join("auth.json");
        let environment =
            Environment::given([("DOCKER_CONFIG", docker), ("REGISTRY_AUTH_FILE", podman.to_str().unwrap())]);
        let settings = Settings::with_environment(Globals::default(), environment);
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (host, expected) in [
            ("docker.io", pair("me", "secret")),
            ("one.example", pair("you", "other")),
            ("two.example", pair("me", "podman")),
            ("three.example", None),
        ] {
            assert_eq!(login(&settings, host).unwrap(), expected, "{host}");
        }
    }
}
