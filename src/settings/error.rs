//! Errors in options, environment and profile, with the AWS CLI's messages.

use super::userinfo::without_login;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's text says what it is")]
pub enum Error {
    #[error("Unable to parse config file: {0}")]
    UnparsableFile(String),
    #[error("The config profile ({0}) could not be found")]
    ProfileNotFound(String),
    #[error(r#"Bad value for --endpoint-url "{}": scheme is missing.  Must be of the form http://<hostname>/ or https://<hostname>/"#, without_login(.0))]
    EndpointWithoutScheme(String),
    #[error("Invalid endpoint: {}", without_login(.0))]
    InvalidEndpoint(String),
    #[error(r#"Unknown cli_timestamp_format value: {0}, valid values are "wire" or "iso8601""#)]
    UnknownTimestampFormat(String),
    #[error("'{0}'")]
    UnknownBinaryFormat(String),
    #[error("Unknown codec `{codec}` specified for {variable}.")]
    UnknownCodec { codec: String, variable: &'static str },
    #[error(
        "Invalid CA bundle: the configured value (ca_bundle, AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, or verify) resolved to an empty or whitespace-only string. Provide a valid path to a CA bundle file."
    )]
    EmptyCaBundle,
    #[error("Provided region_name '{0}' doesn't match a supported format.")]
    InvalidRegion(String),
    #[error(
        "The profile is configured to use the services section but the \"{0}\" services configuration does not exist."
    )]
    MissingServicesSection(String),
    #[error("invalid literal for int() with base 10: '{0}'")]
    NotAnInteger(String),
    #[error(r#"Value provided to "max_attempts": {0} must be an integer greater than or equal to one."#)]
    TooFewAttempts(i64),
    #[error(r#"Invalid value provided to "mode": "{0}" must be one of: "standard" or "adaptive""#)]
    UnknownRetryMode(String),
    #[error(
        "Attempted to set {name} timeout to {seconds}, but the timeout cannot be set to a value less than or equal to 0."
    )]
    InvalidTimeout { name: &'static str, seconds: i64 },
    #[error(
        "There is no home directory to keep the embedded ECR's data in. Name a folder with --folder or ECR_LOCAL_FOLDER."
    )]
    NoLocalFolder,
}

/// Kind of a settings error, which decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wrong use of the command line (`ParamValidation`, 252).
    Usage,
    /// The AWS CLI's configuration error (`Configuration`, 253).
    Configuration,
    /// Anything else (255).
    General,
}

impl Error {
    /// Returns the kind of this error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::EndpointWithoutScheme(_) => Kind::Usage,
            Self::UnknownTimestampFormat(_) => Kind::Configuration,
            _ => Kind::General,
        }
    }
}
