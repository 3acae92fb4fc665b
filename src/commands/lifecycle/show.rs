//! `ecr lifecycle show`: the repositories' policies in plain English.

use std::io::Write;
use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Value, json};

use super::super::images::common_args::ReadingArgs;
use super::super::images::failures::Failures;
use super::super::images::output::{Column, Document, Grid, Output, Style};
use super::super::images::selection::{RegistryArgs, Repository, RepositoryArgs, Selection};
use super::super::{Command, Context, block_on, command_args};
use super::policy_text::{InPlace, PolicyText};
use crate::lifecycle::Policy;

/// The row of `ecr lifecycle show`.
pub(super) const COMMAND: Command = Command { name: "show", in_public: false, define, run };

/// The arguments of `ecr lifecycle show`.
#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    repositories: RepositoryArgs,
    #[command(flatten)]
    registries: RegistryArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

fn define() -> clap::Command {
    let command = clap::Command::new("show").about("Show the policies in place, in words").long_about(
        "Show the policies in place, rule by rule in words, and when they were last carried out.",
    );
    command_args::define::<ShowArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, show)
}

fn show(context: &Context, arguments: &ShowArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let mut selection = Selection::read(&context.settings, &arguments.repositories, &arguments.registries)?;
    let mut failures = Failures::default();
    let kept = block_on::<_, anyhow::Error>(async {
        let repositories = selection.matching_repositories(&mut failures).await;
        let read = arguments.reading.for_each_shown(context, &repositories, PolicyText::in_place).await;
        let mut kept = Vec::new();
        for (repository, policy) in repositories.into_iter().zip(read) {
            match policy {
                Ok(policy) => kept.push((repository, policy)),
                Err(error) => failures.repository(&repository, error),
            }
        }
        Ok(kept)
    })?;
    let registries = arguments.registries.are_given();
    output.document(&PoliciesDocument { kept: &kept, failures: &failures, registries })?;
    failures.finish(context, !kept.is_empty())
}

/// The policies of repositories.
struct PoliciesDocument<'a> {
    kept: &'a [(Repository, Option<InPlace>)],
    failures: &'a Failures,
    registries: bool,
}

/// Priorities and sentences; none where the rules are of a kind that this program does not know.
fn rules(kept: &InPlace) -> Vec<(i64, String)> {
    let policy = Policy::parse(&kept.text).ok();
    let rules = policy.iter().flat_map(Policy::rules);
    rules.map(|rule| (rule.priority(), rule.in_words())).collect()
}

impl PoliciesDocument<'_> {
    /// A line for each rule.
    fn grid(&self) -> Grid {
        let mut columns = vec![
            Column::wrapped("REPOSITORY"),
            Column::right("RULE"),
            Column::wrapped("MEANS"),
            Column::wrapped("LAST EVALUATED"),
        ];
        if self.registries {
            columns.push(Column::left("REGION"));
        }
        let mut rows = Vec::new();
        for (repository, kept) in self.kept {
            let mut line = |rule: String, words: String, evaluated: String| {
                let mut cells = vec![repository.name.clone(), rule, words, evaluated];
                if self.registries {
                    cells.push(repository.connection.region().unwrap_or_else(|| "?".to_owned()));
                }
                rows.push(cells);
            };
            let Some(kept) = kept else {
                line("-".to_owned(), "no lifecycle policy".to_owned(), "-".to_owned());
                continue;
            };
            let evaluated =
                kept.evaluated.map(|time| time.timestamp().strftime("%Y-%m-%d %H:%M").to_string());
            let evaluated = evaluated.unwrap_or_else(|| "never".to_owned());
            let rules = rules(kept);
            if rules.is_empty() {
                let unknown = "rules of a kind that this program does not know".to_owned();
                line("?".to_owned(), unknown, evaluated.clone());
            }
            for (priority, words) in rules {
                line(priority.to_string(), words, evaluated.clone());
            }
        }
        Grid { columns, rows, total: None }
    }
}

impl Document for PoliciesDocument<'_> {
    fn json(&self) -> Value {
        let repositories = self.kept.iter().map(|(repository, kept)| {
            let mut value = json!({});
            if let Some(region) = repository.connection.region() {
                value["region"] = json!(region);
            }
            value["repositoryName"] = json!(repository.name);
            let rules = kept.iter().flat_map(rules);
            let rule = |(priority, words)| json!({"rulePriority": priority, "description": words});
            value["rules"] = rules.map(rule).collect();
            if let Some(kept) = kept {
                value["lifecyclePolicyText"] = json!(kept.text);
            }
            if let Some(evaluated) = kept.as_ref().and_then(|kept| kept.evaluated) {
                value["lastEvaluatedAt"] = json!(evaluated.timestamp().to_string());
            }
            value
        });
        json!({"repositories": repositories.collect::<Vec<_>>(), "failures": self.failures.json()})
    }

    fn table(&self, out: &mut dyn Write, style: Style) -> std::io::Result<()> {
        self.grid().table(out, style)
    }

    /// A record for each rule.
    fn records(&self) -> Vec<Vec<String>> {
        let each = self.kept.iter().flat_map(|(repository, kept)| {
            kept.iter()
                .flat_map(rules)
                .map(|(priority, words)| vec![repository.name.clone(), priority.to_string(), words])
        });
        each.collect()
    }

    fn markdown(&self, out: &mut dyn Write) -> std::io::Result<()> {
        self.grid().markdown(out)
    }
}
