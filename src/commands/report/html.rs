//! Pages that need nothing else: no script, no image, no font.

use std::fmt::Write as _;

use super::super::images::output::Column;
use crate::escape::escape;

const STYLE: &str = "body { font: 15px system-ui, sans-serif; margin: 2rem; color: #222; }\n\
table { border-collapse: collapse; margin: 1rem 0; }\n\
th, td { padding: .3rem .8rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }\n\
.number { text-align: right; font-variant-numeric: tabular-nums; }\n\
.bar { width: 20rem; }\n.bar div { background: #4878b0; height: 1rem; }\n\
";

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) enum Cell {
    Text(String),
    /// A bar of so many hundredths of the column.
    Bar(u8),
}

/// A page that is being written.
pub(in crate::commands) struct Page {
    text: String,
}

impl Page {
    /// A page with this title as its head.
    pub(in crate::commands) fn new(title: &str) -> Self {
        let title = escaped(title);
        let text = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>\n{STYLE}\
             </style>\n<h1>{title}</h1>\n"
        );
        Self { text }
    }

    /// A head within the page.
    pub(in crate::commands) fn heading(&mut self, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "<h2>{}</h2>", escaped(text));
    }

    /// A paragraph.
    pub(in crate::commands) fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.text, "<p>{}</p>", escaped(text));
    }

    /// A table.
    pub(in crate::commands) fn table(&mut self, columns: &[Column], rows: impl Iterator<Item = Vec<Cell>>) {
        let class = |right: bool| if right { " class=\"number\"" } else { "" };
        self.text.push_str("<table>\n<tr>");
        for column in columns {
            let _ = write!(self.text, "<th{}>{}</th>", class(column.right), escaped(column.head));
        }
        self.text.push_str("</tr>\n");
        for row in rows {
            self.text.push_str("<tr>");
            for (cell, column) in row.iter().zip(columns) {
                let _ = match cell {
                    Cell::Text(text) => {
                        write!(self.text, "<td{}>{}</td>", class(column.right), escaped(text))
                    }
                    Cell::Bar(hundredths) => write!(
                        self.text,
                        "<td class=\"bar\"><div style=\"width: {}%\"></div></td>",
                        hundredths.min(&100)
                    ),
                };
            }
            self.text.push_str("</tr>\n");
        }
        self.text.push_str("</table>\n");
    }

    /// The whole page.
    pub(in crate::commands) fn finish(self) -> String {
        self.text + "</html>\n"
    }
}

/// Text in which nothing is markup.
fn escaped(text: &str) -> String {
    escape(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
