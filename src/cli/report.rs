//! The end of a run that failed: the error in the format that was asked for, and the exit code.

use std::process::ExitCode;

use serde_json::Value;

use crate::error::Error;
use crate::settings::ErrorFormat;

use super::session::Session;

/// Prints an error and answers the exit code.
pub(super) fn report(session: &Session, error: &Error) -> ExitCode {
    let format =
        if session.errors_are_plain { ErrorFormat::Enhanced } else { session.settings.error_format() };
    let text = error.render(session.ui.name(), format, |format, value| structured(session, format, value));
    session.ui.say(&text);
    if matches!(error, Error::Interrupted) {
        // The line on which ^C stands is ended on stdout; where nobody reads that, nothing is lost.
        let _ = session.ui.print("\n");
    }
    ExitCode::from(error.exit_code())
}

fn structured(_session: &Session, _format: ErrorFormat, value: &Value) -> String {
    value.to_string()
}
