//! Summary of a transfer: a row for each image, as a table and as JSON.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::transfer::Outcome;
use crate::ui::Ui;
use crate::ui::progress::{count, human};

/// Result of one image's transfer.
pub(super) struct Row {
    /// Its name at the destination.
    pub(super) image: String,
    pub(super) outcome: Outcome,
    /// Duration in seconds; `None` if nothing was done.
    pub(super) seconds: Option<f64>,
}

impl Row {
    /// The image as data.
    pub(super) fn value(&self) -> Value {
        let Outcome { digest, rewritten, blobs, bytes, present, referrers, compressed } = &self.outcome;
        json!({
            "image": self.image, "digest": digest, "rewritten": rewritten, "blobs": blobs, "bytes": bytes,
            "present": present, "referrers": referrers, "compressed": compressed, "seconds": self.seconds
        })
    }

    fn cells(&self, referrers: bool) -> Vec<String> {
        let Outcome { blobs, bytes, present, .. } = &self.outcome;
        let mut cells = vec![self.image.clone(), count(*blobs, "blob"), human(*bytes), present.to_string()];
        if referrers {
            cells.push(self.outcome.referrers.to_string());
        }
        if let Some(seconds) = self.seconds {
            cells.extend([format!("{seconds:.1}"), rate(*bytes, seconds)]);
        }
        cells
    }
}

/// Several images as one. `image` is what the row is called.
pub(super) fn total(rows: &[Row], image: &str, seconds: Option<f64>) -> Option<Row> {
    let mut outcome = rows.first()?.outcome.clone();
    for row in &rows[1..] {
        outcome.blobs += row.outcome.blobs;
        outcome.bytes = outcome.bytes.saturating_add(row.outcome.bytes);
        outcome.present += row.outcome.present;
        outcome.referrers += row.outcome.referrers;
        outcome.compressed += row.outcome.compressed;
    }
    Some(Row { image: image.to_owned(), outcome, seconds })
}

/// The last event for a program.
pub(super) fn event(rows: &[Row], seconds: Option<f64>) -> Value {
    let sum = |of: fn(&Outcome) -> u64| rows.iter().map(|row| of(&row.outcome)).fold(0, u64::saturating_add);
    json!({
        "event": "done",
        "blobs": sum(|outcome| outcome.blobs as u64),
        "bytes": sum(|outcome| outcome.bytes),
        "present": sum(|outcome| outcome.present as u64),
        "seconds": seconds,
        "images": rows.iter().map(Row::value).collect::<Vec<_>>(),
    })
}

/// A row for each image, and one for all where there are several. `done` is the verb's participle.
pub(super) fn table(ui: &Ui, rows: &[Row], seconds: Option<f64>, done: &str) -> String {
    let total = (rows.len() > 1).then(|| total(rows, &format!("{} images", rows.len()), seconds)).flatten();
    let referrers = rows.iter().any(|row| row.outcome.referrers > 0);
    let moved =
        if seconds.is_some() { done.to_uppercase() } else { format!("TO BE {}", done.to_uppercase()) };
    let mut header = vec!["IMAGE", &moved, "SIZE", "THERE"];
    if referrers {
        header.push("REFERRERS");
    }
    if seconds.is_some() {
        header.extend(["SECONDS", "RATE"]);
    }
    drawn(ui, header, rows.iter().chain(&total).map(|row| row.cells(referrers)), 2)
}

/// A table as wide as the terminal, with the columns from `numbers` on to the right.
pub(super) fn drawn(
    ui: &Ui,
    header: Vec<&str>,
    rows: impl IntoIterator<Item = Vec<String>>,
    numbers: usize,
) -> String {
    let columns = header.len();
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    if let Some(width) = ui.err_width() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table.add_rows(rows);
    for column in numbers..columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rate for a person to read"
)]
pub(super) fn rate(bytes: u64, seconds: f64) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!("{}/s", human((bytes as f64 / seconds.max(0.001)) as u64)),
    }
}
