//! The log of logins: off unless `ECR_LOG` asks for it.
//!
//! `ECR_LOG=LEVEL` (`error`, `info`, `debug`) writes to stderr, `ECR_LOG=LEVEL:FILE` to a file (0600) that is put
//! aside as `FILE.1` when it reaches a megabyte, so that two megabytes are the most it ever takes. Secrets are
//! blacked out (`redact`). A log that cannot be written is no reason to fail.

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::redact::Secrets;
use crate::platform;
use crate::settings::Settings;

/// The size at which the file is put aside.
const MAX_BYTES: u64 = 1 << 20;

/// Amount of logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// Failures.
    Error,
    /// Failures and decisions.
    Info,
    /// Failures, decisions and normal events.
    Debug,
}

/// The log of one run. Lines for stderr are collected for whoever owns that stream.
pub struct Log {
    level: Level,
    file: Option<PathBuf>,
    lines: RefCell<String>,
    secrets: RefCell<Secrets>,
}

impl Log {
    /// The log that the environment asks for.
    pub fn open(settings: &Settings) -> Self {
        let asked = settings.filled_variable("ECR_LOG").unwrap_or_default();
        let (level, file) = asked.split_once(':').unwrap_or((&asked, ""));
        let level = match level.to_ascii_lowercase().as_str() {
            "" | "0" | "off" | "false" | "none" => Level::Off,
            "error" => Level::Error,
            "info" | "1" | "true" | "on" | "warn" => Level::Info,
            // An unknown level is a request for some log.
            _ => Level::Debug,
        };
        let file = Some(file).filter(|file| !file.is_empty()).map(|file| settings.expanded(file));
        let log = Self { level, file, lines: RefCell::default(), secrets: RefCell::default() };
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"]
        {
            settings.filled_variable(name).iter().for_each(|secret| log.hide(secret));
        }
        log
    }

    /// Returns a disabled log.
    pub fn off() -> Self {
        let (lines, secrets) = (RefCell::default(), RefCell::default());
        Self { level: Level::Off, file: None, lines, secrets }
    }

    /// Never writes this again.
    pub fn hide(&self, secret: &str) {
        self.secrets.borrow_mut().add(secret);
    }

    /// A text without secrets.
    pub fn redacted(&self, text: &str) -> String {
        self.secrets.borrow().redact(text)
    }

    /// Logs a failure.
    pub fn error(&self, text: impl FnOnce() -> String) {
        self.write(Level::Error, "error", text);
    }

    /// Logs a decision.
    pub fn info(&self, text: impl FnOnce() -> String) {
        self.write(Level::Info, "info ", text);
    }

    /// Logs a normal event.
    pub fn debug(&self, text: impl FnOnce() -> String) {
        self.write(Level::Debug, "debug", text);
    }

    /// The lines for stderr, which are handed over once.
    pub fn take_lines(&self) -> String {
        std::mem::take(&mut self.lines.borrow_mut())
    }

    fn write(&self, level: Level, name: &str, text: impl FnOnce() -> String) {
        if level > self.level {
            return;
        }
        let text = self.redacted(&text()).replace(['\n', '\r'], " ");
        match &self.file {
            None => self.lines.borrow_mut().extend(["ecr ", name, " ", &text, "\n"]),
            Some(file) => {
                let line = format!("{} {} {name} {text}\n", jiff::Timestamp::now(), std::process::id());
                // A missing log is noticed by its readers.
                drop(append(file, &line));
            }
        }
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|facts| facts.len() > MAX_BYTES) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".1");
        std::fs::rename(path, aside)?;
    }
    let mut file = platform::private_file_without_links().append(true).create(true).open(path)?;
    // One write, so that lines of several processes stay whole.
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::settings::{Environment, Globals};

    fn log(value: &str) -> Log {
        let variables = [("ECR_LOG", value), ("AWS_SECRET_ACCESS_KEY", "hush-hush")];
        Log::open(&Settings::with_environment(Globals::default(), Environment::given(variables)))
    }

    fn written(value: &str) -> String {
        let log = log(value);
        log.error(|| "failed".into());
        log.info(|| "decided".into());
        log.debug(|| "said hush-hush\nand more".into());
        log.take_lines()
    }

    #[test]
    fn levels() {
        assert_eq!(written(""), "");
        assert_eq!(written("off"), "");
        assert_eq!(written("error"), "ecr error failed\n");
        assert_eq!(written("1"), "ecr error failed\necr info  decided\n");
        let all = "ecr error failed\necr info  decided\necr debug said [redacted] and more\n";
        assert_eq!(written("debug"), all);
    }

    #[test]
    fn a_file_is_private_and_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = log(&format!("debug:{}", path.display()));
        log.error(|| "one".into());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        std::fs::write(&path, vec![b'x'; 1 << 20 | 1]).unwrap();
        log.error(|| "two".into());
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("error two\n"));
        assert_eq!(std::fs::metadata(folder.path().join("log.1")).unwrap().len(), 1 << 20 | 1);
        assert_eq!(log.take_lines(), "");
    }
}
