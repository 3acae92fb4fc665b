//! Values to bytes: the AWS CLI's output formats and `--query`. No terminal is touched here: widths and colours come
//! in as plain data.

mod integer;
mod printer;
mod python;
mod width;

pub mod json;
pub mod query;
pub mod table;
pub mod text;
pub mod timestamps;
pub mod yaml;

pub use printer::{Format, Printer};
pub use query::Query;
pub use table::TableStyle;
pub use timestamps::{Timestamps, Zone};

/// Error of formatting a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query cannot be evaluated over this value.
    #[error(transparent)]
    Query(#[from] query::EvaluationError),
    /// The AWS CLI fails to print this value, with this message.
    #[error("{0}")]
    Crash(String),
    /// The bytes could not be written.
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;
