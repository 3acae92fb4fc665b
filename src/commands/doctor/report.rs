//! Findings of one run, and how they are printed.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::super::Context;
use super::super::images::output::{Column, Listing, Output, Rows};
use super::finding::{Finding, Status};
use crate::auth::redact::Secrets;

/// Finding with its details.
#[derive(Debug)]
struct Check {
    finding: Finding,
    detail: String,
    /// Advice; empty where nothing is to be done.
    hint: String,
}

/// All findings, and the secrets seen on the way, which are never printed.
#[derive(Default)]
pub(super) struct DoctorReport {
    checks: Vec<Check>,
    secrets: Secrets,
}

impl DoctorReport {
    /// Adds something that is as it should be.
    pub(super) fn ok(&mut self, finding: Finding, detail: impl Into<String>) {
        self.add(finding, detail, "");
    }

    /// Adds a finding with its remedy.
    pub(super) fn add(&mut self, finding: Finding, detail: impl Into<String>, hint: impl Into<String>) {
        let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (detail, hint) = (one_line(detail.into()), one_line(hint.into()));
        self.checks.push(Check { finding, detail, hint });
    }

    /// Remembers a secret, so that it is in nothing that is printed.
    pub(super) fn hide(&mut self, secret: &str) {
        self.secrets.add(secret);
    }

    /// Returns the exit code: 1 if something failed, 3 if something is unknown, else 0.
    pub(super) fn exit_code(&self) -> u8 {
        let has = |status: Status| self.checks.iter().any(|check| check.finding.status() == status);
        match (has(Status::Fail), has(Status::Unknown)) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 0,
        }
    }

    /// Prints everything.
    pub(super) fn print(&self, context: &Context) -> anyhow::Result<()> {
        let listing = Listing {
            member: "checks",
            columns: vec![
                Column::left("STATUS"),
                Column::left("CHECK"),
                Column::wrapped("DETAIL"),
                Column::wrapped("HINT"),
            ],
            rows: self,
            total: None,
            more: Map::new(),
        };
        Output::of(context)?.listing_shown_as(&listing, &self.lines())
    }

    /// The lines for people: status, identifier and detail, and the hint below.
    fn lines(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let status = match check.finding.status() {
                Status::Ok => "ok  ",
                Status::Warn => "warn",
                Status::Fail => "FAIL",
                Status::Unknown => "?   ",
            };
            let detail = self.secrets.redact(&check.detail);
            let _ = writeln!(text, "{status}  {} — {detail}", check.finding.id());
            if !check.hint.is_empty() {
                let _ = writeln!(text, "      {}", self.secrets.redact(&check.hint));
            }
        }
        text
    }

    fn fields(&self, row: usize) -> [String; 4] {
        let check = &self.checks[row];
        let shown = |text: &str| self.secrets.redact(text);
        let (status, id) = (check.finding.status().name(), check.finding.id());
        [status.to_owned(), id.to_owned(), shown(&check.detail), shown(&check.hint)]
    }
}

impl Rows for DoctorReport {
    fn len(&self) -> usize {
        self.checks.len()
    }

    fn json(&self, row: usize) -> Value {
        let [status, id, detail, hint] = self.fields(row);
        let mut value = json!({"id": id, "status": status, "detail": detail});
        if !hint.is_empty() {
            value["hint"] = json!(hint);
        }
        value
    }

    fn cells(&self, row: usize) -> Vec<String> {
        self.fields(row).to_vec()
    }

    fn text(&self, row: usize) -> Vec<String> {
        self.fields(row).to_vec()
    }
}
