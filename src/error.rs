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

mod conversions;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value};

use crate::settings::ErrorFormat as Format;
use crate::ui::Name;

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
        /// The problem, and the way out.
        message: String,
    },
    /// The service refused the request.
    Refused {
        /// The whole sentence.
        text: String,
        /// `Message` and `Code`, then the modelled members of the error, in that order.
        members: Map<String, Value>,
    },
    /// The requested thing exists but is unavailable now.
    Unavailable(String),
    /// Anything else.
    Other(String),
    /// Stopped by a signal.
    Interrupted(Signal),
    /// The reader of stdout has closed it.
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

    /// Text for stderr when a command of our own fails: one sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Closed | Self::Interrupted(_) => String::new(),
            other => format!("error: {}\n", other.to_string().trim()),
        }
    }

    /// Text for stderr. `structured` prints a value in one of the formats that programs read.
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
