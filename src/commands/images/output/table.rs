//! Tables for people: aligned columns without borders, which fit the terminal or become one block for each row.

use std::io::Write;

use unicode_width::UnicodeWidthStr as _;

use super::Listing;
use crate::escape::escape;

/// Between two columns.
const GAP: usize = 2;
/// A column that wraps is not made narrower than this.
const NARROWEST: usize = 10;

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) struct Column {
    /// The head, in capitals.
    pub(in crate::commands) head: &'static str,
    /// Align cells to the right, as for numbers.
    pub(in crate::commands) right: bool,
    /// Wrap cells that do not fit.
    pub(in crate::commands) wraps: bool,
}

impl Column {
    /// Creates a left-aligned column.
    pub(in crate::commands) const fn left(head: &'static str) -> Self {
        Self { head, right: false, wraps: false }
    }

    /// A column of numbers.
    pub(in crate::commands) const fn right(head: &'static str) -> Self {
        Self { head, right: true, wraps: false }
    }

    /// A column whose cells may take several lines.
    pub(in crate::commands) const fn wrapped(head: &'static str) -> Self {
        Self { head, right: false, wraps: true }
    }
}

/// Style of a table.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands) struct Style {
    /// Columns; `None` without limit.
    pub(in crate::commands) width: Option<usize>,
    pub(in crate::commands) color: bool,
}

/// Writes a table, a head and a line for each row.
pub(super) fn write(
    out: &mut (impl Write + ?Sized),
    listing: &Listing<'_>,
    style: Style,
) -> std::io::Result<()> {
    let natural = natural_widths(listing);
    let Some(widths) = fitted(&listing.columns, natural, style.width) else {
        return write_blocks(out, listing, style);
    };
    let heads: Vec<String> = listing.columns.iter().map(|column| column.head.to_owned()).collect();
    write_row(out, &listing.columns, &widths, &heads, style.color)?;
    for row in rows(listing) {
        write_row(out, &listing.columns, &widths, &row, false)?;
    }
    Ok(())
}

fn rows<'a>(listing: &'a Listing<'_>) -> impl Iterator<Item = Vec<String>> + 'a {
    let cells = (0..listing.rows.lines()).map(|row| listing.rows.cells(row));
    let all = cells.chain(listing.total.iter().cloned());
    all.map(|row| row.iter().map(|cell| escape(cell).into_owned()).collect())
}

fn natural_widths(listing: &Listing<'_>) -> Vec<usize> {
    let mut widths: Vec<usize> = listing.columns.iter().map(|column| column.head.width()).collect();
    for row in rows(listing) {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.width());
        }
    }
    widths
}

/// Makes wrapping columns narrower, the widest first, until the table fits; `None` where it cannot.
fn fitted(columns: &[Column], mut widths: Vec<usize>, limit: Option<usize>) -> Option<Vec<usize>> {
    let Some(limit) = limit else { return Some(widths) };
    loop {
        let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let Some(excess) = total.checked_sub(limit).filter(|excess| *excess > 0) else { return Some(widths) };
        let wraps = (0..widths.len()).filter(|at| columns[*at].wraps && widths[*at] > NARROWEST);
        let widest = wraps.max_by_key(|at| widths[*at])?;
        let others = (0..widths.len()).filter(|at| *at != widest && columns[*at].wraps);
        let floor = others.map(|at| widths[at]).max().unwrap_or(0).max(NARROWEST);
        let step = widths[widest] - floor;
        widths[widest] -= step.clamp(1, excess);
    }
}

fn write_row(
    out: &mut (impl Write + ?Sized),
    columns: &[Column],
    widths: &[usize],
    cells: &[String],
    bold: bool,
) -> std::io::Result<()> {
    let wrapped: Vec<Vec<&str>> = cells.iter().zip(widths).map(|(cell, width)| lines(cell, *width)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(1);
    for line in 0..height {
        let mut text = String::new();
        for (at, (column, width)) in columns.iter().zip(widths).enumerate() {
            let cell = wrapped.get(at).and_then(|lines| lines.get(line)).copied().unwrap_or_default();
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            let gap = if at == 0 { "" } else { "  " };
            if column.right {
                text.extend([gap, &padding, cell]);
            } else {
                text.extend([gap, cell, &padding]);
            }
        }
        let text = text.trim_end();
        if bold {
            writeln!(out, "\u{1b}[1m{text}\u{1b}[0m")?;
        } else {
            writeln!(out, "{text}")?;
        }
    }
    Ok(())
}

/// One block for each row, a line for each column: for terminals that are too narrow for the table.
fn write_blocks(out: &mut (impl Write + ?Sized), listing: &Listing<'_>, style: Style) -> std::io::Result<()> {
    let head = listing.columns.iter().map(|column| column.head.width()).max().unwrap_or(0);
    let width = style.width.unwrap_or(usize::MAX).saturating_sub(head + GAP).max(1);
    for (number, row) in rows(listing).enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        for (column, cell) in listing.columns.iter().zip(&row) {
            for (at, line) in lines(cell, width).into_iter().enumerate() {
                let name = if at == 0 { column.head } else { "" };
                let padding = " ".repeat(head.saturating_sub(name.width()));
                let bold = if style.color { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
                let text = format!("{}{name}{}{padding}  {line}", bold.0, bold.1);
                writeln!(out, "{}", text.trim_end())?;
            }
        }
    }
    Ok(())
}

/// A cell in lines of this width: broken behind a blank where there is one, else anywhere.
fn lines(cell: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = cell;
    while rest.width() > width {
        let mut end = rest.len();
        let mut blank = None;
        let mut taken = 0;
        for (at, character) in rest.char_indices() {
            taken += character.encode_utf8(&mut [0; 4]).width();
            if taken > width.max(1) && at > 0 {
                end = at;
                break;
            }
            if character == ' ' && at > 0 {
                blank = Some(at);
            }
        }
        if rest[end..].starts_with(' ') {
            blank = Some(end);
        }
        let end = blank.unwrap_or(end);
        lines.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
    if !rest.is_empty() || lines.is_empty() {
        lines.push(rest);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_broken_at_blanks_or_where_they_end() {
        assert_eq!(lines("1.2.3, 1.2, latest", 10), ["1.2.3,", "1.2,", "latest"]);
        assert_eq!(lines("aaaaabbbbbcc", 5), ["aaaaa", "bbbbb", "cc"]);
        assert_eq!(lines("2023-11-14 22:13", 10), ["2023-11-14", "22:13"]);
        assert_eq!(lines("", 5), [""]);
        assert_eq!(lines("日本語", 4), ["日本", "語"]);
        assert_eq!(lines("日", 1), ["日"]);
    }

    #[test]
    fn the_widest_column_gives_way_first() {
        let columns = [Column::wrapped("A"), Column::right("B"), Column::wrapped("C")];
        assert_eq!(fitted(&columns, vec![50, 8, 20], None), Some(vec![50, 8, 20]));
        assert_eq!(fitted(&columns, vec![50, 8, 20], Some(82)), Some(vec![50, 8, 20]));
        assert_eq!(fitted(&columns, vec![50, 8, 20], Some(60)), Some(vec![28, 8, 20]));
        assert_eq!(fitted(&columns, vec![50, 8, 20], Some(40)), Some(vec![14, 8, 14]));
        assert_eq!(fitted(&columns, vec![50, 8, 20], Some(31)), None);
    }
}
