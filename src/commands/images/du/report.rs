//! `--report html=FILE`: the table as one page that needs nothing else.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::super::output::{Rows as _, printable};
use super::rows::GroupRows;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>ecr du</title>\n<style>\n\
body { font: 15px system-ui, sans-serif; margin: 2rem; color: #222; }\n\
table { border-collapse: collapse; }\nth, td { padding: .3rem .8rem; text-align: left; border-bottom: 1px solid #ddd; }\n\
.number { text-align: right; font-variant-numeric: tabular-nums; }\n\
.bar { width: 20rem; }\n.bar div { background: #4878b0; height: 1rem; }\n\
tr:last-child { font-weight: bold; }\n</style>\n";

/// Writes the page.
pub(super) fn write(file: &str, rows: &GroupRows<'_>) -> anyhow::Result<()> {
    std::fs::write(file, page(rows)).with_context(|| format!("the report {file} cannot be written"))
}

fn page(rows: &GroupRows<'_>) -> String {
    let columns = rows.columns();
    let class = |right: bool| if right { " class=\"number\"" } else { "" };
    let mut page = format!("{HEAD}<table>\n<tr>");
    for column in &columns {
        let _ = write!(page, "<th{}>{}</th>", class(column.right), column.head);
    }
    page.push_str("</tr>\n");
    let largest = rows.groups.iter().map(super::Group::shown).max().unwrap_or_default().max(1);
    let bars = rows.groups.iter().map(|group| Some(u128::from(group.shown()) * 100 / u128::from(largest)));
    let cells = (0..rows.len()).map(|row| rows.cells(row));
    for (cells, share) in cells.chain([rows.total()]).zip(bars.chain([None])) {
        page.push_str("<tr>");
        for (cell, column) in cells.iter().zip(&columns) {
            if column.head == "SHARE" {
                let bar = share.map(|share| format!("<div style=\"width: {share}%\"></div>"));
                let _ = write!(page, "<td class=\"bar\">{}</td>", bar.unwrap_or_default());
            } else {
                let _ = write!(page, "<td{}>{}</td>", class(column.right), escaped(cell));
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n</html>\n");
    page
}

fn escaped(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
