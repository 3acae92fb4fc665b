//! `ecr du`: how much repositories take, with bars.

mod document;
mod exact;
mod groups;
mod rows;

use std::process::ExitCode;

use clap::{ArgMatches, ValueEnum};
use serde_json::{Map, Value, json};

use self::document::DuDocument;
use self::exact::UniqueBlobs;
use self::groups::{Group, group};
use self::rows::GroupRows;
use super::super::argument_types::RepositoryText;
use super::super::registry::usage;
use super::super::report::{self, ReportArgs};
use super::super::{Command, Context, block_on, command_args};
use super::children::tell_fetched;
use super::common_args::ReadingArgs;
use super::describe::{Images, graph};
use super::failures::Failures;
use super::output::{Format, Listing, Output};
use super::selection::{RegistryArgs, Repository, RepositoryArgs, Selection};
use crate::image::graph::Graph;

/// The row of `ecr du`.
pub(in crate::commands) const COMMAND: Command = Command { name: "du", in_public: false, define, run };

/// The formats beside the common ones.
const FORMATS: &[Format] = &[Format::Html];

/// The arguments of `ecr du`.
#[derive(Debug, clap::Args)]
struct DuArgs {
    /// Names, globs in quotes ('team/*'; '*' also matches '/'), or - for names on standard input; all by default
    #[arg(value_name = "REPOSITORY")]
    repositories: Vec<RepositoryText>,
    /// All repositories of the registry
    #[arg(long)]
    all: bool,
    /// What sizes are summed by: repository, the letters that a tag begins with, the month of the push, or the status
    #[arg(long, value_enum, value_name = "GROUP", default_value_t = GroupBy::Repo)]
    by: GroupBy,
    /// Count every layer once: reads all manifests that are not in the cache, which counts as a pull of each
    #[arg(long)]
    exact: bool,
    /// What a GiB costs in a month, in the standard and in the archive class; the second is the first by default
    #[arg(long, value_name = "PRICE[,PRICE]", value_parser = price)]
    price: Option<Price>,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    registries: RegistryArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// Key by which sizes are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GroupBy {
    Repo,
    TagPrefix,
    Age,
    Status,
}

/// Price of a GiB for a month.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Price {
    standard: f64,
    archive: f64,
}

fn price(text: &str) -> Result<Price, String> {
    let number = |text: &str| {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| format!("'{text}' is no price; expected a number such as 0.10"))
    };
    let (standard, archive) = text.split_once(',').unwrap_or((text, text));
    Ok(Price { standard: number(standard)?, archive: number(archive)? })
}

fn define() -> clap::Command {
    let command = clap::Command::new("du").about("Show how much repositories take").long_about(
        "Show how much repositories take. The sizes are sums of what the service says of each image, marked ≤ since \
         layers that several images share are stored once. --exact reads the manifests and counts every layer once. \
         Archived images are counted apart.",
    );
    command_args::define::<DuArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, du)
}

/// Repository with its images, and their layers if they are known.
struct MeasuredRepository {
    repository: Repository,
    graph: Graph,
    exact: Option<UniqueBlobs>,
}

fn du(context: &Context, arguments: &DuArgs) -> anyhow::Result<ExitCode> {
    let output = Output::with_formats(context, FORMATS)?;
    let reports = arguments.reports.read(FORMATS)?;
    if arguments.exact && arguments.by != GroupBy::Repo {
        return Err(usage("--exact counts layers by repository; leave out --by, since images share layers"));
    }
    let all = arguments.all || arguments.repositories.is_empty();
    let wanted = RepositoryArgs { repositories: arguments.repositories.clone(), all };
    let mut selection = Selection::read(&context.settings, &wanted, &arguments.registries)?;
    let mut failures = Failures::default();
    let contents = block_on::<_, anyhow::Error>(async {
        let repositories = selection.repositories(&mut failures).await;
        let read = arguments
            .reading
            .for_each_shown(context, &repositories, |each| contents(context, arguments, each))
            .await;
        Ok(failures.sift(&repositories, read))
    })?;
    tell_fetched(
        context,
        contents.iter().filter_map(|contents| contents.exact.as_ref()).map(|exact| exact.fetched).sum(),
    );
    let groups = group(arguments, &contents);
    let rows = GroupRows::new(arguments, &groups);
    let more = Map::from_iter([
        ("summary".to_owned(), summary(arguments, &contents, &groups)),
        ("failures".to_owned(), failures.json()),
    ]);
    let (columns, total) = (rows.columns(), Some(rows.total()));
    let member = if arguments.by == GroupBy::Repo { "repositories" } else { "groups" };
    let listing = Listing { member, columns, rows: &rows, total, more };
    let document = DuDocument { listing, rows: &rows };
    output.document(&document)?;
    report::write_all(context, &reports, &document)?;
    failures.finish(context, !contents.is_empty())
}

async fn contents(
    context: &Context,
    arguments: &DuArgs,
    repository: &Repository,
) -> anyhow::Result<MeasuredRepository> {
    let graph = graph(repository, Images::Any).await?;
    let exact = if arguments.exact {
        Some(UniqueBlobs::read(repository, &graph, &arguments.reading.cache(context)).await?)
    } else {
        None
    };
    Ok(MeasuredRepository { repository: repository.clone(), graph, exact })
}

fn summary(arguments: &DuArgs, contents: &[MeasuredRepository], groups: &[Group]) -> Value {
    let sum = |of: fn(&Group) -> u64| groups.iter().map(of).sum::<u64>();
    let mut value = json!({
        "images": sum(|group| group.images),
        "bytes": sum(|group| group.bytes),
        "archivedBytes": sum(|group| group.archived),
        "exact": groups.iter().all(|group| group.exact),
    });
    if arguments.exact {
        value["uniqueBytes"] =
            json!(exact::distinct(contents.iter().filter_map(|contents| contents.exact.as_ref())));
    }
    if let Some(price) = arguments.price {
        value["monthlyCost"] = json!(groups.iter().map(|group| group.cost(price)).sum::<f64>());
    }
    value
}
