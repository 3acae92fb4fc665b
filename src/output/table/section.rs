//! One section of a table: a title, perhaps a header, and rows of equal length.

use crate::output::width::width;

/// A box of a table.
#[derive(Debug, Clone)]
pub(super) struct Section {
    /// Without a title the box still counts as wide as Python's `None`.
    pub(super) title: Option<String>,
    pub(super) indent: usize,
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    columns: Option<usize>,
    widths: Vec<i64>,
}

impl Section {
    pub(super) fn new(title: Option<&str>, indent: usize) -> Self {
        let title = title.map(str::to_owned);
        Self { title, indent, header: Vec::new(), rows: Vec::new(), columns: None, widths: Vec::new() }
    }

    pub(super) fn add_header(&mut self, header: Vec<String>) -> Result<(), String> {
        self.widen(&header)?;
        self.columns.get_or_insert(header.len());
        self.header = header;
        Ok(())
    }

    pub(super) fn add_row(&mut self, row: Vec<String>) -> Result<(), String> {
        let columns = *self.columns.get_or_insert(row.len());
        if row.len() != columns {
            return Err(format!("Row should have {columns} elements, instead it has {}", row.len()));
        }
        self.widen(&row)?;
        self.rows.push(row);
        Ok(())
    }

    fn widen(&mut self, cells: &[String]) -> Result<(), String> {
        if self.widths.is_empty() {
            self.widths = cells.iter().map(|cell| width(cell)).collect();
        }
        if cells.len() > self.widths.len() {
            return Err("list index out of range".into());
        }
        for (widest, cell) in self.widths.iter_mut().zip(cells) {
            *widest = width(cell).max(*widest);
        }
        Ok(())
    }

    /// The columns that the section wants, edges and indentation included.
    pub(super) fn total_width(&self) -> i64 {
        let indents = 2 * self.indentation();
        let body: i64 = self.widths.iter().map(|cell| cell + PADDING).sum();
        let title = self.title.as_deref().map_or(4, width);
        (title + 2 + indents).max(body + 2 + indents)
    }

    pub(super) fn indentation(&self) -> i64 {
        i64::try_from(self.indent).unwrap_or(i64::MAX)
    }

    /// The widths of the columns, scaled so that they fill the whole table: rounding (half to even) may leave some
    /// over, which are taken from the left on, or too few, which are given from the right on.
    pub(super) fn scaled_widths(&self, total: i64) -> Vec<i64> {
        let wanted: Vec<i64> = self.widths.iter().map(|cell| cell + PADDING).collect();
        #[allow(clippy::cast_precision_loss, reason = "widths are small")]
        let factor = total as f64 / wanted.iter().sum::<i64>() as f64;
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "widths are small")]
        let mut scaled: Vec<i64> =
            wanted.iter().map(|cell| (factor * *cell as f64).round_ties_even() as i64).collect();
        let mut over = scaled.iter().sum::<i64>() - total;
        let last = scaled.len().saturating_sub(1);
        let mut at = 0;
        while over != 0 && !scaled.is_empty() {
            let column = if over > 0 { at } else { last - at };
            scaled[column] -= over.signum();
            over -= over.signum();
            at = (at + 1) % scaled.len();
        }
        scaled
    }

    /// Turns a header over a single row into rows of `key | value`.
    pub(super) fn upright(self) -> Result<Self, String> {
        if self.rows.len() != 1 || self.header.is_empty() {
            return Ok(self);
        }
        let mut turned = Self::new(self.title.as_deref(), self.indent);
        for (key, cell) in self.header.into_iter().zip(self.rows.into_iter().flatten()) {
            turned.add_row(vec![key, cell])?;
        }
        Ok(turned)
    }
}

/// The spaces around a cell with its edge.
const PADDING: i64 = 4;
