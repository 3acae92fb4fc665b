//! The one place that turns an error into words and an exit code.
//!
//! | code | kind |
//! |---|---|
//! | 0 | success, and a reader that closed stdout early |
//! | 3 | what was asked for is archived, and cannot be had now |
//! | 130 | interrupted |
//! | 252 | wrong use: the command line, or values that fail the checks before the request |
//! | 253 | no region, no credentials, a configuration that cannot be used, no pager |
//! | 254 | the service said no |
//! | 255 | anything else |

use std::fmt;
use std::io;

use serde_json::{Map, Value};

use crate::args;
use crate::output;
use crate::service;
use crate::settings::{self, ErrorFormat as Format};
use crate::ui::Name;
use crate::ui::encoder::Unencodable;
use crate::ui::pager::PagerError;

/// Every way in which a command can fail.
#[derive(Debug, Clone)]
pub enum Error {
    /// Wrong use.
    Usage(String),
    /// Wrong use of the command line, to be followed by the usage text.
    CommandLine(String),
    /// Words that an operation does not take.
    UnknownOptions(Vec<String>),
    /// Something that must be configured is not, or wrongly; with the AWS CLI's code for it.
    Configuration {
        /// `NoRegion`, `NoCredentials`, `Configuration` or `Pager`.
        code: &'static str,
        /// What is wrong, and the way out.
        message: String,
    },
    /// The service said no.
    Refused {
        /// The whole sentence.
        text: String,
        /// `Message` and `Code`, then the modelled members of the error, in that order.
        members: Map<String, Value>,
    },
    /// What was asked for exists and cannot be had now.
    Unavailable(String),
    /// Anything else.
    Other(String),
    /// Stopped by a signal.
    Interrupted(Signal),
    /// Nobody reads stdout any more.
    Closed,
}

/// A signal that asks the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
}

impl Signal {
    /// 128 and the signal's number, as shells have it for a program that a signal ended.
    pub fn exit_code(self) -> u8 {
        128 + match self {
            Self::HangUp => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }
}

/// The usage text, as `argparse` would end it.
pub fn usage(name: Name) -> &'static str {
    match name {
        Name::Aws => {
            "usage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]\n\
             To see help text, you can run:\n\n  aws help\n  aws <command> help\n  aws <command> <subcommand> help\n"
        }
        Name::Ecr => {
            "usage: ecr [options] <command> [parameters]\n\
             To see help text, you can run:\n\n  ecr help\n  ecr <command> help\n  ecr public <command> help\n"
        }
    }
}

impl Error {
    /// The program's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Interrupted(signal) => signal.exit_code(),
            Self::Usage(_) | Self::CommandLine(_) | Self::UnknownOptions(_) => 252,
            Self::Configuration { .. } => 253,
            Self::Refused { .. } => 254,
            Self::Unavailable(_) => 3,
            Self::Other(_) => 255,
        }
    }

    /// The code and message of an error that has them and is not the service's.
    fn code_and_message(&self, name: Name) -> Option<(&str, String)> {
        match self {
            Self::Usage(message) => Some(("ParamValidation", message.clone())),
            Self::CommandLine(message) => Some(("ParamValidation", format!("{message}\n\n{}", usage(name)))),
            Self::Configuration { code, message } => Some((code, message.clone())),
            _ => None,
        }
    }

    /// What goes to stderr where a command of our own fails: one sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Closed | Self::Interrupted(_) => String::new(),
            other => format!("error: {}\n", other.to_string().trim()),
        }
    }

    /// What goes to stderr. `structured` prints a value in one of the formats that programs read.
    pub fn render(
        &self,
        name: Name,
        format: Format,
        structured: impl Fn(Format, &Value) -> String,
    ) -> String {
        let members = match self {
            Self::Closed | Self::Interrupted(_) => return String::new(),
            Self::UnknownOptions(words) => {
                return format!(
                    "\n{}\n{}",
                    usage(name),
                    line(name, &format!("Unknown options: {}", words.join(", ")))
                );
            }
            Self::Other(text) | Self::Unavailable(text) => return line(name, text),
            Self::Refused { members, .. } => members.clone(),
            Self::Usage(_) | Self::CommandLine(_) | Self::Configuration { .. } => Map::new(),
        };
        match (self, self.code_and_message(name), format) {
            (Self::Refused { text, .. }, _, Format::Legacy) => line(name, text),
            (Self::Refused { text, .. }, _, Format::Enhanced) => line(name, text) + &details(&members),
            (_, Some((_, message)), Format::Legacy) => line(name, &message),
            (_, Some((code, message)), Format::Enhanced) => {
                line(name, &format!("An error occurred ({code}): {message}"))
            }
            (_, Some((code, message)), _) => {
                let mut members = Map::new();
                members.insert("Code".to_owned(), code.into());
                members.insert("Message".to_owned(), message.into());
                structured(format, &Value::Object(members))
            }
            (_, None, _) => structured(format, &Value::Object(members)),
        }
    }
}

/// The standard form of an error: an empty line, then the program's name and the message.
fn line(name: Name, message: &str) -> String {
    let message = message.trim();
    let space = if message.is_empty() { "" } else { " " };
    format!("\n{}: [ERROR]:{space}{message}\n", name.text())
}

/// The modelled members of a service's error beyond its code and message. What does not fit on a line is only named.
fn details(members: &Map<String, Value>) -> String {
    let further: Vec<_> = members
        .iter()
        .filter(|(key, _)| !matches!(key.to_lowercase().as_str(), "code" | "message"))
        .map(|(key, value)| (key, inline(value)))
        .collect();
    if further.is_empty() {
        return String::new();
    }
    let mut text = "\nAdditional error details:\n".to_owned();
    for (key, value) in &further {
        text.extend([key.as_str(), ": ", value.as_deref().unwrap_or("<complex value>"), "\n"]);
    }
    if further.iter().any(|(_, value)| value.is_none()) {
        text.push_str("Use \"--cli-error-format json\" or another error format to see the full details.\n");
    }
    text
}

/// A value on one line: a scalar, or up to four of them.
fn inline(value: &Value) -> Option<String> {
    const MAX_COUNT: usize = 4;
    match value {
        Value::Array(items) if items.len() <= MAX_COUNT => {
            let items = items.iter().map(scalar).collect::<Option<Vec<_>>>()?;
            Some(format!("[{}]", items.join(", ")))
        }
        Value::Object(members) if members.len() <= MAX_COUNT => {
            let shown = |(key, value)| Some(format!("{key}: {}", scalar(value)?));
            Some(format!("{{{}}}", members.iter().map(shown).collect::<Option<Vec<_>>>()?.join(", ")))
        }
        value => scalar(value),
    }
}

/// A scalar as Python prints it.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("None".to_owned()),
        Value::Bool(truth) => Some(if *truth { "True" } else { "False" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

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

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text)
            | Self::CommandLine(text)
            | Self::Unavailable(text)
            | Self::Other(text)
            | Self::Refused { text, .. } => f.write_str(text),
            Self::UnknownOptions(words) => write!(f, "Unknown options: {}", words.join(", ")),
            Self::Configuration { message, .. } => f.write_str(message),
            Self::Interrupted(_) => f.write_str("interrupted"),
            Self::Closed => f.write_str("nobody reads the output any more"),
        }
    }
}

impl From<service::Error> for Error {
    fn from(error: service::Error) -> Self {
        match error {
            service::Error::Refused(refused) => {
                let text = refused.to_string();
                let code_is_first = refused.is_from_the_front();
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

/// An error of a verb. What decides the exit code may lie anywhere in its chain of causes; the words of all are kept.
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

/// A cause that says what kind of error this is.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused() -> Error {
        let members = json!({
            "Message": "no such part",
            "Code": "InvalidLayerPartException",
            "uploadId": "u-1",
            "lastValidByteReceived": 42,
            "message": "no such part",
        });
        let text = "An error occurred (InvalidLayerPartException) when calling the UploadLayerPart operation: no such part";
        Error::Refused { text: text.to_owned(), members: members.as_object().cloned().unwrap_or_default() }
    }

    fn rendered(error: &Error, format: Format) -> String {
        error.render(Name::Aws, format, |_, value| format!("{value}\n"))
    }

    /// Recorded from AWS CLI 2.38.1.
    #[test]
    fn errors_read_as_in_the_aws_cli() {
        const USAGE: &str = "usage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]\nTo see help \
                             text, you can run:\n\n  aws help\n  aws <command> help\n  aws <command> <subcommand> help\n";
        let region = Error::from(service::Error::NoRegion);
        let region_text =
            "You must specify a region. You can also configure your region by running \"aws configure\".";
        for (error, format, expected) in [
            (Error::Usage("x\n".into()), Format::Enhanced, "\naws: [ERROR]: An error occurred (ParamValidation): x\n".to_owned()),
            (Error::Usage("x\n".into()), Format::Legacy, "\naws: [ERROR]: x\n".to_owned()),
            (Error::Other(" x ".into()), Format::Json, "\naws: [ERROR]: x\n".to_owned()),
            (Error::Other(String::new()), Format::Enhanced, "\naws: [ERROR]:\n".to_owned()),
            (Error::CommandLine("x".into()), Format::Legacy, format!("\naws: [ERROR]: x\n\n{USAGE}")),
            (
                Error::UnknownOptions(vec!["--foo".into(), "bar".into()]),
                Format::Json,
                format!("\n{USAGE}\n\naws: [ERROR]: Unknown options: --foo, bar\n"),
            ),
            (region.clone(), Format::Enhanced, format!("\naws: [ERROR]: An error occurred (NoRegion): {region_text}\n")),
            (region, Format::Json, format!("{}\n", json!({"Code": "NoRegion", "Message": region_text}))),
            (
                refused(),
                Format::Enhanced,
                "\naws: [ERROR]: An error occurred (InvalidLayerPartException) when calling the UploadLayerPart \
                 operation: no such part\n\nAdditional error details:\nuploadId: u-1\nlastValidByteReceived: 42\n"
                    .to_owned(),
            ),
            (
                refused(),
                Format::Legacy,
                "\naws: [ERROR]: An error occurred (InvalidLayerPartException) when calling the UploadLayerPart \
                 operation: no such part\n"
                    .to_owned(),
            ),
            (Error::Interrupted(Signal::Interrupt), Format::Enhanced, String::new()),
        ] {
            assert_eq!(rendered(&error, format), expected);
        }
    }

    #[test]
    fn a_cause_decides_the_exit_code_and_all_words_are_kept() {
        let code = |error: anyhow::Error| {
            let error = Error::from(error);
            (error.exit_code(), error.to_string())
        };
        for (error, expected) in [
            (anyhow::anyhow!("plain"), (255, "plain")),
            (anyhow::Error::new(Error::Usage("wrong".into())), (252, "wrong")),
            (
                anyhow::Error::new(service::Error::Invalid("bad".into())).context("pushing x"),
                (252, "pushing x: bad"),
            ),
            (anyhow::Error::new(refused()).context("pushing x").context("all"), (254, "")),
            (anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("x"), (0, "")),
        ] {
            let (found, text) = code(error);
            assert_eq!(found, expected.0, "{text}");
            assert!(expected.1.is_empty() || text == expected.1, "{text}");
        }
    }

    #[test]
    fn a_missing_pager_is_a_configuration_error() {
        let error =
            Error::from(io::Error::other(PagerError("[Errno 2] No such file or directory: 'less'".into())));
        assert_eq!(error.exit_code(), 253);
    }
}
