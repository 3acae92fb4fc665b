//! Options, environment and profile, resolved into plain data. The only module that reads the environment.
//!
//! [`Settings::resolve`] costs next to nothing: the configuration files are read on the first question that needs
//! them, once, and every answer is computed when it is asked for, so that a broken value only hurts the commands
//! that use it, as with the AWS CLI.
//!
//! What is here: where a value comes from and which one wins. What is not: what a value is used for.

mod configuration;
mod encoding;
mod environment;
mod error;
mod files;
mod log;
mod network;
mod overrides;
mod paths;
mod presentation;
#[cfg(test)]
mod tests;
mod userinfo;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub use encoding::Encoding;
pub use environment::Environment;
pub use error::{Error, Kind};
pub use files::{Entry, Section};
pub use log::Log;
pub use network::{Proxies, RetryMode};
pub use overrides::section;
pub use presentation::{BinaryFormat, ErrorFormat, TimestampFormat};
pub use userinfo::{without_login, without_userinfo};

use files::Files;

/// Relation of a command of our own to Amazon ECR Public.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PublicRegistry {
    /// The command does not know it.
    #[default]
    Unknown,
    /// A reference to public.ecr.aws means it.
    Possible,
    /// The command was given as `ecr public COMMAND`.
    Meant,
}

/// The options that every operation takes, as they were given; `None` where they were not.
#[derive(Debug, Clone, Default)]
pub struct Globals {
    /// Relation of the command to Amazon ECR Public.
    pub public: PublicRegistry,
    /// `--debug`
    pub debug: bool,
    /// `--endpoint-url`
    pub endpoint_url: Option<String>,
    /// `--no-verify-ssl`
    pub no_verify_ssl: bool,
    /// `--no-paginate`
    pub no_paginate: bool,
    /// `--output`
    pub output: Option<String>,
    /// `--query`
    pub query: Option<String>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--color`
    pub color: Option<String>,
    /// `--no-sign-request`
    pub no_sign_request: bool,
    /// `--ca-bundle`
    pub ca_bundle: Option<String>,
    /// `--cli-read-timeout`, seconds; 0 is for ever
    pub read_timeout: Option<i64>,
    /// `--cli-connect-timeout`, seconds; 0 is for ever
    pub connect_timeout: Option<i64>,
    /// `--cli-binary-format`
    pub binary_format: Option<String>,
    /// `--no-cli-pager`
    pub no_pager: bool,
    /// `--cli-error-format`
    pub error_format: Option<String>,
    /// `--local`: use the embedded ECR (not part of the AWS CLI)
    pub local: bool,
    /// `--folder` of the embedded ECR
    pub folder: Option<PathBuf>,
}

/// The operating system that this runs on, such as `linux`.
pub const OPERATING_SYSTEM: &str = std::env::consts::OS;
/// The processor that this runs on, such as `x86_64`.
pub const ARCHITECTURE: &str = std::env::consts::ARCH;

/// Everything that decides how a command runs, besides its own arguments.
#[derive(Debug, Clone)]
pub struct Settings {
    globals: Globals,
    environment: Environment,
    files: Arc<OnceLock<Result<Files, Error>>>,
    log: Log,
}

impl Settings {
    /// The settings of this process with these options.
    pub fn resolve(globals: Globals) -> Self {
        Self::with_environment(globals, Environment::of_this_process())
    }

    /// Creates settings from a complete environment, for tests.
    pub fn with_environment(globals: Globals, environment: Environment) -> Self {
        Self { globals, environment, files: Arc::default(), log: Log::default() }
    }

    /// Returns a copy with a log.
    #[must_use]
    pub fn with_log(self, log: Log) -> Self {
        Self { log, ..self }
    }

    /// The log of `--debug`.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The options as they were given.
    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// An environment variable, also where it is empty; for the variables that have no method of their own.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name)
    }

    /// An environment variable that is set to something.
    pub fn filled_variable(&self, name: &str) -> Option<String> {
        self.variable(name).filter(|value| !value.is_empty())
    }
}
