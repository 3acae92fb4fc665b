//! State of one run of the program, and its output streams.

use std::process::ExitCode;

use crate::error::Error;
use crate::output::query::Query;
use crate::settings::{Encoding, Globals, Settings};
use crate::ui::pager::Sink;
use crate::ui::{Name, Ui};

use super::alias::Aliases;
use super::argparse::Parsed;
use super::{debug, globals};

/// Variables that exist in jobs of GitHub Actions.
const GITHUB_JOB: [&str; 2] = ["ACTIONS_ID_TOKEN_REQUEST_URL", "GITHUB_ACTIONS"];

/// One run of the program.
pub(super) struct Session {
    pub(super) ui: Ui,
    /// Without any options until they are parsed.
    pub(super) settings: Settings,
    /// `--query`, compiled.
    pub(super) query: Option<Query>,
    /// Errors are not printed in the configured format yet.
    pub(super) errors_are_plain: bool,
    /// A command of our own runs, whose errors are worded for people.
    pub(super) is_own_command: bool,
    /// Aliases of commands.
    pub(super) aliases: Aliases,
    /// Number of aliases followed.
    pub(super) steps: usize,
    /// The global options so far.
    given: Parsed,
}

impl Session {
    pub(super) fn new(ui: Ui) -> Self {
        Self {
            ui,
            settings: Settings::resolve(Globals::default()),
            query: None,
            errors_are_plain: false,
            is_own_command: false,
            aliases: Aliases::default(),
            steps: 0,
            given: Parsed::default(),
        }
    }

    /// Takes over the global options of an operation, and checks them in the AWS CLI's order. Later ones, those of an
    /// alias, beat earlier ones.
    pub(super) fn take_globals(&mut self, parsed: &Parsed) -> Result<(), Error> {
        self.given.values.extend(parsed.values.clone());
        let parsed = &self.given;
        let value = |name: &str| parsed.one(name).map(str::to_owned);
        let mut globals = globals::collect(value, |name| parsed.flag(name).is_some());
        // How an error is printed may be one of these options.
        self.settings = self.resolved(globals.clone());
        if let Some(expression) = &globals.query {
            let wrong = |reason| Error::Usage(format!("Bad value for --query {expression}: {reason}"));
            self.query = Some(Query::compile(expression).map_err(wrong)?);
        }
        self.settings.check_endpoint_option()?;
        globals.read_timeout = globals::seconds(parsed.one("cli-read-timeout"))?;
        globals.connect_timeout = globals::seconds(parsed.one("cli-connect-timeout"))?;
        self.settings = self.resolved(globals);
        self.settings.output_encoding()?;
        self.settings.timestamp_format()?;
        self.settings.binary_format()?;
        Ok(())
    }

    /// The settings with these options, and with a log where one is wanted.
    pub(super) fn resolved(&self, globals: Globals) -> Settings {
        let log = debug::log(&self.ui, globals.debug);
        let settings = Settings::resolve(globals.clone()).with_log(log);
        match self.ui.name() {
            Name::Ecr => settings,
            // The AWS CLI takes no credentials for a job of GitHub Actions.
            Name::Aws => settings.with_changes(globals, &GITHUB_JOB.map(|name| (name, None))),
        }
    }

    /// Prints to stdout, never through a pager.
    pub(super) fn print(&self, text: &str) -> Result<ExitCode, Error> {
        self.ui.print(text)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Shows a page of help: on a terminal through MANPAGER, PAGER or less, which may be missing.
    pub(super) fn page(&self, text: &str) -> Result<ExitCode, Error> {
        if self.ui.out_is_terminal() {
            let pager = self.settings.variable("MANPAGER").or_else(|| self.settings.variable("PAGER"));
            let pager = pager.unwrap_or_else(|| "less -R".to_owned());
            let mut sink = Sink::paged(&pager, None, Encoding::Utf8);
            if std::io::Write::write_all(&mut sink, text.as_bytes()).is_ok() {
                sink.finish()?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        self.print(text)
    }

    /// Returns the destination of an operation's output: the pager if stdout is a terminal.
    pub(super) fn sink(&self) -> Result<Sink, Error> {
        let encoding = self.settings.output_encoding()?;
        if !self.ui.out_is_terminal() {
            return Ok(Sink::direct(encoding));
        }
        let less_flags = self.settings.variable("LESS").is_none().then_some("FRX");
        Ok(match self.settings.pager()? {
            Some(pager) => Sink::paged(&pager, less_flags, encoding),
            None => Sink::direct(encoding),
        })
    }
}
