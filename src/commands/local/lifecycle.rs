//! `ecr local lifecycle`: lifecycle policies, carried out.

use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::super::argument_types::RepositoryText;
use super::super::command_args;
use super::super::connect::caller;
use super::{Context, Error, maintenance};
use crate::local::LifecycleRun;

/// The arguments of `ecr local lifecycle`.
#[derive(Debug, clap::Args)]
struct LifecycleArgs {
    /// The repositories, of the registry of the account and region that are configured; all by default
    #[arg(value_name = "REPOSITORY", num_args = 0..)]
    repositories: Vec<RepositoryText>,
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn define() -> clap::Command {
    let command = clap::Command::new("lifecycle").about("Carry out lifecycle policies").long_about(
        "Carry out lifecycle policies, as Amazon ECR does by itself within a day: of every repository of every registry \
         in the store, or of those that are named. Prints the images that were expired or archived, one a line; those \
         that an index holds are told on stderr. `ecr local serve --lifecycle-every` does it on a schedule.",
    );
    command_args::define::<LifecycleArgs>(command)
}

pub(super) fn run(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, |context, args| run_policies(context, folder, args))
}

fn run_policies(context: &Context, folder: &Path, args: &LifecycleArgs) -> anyhow::Result<ExitCode> {
    let runs = policy_runs(context, folder, args)?;
    if context.settings.globals().output.as_deref() == Some("json") {
        let runs: Vec<Value> = runs.iter().map(structure).collect();
        context.ui.print(&format!("{:#}\n", Value::Array(runs)))?;
        return Ok(ExitCode::SUCCESS);
    }
    for run in &runs {
        tell_run(context, run)?;
    }
    let count = |of: fn(&LifecycleRun) -> &Vec<String>| runs.iter().map(|run| of(run).len()).sum::<usize>();
    let (expired, archived) = (count(|run| &run.expired), count(|run| &run.archived));
    let trial = if args.dry_run { "dry run: " } else { "" };
    let policies = if runs.len() == 1 { "1 policy".to_owned() } else { format!("{} policies", runs.len()) };
    context.ui.note(&format!("{trial}{expired} expired and {archived} archived, by {policies}"));
    Ok(ExitCode::SUCCESS)
}

/// Carries out the policies of the named repositories, or of all.
fn policy_runs(context: &Context, folder: &Path, args: &LifecycleArgs) -> anyhow::Result<Vec<LifecycleRun>> {
    let (local, caller) = (maintenance::open(folder)?, caller(&context.settings)?);
    let failed = |error: crate::local::RequestError| Error::Other(error.message);
    if args.repositories.is_empty() {
        return Ok(local.run_lifecycle(&caller, None, args.dry_run).map_err(failed)?);
    }
    let mut runs = Vec::new();
    for name in &args.repositories {
        let found = local.run_lifecycle(&caller, Some(name), args.dry_run).map_err(failed)?;
        if found.is_empty() {
            context.ui.note(&format!("{} has no lifecycle policy", **name));
        }
        runs.extend(found);
    }
    Ok(runs)
}

/// Prints the images that one policy expired or archived, and notes the failures.
fn tell_run(context: &Context, run: &LifecycleRun) -> anyhow::Result<()> {
    let place = format!("{}/{}/{}", run.account, run.region, run.repository);
    for (word, digests) in [("expired", &run.expired), ("archived", &run.archived)] {
        let lines = digests.iter().map(|digest| format!("{word} {place}@{digest}\n"));
        context.ui.print(&lines.collect::<String>())?;
    }
    for (digest, reason) in &run.held {
        context.ui.note(&format!("kept {place}@{digest}: {reason}"));
    }
    Ok(())
}

fn structure(run: &LifecycleRun) -> Value {
    let held = run.held.iter().map(|(digest, reason)| json!({ "imageDigest": digest, "reason": reason }));
    json!({
        "account": run.account,
        "region": run.region,
        "repository": run.repository,
        "expired": run.expired,
        "archived": run.archived,
        "kept": held.collect::<Vec<_>>(),
    })
}
