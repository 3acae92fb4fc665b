//! A table within a document: columns and cells.

use std::io::Write;

use serde_json::{Map, Value};

use super::{Column, Listing, Rows, Style, markdown, table};

/// Columns and the cells of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Grid {
    pub(in crate::commands) columns: Vec<Column>,
    pub(in crate::commands) rows: Vec<Vec<String>>,
    /// A last row.
    pub(in crate::commands) total: Option<Vec<String>>,
}

impl Grid {
    /// Writes it in columns for people.
    pub(in crate::commands) fn table(&self, out: &mut dyn Write, style: Style) -> std::io::Result<()> {
        table::write(out, &self.listing(), style)
    }

    /// Writes it in Markdown.
    pub(in crate::commands) fn markdown(&self, out: &mut dyn Write) -> std::io::Result<()> {
        markdown::write(out, &self.listing())
    }

    fn listing(&self) -> Listing<'_> {
        let (columns, total) = (self.columns.clone(), self.total.clone());
        Listing { member: "", columns, rows: self, total, more: Map::new() }
    }
}

impl Rows for Grid {
    fn len(&self) -> usize {
        self.rows.len()
    }

    /// The document has the JSON.
    fn json(&self, _: usize) -> Value {
        Value::Null
    }

    fn cells(&self, row: usize) -> Vec<String> {
        self.rows[row].clone()
    }

    fn text(&self, row: usize) -> Vec<String> {
        self.rows[row].clone()
    }
}
