//! Report of `sync`: a row for each repository, as a table and as JSON, and the final message.

use serde_json::{Value, json};

use super::super::summary::{Row, drawn, rate};
use crate::escape::escape;
use crate::ui::Ui;
use crate::ui::progress::human;

/// Result of one repository.
pub(super) struct Mirrored {
    source: String,
    destination: String,
    pub(super) rows: Vec<Row>,
    pub(super) tags: Vec<String>,
    pub(super) references: Vec<String>,
    pub(super) deleted: Vec<String>,
    pub(super) same: usize,
    pub(super) seconds: f64,
    pub(super) error: Option<String>,
    /// Errors that did not end the run.
    pub(super) failures: Vec<anyhow::Error>,
}

impl Mirrored {
    pub(super) fn new(source: &str, destination: &str) -> Self {
        Self {
            source: source.to_owned(),
            destination: destination.to_owned(),
            rows: Vec::new(),
            tags: Vec::new(),
            references: Vec::new(),
            deleted: Vec::new(),
            same: 0,
            seconds: 0.0,
            error: None,
            failures: Vec::new(),
        }
    }

    fn bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.outcome.bytes).fold(0, u64::saturating_add)
    }

    fn value(&self) -> Value {
        json!({
            "source": self.source,
            "destination": self.destination,
            "copied": self.tags,
            "deleted": self.deleted,
            "same": self.same,
            "bytes": self.bytes(),
            "images": self.rows.iter().map(Row::value).collect::<Vec<_>>(),
            "error": self.error,
        })
    }
}

/// Results of all repositories.
#[derive(Default)]
pub(super) struct SyncReport {
    mirrored: Vec<Mirrored>,
    failures: Vec<(String, anyhow::Error)>,
}

impl SyncReport {
    /// Records the result of a repository.
    pub(super) fn add(&mut self, mut done: Mirrored) {
        if !done.failures.is_empty() {
            let words: Vec<String> = done.failures.iter().map(|error| format!("{error:#}")).collect();
            done.error = Some(words.join("; "));
            self.failures.push((done.source.clone(), done.failures.swap_remove(0)));
        }
        self.mirrored.push(done);
    }

    /// Notes a listed name that is no repository's.
    pub(super) fn no_repository(&mut self, name: &str, place: &str) {
        let mut done = Mirrored::new(&escape(name), &escape(name));
        let reason = format!("{place} lists {}, which is not a repository name", escape(name));
        done.failures.push(anyhow::anyhow!(reason));
        self.add(done);
    }

    /// An error where a repository failed: its exit code is that of the first.
    pub(super) fn verdict(&mut self) -> anyhow::Result<()> {
        if self.failures.is_empty() {
            return Ok(());
        }
        let (failed, all) = (self.failures.len(), self.mirrored.len());
        let (name, error) = self.failures.swap_remove(0);
        Err(error.context(format!("{failed} of {all} repositories failed; the first of them is {name}")))
    }

    /// Lists the copied images, one per line.
    pub(super) fn references(&self) -> String {
        let references = self.mirrored.iter().flat_map(|each| &each.references).map(String::as_str);
        references.flat_map(|reference| [reference, "\n"]).collect()
    }

    /// Everything as data.
    pub(super) fn value(&self) -> Value {
        Value::Array(self.mirrored.iter().map(Mirrored::value).collect())
    }

    /// The last event for a program.
    pub(super) fn event(&self, dry_run: bool) -> Value {
        json!({"event": "done", "dryRun": dry_run, "repositories": self.value()})
    }

    /// A row for each repository that was not the same already, and one for all of them.
    pub(super) fn table(&self, ui: &Ui, dry_run: bool) -> String {
        let mut header = vec!["REPOSITORY", "COPIED", "SIZE", "DELETED", "SAME"];
        if dry_run {
            (header[1], header[3]) = ("TO BE COPIED", "TO BE DELETED");
        } else {
            header.extend(["SECONDS", "RATE"]);
        }
        let mut rows = Vec::new();
        let mut total = Mirrored::new("", "");
        for each in &self.mirrored {
            let changed = !each.tags.is_empty() || !each.deleted.is_empty() || each.bytes() > 0;
            if changed || each.error.is_some() {
                let failed = if each.error.is_some() { " (failed)" } else { "" };
                rows.push(cells(&format!("{}{failed}", each.destination), each, each.bytes(), dry_run));
            }
            total.tags.extend_from_slice(&each.tags);
            total.deleted.extend_from_slice(&each.deleted);
            total.same += each.same;
            total.seconds += each.seconds;
        }
        let bytes = self.mirrored.iter().map(Mirrored::bytes).fold(0, u64::saturating_add);
        let all = match self.mirrored.len() {
            1 => "1 repository".to_owned(),
            number => format!("{number} repositories"),
        };
        rows.push(cells(&all, &total, bytes, dry_run));
        drawn(ui, header, rows, 1)
    }
}

fn cells(name: &str, each: &Mirrored, bytes: u64, dry_run: bool) -> Vec<String> {
    let mut cells = vec![
        name.to_owned(),
        each.tags.len().to_string(),
        human(bytes),
        each.deleted.len().to_string(),
        each.same.to_string(),
    ];
    if !dry_run {
        cells.extend([format!("{:.1}", each.seconds), rate(bytes, each.seconds)]);
    }
    cells
}
