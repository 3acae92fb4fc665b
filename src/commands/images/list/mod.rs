//! `ecr images`: the images of repositories.

mod filter;
mod order;
mod rows;
mod scan;
pub(super) mod tree;

use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::Map;

use self::filter::FilterArgs;
use self::order::OrderArgs;
use self::rows::ImageRows;
use self::scan::Scans;
use super::super::{Command, Context, block_on, command_args};
use super::children::{self, Indexes};
use super::common_args::ReadingArgs;
use super::describe::{Images, graph};
use super::failures::Failures;
use super::manifest_cache::OwnFetch;
use super::output::{Listing, Output};
use super::selection::{RegistryArgs, Repository, RepositoryArgs, Selection};
use crate::image::graph::Graph;

/// The row of `ecr images`.
pub(in crate::commands) const COMMAND: Command = Command { name: "images", in_public: true, define, run };

/// The arguments of `ecr images`.
#[derive(Debug, clap::Args)]
struct ImagesArgs {
    #[command(flatten)]
    repositories: RepositoryArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    order: OrderArgs,
    /// Also list archived images
    #[arg(long)]
    archived: bool,
    /// Show digests whole
    #[arg(long)]
    digests: bool,
    /// Show what hangs on each image: children of indexes, signatures, attestations. Fetches manifests of indexes that
    /// are not in the cache, which counts as a pull of each
    #[arg(long)]
    tree: bool,
    /// Show the number of findings of each image's last scan: one call for each image
    #[arg(long)]
    scan: bool,
    #[command(flatten)]
    registries: RegistryArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// Repository with its images.
struct ListedRepository {
    repository: Repository,
    graph: Graph,
    indexes: Indexes,
    /// Our own fetches, which explain pull times.
    fetches: Vec<OwnFetch>,
    scans: Scans,
}

fn define() -> clap::Command {
    let command = clap::Command::new("images").about("List the images of repositories, the newest first").long_about(
        "List the images of repositories, the newest first. Signatures and other images that are there for another one \
         are folded into it (REFS), and so are the children of an index whose manifest is in the cache.",
    );
    command_args::define::<ImagesArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, images)
}

fn images(context: &Context, arguments: &ImagesArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let mut selection = Selection::read(&context.settings, &arguments.repositories, &arguments.registries)?;
    let mut failures = Failures::default();
    let contents = block_on(async { read(context, arguments, &mut selection, &mut failures).await })?;
    hint(context, arguments, &contents);
    let rows = ImageRows::new(context, arguments, &contents, selection.is_one());
    let more = Map::from_iter([("failures".to_owned(), failures.json())]);
    let listing = Listing { member: "images", columns: rows.columns(), rows: &rows, total: None, more };
    output.document(&listing)?;
    failures.finish(context, !contents.is_empty())
}

/// Reads the images of the repositories, a few at once.
async fn read(
    context: &Context,
    arguments: &ImagesArgs,
    selection: &mut Selection,
    failures: &mut Failures,
) -> anyhow::Result<Vec<ListedRepository>> {
    let repositories = selection.repositories(failures).await;
    if repositories.is_empty() && failures.is_empty() {
        context.ui.note("no repository matches");
    }
    let read = arguments
        .reading
        .for_each_shown(context, &repositories, |each| contents(context, arguments, each))
        .await;
    let mut found = Vec::new();
    for (repository, contents) in repositories.iter().zip(read) {
        match contents {
            Ok(contents) => found.push(contents),
            Err(error) => failures.repository(repository, error),
        }
    }
    children::tell_fetched(context, found.iter().map(|contents| contents.indexes.fetched).sum());
    Ok(found)
}

async fn contents(
    context: &Context,
    arguments: &ImagesArgs,
    repository: &Repository,
) -> anyhow::Result<ListedRepository> {
    let cache = arguments.reading.cache(context);
    let images = if arguments.archived || arguments.tree { Images::Any } else { Images::Active };
    let mut graph = graph(repository, images).await?;
    let indexes = if arguments.tree {
        children::all_children(repository, &mut graph, &cache).await?
    } else {
        children::known_children(&mut graph, &cache)
    };
    let fetches = cache.own_fetches(&children::place(repository));
    let scans = if arguments.scan {
        Scans::read(repository, &graph, &arguments.reading).await?
    } else {
        Scans::default()
    };
    Ok(ListedRepository { repository: repository.clone(), graph, indexes, fetches, scans })
}

/// Explains how to see the companions of indexes whose manifests are not known.
fn hint(context: &Context, arguments: &ImagesArgs, contents: &[ListedRepository]) {
    let unknown: usize = contents.iter().map(|contents| contents.indexes.unknown.len()).sum();
    if unknown == 0 || context.settings.globals().output.as_deref() == Some("off") {
        return;
    }
    let of = crate::ui::progress::count(unknown, "index");
    context.ui.note(&if arguments.tree {
        format!("the children of {of} are not known: archived, or deleted meanwhile")
    } else {
        format!("the children of {of} are listed as images of their own; --tree shows where they belong")
    });
}
