//! `ecr find`: which repositories have a digest, a tag, or tags like this.

use std::process::ExitCode;

use clap::{ArgMatches, ValueHint};
use serde_json::{Map, Value};

use super::super::argument_types::RepositoryText;
use super::super::registry::wrong;
use super::super::{Command, Context, block_on, command_args};
use super::common_args::ReadingArgs;
use super::describe::{Images, describe_by_name, graph};
use super::failures::{Failures, NO, answer, is_missing_repository};
use super::json::image_members;
use super::output::{Column, Listing, Output, Rows};
use super::selection::{RegistryArgs, Repository, RepositoryArgs, Selection, is_glob};
use crate::image::graph::Graph;
use crate::image::{Digest, Name, glob};

/// The row of `ecr find`.
pub(in crate::commands) const COMMAND: Command = Command { name: "find", in_public: true, define, run };

/// The arguments of `ecr find`.
#[derive(Debug, clap::Args)]
struct FindArgs {
    /// A digest, a tag, or a glob for tags in quotes
    #[arg(value_name = "DIGEST|TAG|GLOB", value_hint = ValueHint::Other)]
    wanted: String,
    /// Where to look: repositories or globs; everywhere by default
    #[arg(value_name = "REPOSITORY")]
    repositories: Vec<RepositoryText>,
    #[command(flatten)]
    registries: RegistryArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// Search term.
enum SearchTerm {
    Name(Name),
    Glob(String),
}

impl SearchTerm {
    fn read(text: &str) -> anyhow::Result<Self> {
        if is_glob(text) {
            return Ok(Self::Glob(text.to_owned()));
        }
        if text.contains(':') {
            return Ok(Self::Name(Name::Digest(text.parse().map_err(wrong)?)));
        }
        Name::tag(text).map(Self::Name).map_err(wrong)
    }

    /// Returns the repository's images that match; none if the repository was deleted.
    async fn find(&self, repository: &Repository) -> anyhow::Result<Graph> {
        let found = match self {
            Self::Name(name) => {
                let mut graph = Graph::default();
                describe_by_name(repository, std::slice::from_ref(name)).await.map(|details| {
                    for detail in details {
                        graph.add(detail);
                    }
                    graph.link();
                    graph
                })
            }
            Self::Glob(_) => graph(repository, Images::Any).await,
        };
        match found {
            Err(error) if is_missing_repository(&error) => Ok(Graph::default()),
            found => found,
        }
    }

    /// The tags by which an image was found; none where it was its digest.
    fn tags<'a>(&'a self, graph: &'a Graph, position: usize) -> Vec<&'a str> {
        let fits = |tag: &&str| match self {
            Self::Name(Name::Tag(wanted)) => **tag == **wanted,
            Self::Name(_) => false,
            Self::Glob(wanted) => glob::matches(wanted, tag),
        };
        graph.image(position).tags().filter(fits).collect()
    }

    fn fits(&self, graph: &Graph, position: usize) -> bool {
        matches!(self, Self::Name(Name::Digest(_))) || !self.tags(graph, position).is_empty()
    }
}

fn define() -> clap::Command {
    let command = clap::Command::new("find").about("Find the repositories that have a digest or a tag").long_about(
        "Find the repositories that have a digest, a tag, or tags that match a glob: one call a repository for a digest or \
         a tag, a listing for a glob. Exits 1 where there is none.",
    );
    command_args::define::<FindArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, find)
}

fn find(context: &Context, arguments: &FindArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let wanted = SearchTerm::read(&arguments.wanted)?;
    let all = arguments.repositories.is_empty();
    let selected = RepositoryArgs { repositories: arguments.repositories.clone(), all };
    let mut selection = Selection::read(&context.settings, &selected, &arguments.registries)?;
    let mut failures = Failures::default();
    let mut contents = Vec::new();
    block_on::<_, anyhow::Error>(async {
        let repositories = selection.repositories(&mut failures).await;
        let found = arguments.reading.for_each_shown(context, &repositories, |each| wanted.find(each)).await;
        for (repository, found) in repositories.into_iter().zip(found) {
            match found {
                Ok(graph) => contents.push((repository, graph)),
                Err(error) => failures.repository(&repository, error),
            }
        }
        Ok(())
    })?;
    let rows = FoundRows::new(context, arguments, &wanted, &contents);
    let more = Map::from_iter([("failures".to_owned(), failures.json())]);
    let columns = rows.columns();
    output.document(&Listing { member: "images", columns, rows: &rows, total: None, more })?;
    if failures.is_empty() && rows.len() == 0 {
        return Ok(answer(context, NO, &format!("no repository has {}", arguments.wanted)));
    }
    failures.finish(context, !contents.is_empty())
}

/// Matches, a line for each image.
struct FoundRows<'a> {
    wanted: &'a SearchTerm,
    contents: &'a [(Repository, Graph)],
    /// The number of the repository and the position of the image.
    lines: Vec<(usize, usize)>,
    registries: bool,
    zone: jiff::tz::TimeZone,
}

impl<'a> FoundRows<'a> {
    fn new(
        context: &Context,
        arguments: &FindArgs,
        wanted: &'a SearchTerm,
        contents: &'a [(Repository, Graph)],
    ) -> Self {
        let mut lines = Vec::new();
        for (number, (_, graph)) in contents.iter().enumerate() {
            lines.extend((0..graph.len()).filter(|at| wanted.fits(graph, *at)).map(|at| (number, at)));
        }
        let registries = arguments.registries.are_given();
        Self { wanted, contents, lines, registries, zone: context.settings.time_zone() }
    }

    fn columns(&self) -> Vec<Column> {
        let mut columns = vec![
            Column::wrapped("REPOSITORY"),
            Column::wrapped("TAGS"),
            Column::left("DIGEST"),
            Column::wrapped("PUSHED"),
        ];
        if self.registries {
            columns.extend([Column::left("ACCOUNT"), Column::left("REGION")]);
        }
        columns
    }

    fn line(&self, row: usize) -> (&Repository, &Graph, usize) {
        let (number, position) = self.lines[row];
        let (repository, graph) = &self.contents[number];
        (repository, graph, position)
    }
}

impl Rows for FoundRows<'_> {
    fn len(&self) -> usize {
        self.lines.len()
    }

    fn cells(&self, row: usize) -> Vec<String> {
        let (repository, graph, position) = self.line(row);
        let image = graph.image(position);
        let tags = image.tags().collect::<Vec<_>>().join(", ");
        let pushed = image.pushed().map(|time| time.timestamp().to_zoned(self.zone.clone()));
        let mut cells = vec![
            repository.name.clone(),
            if tags.is_empty() { "-".to_owned() } else { tags },
            image.digest().short().to_owned(),
            pushed.map_or_else(|| "?".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string()),
        ];
        if self.registries {
            cells.push(graph.account().unwrap_or("?").to_owned());
            cells.push(repository.connection.region().unwrap_or_else(|| "?".to_owned()));
        }
        cells
    }

    fn text(&self, row: usize) -> Vec<String> {
        self.records(row).concat()
    }

    /// References, ready for other commands: one for each tag that was looked for, or one by digest.
    fn records(&self, row: usize) -> Vec<Vec<String>> {
        let (repository, graph, position) = self.line(row);
        let host = repository.connection.host(graph.account());
        let place =
            host.map_or_else(|| repository.name.clone(), |host| format!("{host}/{}", repository.name));
        let tags = self.wanted.tags(graph, position);
        if tags.is_empty() {
            let digest: Digest = graph.image(position).digest();
            return vec![vec![format!("{place}@{digest}")]];
        }
        tags.iter().map(|tag| vec![format!("{place}:{tag}")]).collect()
    }

    fn json(&self, row: usize) -> Value {
        let (repository, graph, position) = self.line(row);
        Value::Object(image_members(repository, graph, position))
    }
}
