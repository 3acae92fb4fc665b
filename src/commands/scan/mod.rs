//! `ecr scan`: the findings of images as a gate. It never passes what it has not read.

mod document;
mod finding;
mod formats;
mod ignore;
mod path_pattern;
mod purl;
mod read;
mod severity;
mod status;
mod target;
mod waiting;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, ValueHint};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::document::ScanDocument;
use self::ignore::IgnoreRules;
use self::read::{Scan, WaitOptions};
use self::severity::{FailOn, Severity};
use self::target::{Connections, ScanTarget};
use self::waiting::Waiting;
use super::argument_types::ReferenceText;
use super::images::age::duration;
use super::images::children::tell_fetched;
use super::images::common_args::ReadingArgs;
use super::images::failures::{Failures, NO, UNKNOWN, has_code};
use super::images::output::{Format, Output};
use super::images::selection::{Repository, expand};
use super::registry::{usage, wrong};
use super::report::{self, ReportArgs};
use super::{Command, Context, block_on, command_args};
use crate::image::{Name, Platform, Reference};

/// The row of this command.
pub(super) const COMMAND: Command = Command { name: "scan", in_public: false, define, run };

/// The formats beside the common ones.
const FORMATS: &[Format] = &[Format::Sarif, Format::Junit, Format::Html];
/// The first time between two looks, at AWS and elsewhere.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const FIRST_WAIT_ELSEWHERE: Duration = Duration::from_millis(100);

/// The arguments of `ecr scan`.
#[derive(Debug, clap::Args)]
struct ScanArgs {
    /// The images, as they are written on the command line.
    #[arg(
        help = "Images: [HOST/]REPOSITORY[:TAG|@DIGEST], or - for one a line on standard input",
        value_name = "REFERENCE",
        required = true
    )]
    references: Vec<ReferenceText>,
    /// Exit 1 where a finding is as bad as this or worse
    #[arg(long, value_enum, ignore_case = true, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
    /// The exit code for such findings instead of 1
    #[arg(long, requires = "fail_on", value_name = "NUMBER", default_value_t = NO, value_parser = clap::value_parser!(u8).range(1..=125))]
    exit_code: u8,
    /// Leave out findings for which the service says that there is no fix
    #[arg(long, alias = "only-fixed")]
    ignore_unfixed: bool,
    /// Leave out what this file names: .trivyignore, or .trivyignore.yaml
    #[arg(long, value_name = "FILE", alias = "ignorefile")]
    ignore_file: Option<PathBuf>,
    /// Also show what was left out
    #[arg(long)]
    show_ignored: bool,
    /// Only the images for these platforms of an index, such as linux/arm64; all by default
    #[arg(long, value_name = "PLATFORM", value_hint = ValueHint::Other)]
    platform: Vec<String>,
    /// Whether to start a basic scan where there is none
    #[arg(long, value_name = "auto|never", default_value = "auto", value_parser = ["auto", "never"])]
    start: String,
    /// How long to wait for scans
    #[arg(long, value_name = "DURATION", default_value = "10min", value_parser = duration)]
    timeout: Duration,
    /// How long the findings of a scan that has just ended have to stay the same
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    settle: Duration,
    /// Only show findings of these severities, separated by commas; the gate still sees all
    #[arg(long, ignore_case = true, value_name = "NAMES", value_delimiter = ',', value_parser = severity::parser())]
    severity: Vec<Severity>,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

fn define() -> clap::Command {
    let command = clap::Command::new("scan").about("Show what scans found in images, and fail on it").long_about(
        "Show what scans found in images, and fail on it. Of an index every platform's image is read. Scans are started \
         where there is none (basic) and waited for. Exits 1 where a finding is as bad as --fail-on, and 3 where the findings \
         of an image cannot be told; 0 only after the findings of every platform were read to the last page.",
    );
    command_args::define::<ScanArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, scan)
}

/// Verdict of the gate on the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    Fail,
    /// The findings are unknown.
    Unknown,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the outcome: a finding that fails counts more than an image whose findings are unknown.
    fn of(scans: &[Scan], fail_on: Option<FailOn>, all_were_asked: bool) -> Self {
        let findings =
            scans.iter().flat_map(|scan| &scan.findings).filter(|finding| finding.ignored.is_none());
        let fails = |severity: &Severity| fail_on.is_some_and(|level| level.includes(severity));
        if findings.map(|finding| &finding.severity).any(fails) {
            Self::Fail
        } else if all_were_asked && !scans.is_empty() && scans.iter().all(|scan| scan.unknown.is_none()) {
            Self::Pass
        } else {
            Self::Unknown
        }
    }
}

/// The images that the arguments name, each once.
fn images(context: &Context, arguments: &ScanArgs) -> anyhow::Result<Vec<Image>> {
    let references = expand(arguments.references.iter().map(|text| text.as_str()))?;
    if references.is_empty() {
        return Err(usage("standard input names no image"));
    }
    let mut connections = Connections::new(&context.settings);
    let mut images = Vec::new();
    for text in references {
        let reference: Reference = text.parse().map_err(wrong)?;
        let text = if reference.name == Name::Unnamed { format!("{text}:latest") } else { text };
        if images.iter().any(|image: &Image| image.text == text) {
            continue;
        }
        let repository = connections.repository(&reference)?;
        images.push(Image { reference, text, repository });
    }
    Ok(images)
}

fn scan(context: &Context, arguments: &ScanArgs) -> anyhow::Result<ExitCode> {
    let output = Output::with_formats(context, FORMATS)?;
    let reports = arguments.reports.read(FORMATS)?;
    let wait_options = wait_options(arguments)?;
    let ignore =
        arguments.ignore_file.as_deref().map(IgnoreRules::read_file).transpose()?.unwrap_or_default();
    let platforms: Vec<Platform> =
        arguments.platform.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(wrong)?;
    let images = images(context, arguments)?;
    let mut failures = Failures::default();
    let mut scans = block_on::<_, anyhow::Error>(async {
        let targets = targets(context, arguments, &images, &platforms, &mut failures).await;
        Ok(read_all(context, arguments, &targets, wait_options, &mut failures).await)
    })?;
    let expired = sort_out(&mut scans, &ignore, arguments.ignore_unfixed);
    let verdict = Verdict::of(&scans, arguments.fail_on, failures.is_empty());
    let document = ScanDocument {
        scans: &scans,
        verdict,
        fail_on: arguments.fail_on,
        show_ignored: arguments.show_ignored,
        severities: &arguments.severity,
        failures: &failures,
    };
    output.document(&document)?;
    report::write_all(context, &reports, &document)?;
    tell(context, &scans, &expired);
    let something_done = !scans.is_empty();
    if verdict == Verdict::Fail {
        failures.finish(context, true)?;
        return Ok(ExitCode::from(arguments.exit_code));
    }
    if !failures.is_empty() {
        return failures.finish(context, something_done);
    }
    Ok(if verdict == Verdict::Pass { ExitCode::SUCCESS } else { ExitCode::from(UNKNOWN) })
}

fn wait_options(arguments: &ScanArgs) -> anyhow::Result<WaitOptions> {
    let (timeout, settle) = (arguments.timeout, arguments.settle);
    let until =
        Instant::now().checked_add(timeout).ok_or_else(|| usage("--timeout is longer than there is time"))?;
    Ok(WaitOptions { until, timeout, settle, start: arguments.start == "auto", first_wait: FIRST_WAIT })
}

/// An image of the command line.
struct Image {
    reference: Reference,
    text: String,
    repository: Repository,
}

/// The images that have to be read.
async fn targets(
    context: &Context,
    arguments: &ScanArgs,
    images: &[Image],
    platforms: &[Platform],
    failures: &mut Failures,
) -> Vec<ScanTarget> {
    let cache = arguments.reading.cache(context);
    let found = arguments
        .reading
        .for_each(images, |image| {
            target::of_reference((&image.reference, &image.text), &image.repository, platforms, &cache)
        })
        .await;
    let (mut targets, mut fetched): (Vec<ScanTarget>, usize) = (Vec::new(), 0);
    for (image, found) in images.iter().zip(found) {
        match found {
            Ok((found, number)) => {
                fetched += number;
                targets.extend(found);
            }
            Err(error) => failures.repository(&image.repository, error),
        }
    }
    tell_fetched(context, fetched);
    targets
}

async fn read_all(
    context: &Context,
    arguments: &ScanArgs,
    targets: &[ScanTarget],
    wait_options: WaitOptions,
    failures: &mut Failures,
) -> Vec<Scan> {
    let types = scan_types(targets).await;
    let waiting = Waiting::new(&context.ui, targets.len());
    // Any number of scans are waited for, and asked about a few at a time.
    let calls = Semaphore::new(usize::from(arguments.reading.jobs));
    // All at once, so that each scan is started long before the time is over.
    let scans = join_all(targets.iter().map(|target| {
        let connection = &target.repository.connection;
        let first_wait = if connection.is_rate_limited() { FIRST_WAIT } else { FIRST_WAIT_ELSEWHERE };
        let scan_type = types.get(&connection.name()).map(String::as_str);
        read::read(&waiting, &calls, target, scan_type, WaitOptions { first_wait, ..wait_options })
    }))
    .await;
    drop(waiting);
    let mut read = Vec::new();
    for (target, scan) in targets.iter().zip(scans) {
        match scan {
            Ok(scan) => read.push(scan),
            Err(error) if is_denied_findings(&error) => failures.repository(
                &target.repository,
                error.context("findings of enhanced scans take the right inspector2:ListFindings too"),
            ),
            Err(error) => failures.repository(&target.repository, error),
        }
    }
    read
}

/// Returns whether the right to read findings is missing, of which enhanced scans need two.
fn is_denied_findings(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    has_code(error, "AccessDeniedException")
        && ["inspector2", "DescribeImageScanFindings"].iter().any(|word| text.contains(word))
}

/// Returns the scan type of each registry whose configuration may be read; the others show theirs in the answer to
/// a scan.
async fn scan_types(targets: &[ScanTarget]) -> HashMap<String, String> {
    let mut types = HashMap::new();
    for target in targets {
        let connection = &target.repository.connection;
        if types.contains_key(&connection.name()) {
            continue;
        }
        let configuration = connection.scanning_configuration().await.unwrap_or_default();
        if let Some(found) = configuration["scanType"].as_str() {
            types.insert(connection.name(), found.to_owned());
        }
    }
    types
}

/// Marks the ignored findings; returns the expired rules of the ignore file.
fn sort_out(scans: &mut [Scan], ignore: &IgnoreRules, without_unfixed: bool) -> Vec<String> {
    let mut expired: Vec<String> = Vec::new();
    for scan in scans {
        for id in ignore.apply(&mut scan.findings, Timestamp::now()) {
            if !expired.contains(&id) {
                expired.push(id);
            }
        }
        for finding in scan.findings.iter_mut().filter(|finding| finding.ignored.is_none()) {
            // Only what the service says has no fix: where it says nothing there may be one.
            if without_unfixed && finding.fix_available.as_deref() == Some("NO") {
                finding.ignored = Some("no fix is available".to_owned());
            }
        }
    }
    expired
}

/// Reports unknown findings and expired rules.
fn tell(context: &Context, scans: &[Scan], expired: &[String]) {
    for id in expired {
        context
            .ui
            .note(&format!("warning: the entry of the ignore file for {id} has expired: it counts again"));
    }
    for scan in scans {
        if let Some(reason) = &scan.unknown {
            context.ui.note(&format!("error: the findings of {} cannot be told: {reason}", scan.name()));
        }
    }
}
