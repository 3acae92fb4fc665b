//! Checks of a credential helper: whether docker finds it, and whether it answers.

use std::sync::mpsc;
use std::time::Duration;

use super::finding::Finding;
use super::{Examination, token};
use crate::auth::helper_install::PROGRAM;
use crate::auth::read_login::{self, StoredLogin};
use crate::settings::Settings;

/// Time limit of running a program, unless --cli-read-timeout says less. A program that asks a person for something never
/// answers.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Phrases of common failures: of docker's own programs, Amazon's, and ours about a program.
const KNOWN: [&str; 11] = [
    "not implemented",
    "pass not initialized",
    "pass store is uninitialized",
    "no credentials server url",
    "no usable data provider",
    "user interaction is not allowed",
    "cannot autolaunch d-bus without x11 $display",
    "permission denied",
    "exec format error",
    "its answer is not json",
    "there is no such program on path",
];

/// Examines the program of `credHelpers`, or with `is_store` that of `credsStore`, for a host.
pub(super) fn examine(examination: &mut Examination<'_>, host: &str, program: &str, is_store: bool) {
    let name = format!("docker-credential-{program}");
    let settings = examination.settings.clone();
    let Some(path) = settings.programs(&name).into_iter().next() else {
        missing(examination, program, &name);
        return;
    };
    let own = settings.own_program().and_then(|own| std::fs::canonicalize(own).ok());
    let is_own = own.is_some() && std::fs::canonicalize(&path).ok() == own;
    let path = format!("{}{}", path.display(), if is_own { ", this program" } else { "" });
    match ask(&settings, program, host) {
        None => examination.report.add(
            Finding::DockerHelperSilent,
            format!("{name} ({path}) does not answer within {} seconds", timeout(&settings).as_secs()),
            "does it ask for a password, or is a keychain locked? Run it by hand: `echo HOST | PROGRAM get`",
        ),
        Some(Err(error)) => {
            let reason = reason(&error, is_own);
            let hint = if program == "ecr-login" {
                "its log says more: ~/.ecr/log/ecr-login.log of Amazon's, ECR_LOG=debug of this one"
            } else {
                "run it by hand: `echo HOST | PROGRAM get`"
            };
            let detail = format!("{name} ({path}) fails for {host}: {reason}");
            examination.report.add(Finding::DockerHelperFailed, detail, hint);
        }
        Some(Ok(None)) if is_store => examination.report.add(
            Finding::DockerStoreEmpty,
            format!("{name} ({path}) keeps no login for {host}"),
            format!("`ecr login {host}`, or once and for all `ecr login --helper {host}`"),
        ),
        Some(Ok(None)) => examination.report.add(
            Finding::DockerHelperFailed,
            format!("{name} ({path}) has no login for {host}"),
            "are there credentials for it, in the environment in which docker runs?",
        ),
        Some(Ok(Some(login))) => {
            examination.report.ok(Finding::DockerHelper, format!("{name} ({path}) answers for {host}"));
            token::examine(examination, host, &name, &login);
        }
    }
}

fn missing(examination: &mut Examination<'_>, program: &str, name: &str) {
    let settings = &examination.settings;
    let in_wsl = settings.filled_variable("WSL_DISTRO_NAME").is_some();
    let of_windows = matches!(program, "desktop" | "wincred" | "desktop.exe" | "wincred.exe");
    if of_windows && (in_wsl || program.contains(".exe")) {
        examination.report.add(
            Finding::DockerHelperWindows,
            format!("{name} is a program of Windows and not on PATH here, in WSL"),
            "start Docker Desktop with WSL integration and keep Windows' PATH (appendWindowsPath), or take credsStore out of \
             the file",
        );
        return;
    }
    let hint = if program == "ecr-login" {
        format!("`ecr login --helper HOST` makes {PROGRAM}; services have a PATH of their own")
    } else {
        format!("install {name}, or take its name out of the file")
    };
    let almost = settings.programs(program).into_iter().next();
    let hint = match almost {
        Some(path) => format!("{} is there, but docker calls {name}: rename or link it", path.display()),
        None => hint,
    };
    let detail =
        format!("docker would run {name}, which is not on PATH; it says `no basic auth credentials` then");
    examination.report.add(Finding::DockerHelperMissing, detail, hint);
}

type Answer = Result<Option<StoredLogin>, read_login::Error>;

/// The program's answer; `None` where it takes too long.
fn ask(settings: &Settings, program: &str, host: &str) -> Option<Answer> {
    let timeout = timeout(settings);
    let (sender, receiver) = mpsc::channel();
    let (settings, program, host) = (settings.clone(), program.to_owned(), host.to_owned());
    std::thread::spawn(move || {
        // After the time limit there is no receiver.
        let _ = sender.send(read_login::login_from_program(&settings, &program, &host, &host));
    });
    receiver.recv_timeout(timeout).ok()
}

fn timeout(settings: &Settings) -> Duration {
    settings.read_timeout().ok().flatten().map_or(TIMEOUT, |configured| configured.min(TIMEOUT))
}

fn reason(error: &read_login::Error, is_own: bool) -> String {
    match error {
        read_login::Error::Program { reason, .. } => shown(reason, is_own),
        read_login::Error::File(error) => error.to_string(),
    }
}

/// Returns a program's error message, as far as it is known to contain no secret.
fn shown(reason: &str, is_own: bool) -> String {
    let said = reason.to_lowercase();
    if is_own || KNOWN.iter().any(|phrase| said == *phrase) {
        return reason.to_owned();
    }
    let known = KNOWN.iter().find(|phrase| said.contains(**phrase));
    known.map_or_else(
        || "what it says is not shown here, as it may be a secret".to_owned(),
        |known| format!("… {known} …"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_of_strange_programs_are_shown() {
        assert_eq!(shown("not implemented", false), "not implemented");
        assert_eq!(shown("error: pass not initialized, token=hidden", false), "… pass not initialized …");
        assert_eq!(shown("token=hidden", false), "what it says is not shown here, as it may be a secret");
        assert_eq!(shown("no credentials: run aws sso login", true), "no credentials: run aws sso login");
    }
}
