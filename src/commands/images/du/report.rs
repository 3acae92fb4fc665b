//! `--report html=FILE`: the table as one page that needs nothing else.

use anyhow::Context as _;

use super::super::super::report::html::{Cell, Page};
use super::super::output::Rows as _;
use super::rows::GroupRows;

/// Writes the page.
pub(super) fn write(file: &str, rows: &GroupRows<'_>) -> anyhow::Result<()> {
    std::fs::write(file, page(rows)).with_context(|| format!("the report {file} cannot be written"))
}

fn page(rows: &GroupRows<'_>) -> String {
    let columns = rows.columns();
    let largest = rows.groups.iter().map(super::Group::shown).max().unwrap_or_default().max(1);
    let share = |shown: u64| u8::try_from(u128::from(shown) * 100 / u128::from(largest)).unwrap_or(100);
    let bars = rows.groups.iter().map(|group| Some(share(group.shown())));
    let cells = (0..rows.len()).map(|row| rows.cells(row)).chain([rows.total()]);
    let lines = cells.zip(bars.chain([None])).map(|(cells, share)| {
        let cell = |(cell, head): (String, &str)| match share {
            Some(share) if head == "SHARE" => Cell::Bar(share),
            _ => Cell::Text(cell),
        };
        cells.into_iter().zip(columns.iter().map(|column| column.head)).map(cell).collect()
    });
    let mut page = Page::new("ecr du");
    page.table(&columns, lines);
    page.finish()
}
