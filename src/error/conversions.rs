//! Conversions of the modules' errors into kinds, and so into exit codes.

use std::io;

use serde_json::Map;

use super::{Error, Signal};
use crate::ui::encoder::Unencodable;
use crate::ui::pager::PagerError;
use crate::{args, output, service, settings};

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        if let Some(unencodable) = error.get_ref().and_then(|inner| inner.downcast_ref::<Unencodable>()) {
            return Self::Other(unencodable.to_string());
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<PagerError>()) {
            Some(PagerError(reason)) => Self::Configuration {
                code: "Pager",
                message: format!(
                    "Unable to redirect output to pager. Received the following error when opening pager:\n{reason}\n\n\
                     Learn more about configuring the output pager by running \"aws help config-vars\"."
                ),
            },
            None => Self::Other(format!("writing the output failed: {error}")),
        }
    }
}

impl From<args::Error> for Error {
    fn from(error: args::Error) -> Self {
        match error {
            args::Error::Parameter(text) => Self::Usage(text),
            args::Error::Failure(text) => Self::Other(text),
        }
    }
}

impl From<output::Error> for Error {
    fn from(error: output::Error) -> Self {
        match error {
            output::Error::Write(error) => error.into(),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<settings::Error> for Error {
    fn from(error: settings::Error) -> Self {
        match error.kind() {
            settings::Kind::Usage => Self::Usage(error.to_string()),
            settings::Kind::Configuration => {
                Self::Configuration { code: "Configuration", message: error.to_string() }
            }
            settings::Kind::General => Self::Other(error.to_string()),
        }
    }
}

impl From<service::Error> for Error {
    fn from(error: service::Error) -> Self {
        match error {
            service::Error::Refused(refused) => {
                let text = refused.to_string();
                let code_is_first = refused.is_from_gateway();
                let refusal = refused.refusal;
                let mut members = Map::new();
                members.insert("Message".to_owned(), refusal.message.into());
                if code_is_first {
                    members.shift_insert(0, "Code".to_owned(), refusal.code.into());
                } else {
                    members.insert("Code".to_owned(), refusal.code.into());
                }
                members.extend(refusal.members);
                Self::Refused { text, members }
            }
            service::Error::Settings(error) => error.into(),
            service::Error::Invalid(text) => Self::Usage(text),
            service::Error::NoRegion => Self::Configuration { code: "NoRegion", message: error.to_string() },
            service::Error::NoCredentials | service::Error::NoIdToken => {
                Self::Configuration { code: "NoCredentials", message: error.to_string() }
            }
            service::Error::Interrupted => Self::Interrupted(Signal::Interrupt),
            other => Self::Other(other.to_string()),
        }
    }
}

/// An error of a command of our own. What decides the exit code may lie anywhere in its chain of causes; the words of all are kept.
impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        let words = format!("{error:#}");
        match error.chain().find_map(known) {
            Some(Self::Usage(_) | Self::CommandLine(_)) => Self::Usage(words),
            Some(Self::Configuration { code, .. }) => Self::Configuration { code, message: words },
            Some(Self::Refused { members, .. }) => Self::Refused { text: words, members },
            Some(Self::Other(_)) | None => Self::Other(words),
            Some(other) => other,
        }
    }
}

/// Returns the kind of error that a cause has.
fn known(cause: &(dyn std::error::Error + 'static)) -> Option<Error> {
    if let Some(error) = cause.downcast_ref::<Error>() {
        return Some(error.clone());
    }
    if let Some(error) = cause.downcast_ref::<service::Error>() {
        return Some(error.clone().into());
    }
    if let Some(error) = cause.downcast_ref::<settings::Error>() {
        return Some(error.clone().into());
    }
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    cause.downcast_ref::<io::Error>().filter(|error| closed(error)).map(|_| Error::Closed)
}
