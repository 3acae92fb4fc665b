//! Making docker ask our helper, and taking that back.
//!
//! docker asks a helper for a host that its file names under `credHelpers`, one by one: it knows no globs. A login in
//! the same file would never be looked at again, so it goes. What stood there before is remembered in
//! `$XDG_STATE_HOME/ecr/helper.json` (`~/.local/state`), so that `--undo` restores it.
//!
//! docker finds the program `docker-credential-ecr-login` on PATH; where there is none, a link of that name is made
//! beside this program, and `--undo` removes it again.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::auth_file::{self, Change, Error};
use super::json_text::{self, JsonText};
use super::write_login::{HELPER, forget};
use crate::platform;
use crate::settings::Settings;

/// The helper's program.
pub const PROGRAM: &str = "docker-credential-ecr-login";

/// Makes docker ask the helper for these hosts.
pub fn install(settings: &Settings, file: &Path, hosts: &[String], dry_run: bool) -> Result<Change, Error> {
    let change = auth_file::change(file, dry_run, &|json| {
        for host in hosts {
            json.set(&["credHelpers", host], &json!(HELPER))?;
            forget(json, host);
        }
        // An object that is empty now was emptied by us.
        json.remove_if_empty(&["auths"]);
        Ok(())
    })?;
    if !dry_run {
        let before = JsonText::read(change.before.as_deref().unwrap_or_default());
        remember(settings, file, hosts, &before.map_err(|reason| content(file, reason))?)?;
    }
    Ok(change)
}

/// Uninstalls the helper: for these hosts, or for all that ask our helper.
pub fn undo(settings: &Settings, file: &Path, hosts: &[String], dry_run: bool) -> Result<Change, Error> {
    let state = state(settings).and_then(|path| auth_file::read(&path).ok());
    let name = file.display().to_string();
    let mut undone = Vec::new();
    let change = {
        let asked = |json: &JsonText| -> Vec<String> {
            let ours = |host: &String| json.get(&["credHelpers", host]) == Some(json!(HELPER));
            let named = |host: &String| hosts.is_empty() || hosts.contains(host);
            json.keys(&["credHelpers"]).into_iter().filter(|host| ours(host) && named(host)).collect()
        };
        let change = auth_file::change(file, dry_run, &|json| {
            for host in asked(json) {
                let before = state.as_ref().and_then(|state| state.get(&[&name, &host]));
                match before.filter(Value::is_string) {
                    Some(before) => json.set(&["credHelpers", &host], &before)?,
                    None => drop(json.remove(&["credHelpers", &host])),
                }
            }
            json.remove_if_empty(&["credHelpers"]);
            Ok(())
        })?;
        let before = JsonText::read(change.before.as_deref().unwrap_or_default());
        undone.extend(asked(&before.map_err(|reason| content(file, reason))?));
        change
    };
    if !dry_run && let Some(path) = self::state(settings).filter(|path| path.exists()) {
        auth_file::change(&path, false, &|json| {
            for host in &undone {
                json.remove(&[&name, host]);
            }
            json.remove_if_empty(&[&name]);
            Ok(())
        })?;
    }
    Ok(change)
}

fn content(file: &Path, reason: json_text::Error) -> Error {
    Error::Content { file: file.display().to_string(), reason }
}

/// Remembers the entries that these hosts had before, unless an earlier change remembered some.
fn remember(settings: &Settings, file: &Path, hosts: &[String], before: &JsonText) -> Result<(), Error> {
    let Some(path) = state(settings) else { return Ok(()) };
    let name = file.display().to_string();
    let replaced: Vec<(&String, Value)> = hosts
        .iter()
        .filter_map(|host| Some((host, before.get(&["credHelpers", host])?)))
        .filter(|(_, value)| *value != json!(HELPER))
        .collect();
    if replaced.is_empty() {
        return Ok(());
    }
    auth_file::change(&path, false, &|json| {
        replaced.iter().try_for_each(|(host, value)| json.set(&[&name, host], value))
    })?;
    Ok(())
}

fn state(settings: &Settings) -> Option<PathBuf> {
    Some(settings.base_folder("XDG_STATE_HOME", ".local/state")?.join("ecr").join("helper.json"))
}

/// Result of making the helper's program available to docker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOutcome {
    /// The link exists and leads to this program.
    AlreadyLinked(PathBuf),
    /// Another program of that name is found first.
    OtherProgram(PathBuf),
    /// A link was made, or would be.
    Linked(PathBuf),
    /// The link cannot be made.
    Failed {
        /// Path of this program.
        own: PathBuf,
        /// Reason for the failure.
        reason: String,
    },
}

/// Makes `docker-credential-ecr-login` available on PATH, by a link beside this program.
pub fn link(settings: &Settings, dry_run: bool) -> Option<LinkOutcome> {
    let own = std::fs::canonicalize(settings.own_program()?).ok()?;
    if let Some(found) = settings.programs(PROGRAM).into_iter().next() {
        let same = std::fs::canonicalize(&found).is_ok_and(|real| real == own);
        return Some(if same { LinkOutcome::AlreadyLinked(found) } else { LinkOutcome::OtherProgram(found) });
    }
    let beside = own.with_file_name(format!("{PROGRAM}{}", platform::PROGRAM_SUFFIX));
    let on_path = settings.programs("ecr").iter().any(|program| program.parent() == own.parent());
    if !on_path {
        let reason = format!("{} is not on PATH", own.parent().unwrap_or(&own).display());
        return Some(LinkOutcome::Failed { own, reason });
    }
    if dry_run {
        return Some(LinkOutcome::Linked(beside));
    }
    Some(match platform::link_program(&own, &beside) {
        Ok(()) => LinkOutcome::Linked(beside),
        Err(error) => LinkOutcome::Failed { own, reason: error.to_string() },
    })
}

/// Removes the link that `link` made, where it is one.
pub fn unlink(settings: &Settings, dry_run: bool) -> Option<PathBuf> {
    let own = std::fs::canonicalize(settings.own_program()?).ok()?;
    let beside = own.with_file_name(format!("{PROGRAM}{}", platform::PROGRAM_SUFFIX));
    if !platform::is_link_to(&beside, &own) || (!dry_run && std::fs::remove_file(&beside).is_err()) {
        return None;
    }
    Some(beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Globals};

    const TEXT: &str = "{\n\t\"auths\": {\n\t\t\"https://a.example\": {\n\t\t\t\"auth\": \"x\"\n\t\t},\n\t\t\"docker.io\": {}\n\t},\n\t\"credHelpers\": {\n\t\t\"b.example\": \"pass\",\n\t\t\"c.example\": \"other\"\n\t},\n\t\"keep\": [1, 2]\n}\n";

    #[test]
    fn an_installation_can_be_undone() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("HOME", folder.path().to_str().unwrap())];
        let settings = Settings::with_environment(Globals::default(), Environment::given(variables));
        let file = folder.path().join("config.json");
        std::fs::write(&file, TEXT).unwrap();
        let hosts = ["a.example".to_owned(), "b.example".to_owned()];
        install(&settings, &file, &hosts, false).unwrap();
        let expected = TEXT
            .replace("\n\t\t\"https://a.example\": {\n\t\t\t\"auth\": \"x\"\n\t\t},", "")
            .replace("\"pass\"", "\"ecr-login\"")
            .replace("\"other\"\n", "\"other\",\n\t\t\"a.example\": \"ecr-login\"\n");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
        // Once more changes nothing, nor what is remembered.
        assert!(!install(&settings, &file, &hosts, false).unwrap().has_effect());
        undo(&settings, &file, &[], false).unwrap();
        let back = TEXT.replace("\n\t\t\"https://a.example\": {\n\t\t\t\"auth\": \"x\"\n\t\t},", "");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), back);
        assert_eq!(
            std::fs::read_to_string(folder.path().join(".local/state/ecr/helper.json")).unwrap(),
            "{}"
        );
    }

    #[test]
    fn only_the_named_hosts_are_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("HOME", folder.path().to_str().unwrap())];
        let settings = Settings::with_environment(Globals::default(), Environment::given(variables));
        let file = folder.path().join("config.json");
        install(&settings, &file, &["a.example".to_owned(), "b.example".to_owned()], false).unwrap();
        undo(&settings, &file, &["b.example".to_owned()], false).unwrap();
        let expected = "{\n\t\"credHelpers\": {\n\t\t\"a.example\": \"ecr-login\"\n\t}\n}";
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    }
}
