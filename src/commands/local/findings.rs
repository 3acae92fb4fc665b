//! `ecr local findings`: what scans of an image are to find. The embedded ECR scans nothing itself.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgMatches};
use serde_json::Value;

use super::super::connect::caller;
use super::{Context, Error};
use crate::local::Local;

/// The most that is read of a file: a hundred thousand findings take less.
const LARGEST: u64 = 256 << 20;

pub(super) fn define() -> clap::Command {
    let reference = Arg::new("reference").value_name("REFERENCE").required(true);
    let file = Arg::new("file").value_name("FILE").required(true).value_parser(clap::value_parser!(PathBuf));
    clap::Command::new("findings")
        .about("Say what scans of an image are to find")
        .long_about(
            "Say what scans of an image are to find. The embedded ECR looks for no vulnerabilities itself: a scan of an \
             image goes through its states and finds what was given here, and one of an image for which nothing was given \
             fails and says so. The image's digest is written to standard output.",
        )
        .arg(reference.help("REPOSITORY:TAG or REPOSITORY@DIGEST"))
        .arg(file.help(
            "Findings in ECR's own JSON: what describe-image-scan-findings answers, its imageScanFindings, or a list of \
             findings; - is stdin",
        ))
}

pub(super) fn run(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let reference = matches.get_one::<String>("reference").expect("clap requires it");
    let path = matches.get_one::<PathBuf>("file").expect("clap requires it");
    let text = read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let findings: Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    let digest = Local::open(folder)?
        .set_findings(&caller(&context.settings)?, reference, &findings)
        .map_err(|error| Error::Other(error.message))?;
    context.ui.print(&format!("{digest}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let source: Box<dyn Read> =
        if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20)));
    }
    Ok(text)
}
