//! Text to values: what the words of a command line mean for a model (contract 2.2 to 2.9).
//!
//! Everything here is a pure function of its arguments; only [`paramfile`] opens files, at places that it is told.
//! An input is built in three steps: [`unpack`] for each option, [`cli_input::merge`] for the rest of the input out of
//! one JSON or YAML text, and [`blob::decode`] once the whole input is there. [`skeleton`] goes the other way.

pub mod blob;
pub mod cli_input;
pub mod json;
pub mod paramfile;
pub mod shorthand;
pub mod skeleton;
mod unpack;
mod yaml;
mod yaml_scalar;

pub use paramfile::Files;
pub use unpack::unpack;

/// Why an argument cannot be used. The texts are the AWS CLI's own, since scripts search for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The argument is wrong: a `ParamValidation`, exit code 252.
    #[error("{0}")]
    Parameter(String),
    /// Reading it failed in a way that the AWS CLI reports without a code: exit code 255.
    #[error("{0}")]
    Failure(String),
}

impl Error {
    /// A wrong argument, with the option's name in front.
    fn parameter(option: &str, message: impl std::fmt::Display) -> Self {
        Self::Parameter(format!("Error parsing parameter '{option}': {message}"))
    }

    /// What Python says when nesting is too deep for it.
    fn too_deep() -> Self {
        Self::Failure("maximum recursion depth exceeded".to_owned())
    }
}
