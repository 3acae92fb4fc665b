//! What one run of the program has gathered so far, and how it writes.

use std::process::ExitCode;

use crate::error::Error;
use crate::output::query::Query;
use crate::settings::{Globals, Settings};
use crate::ui::Ui;
use crate::ui::pager::Sink;

use super::argparse::Parsed;
use super::globals;

/// One run of the program.
pub(super) struct Session {
    pub(super) ui: Ui,
    /// Without any options until they are parsed.
    pub(super) settings: Settings,
    /// `--query`, compiled.
    pub(super) query: Option<Query>,
    /// Errors are not printed in the configured format yet.
    pub(super) errors_are_plain: bool,
}

impl Session {
    pub(super) fn new(ui: Ui) -> Self {
        Self { ui, settings: Settings::resolve(Globals::default()), query: None, errors_are_plain: false }
    }

    /// Takes over the global options of an operation, and checks them in the AWS CLI's order.
    pub(super) fn take_globals(&mut self, parsed: &Parsed) -> Result<(), Error> {
        let value = |name: &str| parsed.one(name).map(str::to_owned);
        let mut globals = globals::collect(value, |name| parsed.flag(name).is_some());
        // How an error is printed may be one of these options.
        self.settings = Settings::resolve(globals.clone());
        if let Some(expression) = &globals.query {
            let wrong = |reason| Error::Usage(format!("Bad value for --query {expression}: {reason}"));
            self.query = Some(Query::compile(expression).map_err(wrong)?);
        }
        self.settings.check_endpoint_option()?;
        globals.read_timeout = globals::seconds(parsed.one("cli-read-timeout"))?;
        globals.connect_timeout = globals::seconds(parsed.one("cli-connect-timeout"))?;
        self.settings = Settings::resolve(globals);
        self.settings.output_encoding()?;
        self.settings.timestamp_format()?;
        self.settings.binary_format()?;
        Ok(())
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
            let mut sink = Sink::paged(&pager, None);
            if std::io::Write::write_all(&mut sink, text.as_bytes()).is_ok() {
                sink.finish()?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        self.print(text)
    }

    /// Where the output of an operation goes: through the pager where a person reads it.
    pub(super) fn sink(&self) -> Result<Sink, Error> {
        if !self.ui.out_is_terminal() {
            return Ok(Sink::direct());
        }
        let less_flags = self.settings.variable("LESS").is_none().then_some("FRX");
        Ok(match self.settings.pager()? {
            Some(pager) => Sink::paged(&pager, less_flags),
            None => Sink::direct(),
        })
    }
}
