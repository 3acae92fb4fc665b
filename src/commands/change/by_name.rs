//! Deletion and archiving of images named on the command line, with their children and companions.

use std::collections::HashSet;
use std::process::ExitCode;

use super::super::Context;
use super::super::consent::{Consent, ConsentArgs};
use super::super::images::children::{all_children, place, tell_fetched};
use super::super::images::common_args::ReadingArgs;
use super::super::images::describe::{Images, graph};
use super::super::images::failures::{Failures, NO};
use super::super::images::manifest_cache::OwnFetches;
use super::super::images::output::{Listing, Output};
use super::super::images::selection::Repository;
use super::super::runtime::{Stop, block_on_finishing};
use super::executor::Action;
use super::planned::{Freed, Planned, Reasons};
use super::planned_rows::{PlannedRows, members};
use super::references::{NamedImages, ReferenceArgs};
use super::replication::{DeleteReplication, Replications};
use super::result::conflict;
use crate::image::Name;
use crate::image::graph::{Graph, Status};
use crate::retention::{Plan, removal};
use crate::ui::progress::count;

/// Note on the price of archiving.
pub(super) const ARCHIVE_TERMS: &str = "archived images are kept, and paid for, for 90 days at least; restoring one costs, and below 150 TB the archive costs \
     as much as the standard class";

/// Images that were named, and the action on them.
pub(super) struct ByName<'a> {
    pub(super) references: &'a ReferenceArgs,
    pub(super) action: Action,
    /// Include the children of an index.
    pub(super) children: bool,
    /// Include the companions of an image.
    pub(super) companions: bool,
    pub(super) consent: ConsentArgs,
    pub(super) reading: &'a ReadingArgs,
}

/// Plan for one repository, with its conflicts.
struct RepositoryPlan {
    planned: Planned,
    fetched: usize,
    absent: Vec<String>,
    conflicts: Vec<String>,
}

/// Plans for all repositories, with their conflicts.
#[derive(Default)]
struct AllPlans {
    planned: Vec<Planned>,
    fetched: usize,
    absent: Vec<String>,
    conflicts: Vec<String>,
    failures: Failures,
}

impl AllPlans {
    fn of(named: &[NamedImages], found: Vec<anyhow::Result<RepositoryPlan>>) -> Self {
        let mut all = Self::default();
        for (named, found) in named.iter().zip(found) {
            match found {
                Ok(found) => {
                    all.fetched += found.fetched;
                    all.absent.extend(found.absent);
                    all.conflicts.extend(found.conflicts);
                    all.planned.push(found.planned);
                }
                Err(error) => all.failures.repository(&named.repository, error),
            }
        }
        all
    }
}

/// Plans, asks, and does it.
pub(super) fn run(context: &Context, arguments: &ByName<'_>) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    arguments.consent.check(&context.ui, arguments.references.reads_stdin())?;
    let named = arguments.references.read(&context.settings)?;
    block_on_finishing(|stop| async move {
        let reading =
            arguments.reading.for_each_shown(context, &named, |each| find(context, arguments, each));
        let found = stop.or(async { Ok(reading.await) }).await?;
        let AllPlans { planned: mut all, fetched, absent, conflicts, failures } = AllPlans::of(&named, found);
        tell_fetched(context, fetched);
        if !conflicts.is_empty() {
            return Ok(conflict(context, &conflicts));
        }
        if arguments.action == Action::Delete {
            stop.or(read_replication(context, &mut all)).await?;
        }
        let consent = arguments.ask(context, &all, &stop).await?;
        if consent == Consent::Refused {
            return Ok(ExitCode::from(NO));
        }
        if consent == Consent::Given {
            let work = arguments.reading.for_each_mut(&mut all, |planned| planned.run(&stop));
            stop.finish(&context.ui, work).await;
        }
        let rows = PlannedRows::new(&all, true, false);
        let more = members(&rows, &failures, arguments.consent.dry_run);
        let columns = rows.columns();
        output.document(&Listing { member: "repositories", columns, rows: &rows, total: None, more })?;
        for text in &absent {
            context.ui.note(&format!("error: {text} does not exist"));
        }
        if let Some(signal) = stop.signal() {
            return Ok(ExitCode::from(signal.exit_code()));
        }
        let code = rows.finish(context, failures)?;
        Ok(if code == ExitCode::SUCCESS && !absent.is_empty() { ExitCode::from(NO) } else { code })
    })
}

impl ByName<'_> {
    fn verb(&self) -> &'static str {
        if self.action == Action::Archive { "Archive" } else { "Delete" }
    }

    /// Shows the cost of archiving and the plans, and asks; without anything to change there is no question.
    async fn ask(&self, context: &Context, all: &[Planned], stop: &Stop) -> anyhow::Result<Consent> {
        if self.action == Action::Archive && self.consent.asks() {
            context.ui.note(ARCHIVE_TERMS);
        }
        let going = all.iter().map(|planned| planned.going.len()).sum();
        if going == 0 {
            return Ok(Consent::DryRun);
        }
        if self.consent.asks() {
            show(context, all);
        }
        let question = format!("{} {}?", self.verb(), count(going, "image"));
        stop.or(self.consent.ask(context, question)).await
    }
}

/// Reads whether deletions are replicated to other registries, and warns of it.
async fn read_replication(context: &Context, all: &mut [Planned]) -> anyhow::Result<()> {
    let mut replications = Replications::default();
    for planned in all.iter_mut().filter(|planned| !planned.is_empty()) {
        planned.replication = replications.of(&planned.repository.connection).await?;
        if let Some(warning) = planned.replication.warning(&planned.repository.name) {
            context.ui.note(&format!("warning: {warning}"));
        }
    }
    Ok(())
}

/// Shows what the question is about.
fn show(context: &Context, all: &[Planned]) {
    for planned in all {
        for position in &planned.going {
            let image = planned.graph.image(*position);
            let tags: Vec<&str> = image.tags().collect();
            context.ui.note(&format!(
                "{}@{}  {}  {}",
                planned.repository.name,
                image.digest(),
                tags.join(", "),
                planned.reason(*position)
            ));
        }
    }
}

async fn find(
    context: &Context,
    arguments: &ByName<'_>,
    named: &NamedImages,
) -> anyhow::Result<RepositoryPlan> {
    let repository = &named.repository;
    let cache = arguments.reading.cache(context);
    let mut graph = graph(repository, Images::Any).await?;
    let indexes = all_children(repository, &mut graph, &cache).await?;
    let (mut absent, mut positions) = (Vec::new(), HashSet::new());
    for name in &named.names {
        match position(&graph, name) {
            Some(position) => drop(positions.insert(position)),
            None => absent.push(match name {
                Name::Digest(digest) => format!("{}@{digest}", repository.name),
                name => format!("{}:{name}", repository.name),
            }),
        }
    }
    let plan = removal(&graph, &positions, arguments.children, arguments.companions);
    let archives = arguments.action == Action::Archive;
    let is_active = |position: usize| graph.image(position).status() == Status::Active;
    let conflicts = conflicts(repository, &graph, &plan, arguments.action, &positions);
    // What is archived already has nothing to be done to it.
    let going: Vec<usize> = plan.going().filter(|position| !archives || is_active(*position)).collect();
    let freed = Freed::of(&graph, &going, &cache);
    let empties = plan.empties(&graph);
    let planned = Planned {
        repository: repository.clone(),
        images: graph.len(),
        fetches: OwnFetches::new(cache.own_fetches(&place(repository))),
        reasons: Reasons::Plan(plan, Box::new(|_, _| "named".to_owned())),
        going,
        untag: Vec::new(),
        freed,
        action: arguments.action,
        replication: DeleteReplication::Rules(Vec::new()),
        empties,
        outcome: None,
        graph,
    };
    Ok(RepositoryPlan { planned, fetched: indexes.fetched, absent, conflicts })
}

/// Returns the conflicts of a plan: named images that a remaining image needs.
fn conflicts(
    repository: &Repository,
    graph: &Graph,
    plan: &Plan,
    action: Action,
    positions: &HashSet<usize>,
) -> Vec<String> {
    let archives = action == Action::Archive;
    let is_active = |position: usize| graph.image(position).status() == Status::Active;
    let stays = |position: &usize| !plan.goes(*position) && (!archives || is_active(*position));
    let digest = |position: usize| graph.image(position).digest();
    let mut sorted: Vec<usize> = positions.iter().copied().collect();
    sorted.sort_unstable();
    let mut conflicts = Vec::new();
    for position in sorted {
        let subject = graph.image(position).subject().and_then(|subject| graph.position(&subject));
        // Amazon ECR deletes a referrer alone, and archives it with its subject only.
        let subject = subject.filter(|_| archives && is_active(position)).filter(stays);
        let index = graph.parents(position).find(stays);
        let (held, holder) = match (index, subject) {
            (Some(index), _) => (format!("is listed by the index {}, which stays", digest(index)), index),
            (None, Some(subject)) => {
                (format!("is archived only with {}, which it is about", digest(subject)), subject)
            }
            (None, None) => continue,
        };
        let (name, verb) = (&repository.name, if archives { "archive" } else { "rm" });
        let (image, holder) = (digest(position), digest(holder));
        conflicts.push(format!("{name}@{image} {held}: `ecr {verb} {name}@{holder}` takes both"));
    }
    conflicts
}

fn position(graph: &Graph, name: &Name) -> Option<usize> {
    match name {
        Name::Digest(digest) => graph.position(digest),
        Name::Tag(tag) => graph.tagged(tag.as_str()),
        Name::Unnamed => None,
    }
}
