//! Handing a command to the real AWS CLI: to the next program called `aws` on PATH that is not this one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::error::Error;
use crate::platform;
use crate::settings::Settings;

/// The next `aws` on PATH. Only what comes after this program counts, so that two copies of it, both called `aws`,
/// do not hand a command to each other for ever.
pub(super) fn next_aws(settings: &Settings) -> Option<PathBuf> {
    next_after(settings, settings.own_program().as_deref())
}

fn next_after(settings: &Settings, own: Option<&Path>) -> Option<PathBuf> {
    let own = own.and_then(Identity::of);
    let found: Vec<(PathBuf, Option<Identity>)> = settings
        .programs("aws")
        .into_iter()
        .map(|file| {
            let identity = Identity::of(&file);
            (file, identity)
        })
        .collect();
    let after = found.iter().position(|(_, identity)| *identity == own).map_or(0, |at| at + 1);
    found.into_iter().skip(after).find(|(_, identity)| *identity != own).map(|(file, _)| file)
}

/// Replaces this process by that program, with the same arguments. Returns only where that fails.
pub(super) fn become_program(program: &Path, arguments: &[OsString]) -> Result<ExitCode, Error> {
    let mut command = Command::new(program);
    command.args(arguments.iter().skip(1));
    let failed =
        |error: std::io::Error| Error::Other(format!("{} cannot be started: {error}", program.display()));
    let status = platform::replace_process(&mut command, "aws").map_err(failed)?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255)))
}

/// Identity of a program file, whatever its name.
#[derive(Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    fn of(file: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let data = file.metadata().ok()?;
        Some(Self(data.dev(), data.ino()))
    }

    /// Elsewhere there is no inode: the length and the canonical path stand for the file.
    #[cfg(not(unix))]
    fn of(file: &Path) -> Option<Self> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let data = file.metadata().ok()?;
        let mut hasher = DefaultHasher::new();
        file.canonicalize().ok()?.hash(&mut hasher);
        Some(Self(data.len(), hasher.finish()))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::settings::{Environment, Globals};

    #[test]
    fn the_next_aws_is_the_first_other_program_after_this_one() {
        let home = tempfile::tempdir().expect("a folder");
        let program = |folder: &str| {
            let folder = home.path().join(folder);
            fs::create_dir(&folder).expect("a folder");
            let file = folder.join("aws");
            fs::write(&file, "").expect("a file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("permissions");
            file
        };
        let (before, own, real) = (program("before"), program("own"), program("real"));
        let linked = home.path().join("linked");
        fs::create_dir(&linked).expect("a folder");
        std::os::unix::fs::symlink(&own, linked.join("aws")).expect("a link");
        fs::create_dir(home.path().join("empty")).expect("a folder");
        let next = |folders: &[&str]| {
            let path: Vec<String> =
                folders.iter().map(|folder| home.path().join(folder).display().to_string()).collect();
            let environment = Environment::given([("PATH", path.join(":"))]);
            next_after(&Settings::with_environment(Globals::default(), environment), Some(&own))
        };
        assert_eq!(next(&["own", "linked", "empty", "real"]), Some(real.clone()));
        assert_eq!(next(&["before", "own", "real"]), Some(real));
        assert_eq!(next(&["empty", "before"]), Some(before));
        assert_eq!(next(&["before", "own", "linked"]), None);
    }
}
