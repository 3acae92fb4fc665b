//! Lint of a policy document: errors that the service would report, and likely mistakes that it accepts. The errors are
//! those of [`Policy::parse`], which the embedded ECR's PutLifecyclePolicy uses.

use super::policy::Policy;
use super::position::{Places, Position};
use super::problem::{PolicyError, Problem};
use super::warnings;

/// The bounds of `lifecyclePolicyText`, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 100..=30_720;

/// Limit of the findings in one document: a file of another kind is not reported member by member.
const MAX_FINDINGS: usize = 1000;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The service refuses the document.
    Error,
    /// The service takes the document.
    Warning,
}

/// Something that a document has wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Error or warning.
    pub severity: Severity,
    /// A stable identifier, such as `wrong-type`.
    pub code: &'static str,
    /// The number of the rule in the document, from 1, where it is about one.
    pub rule: Option<usize>,
    /// Position in the document.
    pub position: Position,
    /// Description of the problem; the service's message, if the service refuses it and the message is known.
    pub message: String,
}

/// Checks a document. The findings are sorted by their position.
pub fn lint(document: &[u8]) -> Vec<Finding> {
    let text = match std::str::from_utf8(document) {
        Ok(text) => text,
        Err(error) => {
            let good = String::from_utf8_lossy(&document[..error.valid_up_to()]);
            let position = Position::at(&good, good.len());
            return vec![error_at(position, "not-utf-8", "the document is not UTF-8".to_owned())];
        }
    };
    let mut findings = Vec::new();
    findings.extend(length(text));
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        findings.push(not_json(text, &error));
        findings.sort_by_key(|finding| finding.position);
        return findings;
    }
    let places = Places::read(text);
    let (severity, problems) = match Policy::examine(text) {
        Ok(policy) => (Severity::Warning, warnings::of(&policy)),
        Err(refusal) => (Severity::Error, problems(refusal)),
    };
    findings.extend(located(&places, severity, problems));
    findings.sort_by_key(|finding| (finding.position, finding.severity));
    findings
}

fn problems(refusal: PolicyError) -> Vec<Problem> {
    match refusal {
        PolicyError::NoObject => vec![Problem::new("no-object", "", refusal.message())],
        PolicyError::Schema(problems) | PolicyError::Rules(problems) => problems,
    }
}

fn error_at(position: Position, code: &'static str, message: String) -> Finding {
    Finding { severity: Severity::Error, code, rule: None, position, message }
}

fn length(text: &str) -> Option<Finding> {
    let length = text.chars().count();
    let (code, offset) = if length < *LENGTHS.start() {
        ("too-short", 0)
    } else if length > *LENGTHS.end() {
        ("too-long", text.char_indices().nth(*LENGTHS.end()).map_or(0, |(offset, _)| offset))
    } else {
        return None;
    };
    let (least, most) = (LENGTHS.start(), LENGTHS.end());
    let message = format!("the document has {length} characters: the service takes {least} to {most}");
    Some(error_at(Position::at(text, offset), code, message))
}

fn not_json(text: &str, error: &serde_json::Error) -> Finding {
    if text.starts_with('\u{feff}') {
        let message = "the document begins with a byte order mark: save it without one".to_owned();
        return error_at(Position { line: 1, column: 1 }, "byte-order-mark", message);
    }
    // serde_json counts bytes; a line break that it did not expect is column 0 of the next line.
    let (number, bytes) = match (error.line(), error.column()) {
        (number, 0) if number > 1 => (number - 1, usize::MAX),
        (number, column) => (number.max(1), column.saturating_sub(1)),
    };
    let line = text.split('\n').nth(number - 1).unwrap_or_default();
    let column = String::from_utf8_lossy(&line.as_bytes()[..bytes.min(line.len())]).chars().count() + 1;
    let told = error.to_string();
    let reason = told.split(" at line ").next().unwrap_or_default();
    let position = Position { line: number, column };
    error_at(position, "not-json", format!("the document is not JSON: {reason}"))
}

/// Returns repeated members and problems, each with its position.
fn located(places: &Places<'_>, severity: Severity, problems: Vec<Problem>) -> Vec<Finding> {
    let mut found: Vec<(usize, Severity, Problem)> = Vec::new();
    for (offset, name) in places.duplicates() {
        // The service takes the last member of a name.
        let message = format!("the object has {name:?} twice: this one counts");
        found.push((offset, Severity::Warning, Problem::new("duplicate-member", "", message)));
    }
    found.extend(problems.into_iter().map(|problem| (places.offset(&problem.pointer), severity, problem)));
    found.sort_by_key(|(offset, severity, _)| (*offset, *severity));
    let more = found.len().saturating_sub(MAX_FINDINGS);
    found.truncate(MAX_FINDINGS);
    let offsets: Vec<usize> = found.iter().map(|(offset, ..)| *offset).collect();
    let positions = places.positions(&offsets);
    let last = positions.last().copied().filter(|_| more > 0);
    let finding = |(position, (_, severity, problem)): (Position, (usize, Severity, Problem))| Finding {
        severity,
        code: problem.code,
        rule: rule(&problem.pointer),
        position,
        message: problem.message,
    };
    let mut findings: Vec<Finding> = positions.into_iter().zip(found).map(finding).collect();
    findings.extend(last.map(|position| {
        let message = format!("{more} more findings are not shown");
        Finding { severity, code: "more-findings", rule: None, position, message }
    }));
    findings
}

/// Returns the number of the rule that a pointer such as `/rules/0/action` leads into.
fn rule(pointer: &str) -> Option<usize> {
    let index: usize = pointer.strip_prefix("/rules/")?.split('/').next()?.parse().ok()?;
    Some(index + 1)
}
