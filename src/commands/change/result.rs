//! Outcomes for tags and images, as data, rows and exit code.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::super::Context;
use super::super::images::failures::{NO, PARTLY_FAILED};
use super::super::images::output::{Column, Listing, Output, Record};
use super::CONFLICT;
use crate::error::Signal;

/// Exit code if the service refused everything.
const REFUSED: u8 = 254;
/// Exit code if the service could not be asked, or another error occurred.
const OTHER: u8 = 255;
/// Code of a failure without an answer of the service.
const UNREACHABLE: &str = "unreachable";
/// Code of a failure on this side: neither the service nor the network.
const CLIENT_FAILURE: &str = "Failed";

/// Outcome for one tag or image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ItemResult {
    /// The change was made: `removed`, `created`, `archived` and so on.
    Changed(&'static str),
    /// The change would be made.
    DryRun(&'static str),
    /// The tag or image does not exist.
    Absent,
    /// The image was left, since it changed after the plan was made.
    Spared(String),
    /// The service refused.
    Failed {
        /// The service's code.
        code: String,
        /// Message of the service.
        reason: String,
    },
    /// A signal or an error came before its turn.
    NotReached,
}

impl ItemResult {
    /// Returns the word in tables, text and JSON.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Changed(word) | Self::DryRun(word) => word,
            Self::Absent => "absent",
            Self::Spared(_) => "spared",
            Self::Failed { .. } => "failed",
            Self::NotReached => "not reached",
        }
    }

    /// Returns why nothing was changed; empty if something was.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Spared(reason) => reason.clone(),
            Self::Failed { code, reason } => format!("{code}: {reason}"),
            _ => String::new(),
        }
    }

    /// A failure as the service answers it in `failures`.
    pub(super) fn failed(failure: &Value) -> Self {
        let text = |name: &str| failure[name].as_str().unwrap_or("no reason").to_owned();
        Self::Failed { code: text("failureCode"), reason: text("failureReason") }
    }

    /// The failure of a step that may be one of the service.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        let service = error.chain().find_map(|cause| cause.downcast_ref::<crate::service::Error>());
        let other = || Self::Failed { code: CLIENT_FAILURE.to_owned(), reason: format!("{error:#}") };
        service.map_or_else(other, Self::of_error)
    }

    /// The failure of a whole call.
    pub(super) fn of_error(error: &crate::service::Error) -> Self {
        let code = error.code().unwrap_or(UNREACHABLE).to_owned();
        Self::Failed {
            code,
            reason: error.refusal().map_or_else(|| error.to_string(), |refusal| refusal.message.clone()),
        }
    }
}

/// One row of the result.
pub(super) struct Row {
    /// Members that identify the subject.
    pub(super) members: Map<String, Value>,
    /// Cells and text fields that identify the subject.
    pub(super) cells: Vec<String>,
    pub(super) text: Vec<String>,
    pub(super) done: ItemResult,
}

/// The result of a command.
pub(super) struct ChangeReport {
    /// The name of the list in JSON.
    pub(super) member: &'static str,
    /// The columns before RESULT.
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    pub(super) dry_run: bool,
    /// Further members.
    pub(super) more: Map<String, Value>,
    /// The signal that ended the work.
    pub(super) signal: Option<Signal>,
}

impl ChangeReport {
    /// Prints the result and answers the exit code: 4 where something failed, 1 where something is absent.
    pub(super) fn print(self, context: &Context, output: &Output<'_>) -> anyhow::Result<ExitCode> {
        let with_reason = self.rows.iter().any(|row| !row.done.reason().is_empty());
        let mut columns = self.columns;
        columns.push(Column::left("RESULT"));
        if with_reason {
            columns.push(Column::wrapped("REASON"));
        }
        let records: Vec<Record> = self.rows.iter().map(|row| row.record(with_reason)).collect();
        let mut more = self.more;
        more.insert("dryRun".to_owned(), json!(self.dry_run));
        let rows = &records.as_slice();
        output.document(&Listing { member: self.member, columns, rows, total: None, more })?;
        for row in &self.rows {
            if let ItemResult::Failed { .. } = row.done {
                context.ui.note(&format!("error: {}: {}", row.text.join(" "), row.done.reason()));
            }
        }
        if let Some(signal) = self.signal {
            return Ok(ExitCode::from(signal.exit_code()));
        }
        if let Some(code) = failed_exit_code(self.rows.iter().map(|row| &row.done), false) {
            return Ok(code);
        }
        let any = |test: fn(&ItemResult) -> bool| self.rows.iter().any(|row| test(&row.done));
        Ok(if any(|done| *done == ItemResult::NotReached) {
            ExitCode::from(PARTLY_FAILED)
        } else if any(|done| *done == ItemResult::Absent) {
            ExitCode::from(NO)
        } else {
            ExitCode::SUCCESS
        })
    }
}

impl Row {
    fn record(&self, with_reason: bool) -> Record {
        let mut members = self.members.clone();
        members.insert("result".to_owned(), json!(self.done.word()));
        let reason = self.done.reason();
        if !reason.is_empty() {
            members.insert("reason".to_owned(), json!(reason));
        }
        let (mut cells, mut text) = (self.cells.clone(), self.text.clone());
        cells.push(self.done.word().to_owned());
        text.push(self.done.word().to_owned());
        if with_reason {
            cells.push(reason.clone());
        }
        text.push(reason);
        Record { json: Value::Object(members), cells, text }
    }
}

/// The exit code of a command of which something failed: 4 where something was done; where nothing was, the first failure
/// is the command's own. `None` where nothing failed. `absent_is_done` says that what is gone already counts as done.
pub(super) fn failed_exit_code<'a>(
    all: impl Iterator<Item = &'a ItemResult>,
    absent_is_done: bool,
) -> Option<ExitCode> {
    let (mut first, mut something_done) = (None, false);
    for done in all {
        match done {
            ItemResult::Failed { code, .. } => drop(first.get_or_insert(code.as_str())),
            ItemResult::Changed(_) => something_done = true,
            ItemResult::Absent if absent_is_done => something_done = true,
            _ => {}
        }
    }
    Some(ExitCode::from(match first? {
        _ if something_done => PARTLY_FAILED,
        "ImageTagAlreadyExistsException" => CONFLICT,
        UNREACHABLE | CLIENT_FAILURE => OTHER,
        _ => REFUSED,
    }))
}

/// Ends a command before any change: reports each conflict, with exit code 5.
pub(super) fn conflict(context: &Context, conflicts: &[String]) -> ExitCode {
    for conflict in conflicts {
        context.ui.note(&format!("error: {conflict}; nothing was changed"));
    }
    ExitCode::from(CONFLICT)
}
