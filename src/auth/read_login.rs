//! Reading of logins that docker and podman keep: in their files, and with the credential helpers named there.
//!
//! Keys of `auths` are hosts, hosts with the beginning of a repository's path (`containers-auth.json(5)`), and, from
//! older versions of docker, URLs of the registry's API.

use serde_json::Value;

use super::auth_file::{self, Client};
use super::json_text::JsonText;
use super::{cached_token, credential_program};
use crate::settings::Settings;

/// The name under which docker keeps the login of Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// User name with which a credential helper marks the password as an identity token.
const IDENTITY: &str = "<token>";

/// A login as docker keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredLogin {
    /// A user name and a password.
    Password(String, String),
    /// A refresh token for the registry's token server (`identitytoken`).
    Identity(String),
    /// A token that the registry itself takes (`registrytoken`).
    Registry(String),
}

/// Error of reading a stored login.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] auth_file::Error),
    /// A program that keeps passwords does not answer.
    #[error("docker-credential-{program}, which keeps the login for {host}, failed: {reason}")]
    Program {
        /// The program's name behind `docker-credential-`.
        program: String,
        /// The registry.
        host: String,
        /// Its message.
        reason: String,
    },
}

/// Finds the login for a repository of a registry; `None` if there is none. docker's file counts before podman's.
/// An empty `repository` stands for the registry as a whole.
pub fn login(settings: &Settings, host: &str, repository: &str) -> Result<Option<StoredLogin>, Error> {
    // Image tools read these two (containers-auth.json(5)); helm's file is helm's own.
    for client in [Client::Docker, Client::Podman] {
        let Ok(file) = client.file(settings) else { continue };
        let text = auth_file::read(&file)?;
        if let Some(login) = in_file(settings, &text, host, repository)? {
            return Ok(Some(login));
        }
    }
    Ok(None)
}

fn in_file(
    settings: &Settings,
    file: &JsonText,
    host: &str,
    repository: &str,
) -> Result<Option<StoredLogin>, Error> {
    let names = host_names(host);
    for name in &names {
        if let Some(Value::String(program)) = file.get(&["credHelpers", name]) {
            return login_from_program(settings, &program, host, name);
        }
    }
    if let Some(Value::String(program)) = file.get(&["credsStore"]).filter(|program| program != "") {
        for name in &names {
            if let Some(login) = login_from_program(settings, &program, host, name)? {
                return Ok(Some(login));
            }
        }
    }
    Ok(login_in_auths(file, host, repository))
}

/// Finds the login that stands in a file itself.
pub fn login_in_auths(file: &JsonText, host: &str, repository: &str) -> Option<StoredLogin> {
    let read = |key: &str| of_entry(&file.get(&["auths", key])?);
    let mut path = format!("{host}/{}", repository.trim_matches('/'));
    while path.len() > host.len() {
        if let Some(login) = read(path.trim_end_matches('/')) {
            return Some(login);
        }
        path.truncate(path.rfind('/').unwrap_or_default());
    }
    host_names(host).iter().find_map(|name| read(name))
}

/// The keys under which the login of a whole registry is kept.
fn host_names(host: &str) -> Vec<String> {
    let mut names = Vec::new();
    if matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        names.extend([DOCKER_HUB, "docker.io", "index.docker.io"].map(str::to_owned));
    } else {
        names.push(host.to_owned());
    }
    let host = names.last().cloned().unwrap_or_default();
    for scheme in ["https", "http"] {
        names.extend(["", "/", "/v1", "/v1/", "/v2", "/v2/"].map(|path| format!("{scheme}://{host}{path}")));
    }
    names
}

fn of_entry(entry: &Value) -> Option<StoredLogin> {
    let text = |member: &str| entry.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("registrytoken") {
        return Some(StoredLogin::Registry(token.to_owned()));
    }
    if let Some(token) = text("identitytoken") {
        return Some(StoredLogin::Identity(token.to_owned()));
    }
    let (user, password) = match (text("auth"), text("username"), text("password")) {
        (Some(token), ..) => cached_token::login(token)?,
        (None, Some(user), Some(password)) => (user.to_owned(), password.to_owned()),
        _ => return None,
    };
    Some(by_user(user, password))
}

fn by_user(user: String, password: String) -> StoredLogin {
    if user == IDENTITY { StoredLogin::Identity(password) } else { StoredLogin::Password(user, password) }
}

/// Asks a program for a host's login, which it keeps under `name`; `None` where it has none.
pub fn login_from_program(
    settings: &Settings,
    program: &str,
    host: &str,
    name: &str,
) -> Result<Option<StoredLogin>, Error> {
    let failed =
        |reason: String| Error::Program { program: program.to_owned(), host: host.to_owned(), reason };
    let said = credential_program::run(settings, program, "get", name).map_err(failed)?;
    let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if !said.status.success() {
        let known = text.to_lowercase();
        let nothing = known.contains("not found") || known.contains("no credentials");
        return if nothing { Ok(None) } else { Err(failed(text.lines().next().unwrap_or("").to_owned())) };
    }
    let answer: Value =
        serde_json::from_str(&text).map_err(|_| failed("its answer is not JSON".to_owned()))?;
    let text = |member: &str| answer.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (user, password) = (text("Username"), text("Secret"));
    Ok((!user.is_empty() && !password.is_empty()).then(|| by_user(user, password)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::settings::{Environment, Globals};

    fn settings(folder: &Path) -> Settings {
        let path = |name: &str| folder.join(name).display().to_string();
        let variables = [
            ("DOCKER_CONFIG", path("")),
            ("REGISTRY_AUTH_FILE", path("auth.json")),
            ("PATH", format!("{}:/usr/bin:/bin", path("bin"))),
        ];
        Settings::with_environment(Globals::default(), Environment::given(variables))
    }

    fn password(user: &str, password: &str) -> StoredLogin {
        StoredLogin::Password(user.to_owned(), password.to_owned())
    }

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
                "https://four.example/v1/": {"auth": token},
                "http://five.example/v1/": {"auth": token},
            }})
            .to_string(),
        )
        .unwrap();
        std::fs::write(
            folder.path().join("auth.json"),
            r#"{"auths":{"two.example":{"auth":"bWU6cG9kbWFu"}}}"#,
        )
        .unwrap();
        let settings = settings(folder.path());
        for (host, expected) in [
            ("docker.io", Some(password("me", "secret"))),
            ("registry-1.docker.io", Some(password("me", "secret"))),
            ("one.example", Some(password("you", "other"))),
            ("two.example", Some(password("me", "podman"))),
            ("three.example", None),
            ("four.example", Some(password("me", "secret"))),
            ("five.example", Some(password("me", "secret"))),
        ] {
            assert_eq!(login(&settings, host, "team/app").unwrap(), expected, "{host}");
        }
    }

    /// The order of `containers-auth.json(5)`: the longest key that is the repository's path or a parent of it.
    #[test]
    fn the_longest_key_counts() {
        let file = JsonText::read(
            &serde_json::json!({"auths": {
                "h.example/team/app": {"username": "app", "password": "p"},
                "h.example/team": {"username": "team", "password": "p"},
                "h.example": {"username": "host", "password": "p"},
                "p.example:5000/team": {"username": "port", "password": "p"},
            }})
            .to_string(),
        )
        .unwrap();
        for (host, repository, user) in [
            ("h.example", "team/app", Some("app")),
            ("h.example", "team/app/x", Some("app")),
            ("h.example", "team/apple", Some("team")),
            ("h.example", "teams", Some("host")),
            ("h.example", "", Some("host")),
            ("p.example:5000", "team/x", Some("port")),
            ("p.example:5000", "x", None),
            ("p.example", "team", None),
        ] {
            let expected = user.map(|user| password(user, "p"));
            assert_eq!(login_in_auths(&file, host, repository), expected, "{host}/{repository}");
        }
    }

    #[test]
    fn tokens_and_passwords_are_distinguished() {
        let file = JsonText::read(
            r#"{"auths":{"a":{"auth":"bWU6c2VjcmV0","identitytoken":"id"},"b":{"registrytoken":"reg"},
            "c":{"auth":"PHRva2VuPjppZA=="},"d":{"identitytoken":""},"e":[],"f":{"auth":"no base64"}}}"#,
        )
        .unwrap();
        let identity = || Some(StoredLogin::Identity("id".into()));
        let expected = [identity(), Some(StoredLogin::Registry("reg".into())), identity(), None, None, None];
        assert_eq!(["a", "b", "c", "d", "e", "f"].map(|host| login_in_auths(&file, host, "")), expected);
    }

    #[test]
    fn a_program_answers_with_a_password_or_an_identity_token() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("bin/docker-credential-keep");
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        let script = "#!/bin/sh\nread name\ncase $name in\n\
            id.example) echo '{\"Username\":\"<token>\",\"Secret\":\"id\"}';;\n\
            pw.example) echo '{\"Username\":\"me\",\"Secret\":\"pw\"}';;\n\
            bad.example) echo broken; exit 1;;\n\
            *) echo 'credentials not found in native keychain'; exit 1;;\nesac\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.path().join("config.json"), r#"{"credsStore":"keep"}"#).unwrap();
        let settings = settings(folder.path());
        let found = |host: &str| login(&settings, host, "").map_err(|error| error.to_string());
        assert_eq!(found("id.example"), Ok(Some(StoredLogin::Identity("id".into()))));
        assert_eq!(found("pw.example"), Ok(Some(password("me", "pw"))));
        assert_eq!(found("none.example"), Ok(None));
        let words = "docker-credential-keep, which keeps the login for bad.example, failed: broken";
        assert_eq!(found("bad.example"), Err(words.to_owned()));
        std::fs::write(folder.path().join("config.json"), r#"{"credsStore":"../keep"}"#).unwrap();
        let words = "docker-credential-../keep, which keeps the login for pw.example, failed: there is no such program \
                     on PATH";
        assert_eq!(found("pw.example"), Err(words.to_owned()));
    }
}
