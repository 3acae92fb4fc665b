//! Printer of an API answer, whole or page by page, in the chosen format.

use std::borrow::Cow;
use std::io::Write;

use serde_json::{Value, json};

use super::{Error, Query, TableStyle, json, table, text, yaml};

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON, four spaces to a level.
    #[default]
    Json,
    /// Fields between tabs.
    Text,
    /// Nested boxes.
    Table,
    /// YAML.
    Yaml,
    /// YAML, each page an element of a list.
    YamlStream,
    /// Nothing.
    Off,
}

impl Format {
    /// All formats, in the order in which the AWS CLI lists them.
    pub const ALL: [Self; 6] = [Self::Json, Self::Text, Self::Table, Self::Yaml, Self::YamlStream, Self::Off];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Table => "table",
            Self::Yaml => "yaml",
            Self::YamlStream => "yaml-stream",
            Self::Off => "off",
        }
    }

    /// The format of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Returns whether the pages of an answer are printed one by one as they come; otherwise they are merged first.
    pub fn streams(self) -> bool {
        matches!(self, Self::Text | Self::YamlStream)
    }
}

/// Prints answers.
#[derive(Debug)]
pub struct Printer {
    /// The format.
    pub format: Format,
    /// Query that picks from each answer, or from each page if pages are printed one by one.
    pub query: Option<Query>,
    /// The title of a table: the operation's name.
    pub title: String,
    /// Style of tables.
    pub table: TableStyle,
}

impl Printer {
    /// Prints an answer that is whole: it has no pages, or they are merged. Whether there is anything to print for
    /// an empty one depends on the format.
    pub fn whole(&self, out: &mut dyn Write, value: &Value) -> Result<(), Error> {
        if self.format == Format::Off {
            return Ok(());
        }
        let picked = self.picked(value)?;
        let is_empty = picked.as_object().is_some_and(serde_json::Map::is_empty);
        match self.format {
            Format::Table => table::write(out, &self.title, &picked, self.table),
            Format::Text => text::write(out, &picked),
            _ if is_empty => Ok(()),
            Format::Json => {
                json::write(out, &picked)?;
                Ok(out.write_all(b"\n")?)
            }
            Format::Yaml => yaml::write(out, &picked),
            Format::YamlStream => yaml::write(out, &Value::Array(vec![picked.into_owned()])),
            Format::Off => Ok(()),
        }
    }

    /// Prints one of several pages, for a format that streams.
    pub fn page(&self, out: &mut dyn Write, page: &Value) -> Result<(), Error> {
        match self.format {
            // Even an empty page is an element of the list.
            Format::YamlStream => yaml::write(out, &Value::Array(vec![self.picked(page)?.into_owned()])),
            _ => self.whole(out, page),
        }
    }

    /// Prints the token to continue with after truncated pages; only text does. The query applies here too, so that
    /// most queries end in a line `None`, as with the AWS CLI.
    pub fn resume(&self, out: &mut dyn Write, token: &str) -> Result<(), Error> {
        match self.format {
            Format::Text => self.whole(out, &json!({"NextToken": {"NextToken": token}})),
            _ => Ok(()),
        }
    }

    fn picked<'a>(&self, value: &'a Value) -> Result<Cow<'a, Value>, Error> {
        match &self.query {
            None => Ok(Cow::Borrowed(value)),
            Some(query) => Ok(Cow::Owned(query.evaluate(value)?)),
        }
    }
}
