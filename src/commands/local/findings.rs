//! `ecr local findings`: sets the result of an image's scans. The embedded ECR scans nothing itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgMatches, ValueHint};
use serde_json::Value;

use super::super::argument_types::ReferenceText;
use super::super::command_args;
use super::super::connect::caller;
use super::super::images::age::duration;
use super::super::input::read_input;
use super::{Context, Error};
use crate::local::{Local, ScanOutcome};

/// The most that is read of a file: a hundred thousand findings take less.
const MAX_BYTES: u64 = 256 << 20;

/// The arguments of `ecr local findings`.
#[derive(Debug, clap::Args)]
struct FindingsArgs {
    /// REPOSITORY:TAG or REPOSITORY@DIGEST
    reference: ReferenceText,
    /// Findings in ECR's own JSON: what describe-image-scan-findings answers, its imageScanFindings, or a list of
    /// findings; - is stdin
    #[arg(value_name = "FILE", required_unless_present = "status")]
    file: Option<PathBuf>,
    /// The status that scans end with, such as FAILED or SCAN_ELIGIBILITY_EXPIRED
    #[arg(long, value_name = "STATUS", value_hint = ValueHint::Other)]
    status: Option<String>,
    /// How long after the scan its findings are there: until then a list is empty, such as 30s
    #[arg(long, value_name = "DURATION", value_hint = ValueHint::Other)]
    after: Option<String>,
}

pub(super) fn define() -> clap::Command {
    let command = clap::Command::new("findings").about("Say what scans of an image are to find").long_about(
        "Say what scans of an image are to find. The embedded ECR looks for no vulnerabilities itself: a scan of an \
         image goes through its states and finds what was given here, and one of an image for which nothing was given \
         fails and says so. --status lets it end with any status, and --after lets its findings come late, as they do in \
         Amazon ECR. Where the registry's scans are enhanced, one begins at once. The image's digest is written to \
         standard output.",
    );
    command_args::define::<FindingsArgs>(command)
}

pub(super) fn run(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, |context, args| set_findings(context, folder, args))
}

fn set_findings(context: &Context, folder: &Path, args: &FindingsArgs) -> anyhow::Result<ExitCode> {
    let findings = args.file.as_ref().map(|path| -> anyhow::Result<Value> {
        let text = read_input(path, MAX_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
    });
    let after = args.after.as_deref().map(duration).transpose();
    let after = after.map_err(|error| Error::Usage(format!("--after: {error}")))?;
    let outcome = ScanOutcome {
        findings: findings.transpose()?,
        status: args.status.clone(),
        after: after.unwrap_or_default(),
    };
    let digest = Local::open(folder)?
        .set_scan_outcome(&caller(&context.settings)?, &args.reference, &outcome)
        .map_err(|error| Error::Other(error.message))?;
    context.ui.print(&format!("{digest}\n"))?;
    Ok(ExitCode::SUCCESS)
}
