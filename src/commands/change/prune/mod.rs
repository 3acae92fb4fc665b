//! `ecr prune`: deletion of unneeded images by rules, with a reason for every image.

mod args;
mod brakes;
mod contents;
mod plan_file;
mod policy_file;
mod protect;

use std::process::ExitCode;

use clap::ArgMatches;
use jiff::Timestamp;
use serde_json::json;

use self::args::{PruneArgs, RuleArgs};
use self::brakes::brakes;
use self::contents::PruneTarget;
use self::plan_file::{PlanError, PlanFile};
use self::policy_file::Policy;
use super::super::consent::Consent;
use super::super::images::children::tell_fetched;
use super::super::images::failures::{Failures, NO};
use super::super::images::output::{Listing, Output};
use super::super::images::selection::{RegistryArgs, Repository, RepositoryArgs, Selection};
use super::super::registry::usage;
use super::super::report;
use super::super::runtime::{Stop, block_on_finishing};
use super::super::{Command, Context, command_args, protect_from};
use super::CONFLICT;
use super::by_name::ARCHIVE_TERMS;
use super::executor::Action;
use super::planned::Planned;
use super::planned_rows::{PlannedRows, members};
use super::references::connect;
use super::replication::Replications;
use crate::ui::progress::count;

/// The row of `ecr prune`.
pub(in crate::commands) const COMMAND: Command = Command { name: "prune", in_public: true, define, run };

fn define() -> clap::Command {
    let command = clap::Command::new("prune").about("Delete the images of repositories that nobody needs").long_about(
        "Delete images by rules. All criteria that are given have to hold, and at least one is required. An image goes with \
         what it lists and with what is about it, and stays where one of these has to stay; what a present index lists, \
         and signatures of images that stay, are never chosen. What is kept is kept whatever was chosen. The plan is made \
         with calls that only read, and shown; every image is looked at again just before it goes, and spared if its tags, \
         push time, pull time or status changed. Reads all manifests of indexes that are not in the cache, which counts as a pull of \
         each.",
    );
    command_args::define::<PruneArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, prune)
}

/// Plans, and the failures of planning.
#[derive(Default)]
struct Plans {
    all: Vec<Planned>,
    failures: Failures,
    brakes: Vec<String>,
}

fn prune(context: &Context, arguments: &PruneArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let reports = arguments.report.read(&[])?;
    let reads_stdin = reads_stdin(arguments)?;
    if arguments.plan.is_none() {
        arguments.consent.check(&context.ui, reads_stdin)?;
    }
    block_on_finishing(|stop| async move {
        let mut plans = match stop.or(plans(context, arguments)).await {
            Err(error) if error.is::<PlanError>() => return Ok(refuse(context, &[error])),
            planned => planned?,
        };
        let is_shown_only = arguments.consent.dry_run || arguments.plan.is_some();
        if !plans.brakes.is_empty() && !is_shown_only {
            return Ok(refuse(context, &plans.brakes));
        }
        if let Some(file) = &arguments.plan {
            plan_file::write(file, &plans.all)?;
        }
        match consent(context, arguments, &plans, &stop).await? {
            Consent::Refused => return Ok(ExitCode::from(NO)),
            Consent::Given => {
                let work = arguments.reading.for_each_mut(&mut plans.all, |planned| planned.run(&stop));
                stop.finish(&context.ui, work).await;
            }
            Consent::DryRun => {}
        }
        let rows = PlannedRows::new(&plans.all, false, arguments.explain);
        let mut more = members(&rows, &plans.failures, is_shown_only);
        more.extend((!plans.brakes.is_empty()).then(|| ("brake".to_owned(), json!(plans.brakes))));
        let (columns, total) = (rows.columns(), rows.total());
        let listing = Listing { member: "repositories", columns, rows: &rows, total, more };
        let shown = output.document(&listing);
        report::write_all(context, &reports, &listing)?;
        shown?;
        if let Some(signal) = stop.signal() {
            return Ok(ExitCode::from(signal.exit_code()));
        }
        finish(context, &rows, &plans.brakes, plans.failures)
    })
}

fn refuse<T: std::fmt::Display>(context: &Context, reasons: &[T]) -> ExitCode {
    for reason in reasons {
        context.ui.note(&format!("error: {reason}; nothing was changed"));
    }
    ExitCode::from(CONFLICT)
}

/// Asks whether to carry the plan out, unless it is only shown or empty.
async fn consent(
    context: &Context,
    arguments: &PruneArgs,
    plans: &Plans,
    stop: &Stop,
) -> anyhow::Result<Consent> {
    if arguments.plan.is_some() || plans.all.iter().all(Planned::is_empty) {
        return Ok(Consent::DryRun);
    }
    ask(context, arguments, plans, stop).await
}

/// Warns of exceeded limits, reports the failures, and returns the exit code.
fn finish(
    context: &Context,
    rows: &PlannedRows<'_>,
    brakes: &[String],
    failures: Failures,
) -> anyhow::Result<ExitCode> {
    for brake in brakes {
        context.ui.note(&format!("warning: {brake}"));
    }
    let code = rows.finish(context, failures)?;
    let is_braked = code == ExitCode::SUCCESS && !brakes.is_empty();
    Ok(if is_braked { ExitCode::from(NO) } else { code })
}

/// Returns whether standard input is named among the arguments; it can be read once.
fn reads_stdin(arguments: &PruneArgs) -> anyhow::Result<bool> {
    let repositories = arguments.repositories.repositories.iter().map(|text| &**text);
    let texts = repositories.chain(&arguments.rule.protect_from);
    match texts.filter(|text| *text == "-").count() {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(usage("standard input can be read once: name one - only")),
    }
}

/// Makes the plans, or reads them from a file; only reads.
async fn plans(context: &Context, arguments: &PruneArgs) -> anyhow::Result<Plans> {
    let mut plans = match &arguments.apply {
        Some(file) => read_plans(context, arguments, file).await?,
        None => make_plans(context, arguments).await?,
    };
    plans.brakes.sort();
    plans.brakes.dedup();
    Ok(plans)
}

async fn read_plans(context: &Context, arguments: &PruneArgs, file: &str) -> anyhow::Result<Plans> {
    let given = &arguments.repositories;
    if given.all || !given.repositories.is_empty() {
        return Err(usage("--apply takes its repositories from the plan"));
    }
    let plan = PlanFile::read(file, arguments.plan_age)?;
    let connection = connect(&context.settings, None)?;
    let mut plans = Plans::default();
    let replication = Replications::default().of(&connection).await?;
    for mut planned in plan.load(&connection, &arguments.reading.cache(context)).await? {
        planned.replication = replication.clone();
        plans.brakes.extend(brakes(&planned, &arguments.rule));
        plans.all.push(planned);
    }
    Ok(plans)
}

async fn make_plans(context: &Context, arguments: &PruneArgs) -> anyhow::Result<Plans> {
    let policy = arguments.policy.as_deref().map(Policy::read).transpose()?;
    let now = Timestamp::now();
    // What is protected is protected in all repositories, whichever rule names the file.
    let references = protect_from::references(context, &protecting_files(arguments, policy.as_ref(), now)?)?;
    let mut plans = Plans::default();
    let repositories = repositories(context, arguments, policy.as_ref(), &mut plans.failures).await?;
    let targets: Vec<PruneTarget<'_>> = repositories
        .into_iter()
        .filter_map(|repository| {
            let options = match &policy {
                Some(policy) => policy.options(&repository.name)?,
                None => &arguments.rule,
            };
            Some(PruneTarget { repository, options, references: &references, now })
        })
        .collect();
    if targets.is_empty() && plans.failures.is_empty() {
        context.ui.note("no repository matches");
    }
    let read =
        arguments.reading.for_each_shown(context, &targets, |target| target.plan(context, arguments)).await;
    let mut replications = Replications::default();
    let mut fetched = 0;
    for (target, contents) in targets.iter().zip(read) {
        let mut contents = match contents {
            Ok(contents) => contents,
            Err(error) => {
                plans.failures.repository(&target.repository, error);
                continue;
            }
        };
        fetched += contents.fetched;
        contents.planned.replication = replications.of(&target.repository.connection).await?;
        plans.brakes.extend(brakes(&contents.planned, target.options));
        plans.all.push(contents.planned);
    }
    tell_fetched(context, fetched);
    Ok(plans)
}

/// Checks the criteria of all rules; answers the files whose references they protect.
fn protecting_files(
    arguments: &PruneArgs,
    policy: Option<&Policy>,
    now: Timestamp,
) -> anyhow::Result<Vec<String>> {
    let mut files: Vec<String> = Vec::new();
    let all_options: Vec<&RuleArgs> =
        policy.map_or_else(|| vec![&arguments.rule], |policy| policy.all().collect());
    for options in &all_options {
        options.criteria(now)?;
        files.extend(
            options.protect_from.iter().filter(|file| !files.contains(file)).cloned().collect::<Vec<_>>(),
        );
    }
    if policy.is_some() {
        files.extend(arguments.rule.protect_from.iter().cloned());
    }
    Ok(files)
}

/// Returns the repositories: those of the command line, or all that a rule of the policy matches.
async fn repositories(
    context: &Context,
    arguments: &PruneArgs,
    policy: Option<&Policy>,
    failures: &mut Failures,
) -> anyhow::Result<Vec<Repository>> {
    let mut wanted = arguments.repositories.clone();
    let of_policy = policy.filter(|_| !wanted.all && wanted.repositories.is_empty());
    if let Some(policy) = of_policy {
        wanted = RepositoryArgs { repositories: policy.globs(), all: false };
    }
    let mut selection = Selection::read(&context.settings, &wanted, &RegistryArgs::default())?;
    // A rule of a policy file may wait for repositories to come.
    Ok(if of_policy.is_some() {
        selection.repositories(failures).await
    } else {
        selection.matching_repositories(failures).await
    })
}

/// Shows the plan to a person and asks.
async fn ask(
    context: &Context,
    arguments: &PruneArgs,
    plans: &Plans,
    stop: &Stop,
) -> anyhow::Result<Consent> {
    let rows = PlannedRows::new(&plans.all, false, false);
    let counts = rows.counts();
    let archives = plans.all.iter().any(|planned| planned.action == Action::Archive);
    let deletes =
        plans.all.iter().any(|planned| planned.action == Action::Delete && !planned.going.is_empty());
    let verb = match (archives, deletes) {
        (true, true) => "Archive and delete",
        (true, false) => "Archive",
        _ => "Delete",
    };
    if arguments.consent.asks() {
        for planned in plans.all.iter().filter(|planned| !planned.is_empty()) {
            let what = planned.action.done();
            let (name, going) = (&planned.repository.name, planned.going.len());
            let tags = match planned.untag.len() {
                0 => String::new(),
                tags => format!(", and {} removed", count(tags, "tag")),
            };
            context.ui.note(&format!(
                "{name}: {going} of {} would be {what}{tags}",
                count(planned.images, "image")
            ));
        }
        if archives {
            context.ui.note(ARCHIVE_TERMS);
        }
    }
    let tags = match plans.all.iter().map(|planned| planned.untag.len()).sum() {
        0 => String::new(),
        tags => format!(" and remove {}", count(tags, "tag")),
    };
    let question = format!("{verb} {} of {}{tags}?", counts.going, count(counts.images, "image"));
    stop.or(arguments.consent.ask(context, question)).await
}
