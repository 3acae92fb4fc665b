//! Result of an everyday command: one object, printed as a table, JSON, text, Markdown, or not at all.

mod grid;
mod markdown;
mod table;

use std::io::{self, Write};

use anyhow::{Context as _, anyhow};
use serde_json::{Map, Value};

pub(in crate::commands) use self::grid::Grid;
pub(in crate::commands) use self::table::{Column, Style};
use super::super::Context;
use super::super::registry::usage;
use crate::escape::escape;
use crate::output::{self, Query, TableStyle};

/// An output format of the everyday commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Format {
    /// Columns for people.
    Table,
    /// One object.
    Json,
    /// A record a line, fields between tabs, no head.
    Text,
    /// A table in Markdown, for job summaries and comments.
    Markdown,
    /// Nothing.
    Off,
    /// Findings for code scanning: SARIF 2.1.0.
    Sarif,
    /// Findings as test cases, for pages of test results.
    Junit,
    /// One page for a browser.
    Html,
}

/// The formats that every command has.
const COMMON: [Format; 5] = [Format::Table, Format::Json, Format::Text, Format::Markdown, Format::Off];

/// A result that is more than a list of rows. Of the formats beyond [`COMMON`] it has those that its command names.
pub(in crate::commands) trait Document {
    /// The object of `--output json`, which `--query` picks from.
    fn json(&self) -> Value;
    /// Writes that object.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write_value(out, &self.json())
    }
    /// Text for people.
    fn table(&self, out: &mut dyn Write, style: Style) -> io::Result<()>;
    /// Records of fields.
    fn records(&self) -> Vec<Vec<String>>;
    /// Writes the records, one a line.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.records().iter().try_for_each(|record| write_record(out, record))
    }
    /// Markdown for a job summary or a comment.
    fn markdown(&self, out: &mut dyn Write) -> io::Result<()>;
    /// A log of SARIF.
    fn sarif(&self) -> Value {
        Value::Null
    }
    /// A document of JUnit's XML.
    fn junit(&self) -> String {
        String::new()
    }
    /// A page of HTML.
    fn html(&self) -> String {
        String::new()
    }
}

/// Rows that are made when they are printed, so that a listing of 100,000 is never in memory twice.
pub(in crate::commands) trait Rows {
    /// The number of rows.
    fn len(&self) -> usize;
    /// The number of lines of the table, where they are others than the rows.
    fn lines(&self) -> usize {
        self.len()
    }
    /// A row as an element of the JSON list.
    fn json(&self, row: usize) -> Value;
    /// A line's cells, one for each column.
    fn cells(&self, row: usize) -> Vec<String>;
    /// A row's fields in text, as they are documented.
    fn text(&self, row: usize) -> Vec<String>;
    /// A row's records in text, where one row may be several.
    fn records(&self, row: usize) -> Vec<Vec<String>> {
        vec![self.text(row)]
    }
}

/// Row with its values at hand.
pub(in crate::commands) struct Record {
    pub(in crate::commands) json: Value,
    pub(in crate::commands) cells: Vec<String>,
    pub(in crate::commands) text: Vec<String>,
}

impl Rows for &[Record] {
    fn len(&self) -> usize {
        <[Record]>::len(self)
    }

    fn json(&self, row: usize) -> Value {
        self[row].json.clone()
    }

    fn cells(&self, row: usize) -> Vec<String> {
        self[row].cells.clone()
    }

    fn text(&self, row: usize) -> Vec<String> {
        self[row].text.clone()
    }
}

/// A listing: an object whose first member is a list.
pub(in crate::commands) struct Listing<'a> {
    /// The name of the list in JSON.
    pub(in crate::commands) member: &'static str,
    /// The columns of the table.
    pub(in crate::commands) columns: Vec<Column>,
    pub(in crate::commands) rows: &'a dyn Rows,
    /// A last row of the table, with a cell for each column.
    pub(in crate::commands) total: Option<Vec<String>>,
    /// Further members in JSON.
    pub(in crate::commands) more: Map<String, Value>,
}

/// Row by row, so that what is written is never whole in memory.
impl Document for Listing<'_> {
    fn json(&self) -> Value {
        let list = (0..self.rows.len()).map(|row| self.rows.json(row)).collect();
        let mut object = Map::from_iter([(self.member.to_owned(), list)]);
        object.extend(self.more.clone());
        Value::Object(object)
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write_listing(out, self)
    }

    fn table(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        if self.has_failed() { Ok(()) } else { table::write(out, self, style) }
    }

    fn records(&self) -> Vec<Vec<String>> {
        (0..self.rows.len()).flat_map(|row| self.rows.records(row)).collect()
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut records = (0..self.rows.len()).flat_map(|row| self.rows.records(row));
        records.try_for_each(|record| write_record(out, &record))
    }

    fn markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.has_failed() { Ok(()) } else { markdown::write(out, self) }
    }
}

impl Listing<'_> {
    /// Returns whether there are only failures, which are reported on standard error: a head without rows would look
    /// like an answer.
    fn has_failed(&self) -> bool {
        self.rows.len() == 0
            && self.more.get("failures").and_then(Value::as_array).is_some_and(|all| !all.is_empty())
    }
}

/// Printer of a command's result.
pub(in crate::commands) struct Output<'a> {
    context: &'a Context,
    format: Format,
    query: Option<Query>,
}

impl Format {
    /// The name in `--output` and `--report`.
    pub(in crate::commands) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Off => "off",
            Self::Sarif => "sarif",
            Self::Junit => "junit",
            Self::Html => "html",
        }
    }

    /// The format of this name, if the command has it beside the common ones.
    fn read(name: Option<&str>, further: &[Self]) -> anyhow::Result<Self> {
        let Some(name) = name else { return Ok(Self::Table) };
        let formats: Vec<Self> = COMMON.iter().chain(further).copied().collect();
        formats.iter().find(|format| format.name() == name).copied().ok_or_else(|| {
            let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
            let (last, others) = names.split_last().unwrap_or((&"", &[]));
            usage(format!("this command has no output {name}; expected {} or {last}", others.join(", ")))
        })
    }
}

impl<'a> Output<'a> {
    /// The output that `--output` and `--query` ask for. What is wrong with them is found before any call.
    pub(in crate::commands) fn of(context: &'a Context) -> anyhow::Result<Self> {
        Self::with_formats(context, &[])
    }

    /// Like [`Output::of`], for a command that has further formats.
    pub(in crate::commands) fn with_formats(
        context: &'a Context,
        further: &[Format],
    ) -> anyhow::Result<Self> {
        let globals = context.settings.globals();
        let format = Format::read(globals.output.as_deref(), further)?;
        let wrong = |expression: &String, reason| usage(format!("--query {expression}: {reason}"));
        let query = globals
            .query
            .as_ref()
            .map(|expression| Query::compile(expression).map_err(|reason| wrong(expression, reason)));
        Ok(Self { context, format, query: query.transpose()? })
    }

    /// Prints a document, or the selection of `--query`.
    pub(in crate::commands) fn document(&self, document: &dyn Document) -> anyhow::Result<()> {
        if self.query.is_some() {
            return self.picked(&document.json());
        }
        let style = Style { width: self.width(), color: self.color() };
        let printed = self.context.ui.print_with(|out| write_document(out, document, self.format, style));
        printed.context("the output cannot be written")
    }

    /// Returns whether the output is for people: a table from which `--query` picks nothing.
    pub(in crate::commands) fn is_for_people(&self) -> bool {
        self.format == Format::Table && self.query.is_none()
    }

    /// Prints a listing whose table is this text.
    pub(in crate::commands) fn listing_shown_as(
        &self,
        listing: &Listing<'_>,
        table: &str,
    ) -> anyhow::Result<()> {
        if self.is_for_people() {
            return Ok(self.context.ui.print(table)?);
        }
        self.document(listing)
    }

    /// Prints one object. `table` is what a person sees, `text` the fields of its one record.
    pub(in crate::commands) fn object(
        &self,
        object: &Value,
        table: &str,
        text: &[String],
    ) -> anyhow::Result<()> {
        if self.query.is_some() {
            return self.picked(object);
        }
        match self.format {
            Format::Table => self.context.ui.print(table)?,
            Format::Json => self.context.ui.print_with(|out| write_value(out, object))?,
            Format::Text => self.context.ui.print_with(|out| write_record(out, text))?,
            Format::Markdown => self.context.ui.print(&markdown::object(object))?,
            Format::Off | Format::Sarif | Format::Junit | Format::Html => {}
        }
        Ok(())
    }

    /// Prints the selection of `--query` from an object.
    fn picked(&self, object: &Value) -> anyhow::Result<()> {
        let Some(query) = &self.query else { return Ok(()) };
        let value = query.evaluate(object).map_err(|reason| anyhow!("--query: {reason}"))?;
        let mut bytes = Vec::new();
        match self.format {
            // A table has no place for a single value.
            Format::Table if !value.is_array() && !value.is_object() => {
                output::text::write(&mut bytes, &value)?;
            }
            Format::Table => {
                let width = self.context.ui.width();
                let terminal = self.context.ui.out_is_terminal();
                let style = TableStyle { width, color: self.color(), direct: true, terminal };
                // A list of lists and words is no table.
                if output::table::write(&mut bytes, "result", &value, style).is_err() {
                    bytes.clear();
                    write_value(&mut bytes, &value)?;
                }
            }
            // What is picked has no format of its own.
            Format::Json | Format::Sarif | Format::Junit | Format::Html => {
                output::json::write(&mut bytes, &value)?;
                bytes.push(b'\n');
            }
            Format::Text => output::text::write(&mut bytes, &value)?,
            Format::Markdown => bytes.extend(markdown::object(&value).bytes()),
            Format::Off => {}
        }
        Ok(self.context.ui.print_bytes(&bytes)?)
    }

    /// Returns the columns of a table: COLUMNS or the terminal's width; no limit in a pipe.
    pub(in crate::commands) fn width(&self) -> Option<usize> {
        let terminal = self.context.ui.out_is_terminal().then(|| self.context.ui.width());
        self.context.settings.columns().or(terminal)
    }

    /// Returns whether to colour: `--color`, else NO_COLOR, else on a terminal.
    pub(in crate::commands) fn color(&self) -> bool {
        match self.context.settings.globals().color.as_deref() {
            Some("on") => true,
            Some("off") => false,
            _ => self.context.ui.out_is_terminal() && !self.context.settings.no_color(),
        }
    }
}

/// Writes a document in a format.
pub(in crate::commands) fn write_document(
    out: &mut dyn Write,
    document: &dyn Document,
    format: Format,
    style: Style,
) -> io::Result<()> {
    match format {
        Format::Table => document.table(out, style),
        Format::Json => document.write_json(out),
        Format::Sarif => write_value(out, &document.sarif()),
        Format::Text => document.write_text(out),
        Format::Markdown => document.markdown(out),
        Format::Junit => out.write_all(document.junit().as_bytes()),
        Format::Html => out.write_all(document.html().as_bytes()),
        Format::Off => Ok(()),
    }
}

fn write_value(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    let mut bytes = Vec::new();
    output::json::write(&mut bytes, value)?;
    bytes.push(b'\n');
    out.write_all(&bytes)
}

/// Writes the fields of a record on one line.
fn write_record(out: &mut dyn Write, record: &[String]) -> io::Result<()> {
    let fields: Vec<_> = record.iter().map(|field| escape(field)).collect();
    writeln!(out, "{}", fields.join("\t"))
}

/// Writes the object row by row, as [`output::json::write`] would write it whole.
fn write_listing(out: &mut dyn Write, listing: &Listing<'_>) -> io::Result<()> {
    let mut bytes = Vec::new();
    write!(out, "{{\n    \"{}\": [", listing.member)?;
    for row in 0..listing.rows.len() {
        bytes.clear();
        output::json::write(&mut bytes, &listing.rows.json(row))?;
        write!(out, "{}\n        ", if row == 0 { "" } else { "," })?;
        indented(out, &bytes, b"        ")?;
    }
    out.write_all(if listing.rows.len() == 0 { b"]" } else { b"\n    ]" })?;
    for (name, value) in &listing.more {
        bytes.clear();
        output::json::write(&mut bytes, value)?;
        write!(out, ",\n    \"{name}\": ")?;
        indented(out, &bytes, b"    ")?;
    }
    out.write_all(b"\n}\n")
}

/// Writes lines with an indentation before each but the first. A string has no line feed in JSON.
fn indented(out: &mut dyn Write, bytes: &[u8], indentation: &[u8]) -> io::Result<()> {
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if number > 0 {
            out.write_all(b"\n")?;
            out.write_all(indentation)?;
        }
        out.write_all(line)?;
    }
    Ok(())
}
