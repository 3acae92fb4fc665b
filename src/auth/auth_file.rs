//! The files in which docker, podman and helm keep their logins, and changing them without harm.
//!
//! A change is made on the file as it is at that moment, by one `ecr` process at a time, and put in place whole
//! (`atomic_replace`). Whatever we do not change stays byte for byte (`json_text`).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::atomic_replace::{self, Replaced};
use super::diff;
use super::json_text::{self, JsonText};
use super::redact::REDACTED;
use crate::platform;
use crate::settings::Settings;

/// Time limit of waiting for the lock that another `ecr` process holds while it changes the file.
const WAIT: Duration = Duration::from_secs(5);
/// Attempts to make a change that another program's write to the file undid or overtook.
const ATTEMPTS: usize = 5;

/// A program that keeps logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// docker, and everything that reads its file, such as nerdctl.
    Docker,
    /// podman, skopeo and buildah.
    Podman,
    /// helm.
    Helm,
}

/// Error of changing a login file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no home directory for the file.
    #[error("there is no home directory for {0}'s login file: name a file with --file")]
    NoHomeDirectory(&'static str),
    /// Its content is something else.
    #[error("{file}: {reason}. Nothing was changed")]
    Content {
        /// The file.
        file: String,
        /// The problem.
        reason: json_text::Error,
    },
    /// The file cannot be read or written.
    #[error("{file} cannot be {what}: {reason}")]
    Io {
        /// The file.
        file: String,
        /// `read` or `written`.
        what: &'static str,
        /// Error of the operating system.
        reason: io::Error,
    },
    /// Others change it all the time.
    #[error("{0} changes all the time; nothing was changed")]
    Busy(String),
}

/// A change, made or only shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub file: PathBuf,
    /// Its text before, where there was one.
    pub before: Option<String>,
    /// Its text after.
    pub after: String,
    /// Note about who can read the file.
    pub note: Option<String>,
}

impl Client {
    /// All clients, in the order in which their files are written.
    pub const ALL: [Self; 3] = [Self::Docker, Self::Podman, Self::Helm];

    /// Returns whether its file may name a program that stores passwords (`credsStore`). podman's may name helpers, but
    /// never a store.
    pub fn has_credential_store(self) -> bool {
        match self {
            Self::Docker | Self::Helm => true,
            Self::Podman => false,
        }
    }

    /// Returns whether `ecr login --helper` changes its file.
    pub fn takes_helper(self) -> bool {
        match self {
            Self::Docker => true,
            Self::Podman | Self::Helm => false,
        }
    }

    /// The client's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Helm => "helm",
        }
    }

    /// The file in which it keeps its logins.
    pub fn file(self, settings: &Settings) -> Result<PathBuf, Error> {
        let variable = |name: &str| settings.filled_variable(name).map(PathBuf::from);
        let home = || settings.home().ok_or(Error::NoHomeDirectory(self.name()));
        let configuration =
            || settings.base_folder("XDG_CONFIG_HOME", ".config").ok_or(Error::NoHomeDirectory(self.name()));
        match self {
            Self::Docker => match variable("DOCKER_CONFIG") {
                Some(folder) => Ok(folder.join("config.json")),
                None => Ok(home()?.join(".docker").join("config.json")),
            },
            Self::Podman => match (variable("REGISTRY_AUTH_FILE"), variable("XDG_RUNTIME_DIR")) {
                (Some(file), _) => Ok(file),
                (None, Some(folder)) => Ok(folder.join("containers").join("auth.json")),
                (None, None) if cfg!(target_os = "linux") => {
                    Ok(format!("/run/containers/{}/auth.json", platform::user()).into())
                }
                (None, None) => Ok(configuration()?.join("containers").join("auth.json")),
            },
            Self::Helm => match variable("HELM_REGISTRY_CONFIG") {
                Some(file) => Ok(file),
                None => Ok(configuration()?.join("helm").join("registry").join("config.json")),
            },
        }
    }
}

/// Reads a login file; an absent one is empty.
pub fn read(file: &Path) -> Result<JsonText, Error> {
    json(file, atomic_replace::read(file).map_err(|reason| failed(file, "read", reason))?.as_deref())
}

/// Changes a file, or with `dry_run` only reports the change.
pub fn change(
    file: &Path,
    dry_run: bool,
    edit: &dyn Fn(&mut JsonText) -> Result<(), json_text::Error>,
) -> Result<Change, Error> {
    let real = atomic_replace::resolved(file).map_err(|reason| failed(file, "read", reason))?;
    let _lock = if dry_run { None } else { lock_folder(&real) };
    for _ in 0..ATTEMPTS {
        let before = atomic_replace::read(&real).map_err(|reason| failed(file, "read", reason))?;
        let mut json = json(file, before.as_deref())?;
        edit(&mut json).map_err(|reason| Error::Content { file: file.display().to_string(), reason })?;
        let after = json.text().to_owned();
        let unchanged = before.as_deref().map_or_else(|| json.keys(&[]).is_empty(), |before| before == after);
        let mut change = Change { file: file.to_owned(), before, after, note: None };
        if unchanged || dry_run {
            return Ok(change);
        }
        let secret = !secrets(&change.after).is_empty();
        let replaced = atomic_replace::replace(&real, change.before.as_deref(), &change.after, secret);
        if let Replaced::Done(note) = replaced.map_err(|reason| failed(file, "written", reason))? {
            change.note = note.map(|note| format!("{}: {note}", file.display()));
            return Ok(change);
        }
    }
    Err(Error::Busy(file.display().to_string()))
}

impl Change {
    /// Returns whether the file's content changes.
    pub fn has_effect(&self) -> bool {
        self.before.as_deref().map_or(self.after != "{}", |before| before != self.after)
    }

    /// The change as a diff, without the passwords that stand in the file.
    pub fn diff(&self) -> String {
        let name = self.file.display().to_string();
        if !self.has_effect() {
            return String::new();
        }
        diff::unified(
            &name,
            self.before.as_deref().map(without_passwords).as_deref(),
            &without_passwords(&self.after),
        )
    }
}

/// Blacks out every text below `auths`.
fn without_passwords(text: &str) -> String {
    let mut result = text.to_owned();
    for secret in secrets(text) {
        result = result.replace(&Value::from(secret).to_string(), &format!("\"{REDACTED}\""));
    }
    result
}

/// The texts below `auths`, the longest first.
fn secrets(text: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let mut secrets = Vec::new();
    collect(value.get("auths").unwrap_or(&Value::Null), &mut secrets);
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

fn collect(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|value| collect(value, secrets)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, secrets)),
        // What we would write ourselves is no password yet.
        Value::String(text) if !text.is_empty() && !text.starts_with('(') => secrets.push(text.clone()),
        _ => {}
    }
}

fn json(file: &Path, text: Option<&str>) -> Result<JsonText, Error> {
    JsonText::read(text.unwrap_or_default())
        .map_err(|reason| Error::Content { file: file.display().to_string(), reason })
}

fn failed(file: &Path, what: &'static str, reason: io::Error) -> Error {
    Error::Io { file: file.display().to_string(), what, reason }
}

/// One of us at a time. The folder itself is locked, so that nothing is left beside other people's files; where that
/// cannot be had, the comparison before the rename has to do.
fn lock_folder(file: &Path) -> Option<File> {
    let folder = File::open(file.parent()?).ok()?;
    let deadline = Instant::now() + WAIT;
    while folder.try_lock().is_err() {
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(folder)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use serde_json::json;

    use super::*;
    use crate::settings::{Environment, Globals};

    fn put_login(json: &mut JsonText) -> Result<(), json_text::Error> {
        json.set(&["auths", "h.example", "auth"], &json!("QVdTOnNlY3JldA=="))
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_keeps_its_mode_and_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.json");
        change(&path, false, &put_login).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let real = folder.path().join("real.json");
        std::fs::write(&real, "{}").unwrap();
        std::fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link.json");
        symlink(&real, &link).unwrap();
        change(&link, false, &put_login).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(mode(&real), 0o640);
        assert_eq!(read(&real).unwrap().keys(&["auths"]), vec!["h.example".to_owned()]);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 3, "nothing else is left: {left:?}");
    }

    #[test]
    fn a_dry_run_shows_the_change_without_passwords_and_makes_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let text = "{\n\t\"auths\": {\n\t\t\"o.example\": {\"auth\": \"hush\"}\n\t}\n}";
        std::fs::write(&path, text).unwrap();
        let set = |json: &mut JsonText| json.set(&["credHelpers", "h.example"], &json!("ecr-login"));
        let shown = change(&path, true, &set).unwrap().diff();
        let name = path.display();
        let expected = format!(
            "--- {name}\n+++ {name}\n@@ -1,5 +1,8 @@\n {{\n \t\"auths\": {{\n \t\t\"o.example\": {{\"auth\": \"[redacted]\"}}\n\
             +\t}},\n+\t\"credHelpers\": {{\n+\t\t\"h.example\": \"ecr-login\"\n \t}}\n }}\n"
        );
        assert_eq!(shown, expected);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn concurrent_writes_of_others_are_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, "{}").unwrap();
        let first = Cell::new(true);
        let edit = |json: &mut JsonText| {
            if first.replace(false) {
                std::fs::write(&path, r#"{"theirs":1}"#).unwrap();
            }
            put_login(json)
        };
        let change = change(&path, false, &edit).unwrap();
        assert_eq!(change.after, r#"{"theirs":1,"auths":{"h.example":{"auth":"QVdTOnNlY3JldA=="}}}"#);
    }

    #[test]
    fn a_damaged_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, "{").unwrap();
        let said = change(&path, false, &put_login).unwrap_err().to_string();
        assert_eq!(
            said,
            format!("{}: it is not JSON (line 1, column 1). Nothing was changed", path.display())
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
    }

    #[test]
    fn every_client_has_its_place() {
        let file = |client: Client, variables: &[(&str, &str)]| {
            let environment = Environment::given(variables.to_vec());
            let settings = Settings::with_environment(Globals::default(), environment);
            client.file(&settings).map(|file| file.display().to_string()).map_err(|error| error.to_string())
        };
        let home = ("HOME", "/h");
        assert_eq!(file(Client::Docker, &[home]), Ok("/h/.docker/config.json".into()));
        assert_eq!(file(Client::Docker, &[home, ("DOCKER_CONFIG", "/d")]), Ok("/d/config.json".into()));
        assert_eq!(file(Client::Podman, &[("XDG_RUNTIME_DIR", "/r")]), Ok("/r/containers/auth.json".into()));
        assert_eq!(file(Client::Podman, &[("REGISTRY_AUTH_FILE", "/f")]), Ok("/f".into()));
        assert_eq!(file(Client::Helm, &[home]), Ok("/h/.config/helm/registry/config.json".into()));
        assert!(file(Client::Docker, &[]).unwrap_err().contains("--file"));
    }
}
