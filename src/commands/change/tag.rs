//! `ecr tag`: further tags for an image, in its repository or in others.

mod destination;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, ValueHint};
use serde_json::{Map, json};

use self::destination::{Destination, NewTag};
use super::super::argument_types::ReferenceText;
use super::super::images::children::tell_fetched;
use super::super::images::content::ImageReader;
use super::super::images::describe::lookup_graph;
use super::super::images::failures::{NO, UNKNOWN, answer, no_platform};
use super::super::images::manifest_cache::ManifestCache;
use super::super::images::output::{Column, Output};
use super::super::images::selection::Repository;
use super::super::registry::{usage, wrong};
use super::super::runtime::{Stop, block_on_finishing};
use super::super::{Command, Context, command_args};
use super::references::connect;
use super::result::{ChangeReport, ItemResult, Row, conflict};
use crate::image::graph::Status;
use crate::image::{Digest, Manifest, Name, Platform, Reference, Tag};

/// The row of `ecr tag`.
pub(in crate::commands) const COMMAND: Command = Command { name: "tag", in_public: true, define, run };

/// The arguments of `ecr tag`.
#[derive(Debug, clap::Args)]
struct TagArgs {
    /// The image, as it is written on the command line.
    #[arg(help = "The image: [HOST/]REPOSITORY[:TAG|@DIGEST]", value_name = "REFERENCE")]
    source: ReferenceText,
    /// The new tags, as they are written on the command line.
    #[arg(
        help = "Tags in the same repository, or [HOST/]REPOSITORY:TAG for another one",
        value_name = "NEW",
        value_hint = ValueHint::Other,
        required = true
    )]
    new: Vec<String>,
    /// Leave a tag where it is if it names an image already
    #[arg(long, conflicts_with = "expect")]
    if_absent: bool,
    /// Move a tag only from the image of this digest; exit 5 where it names another one or none
    #[arg(long, value_name = "DIGEST")]
    expect: Option<Digest>,
    /// Tag the image for this platform, such as linux/arm64, which an index lists
    #[arg(long, value_name = "PLATFORM", value_hint = ValueHint::Other)]
    platform: Option<String>,
    /// Neither use nor keep manifests in the cache
    #[arg(long)]
    no_cache: bool,
}

fn define() -> clap::Command {
    let command = clap::Command::new("tag").about("Give an image further tags, or move tags to it").long_about(
        "Give an image further tags. A tag that names another image moves, where the repository's tag mutability allows it. \
         All tags are checked before the first is set, and exit 5 means that nothing was changed: a tag is immutable, or \
         --expect did not hold. The manifest is sent as it is, so that the digest stays; within a repository no layer moves.",
    );
    command_args::define::<TagArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, tag)
}

/// The image that gets the tags.
struct Source {
    repository: Repository,
    reference: Reference,
    digest: Digest,
    manifest: Option<Manifest>,
    fetched: usize,
}

fn tag(context: &Context, arguments: &TagArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    let reference: Reference = arguments.source.parse().map_err(wrong)?;
    let new = new_tags(&reference, &arguments.new)?;
    let connection = connect(&context.settings, reference.registry.as_ref())?;
    let repository = Repository { connection, name: reference.repository.to_string() };
    block_on_finishing(|stop| async move {
        let source = match stop.or(source(context, arguments, repository, &reference)).await? {
            Ok(source) => source,
            Err(code) => return Ok(code),
        };
        tell_fetched(context, source.fetched);
        let destinations = destinations(context, &source, &new)?;
        let mut planned = Vec::new();
        let mut conflicts = Vec::new();
        for destination in &destinations {
            let plan = destination.plan(&source.digest, arguments.if_absent, arguments.expect.as_ref());
            match stop.or(plan).await? {
                Ok(tags) => planned.push(tags),
                Err(reasons) => conflicts.extend(reasons),
            }
        }
        if !conflicts.is_empty() {
            return Ok(conflict(context, &conflicts));
        }
        let work = Box::pin(set(context, &source, destinations.iter().zip(planned), &stop));
        let rows = stop.finish(&context.ui, work).await;
        let columns = vec![Column::wrapped("TAG"), Column::left("DIGEST")];
        let signal = stop.signal();
        ChangeReport { member: "tags", columns, rows, dry_run: false, more: Map::new(), signal }
            .print(context, &output)
    })
}

/// Sets the tags, repository by repository, and returns the results.
async fn set<'a>(
    context: &Context,
    source: &Source,
    planned: impl Iterator<Item = (&'a Destination, Vec<NewTag>)>,
    stop: &Stop,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (destination, tags) in planned {
        let done = destination.set(source, &tags, stop).await;
        for (tag, done) in tags.iter().zip(done) {
            if let (Some(old), ItemResult::Changed("moved")) = (&tag.names, &done) {
                context.ui.note(&format!("{}: {} (was {old})", tag.shown, source.digest));
            }
            rows.push(row(destination, source, tag, done));
        }
    }
    rows
}

/// Finds the image and its manifest; the exit code where there is none to tag.
async fn source(
    context: &Context,
    arguments: &TagArgs,
    repository: Repository,
    reference: &Reference,
) -> anyhow::Result<Result<Source, ExitCode>> {
    let cache = ManifestCache::open(&context.settings, arguments.no_cache);
    let graph = lookup_graph(&repository, std::slice::from_ref(&reference.name)).await?;
    if graph.is_empty() {
        return Ok(Err(answer(context, NO, &format!("{reference} does not exist"))));
    }
    if graph.image(0).status() != Status::Active {
        let sentence = format!("{reference} is archived: `ecr restore {reference} --wait` brings it back");
        return Ok(Err(answer(context, UNKNOWN, &sentence)));
    }
    let reader = ImageReader { repository: &repository, graph: &graph, cache: &cache };
    let Some(platform) = &arguments.platform else {
        let (manifest, is_fetched) = reader.manifest(0).await?;
        let digest = graph.image(0).digest();
        let reference = reference.clone();
        return Ok(Ok(Source { repository, reference, digest, manifest, fetched: usize::from(is_fetched) }));
    };
    let platform: Platform = platform.parse().map_err(wrong)?;
    let chosen = reader.for_platform(0, &platform, 0).await?;
    let Some(digest) = chosen.digest else {
        return Ok(Err(no_platform(context, &reference, &platform, chosen.is_unreadable)));
    };
    let child = lookup_graph(&repository, &[Name::Digest(digest.clone())]).await?;
    if child.is_empty() {
        let sentence = format!("{digest}, the image of {reference} for {platform}, is not in the repository");
        return Ok(Err(answer(context, NO, &sentence)));
    }
    let reader = ImageReader { repository: &repository, graph: &child, cache: &cache };
    let (manifest, is_fetched) = reader.manifest(0).await?;
    let fetched = chosen.fetched + usize::from(is_fetched);
    Ok(Ok(Source { repository, reference: reference.clone(), digest, manifest, fetched }))
}

/// Reads the new tags: repository by repository, the image's own first.
fn new_tags(source: &Reference, texts: &[String]) -> anyhow::Result<Vec<(Reference, Vec<NewTag>)>> {
    let mut all: Vec<(Reference, Vec<NewTag>)> = Vec::new();
    for text in texts {
        let (reference, tag) = if let Ok(tag) = text.parse::<Tag>() {
            (source.clone(), tag)
        } else {
            let reference: Reference = text.parse().map_err(wrong)?;
            let Name::Tag(tag) = reference.name.clone() else {
                return Err(usage(format!(
                    "'{text}' is no tag: expected a tag, or [HOST/]REPOSITORY:TAG for another repository"
                )));
            };
            (reference, tag)
        };
        let new = NewTag::new(text, tag);
        let same = |known: &&mut (Reference, Vec<NewTag>)| {
            known.0.registry == reference.registry && known.0.repository == reference.repository
        };
        match all.iter_mut().find(same) {
            Some((_, tags)) if tags.iter().any(|known| known.tag == new.tag) => {}
            Some((_, tags)) => tags.push(new),
            None => all.push((reference, vec![new])),
        }
    }
    Ok(all)
}

fn destinations(
    context: &Context,
    source: &Source,
    new: &[(Reference, Vec<NewTag>)],
) -> anyhow::Result<Vec<Destination>> {
    let each = new.iter().map(|(reference, tags)| {
        let is_same = reference.registry == source.reference.registry
            && reference.repository == source.reference.repository;
        let connection = if reference.registry == source.reference.registry {
            Arc::clone(&source.repository.connection)
        } else {
            connect(&context.settings, reference.registry.as_ref())?
        };
        let repository = Repository { connection, name: reference.repository.to_string() };
        Ok(Destination { repository, is_same, tags: tags.clone() })
    });
    each.collect()
}

fn row(destination: &Destination, source: &Source, tag: &NewTag, done: ItemResult) -> Row {
    let digest = if done == ItemResult::Changed("kept") { tag.names.as_ref() } else { Some(&source.digest) };
    let digest = digest.unwrap_or(&source.digest);
    let mut members = Map::new();
    members.insert("repositoryName".to_owned(), json!(destination.repository.name));
    members.insert("imageTag".to_owned(), json!(tag.tag));
    members.insert("imageDigest".to_owned(), json!(digest));
    if let Some(names) = tag.names.as_ref().filter(|_| done == ItemResult::Changed("moved")) {
        members.insert("previousDigest".to_owned(), json!(names));
    }
    Row {
        members,
        cells: vec![tag.shown.clone(), digest.short().to_owned()],
        text: vec![tag.shown.clone(), digest.to_string()],
        done,
    }
}
