//! `ecr lifecycle lint`: errors and likely mistakes in policy files. No calls.

mod document;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgMatches;

use self::document::LintDocument;
use super::super::images::failures::{NO, PARTLY_FAILED};
use super::super::images::output::{Format, Output};
use super::super::input::read_input;
use super::super::report::{self, ReportArgs};
use super::super::{Command, Context, command_args};
use crate::lifecycle::{Finding, Severity, lint};
use crate::ui::progress::count;

/// The row of `ecr lifecycle lint`.
pub(super) const COMMAND: Command = Command { name: "lint", in_public: false, define, run };

/// The formats beside the common ones.
const FORMATS: &[Format] = &[Format::Sarif, Format::Junit, Format::Html];
/// The name of standard input.
const STDIN: &str = "<stdin>";
/// The exit code where nothing could be read: neither clean nor wrong.
const UNREADABLE: u8 = 255;
/// More than this is read of no file: the service takes 30,720 characters.
const MAX_BYTES: u64 = 16 << 20;

/// The arguments of `ecr lifecycle lint`.
#[derive(Debug, clap::Args)]
struct LintArgs {
    /// Files with a policy each, as JSON; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    reports: ReportArgs,
}

fn define() -> clap::Command {
    let command = clap::Command::new("lint").about("Check policy files without a call to AWS").long_about(
        "Check policy files without a call to AWS. Errors are what the service refuses, in its words; warnings are what it \
         takes although nobody can have meant it. Exits 1 where there is an error, and with --strict also for warnings. \
         --output sarif and junit are for code scanning and test reports.",
    );
    command_args::define::<LintArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, lint_files)
}

/// Checked file, with its findings.
struct LintedFile {
    /// Its name, for people and for programs.
    name: String,
    text: String,
    findings: Vec<Finding>,
}

impl LintedFile {
    fn of(name: String, bytes: &[u8], is_strict: bool) -> Self {
        let mut findings = lint(bytes);
        if is_strict {
            for finding in &mut findings {
                finding.severity = Severity::Error;
            }
        }
        Self { name, text: String::from_utf8_lossy(bytes).into_owned(), findings }
    }
}

/// Checked files, and those that could not be read.
#[derive(Default)]
struct Linted {
    files: Vec<LintedFile>,
    /// Name and reason.
    unreadable: Vec<(String, String)>,
}

impl Linted {
    fn count(&self, severity: Severity) -> usize {
        let findings = self.files.iter().flat_map(|file| &file.findings);
        findings.filter(|finding| finding.severity == severity).count()
    }
}

fn lint_files(context: &Context, arguments: &LintArgs) -> anyhow::Result<ExitCode> {
    let output = Output::with_formats(context, FORMATS)?;
    let reports = arguments.reports.read(FORMATS)?;
    let mut linted = Linted::default();
    for path in &arguments.files {
        let name = if path.as_os_str() == "-" { STDIN.to_owned() } else { path.display().to_string() };
        match read_input(path, MAX_BYTES) {
            Ok(bytes) => linted.files.push(LintedFile::of(name, &bytes, arguments.strict)),
            Err(error) => linted.unreadable.push((name, error.to_string())),
        }
    }
    let document = LintDocument { linted: &linted };
    output.document(&document)?;
    report::write_all(context, &reports, &document)?;
    Ok(conclude(context, &linted))
}

/// Prints the total and returns the exit code.
fn conclude(context: &Context, linted: &Linted) -> ExitCode {
    for (name, reason) in &linted.unreadable {
        context.ui.note(&format!("error: {name} cannot be read: {reason}"));
    }
    let (errors, warnings) = (linted.count(Severity::Error), linted.count(Severity::Warning));
    if errors + warnings > 0 {
        let (errors, warnings) = (count(errors, "error"), count(warnings, "warning"));
        context.ui.note(&format!("{errors} and {warnings} in {}", count(linted.files.len(), "file")));
    }
    match (errors, linted.unreadable.is_empty(), linted.files.is_empty()) {
        (0, true, _) => ExitCode::SUCCESS,
        (0, false, true) => ExitCode::from(UNREADABLE),
        (0, false, false) => ExitCode::from(PARTLY_FAILED),
        _ => ExitCode::from(NO),
    }
}
