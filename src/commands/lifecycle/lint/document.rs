//! Output of `ecr lifecycle lint`, in each format.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::super::super::images::output::{Column, Document, Grid, Style};
use super::super::super::report::html::{Cell, Page};
use super::super::super::report::junit::{self, Case, Outcome, Suite};
use super::super::super::report::sarif::{self, Level, Rule};
use super::{Linted, LintedFile, STDIN};
use crate::escape::escape;
use crate::lifecycle::{Finding, Severity};
use crate::ui::progress::count;

/// The most characters that are shown of a line.
const EXCERPT: usize = 100;
/// Number of characters shown before the position in a longer line.
const BEFORE: usize = 40;

/// The most characters of a message.
const MAX_LENGTH: usize = 500;

/// The columns of tables of findings.
const COLUMNS: [Column; 6] = [
    Column::left("FILE"),
    Column::right("LINE"),
    Column::left("SEVERITY"),
    Column::left("CODE"),
    Column::right("RULE"),
    Column::wrapped("MESSAGE"),
];

/// The result of a run.
pub(super) struct LintDocument<'a> {
    pub(super) linted: &'a Linted,
}

impl LintDocument<'_> {
    fn findings(&self) -> impl Iterator<Item = (&LintedFile, &Finding)> {
        self.linted.files.iter().flat_map(|file| file.findings.iter().map(move |finding| (file, finding)))
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn cells(file: &LintedFile, finding: &Finding) -> [String; 6] {
    [
        file.name.clone(),
        finding.position.line.to_string(),
        word(finding.severity).to_owned(),
        finding.code.to_owned(),
        finding.rule.map(|rule| rule.to_string()).unwrap_or_default(),
        message(finding),
    ]
}

/// A message on one line, cut where it lists all that a file has.
fn message(finding: &Finding) -> String {
    let lines: Vec<&str> = finding.message.lines().map(str::trim).collect();
    let line = lines.join("; ");
    match line.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl Document for LintDocument<'_> {
    fn json(&self) -> Value {
        let files = self.linted.files.iter().map(|file| {
            let findings = file.findings.iter().map(|finding| {
                json!({
                    "severity": word(finding.severity),
                    "code": finding.code,
                    "rule": finding.rule,
                    "line": finding.position.line,
                    "column": finding.position.column,
                    "message": message(finding),
                })
            });
            json!({"file": file.name, "findings": findings.collect::<Vec<_>>()})
        });
        let failures = self.linted.unreadable.iter();
        let failures = failures.map(|(name, reason)| json!({"file": name, "failureReason": reason}));
        json!({
            "files": files.collect::<Vec<_>>(),
            "summary": {
                "files": self.linted.files.len(),
                "errors": self.linted.count(Severity::Error),
                "warnings": self.linted.count(Severity::Warning),
            },
            "failures": failures.collect::<Vec<_>>(),
        })
    }

    /// `FILE:LINE:COLUMN: error: MESSAGE [CODE, rule N]` and the line below it, as compilers do.
    fn table(&self, out: &mut dyn Write, style: Style) -> std::io::Result<()> {
        let (bold, plain) = if style.color { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        for file in &self.linted.files {
            let lines: Vec<&str> = file.text.split('\n').collect();
            for finding in &file.findings {
                let (line, column) = (finding.position.line, finding.position.column);
                let rule = finding.rule.map(|rule| format!(", rule {rule}")).unwrap_or_default();
                let (file, severity, code) = (escape(&file.name), word(finding.severity), finding.code);
                let message = escape(&message(finding)).into_owned();
                writeln!(out, "{bold}{file}:{line}:{column}: {severity}:{plain} {message} [{code}{rule}]")?;
                let text = lines.get(line - 1).copied().unwrap_or_default();
                write_excerpt(out, text, (line, column))?;
            }
        }
        Ok(())
    }

    fn records(&self) -> Vec<Vec<String>> {
        let record = |(file, finding): (&LintedFile, &Finding)| {
            vec![
                file.name.clone(),
                finding.position.line.to_string(),
                finding.position.column.to_string(),
                word(finding.severity).to_owned(),
                finding.code.to_owned(),
                finding.rule.map(|rule| rule.to_string()).unwrap_or_default(),
                message(finding),
            ]
        };
        self.findings().map(record).collect()
    }

    fn markdown(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let (errors, warnings) = (self.linted.count(Severity::Error), self.linted.count(Severity::Warning));
        let files = count(self.linted.files.len(), "file");
        writeln!(out, "**{}**, {} in {files}\n", count(errors, "error"), count(warnings, "warning"))?;
        if errors + warnings == 0 {
            return Ok(());
        }
        let rows = self.findings().map(|(file, finding)| cells(file, finding).to_vec()).collect();
        Grid { columns: COLUMNS.to_vec(), rows, total: None }.markdown(out)
    }

    fn html(&self) -> String {
        let mut page = Page::new("ecr lifecycle lint");
        let (errors, warnings) = (self.linted.count(Severity::Error), self.linted.count(Severity::Warning));
        page.paragraph(&format!("{}, {}", count(errors, "error"), count(warnings, "warning")));
        for file in &self.linted.files {
            page.heading(&file.name);
            let rows = file.findings.iter().map(|finding| cells(file, finding).map(Cell::Text).to_vec());
            page.table(&COLUMNS, rows);
        }
        page.finish()
    }

    fn sarif(&self) -> Value {
        let mut rules: Vec<Rule> = Vec::new();
        let mut results = Vec::new();
        for (file, finding) in self.findings() {
            let known = rules.iter().position(|rule| rule.id == finding.code);
            let rule = known.unwrap_or_else(|| {
                rules.push(Rule {
                    id: finding.code.to_owned(),
                    description: finding.code.replace('-', " "),
                    help_uri: None,
                    security_severity: None,
                });
                rules.len() - 1
            });
            let level = if finding.severity == Severity::Error { Level::Error } else { Level::Warning };
            let path = if file.name == STDIN { "stdin" } else { file.name.as_str() };
            let text = message(finding);
            results.push(sarif::Finding {
                rule,
                level,
                path: path.to_owned(),
                position: (finding.position.line, finding.position.column),
                identity: format!("{}\n{path}\n{:?}\n{text}", finding.code, finding.rule),
                message: text,
                suppressed: None,
            });
        }
        sarif::log(&rules, &results, Map::new())
    }

    fn junit(&self) -> String {
        let suite = |file: &LintedFile| {
            let case = |finding: &Finding| {
                let place = format!("{}:{}", finding.position.line, finding.position.column);
                let outcome = match finding.severity {
                    Severity::Error => Outcome::Failed(message(finding), format!("{}:{place}", file.name)),
                    // Test reports have no warnings.
                    Severity::Warning => Outcome::Skipped(format!("warning: {}", message(finding))),
                };
                Case { name: format!("{} at {place}", finding.code), outcome }
            };
            let mut cases: Vec<Case> = file.findings.iter().map(case).collect();
            if cases.is_empty() {
                cases.push(Case { name: "lint".to_owned(), outcome: Outcome::Passed });
            }
            Suite { name: file.name.clone(), cases }
        };
        let mut suites: Vec<Suite> = self.linted.files.iter().map(suite).collect();
        for (name, reason) in &self.linted.unreadable {
            let case = Case { name: "read".to_owned(), outcome: Outcome::Errored(reason.clone()) };
            suites.push(Suite { name: name.clone(), cases: vec![case] });
        }
        junit::document("ecr lifecycle lint", &suites)
    }
}

/// A line of a file with a mark below the column; of a long line the part around it.
fn write_excerpt(out: &mut dyn Write, text: &str, (line, column): (usize, usize)) -> std::io::Result<()> {
    let is_long = text.chars().nth(EXCERPT).is_some();
    let from = if is_long { (column - 1).saturating_sub(BEFORE) } else { 0 };
    let shown: String = text.trim_end().chars().skip(from).take(EXCERPT).collect();
    // A tab is as wide as a blank here, so that the mark stands below its column.
    let shown = escape(&shown.replace('\t', " ")).into_owned();
    let gutter = line.to_string();
    let margin = " ".repeat(gutter.len());
    writeln!(out, "{gutter} | {shown}")?;
    writeln!(out, "{margin} | {}^", " ".repeat((column - 1).saturating_sub(from).min(EXCERPT)))
}
