//! Report of a failed run: the error in the chosen format, and the exit code.

use std::process::ExitCode;

use serde_json::Value;

use crate::error::{Error, Signal};
use crate::escape::escape_lines;
use crate::output::{Format, Printer};
use crate::settings::ErrorFormat;

use super::output;
use super::session::Session;

/// Prints an error and answers the exit code.
pub(super) fn report(session: &Session, error: &Error) -> ExitCode {
    let format =
        if session.errors_are_plain { ErrorFormat::Enhanced } else { session.settings.error_format() };
    // The AWS CLI repeats the service's words as they are; here a terminal does not obey them.
    let error = &if session.is_own_command || session.ui.err_is_terminal() {
        escaped(error.clone())
    } else {
        error.clone()
    };
    let text = match (session.is_own_command, format) {
        (true, ErrorFormat::Enhanced | ErrorFormat::Legacy) => error.sentence(),
        _ => error.render(session.ui.name(), format, |format, value| structured(session, format, value)),
    };
    session.ui.say(&text);
    if matches!(error, Error::Interrupted(Signal::Interrupt)) {
        // The line with ^C is ended on stdout; if that has no reader, nothing is lost.
        let _ = session.ui.print("\n");
    }
    ExitCode::from(error.exit_code())
}

/// An error in which a terminal would obey nothing.
fn escaped(error: Error) -> Error {
    let plain = |text: String| escape_lines(&text).into_owned();
    match error {
        Error::Usage(text) => Error::Usage(plain(text)),
        Error::CommandLine(text) => Error::CommandLine(plain(text)),
        Error::Configuration { code, message } => Error::Configuration { code, message: plain(message) },
        Error::Refused { text, members } => {
            let mut members = Value::Object(members);
            output::escape_texts(&mut members);
            let members = members.as_object().cloned().unwrap_or_default();
            Error::Refused { text: plain(text), members }
        }
        Error::Unavailable(text) => Error::Unavailable(plain(text)),
        Error::Other(text) => Error::Other(plain(text)),
        Error::UnknownOptions(words) => Error::UnknownOptions(words.into_iter().map(plain).collect()),
        Error::Interrupted(_) | Error::Closed => error,
    }
}

/// An error as a value, in a format that programs read. Colour follows `--color`; the terminal in question is stdout.
fn structured(session: &Session, format: ErrorFormat, value: &Value) -> String {
    let format = match format {
        ErrorFormat::Yaml => Format::Yaml,
        ErrorFormat::Text => Format::Text,
        ErrorFormat::Table => Format::Table,
        _ => Format::Json,
    };
    let table = output::table_style(session, false);
    let mut text = Vec::new();
    let printer = Printer { format, query: None, title: "error".to_owned(), table };
    match printer.whole(&mut text, value) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => format!("{value}\n"),
    }
}
