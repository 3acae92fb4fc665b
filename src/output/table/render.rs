//! Sections to lines.

use std::io::{self, Write};

use super::TableStyle;
use super::section::Section;
use crate::output::Error;
use crate::output::width::width;

/// Ends all colours.
pub(super) const RESET: &str = "\u{1b}[0m";
const CELL: &str = "\u{1b}[1m\u{1b}[34m";
const EDGE: &str = "\u{1b}[2m\u{1b}[33m";

/// Draws the sections one below the other, all of the same width.
pub(super) fn write(out: &mut dyn Write, mut sections: Vec<Section>, style: TableStyle) -> Result<(), Error> {
    let widest = |sections: &[Section]| sections.iter().map(Section::total_width).max().unwrap_or(0);
    let mut total = widest(&sections);
    if total > i64::try_from(style.width).unwrap_or(i64::MAX) {
        sections =
            sections.into_iter().map(Section::upright).collect::<Result<_, _>>().map_err(Error::Crash)?;
        total = widest(&sections);
    }
    let mut canvas = Canvas { out, style, indent: 0 };
    canvas.put(&(repeat('-', total) + "\n"))?;
    for section in &sections {
        canvas.indent = section.indent;
        canvas.section(section, total - 2 * section.indentation())?;
    }
    Ok(())
}

struct Canvas<'a> {
    out: &'a mut dyn Write,
    style: TableStyle,
    indent: usize,
}

impl Canvas<'_> {
    /// Writes one piece. Straight to standard output, each is followed by a reset, even when it is empty.
    fn put(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        if self.style.color && self.style.direct { self.out.write_all(RESET.as_bytes()) } else { Ok(()) }
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        let edge = if self.style.color { format!("{EDGE}|{RESET}") } else { "|".into() };
        let edges = edge.repeat(self.indent);
        self.put(&edges)?;
        self.put(text)?;
        self.put(&edges)?;
        self.put("\n")
    }

    fn section(&mut self, section: &Section, total: i64) -> io::Result<()> {
        if let Some(title) = section.title.as_deref().filter(|title| !title.is_empty()) {
            self.line(&centred(title, total, "|"))?;
            if section.header.is_empty() && section.rows.is_empty() {
                self.line(&format!("+{}+", repeat('-', total - 2)))?;
            }
        }
        let widths = section.scaled_widths(total);
        if !section.header.is_empty() {
            self.rule(&widths)?;
            self.cells(&widths, &section.header, centred)?;
        }
        if section.rows.is_empty() || widths.is_empty() {
            return Ok(());
        }
        self.rule(&widths)?;
        let color = self.style.color;
        for row in &section.rows {
            self.cells(&widths, row, |text, length, edge| left_aligned(text, length, edge, color))?;
        }
        self.rule(&widths)
    }

    fn cells(
        &mut self,
        widths: &[i64],
        cells: &[String],
        draw: impl Fn(&str, i64, &str) -> String,
    ) -> io::Result<()> {
        let drawn = widths.iter().zip(cells).enumerate();
        let line: String = drawn
            .map(|(index, (length, cell))| draw(cell, *length, if index == 0 { "|" } else { "" }))
            .collect();
        self.line(&line)
    }

    fn rule(&mut self, widths: &[i64]) -> io::Result<()> {
        let parts = widths.iter().enumerate().map(|(index, length)| match index {
            0 => format!("+{}+", repeat('-', length - 2)),
            _ => format!("{}+", repeat('-', length - 1)),
        });
        self.line(&parts.collect::<String>())
    }
}

fn centred(text: &str, length: i64, left_edge: &str) -> String {
    let taken = width(text);
    let before = length.div_euclid(2) - taken.div_euclid(2) - 1;
    let after = length - 1 - (width(left_edge) + before + taken);
    format!("{left_edge}{}{text}{}|", repeat(' ', before), repeat(' ', after))
}

fn left_aligned(text: &str, length: i64, left_edge: &str, color: bool) -> String {
    let (taken, edge) = (width(text), width(left_edge));
    let before = if length > taken + 2 + edge { 2 } else { 0 };
    let after = length - edge - before - taken - 1;
    let text = if color { format!("{CELL}{text}{RESET}") } else { text.to_owned() };
    format!("{left_edge}{}{text}{}|", repeat(' ', before), repeat(' ', after))
}

/// Repeats a character; a negative count gives none.
fn repeat(character: char, count: i64) -> String {
    std::iter::repeat_n(character, usize::try_from(count).unwrap_or(0)).collect()
}
