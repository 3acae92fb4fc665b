//! Settings of how results and errors are shown.

use std::path::Path;

use jiff::tz::TimeZone;

use super::Settings;
use super::encoding::Encoding;
use super::error::Error;

/// Format of timestamps: `cli_timestamp_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFormat {
    /// ISO 8601 in the local zone.
    Iso8601,
    /// Unchanged from the service's answer.
    Wire,
}

/// Encoding of a blob on the command line: `cli_binary_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryFormat {
    /// Base64 text.
    Base64,
    /// The text's own bytes.
    Raw,
}

/// Format of errors: `--cli-error-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the option's values")]
pub enum ErrorFormat {
    Legacy,
    Json,
    Yaml,
    Text,
    Table,
    Enhanced,
}

impl ErrorFormat {
    /// Returns the format of this name, in any case; `Enhanced` for an unknown name.
    pub fn named(name: &str) -> Self {
        match name.to_lowercase().as_str() {
            "legacy" => Self::Legacy,
            "json" => Self::Json,
            "yaml" => Self::Yaml,
            "text" => Self::Text,
            "table" => Self::Table,
            _ => Self::Enhanced,
        }
    }
}

impl Settings {
    /// The output format's name, unchecked: AWS CLI finds an unknown one only when it prints.
    pub fn output(&self) -> Result<String, Error> {
        if let Some(output) = self.globals.output.clone().or_else(|| self.variable("AWS_DEFAULT_OUTPUT")) {
            return Ok(output);
        }
        Ok(self.profile_key("output")?.unwrap_or("json").to_owned())
    }

    /// The pager's command; `None` where it is switched off. The first source that is set wins, also with nothing.
    pub fn pager(&self) -> Result<Option<String>, Error> {
        if self.globals.no_pager {
            return Ok(None);
        }
        let command = match self.variable("AWS_PAGER") {
            Some(command) => command,
            None => match self.profile_key("cli_pager")? {
                Some(command) => command.to_owned(),
                None => self.variable("PAGER").unwrap_or_else(|| DEFAULT_PAGER.to_owned()),
            },
        };
        Ok(Some(command).filter(|command| !command.is_empty()))
    }

    /// Returns the format of timestamps. A missing profile is reported elsewhere.
    pub fn timestamp_format(&self) -> Result<TimestampFormat, Error> {
        let named = match self.profile_key("cli_timestamp_format") {
            Err(Error::ProfileNotFound(_)) => None,
            answer => answer?,
        };
        match named {
            None | Some("iso8601") => Ok(TimestampFormat::Iso8601),
            Some("wire") => Ok(TimestampFormat::Wire),
            Some(other) => Err(Error::UnknownTimestampFormat(other.to_owned())),
        }
    }

    /// Returns the encoding of blobs on the command line. A missing profile is reported elsewhere.
    pub fn binary_format(&self) -> Result<BinaryFormat, Error> {
        let named = match &self.globals.binary_format {
            Some(name) => Some(name.as_str()),
            None => match self.profile_key("cli_binary_format") {
                Err(Error::ProfileNotFound(_)) => None,
                answer => answer?,
            },
        };
        match named {
            None | Some("base64") => Ok(BinaryFormat::Base64),
            Some("raw-in-base64-out") => Ok(BinaryFormat::Raw),
            Some(other) => Err(Error::UnknownBinaryFormat(other.to_owned())),
        }
    }

    /// Returns the format of errors; the legacy one if the configuration cannot be read, as the AWS CLI did before
    /// there was a choice.
    pub fn error_format(&self) -> ErrorFormat {
        self.globals
            .error_format
            .as_deref()
            .map_or_else(|| self.configured_error_format(), ErrorFormat::named)
    }

    /// Returns the format of the main parser's errors, which do not heed the option.
    pub fn configured_error_format(&self) -> ErrorFormat {
        if let Some(name) = self.variable("AWS_CLI_ERROR_FORMAT") {
            return ErrorFormat::named(&name);
        }
        match self.profile_key("cli_error_format") {
            Ok(name) => name.map_or(ErrorFormat::Enhanced, ErrorFormat::named),
            Err(_) => ErrorFormat::Legacy,
        }
    }

    /// Returns the encoding of output.
    pub fn output_encoding(&self) -> Result<Encoding, Error> {
        const VARIABLE: &str = "AWS_CLI_OUTPUT_ENCODING";
        match self.variable(VARIABLE) {
            Some(codec) => Encoding::named(&codec).ok_or(Error::UnknownCodec { codec, variable: VARIABLE }),
            None => Ok(Encoding::Utf8),
        }
    }

    /// Returns whether colour is declined by `NO_COLOR` (<https://no-color.org>).
    pub fn no_color(&self) -> bool {
        self.filled_variable("NO_COLOR").is_some()
    }

    /// The width that `COLUMNS` asks for.
    pub fn columns(&self) -> Option<usize> {
        self.variable("COLUMNS")?.trim().parse().ok().filter(|columns| *columns > 0)
    }

    /// Returns the time zone of this process: that of `TZ`, else the machine's.
    ///
    /// As the C library finds it, by reading one file: jiff's own search looks through the whole database for the
    /// zone's name, which takes longer than the rest of a command.
    pub fn time_zone(&self) -> TimeZone {
        let Some(name) = self.variable("TZ") else {
            return zone_file("/etc/localtime").unwrap_or_else(TimeZone::system);
        };
        let name = name.strip_prefix(':').unwrap_or(&name);
        let path = Path::new("/usr/share/zoneinfo").join(name);
        let file = (!name.is_empty()).then(|| zone_file(path)).flatten();
        file.or_else(|| TimeZone::get(name).ok())
            .or_else(|| TimeZone::posix(name).ok())
            .unwrap_or(TimeZone::UTC)
    }
}

fn zone_file(path: impl AsRef<Path>) -> Option<TimeZone> {
    TimeZone::tzif("", &std::fs::read(path).ok()?).ok()
}

const DEFAULT_PAGER: &str = if cfg!(windows) { "more" } else { "less" };
