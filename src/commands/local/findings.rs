//! `ecr local findings`: what scans of an image are to find. The embedded ECR scans nothing itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgMatches};
use serde_json::Value;

use super::super::connect::caller;
use super::super::images::age::duration;
use super::super::input::read_input;
use super::{Context, Error};
use crate::local::{Local, ScanOutcome};

/// The most that is read of a file: a hundred thousand findings take less.
const MAX_BYTES: u64 = 256 << 20;

pub(super) fn define() -> clap::Command {
    let reference = Arg::new("reference").value_name("REFERENCE").required(true);
    let file = Arg::new("file")
        .value_name("FILE")
        .required_unless_present("status")
        .value_parser(clap::value_parser!(PathBuf));
    let status = Arg::new("status").long("status").value_name("STATUS");
    let after = Arg::new("after").long("after").value_name("DURATION");
    clap::Command::new("findings")
        .about("Say what scans of an image are to find")
        .long_about(
            "Say what scans of an image are to find. The embedded ECR looks for no vulnerabilities itself: a scan of an \
             image goes through its states and finds what was given here, and one of an image for which nothing was given \
             fails and says so. --status lets it end with any status, and --after lets its findings come late, as they do in \
             Amazon ECR. Where the registry's scans are enhanced, one begins at once. The image's digest is written to \
             standard output.",
        )
        .arg(reference.help("REPOSITORY:TAG or REPOSITORY@DIGEST"))
        .arg(file.help(
            "Findings in ECR's own JSON: what describe-image-scan-findings answers, its imageScanFindings, or a list of \
             findings; - is stdin",
        ))
        .arg(status.help("The status that scans end with, such as FAILED or SCAN_ELIGIBILITY_EXPIRED"))
        .arg(after.help("How long after the scan its findings are there: until then a list is empty, such as 30s"))
}

pub(super) fn run(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let reference = matches.get_one::<String>("reference").expect("clap requires it");
    let findings = matches.get_one::<PathBuf>("file").map(|path| -> anyhow::Result<Value> {
        let text = read_input(path, MAX_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
    });
    let after = matches.get_one::<String>("after").map(|text| duration(text)).transpose();
    let after = after.map_err(|error| Error::Usage(format!("--after: {error}")))?;
    let outcome = ScanOutcome {
        findings: findings.transpose()?,
        status: matches.get_one::<String>("status").cloned(),
        after: after.unwrap_or_default(),
    };
    let digest = Local::open(folder)?
        .set_scan_outcome(&caller(&context.settings)?, reference, &outcome)
        .map_err(|error| Error::Other(error.message))?;
    context.ui.print(&format!("{digest}\n"))?;
    Ok(ExitCode::SUCCESS)
}
