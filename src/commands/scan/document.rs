//! Output of `ecr scan` for people and as data. The formats of other programs are in [`super::formats`].

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use super::super::images::failures::Failures;
use super::super::images::output::{Column, Document, Grid, Style};
use super::Verdict;
use super::finding::Finding;
use super::read::Scan;
use super::severity::{FailOn, Severity};
use crate::ui::progress::count;

/// Limit of the rows of a Markdown table: comments have a limit, and nobody reads more.
const MARKDOWN_ROWS: usize = 50;
/// The most characters of a title in a table.
const TITLE: usize = 80;

/// The result of a run.
pub(super) struct ScanDocument<'a> {
    pub(super) scans: &'a [Scan],
    pub(super) verdict: Verdict,
    pub(super) fail_on: Option<FailOn>,
    /// Show ignored findings.
    pub(super) show_ignored: bool,
    /// The severities that are shown; all where there is none.
    pub(super) severities: &'a [Severity],
    pub(super) failures: &'a Failures,
}

impl Scan {
    /// Display name for messages: the reference, and the platform of an index.
    pub(super) fn name(&self) -> String {
        self.target.name()
    }

    /// Counts the findings that are not ignored, by severity.
    pub(super) fn counts(&self) -> BTreeMap<&Severity, usize> {
        let mut counts = BTreeMap::new();
        for finding in self.findings.iter().filter(|finding| finding.ignored.is_none()) {
            *counts.entry(&finding.severity).or_default() += 1;
        }
        counts
    }

    /// Counts the ignored findings.
    pub(super) fn ignored(&self) -> usize {
        self.findings.iter().filter(|finding| finding.ignored.is_some()).count()
    }

    /// Returns one line about the scan: counts, ignored findings, status and time.
    pub(super) fn summary(&self) -> String {
        if let Some(reason) = &self.unknown {
            return format!("{}: unknown: {reason}", self.name());
        }
        let counts = self.counts();
        let counts =
            counts.iter().map(|(severity, number)| format!("{number} {}", severity.name().to_lowercase()));
        let mut counts = counts.collect::<Vec<_>>().join(", ");
        if counts.is_empty() {
            "no findings".clone_into(&mut counts);
        }
        let ignored = match self.ignored() {
            0 => String::new(),
            number => format!("; {number} ignored"),
        };
        let at =
            self.completed.map(|at| at.timestamp().strftime(", scanned at %Y-%m-%d %H:%M UTC").to_string());
        format!("{}: {counts}{ignored}; {}{}", self.name(), self.status, at.unwrap_or_default())
    }
}

impl Finding {
    /// Severity, identifier, package, its versions and the title, as a table has them.
    fn cells(&self) -> Vec<String> {
        vec![
            self.severity.name().to_owned(),
            self.id.clone(),
            cell(self.package.as_deref()),
            cell(self.version.as_deref()),
            cell(self.fixed_in.as_deref()),
            shortened(&self.title),
        ]
    }
}

/// A cell of a table, with a dash where there is nothing.
fn cell(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// A finding with the images that have it.
pub(super) struct Merged<'a> {
    pub(super) finding: &'a Finding,
    pub(super) scans: Vec<usize>,
}

impl ScanDocument<'_> {
    /// Returns whether a finding is shown in tables and text.
    pub(super) fn shows(&self, finding: &Finding) -> bool {
        (self.show_ignored || finding.ignored.is_none())
            && (self.severities.is_empty() || self.severities.contains(&finding.severity))
    }

    /// The findings that are shown, each once however many images have it; the worst first.
    pub(super) fn merged(&self) -> Vec<Merged<'_>> {
        let mut found: BTreeMap<(&Severity, &str, String, bool), Merged<'_>> = BTreeMap::new();
        for (number, scan) in self.scans.iter().enumerate() {
            for finding in scan.findings.iter().filter(|finding| self.shows(finding)) {
                let fixed = finding.fixed_in.clone().unwrap_or_default();
                let rest = format!("{}\n{fixed}", finding.identity());
                let key = (&finding.severity, finding.id.as_str(), rest, finding.ignored.is_some());
                let merged = found.entry(key).or_insert_with(|| Merged { finding, scans: Vec::new() });
                if !merged.scans.contains(&number) {
                    merged.scans.push(number);
                }
            }
        }
        found.into_values().collect()
    }

    /// A line for each finding, with the images that have it where not all have.
    fn grid(&self, most: usize) -> Grid {
        let merged = self.merged();
        let differ = merged.iter().any(|merged| merged.scans.len() < self.scans.len());
        let references: std::collections::BTreeSet<&str> =
            self.scans.iter().map(|scan| scan.target.reference.as_str()).collect();
        let several = references.len() > 1;
        let mut columns = vec![
            Column::left("SEVERITY"),
            Column::left("ID"),
            Column::wrapped("PACKAGE"),
            Column::wrapped("INSTALLED"),
            Column::wrapped("FIXED"),
            Column::wrapped("TITLE"),
        ];
        if differ {
            columns.push(Column::wrapped(if several { "IMAGE" } else { "PLATFORM" }));
        }
        if self.show_ignored {
            columns.push(Column::wrapped("IGNORED"));
        }
        let rows = merged.iter().take(most).map(|merged| {
            let mut cells = merged.finding.cells();
            if differ {
                cells.push(self.images_of(merged, several));
            }
            if self.show_ignored {
                cells.push(cell(merged.finding.ignored.as_deref()));
            }
            cells
        });
        Grid { columns, rows: rows.collect(), total: None }
    }

    /// The images that have a finding: their names where there are several references, and else their platforms.
    fn images_of(&self, merged: &Merged<'_>, several: bool) -> String {
        let names = merged
            .scans
            .iter()
            .map(|scan| &self.scans[*scan])
            .map(|scan| if several { scan.name() } else { cell(scan.target.platform.as_deref()) });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// A title on one line, of at most [`TITLE`] characters.
fn shortened(title: &str) -> String {
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl Document for ScanDocument<'_> {
    fn json(&self) -> Value {
        let images: Vec<Value> = self.scans.iter().map(|scan| self.image(scan)).collect();
        json!({"images": images, "verdict": self.verdict.name(), "failures": self.failures.json()})
    }

    fn table(&self, out: &mut dyn Write, style: Style) -> std::io::Result<()> {
        let grid = self.grid(usize::MAX);
        if !grid.rows.is_empty() {
            grid.table(out, style)?;
            writeln!(out)?;
        }
        for scan in self.scans {
            writeln!(out, "{}", crate::escape::escape(&scan.summary()))?;
        }
        Ok(())
    }

    fn records(&self) -> Vec<Vec<String>> {
        let mut records = Vec::new();
        for scan in self.scans {
            for finding in scan.findings.iter().filter(|finding| self.shows(finding)) {
                let field = |text: &Option<String>| text.clone().unwrap_or_default();
                records.push(vec![
                    scan.target.repository.name.clone(),
                    scan.target.digest.as_ref().map(ToString::to_string).unwrap_or_default(),
                    field(&scan.target.platform),
                    finding.severity.name().to_owned(),
                    finding.id.clone(),
                    field(&finding.package),
                    field(&finding.version),
                    field(&finding.fixed_in),
                    finding.title.clone(),
                ]);
            }
        }
        records
    }

    fn markdown(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let verdict = match self.verdict {
            Verdict::Pass => "✅ pass",
            Verdict::Fail => "❌ fail",
            Verdict::Unknown => "❓ cannot be told",
        };
        writeln!(out, "**{verdict}**\n")?;
        let columns = vec![Column::wrapped("IMAGE"), Column::wrapped("FINDINGS")];
        let rows = self.scans.iter().map(|scan| {
            let name = scan.name();
            let summary = scan.summary();
            vec![name.clone(), summary[name.len() + 2..].to_owned()]
        });
        Grid { columns, rows: rows.collect(), total: None }.markdown(out)?;
        let (grid, all) = (self.grid(MARKDOWN_ROWS), self.merged().len());
        if !grid.rows.is_empty() {
            writeln!(out)?;
            grid.markdown(out)?;
        }
        if all > MARKDOWN_ROWS {
            writeln!(out, "\nand {} more", count(all - MARKDOWN_ROWS, "finding"))?;
        }
        Ok(())
    }

    fn sarif(&self) -> Value {
        self.sarif_log()
    }

    fn junit(&self) -> String {
        self.junit_document()
    }

    fn html(&self) -> String {
        self.page(&self.grid(usize::MAX))
    }
}

impl ScanDocument<'_> {
    fn image(&self, scan: &Scan) -> Value {
        let counts: serde_json::Map<String, Value> = scan
            .counts()
            .into_iter()
            .map(|(severity, number)| (severity.name().to_owned(), json!(number)))
            .collect();
        let shown = scan.findings.iter().filter(|finding| self.show_ignored || finding.ignored.is_none());
        json!({
            "reference": scan.target.reference,
            "region": scan.target.repository.connection.region(),
            "repositoryName": scan.target.repository.name,
            "imageDigest": scan.target.digest,
            "platform": scan.target.platform,
            "scanType": scan.registry_type,
            "status": scan.status,
            "statusDescription": scan.description,
            "imageScanCompletedAt": scan.completed.map(|at| at.timestamp().to_string()),
            "unknown": scan.unknown,
            "counts": counts,
            "ignored": scan.ignored(),
            "findings": shown.map(Finding::json).collect::<Vec<_>>(),
        })
    }
}
