//! The result of `ecr du`: a listing, which as HTML is a page with bars.

use std::io::{self, Write};

use serde_json::Value;

use super::super::super::report::html::{Cell, Page};
use super::super::output::{Document, Listing, Rows as _, Style};
use super::groups::Group;
use super::rows::GroupRows;

/// The result of a run.
pub(super) struct DuDocument<'a> {
    pub(super) listing: Listing<'a>,
    pub(super) rows: &'a GroupRows<'a>,
}

impl Document for DuDocument<'_> {
    fn json(&self) -> Value {
        self.listing.json()
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        self.listing.write_json(out)
    }

    fn table(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        self.listing.table(out, style)
    }

    fn records(&self) -> Vec<Vec<String>> {
        self.listing.records()
    }

    fn markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        self.listing.markdown(out)
    }

    fn html(&self) -> String {
        let rows = self.rows;
        let columns = rows.columns();
        let largest = rows.groups.iter().map(Group::shown).max().unwrap_or_default().max(1);
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
}
