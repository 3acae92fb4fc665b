//! One stranger's machine per test: an empty environment, a home of its own, a fixed zone, and no network but loopback.

pub(crate) mod http;
pub(crate) mod random;
pub(crate) mod registry;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A machine with nothing on it but the program.
pub(crate) struct Machine {
    folder: TempDir,
    variables: BTreeMap<String, OsString>,
}

/// Output and exit code of a command.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let mut variables = BTreeMap::new();
        variables.insert("HOME".to_owned(), home.clone().into_os_string());
        variables.insert("PATH".to_owned(), "/usr/bin:/bin".into());
        variables.insert("TZ".to_owned(), "UTC".into());
        variables.insert("LC_ALL".to_owned(), "C.UTF-8".into());
        variables.insert("AWS_EC2_METADATA_DISABLED".to_owned(), "true".into());
        variables.insert("ECR_LOCAL_FOLDER".to_owned(), home.join("ecr").into_os_string());
        Self { folder, variables }
    }

    /// The folder in which commands run; it holds `home` and whatever the test puts there.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn unset(&mut self, name: &str) -> &mut Self {
        self.variables.remove(name);
        self
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A copy of the program that can be run at once. `cp` makes it: while this process has a file open for writing,
    /// a program that another of its threads starts has it open too, and then the file cannot be run.
    pub(crate) fn copy_program(path: &Path) {
        let mut command = Command::new("cp");
        assert!(command.arg(env!("CARGO_BIN_EXE_ecr")).arg(path).status().unwrap().success());
    }

    /// A command that is ready to run on this machine.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null());
        command
    }

    /// Runs `ecr` with these arguments to its end.
    pub(crate) fn ecr(&self, arguments: &[&str]) -> Outcome {
        outcome(&mut self.command(env!("CARGO_BIN_EXE_ecr"), arguments))
    }

    /// Runs `ecr` with arguments as one types them, split at blanks; it must succeed. Answers stdout.
    pub(crate) fn ok(&self, line: &str) -> String {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let outcome = self.ecr(&arguments);
        assert_eq!(outcome.code, 0, "ecr {line}\n{}", outcome.transcript());
        outcome.stdout
    }

    /// Runs `ecr` with arguments as one types them, split at blanks; it must fail with this code. Answers stderr.
    pub(crate) fn fails(&self, code: i32, line: &str) -> String {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let outcome = self.ecr(&arguments);
        assert_eq!(outcome.code, code, "ecr {line}\n{}", outcome.transcript());
        outcome.stderr
    }

    /// A text with this machine's folder written as `{DIR}`, so that it can be compared whole.
    pub(crate) fn neutral(&self, text: &str) -> String {
        text.replace(&self.path().display().to_string(), "{DIR}")
    }
}

impl Outcome {
    /// Everything, as a failing test shows it.
    pub(crate) fn transcript(&self) -> String {
        let mut text = format!("exit {}\n", self.code);
        let _ = write!(text, "------- stdout -------\n{}", self.stdout);
        let _ = write!(text, "------- stderr -------\n{}", self.stderr);
        text
    }
}

/// Runs a command to its end. A command that a signal killed has the code 128 + signal, as in a shell.
pub(crate) fn outcome(command: &mut Command) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    let output = command.output().unwrap();
    let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal)).unwrap();
    Outcome {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code,
    }
}
