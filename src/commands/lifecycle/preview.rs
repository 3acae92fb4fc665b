//! `ecr lifecycle preview`: the service's own simulation, started or joined, waited for, and compared with ours.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::argument_types::RepositoryText;
use super::super::images::age::duration;
use super::super::images::common_args::ReadingArgs;
use super::super::images::failures::{NO, UNKNOWN, answer, has_code};
use super::super::images::output::{Column, Document, Grid, Output, Style};
use super::super::images::pages::Pages;
use super::super::images::selection::{RegistryArgs, Repository, RepositoryArgs, Selection};
use super::super::registry::usage;
use super::super::{Command, Context, block_on, command_args};
use super::policy_text::PolicyText;
use super::simulate::{SimulatedPeriod, Simulation};
use crate::image::graph::Time;
use crate::retry::Backoff;

/// The row of `ecr lifecycle preview`.
pub(super) const COMMAND: Command = Command { name: "preview", in_public: false, define, run };

const START: &str = "StartLifecyclePolicyPreview";
/// The status of a preview whose results can be read.
const COMPLETE: &str = "COMPLETE";
const GET: &str = "GetLifecyclePolicyPreview";
/// The most results of a page.
const PAGE: u32 = 100;
/// The time between two looks: it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The arguments of `ecr lifecycle preview`.
#[derive(Debug, clap::Args)]
struct PreviewArgs {
    /// The repository, with or without the registry's host in front
    #[arg(value_name = "REPOSITORY")]
    repository: RepositoryText,
    /// The policy to preview, as JSON; - is standard input. Without it, the repository's own
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// How long to wait for the service
    #[arg(long, value_name = "DURATION", default_value = "10min", value_parser = duration)]
    timeout: Duration,
    /// Also simulate, and exit 1 where the service does something else
    #[arg(long)]
    compare: bool,
    #[command(flatten)]
    reading: ReadingArgs,
}

fn define() -> clap::Command {
    let command = clap::Command::new("preview").about("Ask the service what a policy would do").long_about(
        "Ask the service what a policy would do. A preview of the same policy that is under way is joined, one of another \
         policy waited for. Exits 3 where the service does not finish in time.",
    );
    command_args::define::<PreviewArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, preview)
}

/// Action of the service on one image.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PreviewedImage {
    digest: String,
    tags: Vec<String>,
    pushed: Option<Time>,
    /// `EXPIRE` or `TRANSITION`.
    action: String,
    rule: i64,
}

/// Image that the service and the simulation treat differently: the action of each, with the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Difference {
    digest: String,
    service: Option<(String, i64)>,
    simulation: Option<(String, i64)>,
}

/// Result of a preview.
enum PreviewResult {
    Complete(Vec<PreviewedImage>),
    /// The preview did not complete, for this reason.
    Unknown(String),
}

fn preview(context: &Context, arguments: &PreviewArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let until = Instant::now()
        .checked_add(arguments.timeout)
        .ok_or_else(|| usage("--timeout is longer than there is time"))?;
    let file = arguments.file.as_deref().map(PolicyText::read_file).transpose()?;
    let wanted = RepositoryArgs { repositories: vec![arguments.repository.clone()], all: false };
    let mut selection = Selection::read(&context.settings, &wanted, &RegistryArgs::default())?;
    if !selection.is_one() {
        return Err(usage("preview takes the name of one repository"));
    }
    let (repository, ended, differences) = block_on::<_, anyhow::Error>(async {
        let mut failures = super::super::images::failures::Failures::default();
        let repositories = selection.matching_repositories(&mut failures).await;
        let repository = repositories.into_iter().next();
        let repository = repository.ok_or_else(|| usage("preview takes the name of one repository"))?;
        let (ended, differences) = read(context, arguments, &repository, (file, until)).await?;
        Ok((repository, ended, differences))
    })?;
    let images = match ended {
        PreviewResult::Complete(images) => images,
        PreviewResult::Unknown(reason) => {
            return Ok(answer(
                context,
                UNKNOWN,
                &format!("the preview of {} cannot be told: {reason}", repository.name),
            ));
        }
    };
    let differs = differences.as_ref().is_some_and(|differences| !differences.is_empty());
    output.document(&PreviewDocument { repository: &repository, images: &images, differences })?;
    if differs {
        return Ok(answer(context, NO, "the service and the simulation differ"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The repository's own policy, which is previewed unless a file is named.
async fn policy_in_place(repository: &Repository) -> anyhow::Result<PolicyText> {
    match PolicyText::in_place(repository).await? {
        Some(kept) => PolicyText::of_service(kept.text),
        None => Err(usage(format!("{} has no lifecycle policy: -f FILE previews one", repository.name))),
    }
}

/// Lets the service preview a policy or the one in place; with `--compare`, what the simulation says otherwise.
async fn read(
    context: &Context,
    arguments: &PreviewArgs,
    repository: &Repository,
    (file, until): (Option<PolicyText>, Instant),
) -> anyhow::Result<(PreviewResult, Option<Vec<Difference>>)> {
    let policy = match file {
        Some(policy) => policy,
        None => policy_in_place(repository).await?,
    };
    let ended = carried_out(repository, &policy.text, until).await?;
    let differences = match &ended {
        PreviewResult::Complete(images) if arguments.compare => {
            let cache = arguments.reading.cache(context);
            let simulation =
                Simulation::run(repository, Some(policy), &cache, SimulatedPeriod::now()).await?;
            Some(compared(images, &simulation))
        }
        _ => None,
    };
    Ok((ended, differences))
}

/// Starts a preview, or joins one, and waits for its end.
async fn carried_out(repository: &Repository, text: &str, until: Instant) -> anyhow::Result<PreviewResult> {
    let wanted: Value = serde_json::from_str(text).unwrap_or_default();
    let mut started = false;
    let first_wait = if repository.connection.is_rate_limited() { FIRST_WAIT } else { FIRST_WAIT / 20 };
    let (backoff, mut looks) = (Backoff::new(first_wait, MAX_WAIT), 0);
    loop {
        let (status, is_ours) = state(repository, &wanted).await?;
        match status.as_str() {
            "IN_PROGRESS" if is_ours => started = true,
            // A repository has one preview at a time: another client's has to end first.
            "IN_PROGRESS" => {}
            COMPLETE if started && is_ours => {
                if let Some(images) = results(repository).await? {
                    return Ok(PreviewResult::Complete(images));
                }
            }
            "FAILED" if started => {
                return Ok(PreviewResult::Unknown("the service says that it failed: try again".to_owned()));
            }
            "EXPIRED" if started => {
                return Ok(PreviewResult::Unknown("it has expired: try again".to_owned()));
            }
            _ => started |= start(repository, text).await?,
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let state = if status.is_empty() { "not there" } else { status.as_str() };
            return Ok(PreviewResult::Unknown(format!("it is still {state}; --timeout waits longer")));
        }
        looks += 1;
        tokio::time::sleep(backoff.wait(looks).min(left)).await;
    }
}

/// The status of the repository's preview, empty where there is none, and whether it is of the wanted policy.
async fn state(repository: &Repository, wanted: &Value) -> anyhow::Result<(String, bool)> {
    let named = json!({"repositoryName": repository.name});
    let found = match repository.connection.call(GET, named).await.map_err(anyhow::Error::from) {
        Err(error) if has_code(&error, "LifecyclePolicyPreviewNotFoundException") => None,
        found => Some(found?),
    };
    let text = |member: &str| found.as_ref().and_then(|found| found[member].as_str()).unwrap_or_default();
    let is_ours = serde_json::from_str::<Value>(text("lifecyclePolicyText")).ok().as_ref() == Some(wanted);
    Ok((text("status").to_owned(), is_ours))
}

/// Starts a preview, and answers whether it did: somebody else may have been faster.
async fn start(repository: &Repository, text: &str) -> anyhow::Result<bool> {
    let input = json!({"repositoryName": repository.name, "lifecyclePolicyText": text});
    match repository.connection.call(START, input).await.map_err(anyhow::Error::from) {
        Err(error) if has_code(&error, "LifecyclePolicyPreviewInProgressException") => Ok(false),
        answer => answer.map(|_| true),
    }
}

/// Reads the pages of a complete preview; `None` if another one was started meanwhile.
async fn results(repository: &Repository) -> anyhow::Result<Option<Vec<PreviewedImage>>> {
    let input = json!({"repositoryName": repository.name, "maxResults": PAGE});
    let mut pages = Pages::new(&repository.connection, GET, input);
    let mut images = Vec::new();
    while let Some(page) = pages.next().await? {
        if page["status"].as_str().is_some_and(|status| status != COMPLETE) {
            return Ok(None);
        }
        for result in page["previewResults"].as_array().into_iter().flatten() {
            let tags = result["imageTags"].as_array().into_iter().flatten();
            images.push(PreviewedImage {
                digest: result["imageDigest"].as_str().unwrap_or_default().to_owned(),
                tags: tags.filter_map(Value::as_str).map(str::to_owned).collect(),
                pushed: result.get("imagePushedAt").and_then(Time::read),
                action: result["action"]["type"].as_str().unwrap_or_default().to_owned(),
                rule: result["appliedRulePriority"].as_i64().unwrap_or_default(),
            });
        }
    }
    Ok(Some(images))
}

fn compared(images: &[PreviewedImage], simulation: &Simulation) -> Vec<Difference> {
    let mut all: BTreeMap<String, Difference> = BTreeMap::new();
    let empty = |digest: &str| Difference { digest: digest.to_owned(), service: None, simulation: None };
    for image in images {
        let difference = all.entry(image.digest.clone()).or_insert_with(|| empty(&image.digest));
        difference.service = Some((image.action.clone(), image.rule));
    }
    for decision in &simulation.plan.decisions {
        let digest = &simulation.images[decision.image].digest;
        let difference = all.entry(digest.clone()).or_insert_with(|| empty(digest));
        let action = super::simulate::action_type(decision.action).to_owned();
        difference.simulation = Some((action, decision.priority));
    }
    all.into_values().filter(|difference| difference.service != difference.simulation).collect()
}

/// The result of a preview.
struct PreviewDocument<'a> {
    repository: &'a Repository,
    images: &'a [PreviewedImage],
    differences: Option<Vec<Difference>>,
}

fn word(action: &str) -> &'static str {
    if action == "TRANSITION" { "archive" } else { "expire" }
}

impl PreviewDocument<'_> {
    fn grids(&self) -> Vec<Grid> {
        let columns = vec![
            Column::wrapped("TAGS"),
            Column::left("DIGEST"),
            Column::wrapped("PUSHED"),
            Column::left("ACTION"),
            Column::right("RULE"),
        ];
        let rows = self.images.iter().map(|image| {
            let pushed = image.pushed.map(|at| at.timestamp().strftime("%Y-%m-%d %H:%M").to_string());
            vec![
                if image.tags.is_empty() { "-".to_owned() } else { image.tags.join(", ") },
                image.digest.get(7..19).unwrap_or(&image.digest).to_owned(),
                pushed.unwrap_or_else(|| "?".to_owned()),
                word(&image.action).to_owned(),
                image.rule.to_string(),
            ]
        });
        let mut grids = vec![Grid { columns, rows: rows.collect(), total: None }];
        if let Some(differences) = self.differences.as_ref().filter(|differences| !differences.is_empty()) {
            let told = |decided: &Option<(String, i64)>| match decided {
                None => "keep".to_owned(),
                Some((action, rule)) => format!("{} by rule {rule}", word(action)),
            };
            let columns = vec![Column::left("DIGEST"), Column::left("SERVICE"), Column::left("SIMULATION")];
            let rows = differences.iter().map(|difference| {
                let digest = difference.digest.get(7..19).unwrap_or(&difference.digest).to_owned();
                vec![digest, told(&difference.service), told(&difference.simulation)]
            });
            grids.push(Grid { columns, rows: rows.collect(), total: None });
        }
        grids
    }
}

impl Document for PreviewDocument<'_> {
    fn json(&self) -> Value {
        let images = self.images.iter().map(|image| {
            json!({
                "imageDigest": image.digest,
                "imageTags": image.tags,
                "imagePushedAt": image.pushed.map(|at| at.timestamp().to_string()),
                "action": image.action,
                "appliedRulePriority": image.rule,
            })
        });
        let mut value = json!({
            "repositoryName": self.repository.name,
            "status": "COMPLETE",
            "images": images.collect::<Vec<_>>(),
        });
        if let Some(differences) = &self.differences {
            let decided = |decided: &Option<(String, i64)>| {
                decided.as_ref().map(|(action, rule)| json!({"action": action, "appliedRulePriority": rule}))
            };
            let each = differences.iter().map(|difference| {
                json!({
                    "imageDigest": difference.digest,
                    "service": decided(&difference.service),
                    "simulation": decided(&difference.simulation),
                })
            });
            value["differences"] = each.collect();
        }
        json!({ "preview": value })
    }

    fn table(&self, out: &mut dyn Write, style: Style) -> std::io::Result<()> {
        for (number, grid) in self.grids().iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            grid.table(out, style)?;
        }
        Ok(())
    }

    fn records(&self) -> Vec<Vec<String>> {
        let record = |image: &PreviewedImage| {
            let (digest, tags) = (image.digest.clone(), image.tags.join(","));
            vec![
                self.repository.name.clone(),
                digest,
                tags,
                word(&image.action).to_owned(),
                image.rule.to_string(),
            ]
        };
        self.images.iter().map(record).collect()
    }

    fn markdown(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for (number, grid) in self.grids().iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            grid.markdown(out)?;
        }
        Ok(())
    }
}
