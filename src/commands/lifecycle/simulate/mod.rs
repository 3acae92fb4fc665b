//! `ecr lifecycle simulate`: effect of a policy on the images of repositories, by the documented rules.

mod document;
mod over;
mod simulation;
mod warnings;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, ValueHint};
use jiff::Timestamp;

pub(super) use self::document::{SimulationDocument, action_type};
pub(super) use self::simulation::Simulation;
use super::super::images::age::{Age, duration};
use super::super::images::children::tell_fetched;
use super::super::images::common_args::ReadingArgs;
use super::super::images::failures::{Failures, NO};
use super::super::images::output::{Format, Output};
use super::super::images::selection::{RegistryArgs, Repository, RepositoryArgs, Selection};
use super::super::max_images::MaxImages;
use super::super::registry::usage;
use super::super::report::{self, ReportArgs};
use super::super::{Command, Context, block_on, command_args, protect_from};
use super::policy_text::PolicyText;
use crate::retention::references::References;
use crate::ui::progress::count;

/// The row of `ecr lifecycle simulate`.
pub(super) const COMMAND: Command = Command { name: "simulate", in_public: false, define, run };

/// The formats beside the common ones.
const FORMATS: &[Format] = &[Format::Html];

/// The arguments of `ecr lifecycle simulate`.
#[derive(Debug, clap::Args)]
struct SimulateArgs {
    #[command(flatten)]
    repositories: RepositoryArgs,
    /// The policy to simulate, as JSON; - is standard input. Without it, each repository's own
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// As if it were this day or instant, such as 2027-01-31
    #[arg(long, value_name = "DATE", value_hint = ValueHint::Other)]
    at: Option<String>,
    /// Also show week by week what would be left for so long, if nobody pushed or pulled: 90d, 1y
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    over: Option<Duration>,
    /// Show a line for each image: what happens to it, by which rule, and why
    #[arg(long)]
    explain: bool,
    /// Exit 1 if more images of a repository would expire: a number, or a share such as 20%
    #[arg(long, value_name = "NUMBER|PERCENT%")]
    max: Option<MaxImages>,
    /// Warn where an image would expire that this file refers to: any text with references, such as
    /// `kubectl get pods -A -o json` or task definitions; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    protect_from: Vec<String>,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    registries: RegistryArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl SimulateArgs {
    /// Refuses a second `-`, for which nothing would be left of standard input.
    fn check_stdin(&self) -> anyhow::Result<()> {
        let repositories = self.repositories.repositories.iter().map(|text| &**text);
        let words = repositories.chain(&self.protect_from);
        let policy = self.file.iter().filter(|file| file.as_os_str() == "-");
        if words.filter(|word| *word == "-").count() + policy.count() > 1 {
            return Err(usage("standard input can be read once: name one - only"));
        }
        Ok(())
    }
}

fn define() -> clap::Command {
    let command = clap::Command::new("simulate").about("Show what a policy would do to the images that are there").long_about(
        "Show what a policy would do to the images that are there: by rule, and with --explain image by image. It follows \
         the documented rules of the service and changes nothing; `ecr lifecycle preview` asks the service itself. The \
         manifests of indexes that are not in the cache are fetched, which counts as a pull of each.",
    );
    command_args::define::<SimulateArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, simulate)
}

/// The instants that a simulation is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct SimulatedPeriod {
    pub(super) at: Timestamp,
    /// Period to simulate.
    pub(super) over: Option<Duration>,
}

impl SimulatedPeriod {
    /// Now, once.
    pub(super) fn now() -> Self {
        Self { at: Timestamp::now(), over: None }
    }

    fn read(arguments: &SimulateArgs) -> anyhow::Result<Self> {
        let at = match arguments.at.as_deref().map(str::parse::<Age>) {
            None => Timestamp::now(),
            Some(Ok(Age::At(instant))) => instant,
            Some(Ok(Age::Ago(_))) => return Err(usage("--at takes a date, such as 2027-01-31")),
            Some(Err(error)) => return Err(usage(format!("--at: {error}"))),
        };
        let over = arguments.over;
        if over.is_some_and(|over| over > over::MAX_SPAN) {
            return Err(usage("--over takes ten years at most"));
        }
        Ok(Self { at, over })
    }
}

fn simulate(context: &Context, arguments: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let output = Output::with_formats(context, FORMATS)?;
    let reports = arguments.reports.read(FORMATS)?;
    let when = SimulatedPeriod::read(arguments)?;
    arguments.check_stdin()?;
    let file = arguments.file.as_deref().map(PolicyText::read_file).transpose()?;
    let protected = protect_from::references(context, &arguments.protect_from)?;
    let given = PolicyFiles { file: file.as_ref(), protected: &protected };
    let mut selection = Selection::read(&context.settings, &arguments.repositories, &arguments.registries)?;
    let mut failures = Failures::default();
    let simulations = block_on::<_, anyhow::Error>(async {
        let repositories = selection.matching_repositories(&mut failures).await;
        let work = |repository| one(context, arguments, repository, given, when);
        let done = arguments.reading.for_each_shown(context, &repositories, work).await;
        Ok(failures.sift(&repositories, done))
    })?;
    tell_fetched(context, simulations.iter().map(|simulation| simulation.fetched).sum());
    let document = SimulationDocument {
        simulations: &simulations,
        failures: &failures,
        when,
        explain: arguments.explain,
        registries: arguments.registries.are_given(),
    };
    output.document(&document)?;
    report::write_all(context, &reports, &document)?;
    tell(context, &simulations);
    let over = simulations.iter().filter_map(|each| each.over_limit.as_ref().map(|told| (each, told)));
    let over: Vec<String> = over.map(|(each, told)| format!("{}: {told}", each.repository.name)).collect();
    for told in &over {
        context.ui.note(&format!("error: {told}"));
    }
    let code = failures.finish(context, !simulations.is_empty())?;
    Ok(if over.is_empty() { code } else { ExitCode::from(NO) })
}

/// Files of the command line.
#[derive(Clone, Copy)]
struct PolicyFiles<'a> {
    /// The policy to simulate.
    file: Option<&'a PolicyText>,
    /// References of `--protect-from`.
    protected: &'a References,
}

async fn one(
    context: &Context,
    arguments: &SimulateArgs,
    repository: &Repository,
    given: PolicyFiles<'_>,
    when: SimulatedPeriod,
) -> anyhow::Result<Simulation> {
    let policy = match given.file {
        Some(policy) => Some(policy.clone()),
        None => match PolicyText::in_place(repository).await? {
            Some(kept) => Some(PolicyText::of_service(kept.text)?),
            None => None,
        },
    };
    let cache = arguments.reading.cache(context);
    let mut simulation = Simulation::run(repository, policy, &cache, when).await?;
    simulation.warn_of(given.protected);
    simulation.over_limit = arguments.max.and_then(|most| simulation.objection(most));
    Ok(simulation)
}

/// Prints warnings about a policy that people should read before using it.
pub(super) fn tell(context: &Context, simulations: &[Simulation]) {
    for simulation in simulations {
        for warning in &simulation.warnings {
            context.ui.note(&format!("warning: {}: {}", simulation.repository.name, warning.message));
        }
    }
    let without = simulations.iter().filter(|simulation| simulation.policy.is_none()).count();
    if without > 0 {
        let repositories = count(without, "repository");
        let have = if without == 1 { "has" } else { "have" };
        context.ui.note(&format!("{repositories} {have} no lifecycle policy; -f FILE simulates one"));
    }
    if without < simulations.len() {
        context.ui.note(
            "this is a simulation by the documented rules; `ecr lifecycle preview` asks the service itself",
        );
    }
}
