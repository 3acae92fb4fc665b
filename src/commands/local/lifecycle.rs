//! `ecr local lifecycle`: lifecycle policies, carried out.

use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches};
use serde_json::{Value, json};

use super::super::connect::caller;
use super::{Context, Error, maintenance};
use crate::local::LifecycleRun;

pub(super) fn define() -> clap::Command {
    clap::Command::new("lifecycle")
        .about("Carry out lifecycle policies")
        .long_about(
            "Carry out lifecycle policies, as Amazon ECR does by itself within a day: of every repository of every registry \
             in the store, or of those that are named. Prints the images that were expired or archived, one a line; those \
             that an index holds are told on stderr. `ecr local serve --lifecycle-every` does it on a schedule.",
        )
        .arg(
            Arg::new("repositories")
                .value_name("REPOSITORY")
                .num_args(0..)
                .help("The repositories, of the registry of the account and region that are configured; all by default"),
        )
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Only print what would be done"),
        )
}

pub(super) fn run(context: &Context, folder: &Path, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let (local, caller) = (maintenance::open(folder)?, caller(&context.settings)?);
    let is_trial = matches.get_flag("dry-run");
    let mut runs: Vec<LifecycleRun> = Vec::new();
    let failed = |error: crate::local::RequestError| Error::Other(error.message);
    let names: Vec<&String> = matches.get_many("repositories").into_iter().flatten().collect();
    for name in &names {
        let found = local.run_lifecycle(&caller, Some(name), is_trial).map_err(failed)?;
        if found.is_empty() {
            context.ui.note(&format!("{name} has no lifecycle policy"));
        }
        runs.extend(found);
    }
    if names.is_empty() {
        runs = local.run_lifecycle(&caller, None, is_trial).map_err(failed)?;
    }
    if context.settings.globals().output.as_deref() == Some("json") {
        let runs: Vec<Value> = runs.iter().map(structure).collect();
        context.ui.print(&format!("{:#}\n", Value::Array(runs)))?;
        return Ok(ExitCode::SUCCESS);
    }
    for run in &runs {
        let place = format!("{}/{}/{}", run.account, run.region, run.repository);
        for (word, digests) in [("expired", &run.expired), ("archived", &run.archived)] {
            let lines = digests.iter().map(|digest| format!("{word} {place}@{digest}\n"));
            context.ui.print(&lines.collect::<String>())?;
        }
        for (digest, reason) in &run.held {
            context.ui.note(&format!("kept {place}@{digest}: {reason}"));
        }
    }
    let count = |of: fn(&LifecycleRun) -> &Vec<String>| runs.iter().map(|run| of(run).len()).sum::<usize>();
    let (expired, archived) = (count(|run| &run.expired), count(|run| &run.archived));
    let trial = if is_trial { "dry run: " } else { "" };
    let policies = if runs.len() == 1 { "1 policy".to_owned() } else { format!("{} policies", runs.len()) };
    context.ui.note(&format!("{trial}{expired} expired and {archived} archived, by {policies}"));
    Ok(ExitCode::SUCCESS)
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
