//! `ecr repos`: the repositories of registries.

mod details;
mod rows;

use std::process::ExitCode;

use clap::{ArgMatches, ValueEnum};
use jiff::Timestamp;
use serde_json::Map;

use self::details::{RepositoryDetails, ScanRules};
use self::rows::RepositoryRows;
use super::super::argument_types::RepositoryText;
use super::super::{Command, Context, block_on, command_args};
use super::age::Age;
use super::common_args::ReadingArgs;
use super::failures::Failures;
use super::output::{Listing, Output};
use super::selection::{Described, RegistryArgs, RepositoryArgs, Selection};
use crate::image::graph::Time;

/// The row of `ecr repos`.
pub(in crate::commands) const COMMAND: Command = Command { name: "repos", in_public: false, define, run };

/// The arguments of `ecr repos`.
#[derive(Debug, clap::Args)]
struct ReposArgs {
    /// Names, globs in quotes ('team/*'; '*' also matches '/'), or - for names on standard input; all by default
    #[arg(value_name = "REPOSITORY")]
    repositories: Vec<RepositoryText>,
    /// Show the number of images, how many are untagged, their size, the last push and the last pull: asks for the
    /// images of each repository
    #[arg(long)]
    usage: bool,
    /// Show whether there is a lifecycle policy and a repository policy: two calls for each repository
    #[arg(long)]
    policies: bool,
    /// Only repositories with this resource tag: one call for each repository
    #[arg(long, value_name = "KEY=VALUE", value_parser = resource_tag)]
    resource_tag: Vec<(String, String)>,
    /// What comes first: names in their order, the largest, the most images, the newest push, pull or repository
    #[arg(long, value_enum, value_name = "KEY", default_value_t = Key::Name)]
    sort: Key,
    /// Only repositories without images
    #[arg(long)]
    empty: bool,
    /// Only repositories to which nothing was pushed and from which nothing was pulled for this long
    #[arg(long, value_name = "TIME")]
    unused: Option<Age>,
    #[command(flatten)]
    registries: RegistryArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// Order of repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Key {
    Name,
    Size,
    Images,
    Pushed,
    Pulled,
    Created,
}

fn resource_tag(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "expected KEY=VALUE".to_owned())
}

fn define() -> clap::Command {
    let command = clap::Command::new("repos").about("List repositories, and how they are used").long_about(
        "List repositories with their settings. --usage adds images, sizes, the last push and the last pull. Sizes are \
         sums of what the service says of each image, marked ≤ since layers may be shared.",
    );
    command_args::define::<ReposArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, repos)
}

impl ReposArgs {
    /// Returns whether images have to be listed.
    fn needs_usage(&self) -> bool {
        let sorted = matches!(self.sort, Key::Size | Key::Images | Key::Pushed | Key::Pulled);
        self.usage || self.empty || self.unused.is_some() || sorted
    }

    fn wants(&self, details: &RepositoryDetails, now: Timestamp) -> bool {
        let has = |(key, value): &(String, String)| details.tags.get(key) == Some(value);
        if !self.resource_tag.iter().all(has) {
            return false;
        }
        // What is not known is neither empty nor unused.
        let Some(usage) = &details.usage else { return !self.empty && self.unused.is_none() };
        let unused = |age: Age| {
            let since = Time::of(age.before(now));
            [usage.pushed, usage.pulled, details.created].into_iter().flatten().all(|time| time < since)
        };
        (!self.empty || usage.images == 0) && self.unused.is_none_or(unused)
    }
}

fn repos(context: &Context, arguments: &ReposArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let all = arguments.repositories.is_empty();
    let wanted = RepositoryArgs { repositories: arguments.repositories.clone(), all };
    let mut selection = Selection::read(&context.settings, &wanted, &arguments.registries)?;
    let mut failures = Failures::default();
    let details: Vec<RepositoryDetails> = block_on::<_, anyhow::Error>(async {
        Ok(read(context, arguments, &mut selection, &mut failures).await)
    })?;
    let found = !details.is_empty();
    let now = Timestamp::now();
    let mut details: Vec<RepositoryDetails> =
        details.into_iter().filter(|details| arguments.wants(details, now)).collect();
    arguments.sort.sort(&mut details);
    let rows = RepositoryRows::new(context, arguments, &details);
    let more = Map::from_iter([("failures".to_owned(), failures.json())]);
    let (columns, total) = (rows.columns(), Some(rows.total()));
    output.document(&Listing { member: "repositories", columns, rows: &rows, total, more })?;
    if !all && !found && failures.is_empty() {
        context.ui.note("no repository matches");
    }
    failures.finish(context, found)
}

/// Describes the repositories and reads the requested details of each.
async fn read(
    context: &Context,
    arguments: &ReposArgs,
    selection: &mut Selection,
    failures: &mut Failures,
) -> Vec<RepositoryDetails> {
    let described = selection.described(failures).await;
    let mut rules: Vec<(usize, ScanRules)> = Vec::new();
    for Described { repository, .. } in &described {
        let key = std::sync::Arc::as_ptr(&repository.connection) as usize;
        if !rules.iter().any(|(known, _)| *known == key) {
            rules.push((key, ScanRules::read(&repository.connection).await));
        }
    }
    let read = arguments
        .reading
        .for_each_shown(context, &described, |each| RepositoryDetails::read(arguments, each))
        .await;
    let mut all = Vec::new();
    for (each, (mut details, errors)) in described.iter().zip(read) {
        let key = std::sync::Arc::as_ptr(&each.repository.connection) as usize;
        let rules = rules.iter().find(|(known, _)| *known == key).map(|(_, rules)| rules);
        details.scan =
            rules.map(|rules| rules.of(&details.description, &each.repository.name)).unwrap_or_default();
        for error in errors {
            failures.repository(&each.repository, error);
        }
        all.push(details);
    }
    all
}

impl Key {
    fn sort(self, all: &mut [RepositoryDetails]) {
        all.sort_by(|one, other| {
            let (usage, beside) = (one.usage.as_ref(), other.usage.as_ref());
            let first = match self {
                Self::Name => std::cmp::Ordering::Equal,
                Self::Size => beside.map(|usage| usage.bytes).cmp(&usage.map(|usage| usage.bytes)),
                Self::Images => beside.map(|usage| usage.images).cmp(&usage.map(|usage| usage.images)),
                Self::Pushed => {
                    beside.and_then(|usage| usage.pushed).cmp(&usage.and_then(|usage| usage.pushed))
                }
                Self::Pulled => {
                    beside.and_then(|usage| usage.pulled).cmp(&usage.and_then(|usage| usage.pulled))
                }
                Self::Created => other.created.cmp(&one.created),
            };
            first.then_with(|| one.repository.name.cmp(&other.repository.name))
        });
    }
}
