//! `ecr lifecycle apply`: sets the policy of repositories, after showing what changes and what it would do.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};
use serde_json::{Value, json};

use super::super::argument_types::RepositoryText;
use super::super::consent::{Consent, ConsentArgs};
use super::super::images::children::tell_fetched;
use super::super::images::common_args::ReadingArgs;
use super::super::images::failures::{Failures, NO};
use super::super::images::output::{Document, Output, Style};
use super::super::images::selection::{RegistryArgs, Repository, RepositoryArgs, Selection};
use super::super::registry::usage;
use super::super::{Command, Context, block_on, command_args};
use super::policy_text::PolicyText;
use super::simulate::{SimulatedPeriod, Simulation, SimulationDocument, tell};
use crate::auth::diff;
use crate::ui::progress::count;

/// The row of `ecr lifecycle apply`.
pub(super) const COMMAND: Command = Command { name: "apply", in_public: false, define, run };

/// The arguments of `ecr lifecycle apply`.
#[derive(Debug, clap::Args)]
struct ApplyArgs {
    /// The policy, as JSON, then repositories: names, globs in quotes ('team/*'), or - for names on standard input.
    /// With --remove repositories alone
    #[arg(value_name = "FILE REPOSITORY", value_hint = ValueHint::AnyPath)]
    words: Vec<String>,
    /// All repositories of the registry
    #[arg(long)]
    all: bool,
    /// Change nothing, and exit 1 if something would be changed
    #[arg(long)]
    check: bool,
    /// Remove the policies instead
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

fn define() -> clap::Command {
    let command = clap::Command::new("apply").about("Give repositories a lifecycle policy").long_about(
        "Give repositories a lifecycle policy. What changes in the policy and what it would do to the images are shown first, \
         then a question is asked; without a terminal --yes is required. Repositories that have the policy already are left \
         alone. --check changes nothing and exits 1 where something would be changed.",
    );
    command_args::define::<ApplyArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, apply)
}

/// A repository whose policy is to be changed, or is as it should be.
struct Change {
    kind: &'static str,
    diff: String,
    simulation: Simulation,
    applied: bool,
}

const UNCHANGED: &str = "unchanged";

fn apply(context: &Context, arguments: &ApplyArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let (file, repositories) = match arguments.words.split_first() {
        _ if arguments.remove => (None, arguments.words.as_slice()),
        Some((file, repositories)) => (Some(file), repositories),
        None => return Err(usage("name the file with the policy, then repositories")),
    };
    let reads_stdin = arguments.words.iter().any(|word| word == "-");
    if !arguments.check {
        arguments.consent.check(&context.ui, reads_stdin)?;
    }
    let policy = file.map(|file| PolicyText::read_file(Path::new(file))).transpose()?;
    let repositories = repositories.iter().cloned().map(RepositoryText::from).collect();
    let wanted = RepositoryArgs { repositories, all: arguments.all };
    let mut selection = Selection::read(&context.settings, &wanted, &RegistryArgs::default())?;
    let mut failures = Failures::default();
    block_on::<_, anyhow::Error>(async {
        let repositories = selection.matching_repositories(&mut failures).await;
        let work = |repository| planned(context, arguments, repository, policy.as_ref());
        let planned = arguments.reading.for_each_shown(context, &repositories, work).await;
        let changes = failures.sift(&repositories, planned);
        carry_out(context, arguments, (&output, policy.as_ref()), changes, failures).await
    })
}

/// Compares the present policy with the new one, and simulates the new one.
async fn planned(
    context: &Context,
    arguments: &ApplyArgs,
    repository: &Repository,
    policy: Option<&PolicyText>,
) -> anyhow::Result<Change> {
    let kept = PolicyText::in_place(repository).await?.map(|kept| kept.text);
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (before, after) = (kept.as_deref().map(pretty), policy.map(|policy| pretty(&policy.text)));
    let kind = match (&kept, policy) {
        (None, None) => UNCHANGED,
        (Some(_), None) => "remove",
        (None, Some(_)) => "create",
        (Some(kept), Some(policy)) if value(kept) == value(&policy.text) => UNCHANGED,
        (Some(_), Some(_)) => "replace",
    };
    let diff = if kind == UNCHANGED {
        String::new()
    } else {
        diff::unified(&repository.name, before.as_deref(), &after.unwrap_or_default())
    };
    // What is not changed does nothing new.
    let simulated = policy.filter(|_| kind != UNCHANGED).cloned();
    let cache = arguments.reading.cache(context);
    let simulation = Simulation::run(repository, simulated, &cache, SimulatedPeriod::now()).await?;
    Ok(Change { kind, diff, simulation, applied: false })
}

fn pretty(text: &str) -> String {
    let value = serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(text));
    format!("{value:#}\n")
}

/// Shows the plan, asks, applies it and shows the results.
async fn carry_out(
    context: &Context,
    arguments: &ApplyArgs,
    (output, policy): (&Output<'_>, Option<&PolicyText>),
    mut changes: Vec<Change>,
    mut failures: Failures,
) -> anyhow::Result<ExitCode> {
    tell_fetched(context, changes.iter().map(|change| change.simulation.fetched).sum());
    let number = changes.iter().filter(|change| change.kind != UNCHANGED).count();
    let shows_plan = output.is_for_people();
    let print = |changes: &[Change], failures: &Failures| {
        output.document(&ApplyDocument {
            changes,
            failures,
            dry_run: arguments.check || arguments.consent.dry_run,
        })
    };
    // A person sees the plan before the question, a program the result.
    if shows_plan {
        print(&changes, &failures)?;
    }
    for change in
        changes.iter().filter(|change| change.kind != UNCHANGED && change.simulation.policy.is_some())
    {
        tell(context, std::slice::from_ref(&change.simulation));
    }
    if arguments.check || number == 0 {
        if !shows_plan {
            print(&changes, &failures)?;
        }
        let code = failures.finish(context, !changes.is_empty())?;
        return Ok(if number > 0 { ExitCode::from(NO) } else { code });
    }
    let repositories = count(number, "repository");
    let question = format!("Change the lifecycle policy of {repositories}?");
    match arguments.consent.ask(context, question).await? {
        Consent::Refused => return Ok(ExitCode::from(NO)),
        Consent::DryRun => {}
        Consent::Given => apply_changes(context, policy, &mut changes, &mut failures).await,
    }
    if !shows_plan {
        print(&changes, &failures)?;
    }
    let something_done = changes.iter().any(|change| change.applied || change.kind == UNCHANGED);
    failures.finish(context, something_done)
}

/// Gives each repository that is to be changed its policy, or takes it.
async fn apply_changes(
    context: &Context,
    policy: Option<&PolicyText>,
    changes: &mut [Change],
    failures: &mut Failures,
) {
    for change in changes.iter_mut().filter(|change| change.kind != UNCHANGED) {
        let repository = &change.simulation.repository;
        match put(repository, policy).await {
            Ok(()) => {
                context.ui.note(&format!("{}: {}d", repository.name, change.kind));
                change.applied = true;
            }
            Err(error) => failures.repository(&repository.clone(), error),
        }
    }
}

async fn put(repository: &Repository, policy: Option<&PolicyText>) -> anyhow::Result<()> {
    let mut input = json!({"repositoryName": repository.name});
    match policy {
        Some(policy) => {
            input["lifecyclePolicyText"] = json!(policy.text);
            repository.connection.call("PutLifecyclePolicy", input).await?;
        }
        None => {
            repository.connection.call("DeleteLifecyclePolicy", input).await?;
        }
    }
    Ok(())
}

/// Plan and results.
struct ApplyDocument<'a> {
    changes: &'a [Change],
    failures: &'a Failures,
    dry_run: bool,
}

impl ApplyDocument<'_> {
    fn simulation<'s>(&'s self, change: &'s Change) -> SimulationDocument<'s> {
        SimulationDocument {
            simulations: std::slice::from_ref(&change.simulation),
            failures: self.failures,
            when: SimulatedPeriod::now(),
            explain: false,
            registries: false,
        }
    }
}

impl Document for ApplyDocument<'_> {
    fn json(&self) -> Value {
        let repositories = self.changes.iter().map(|change| {
            let mut value = self.simulation(change).json()["repositories"][0].clone();
            value["change"] = json!(change.kind);
            value["applied"] = json!(change.applied);
            value["diff"] = json!(change.diff);
            value
        });
        json!({
            "repositories": repositories.collect::<Vec<_>>(),
            "dryRun": self.dry_run,
            "failures": self.failures.json(),
        })
    }

    fn table(&self, out: &mut dyn Write, style: Style) -> std::io::Result<()> {
        for (number, change) in self.changes.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            writeln!(out, "{}: {}", change.simulation.repository.name, change.kind)?;
            out.write_all(crate::escape::escape_lines(&change.diff).as_bytes())?;
            if change.simulation.policy.is_some() {
                self.simulation(change).table(out, style)?;
            }
        }
        Ok(())
    }

    fn records(&self) -> Vec<Vec<String>> {
        let record = |change: &Change| {
            let applied = if change.applied { "applied" } else { "" };
            vec![change.simulation.repository.name.clone(), change.kind.to_owned(), applied.to_owned()]
        };
        self.changes.iter().map(record).collect()
    }

    fn markdown(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for change in self.changes {
            writeln!(out, "**`{}`**: {}\n", change.simulation.repository.name, change.kind)?;
            if !change.diff.is_empty() {
                writeln!(out, "```diff\n{}```\n", change.diff.replace("```", "'''"))?;
            }
            if change.simulation.policy.is_some() {
                self.simulation(change).markdown(out)?;
            }
        }
        Ok(())
    }
}
