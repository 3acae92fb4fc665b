//! `ecr untag`: tags taken from images that stay.

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::{Map, Value, json};

use super::super::argument_types::ReferenceText;
use super::super::consent::{Consent, ConsentArgs};
use super::super::images::describe::lookup_graph;
use super::super::images::failures::NO;
use super::super::images::output::{Column, Output};
use super::super::images::selection::Repository;
use super::super::registry::usage;
use super::super::runtime::{Stop, block_on_finishing};
use super::super::{Command, Context, command_args};
use super::executor::BATCH;
use super::references::{self, NamedImages};
use super::replication::Replications;
use super::result::{ChangeReport, ItemResult, Row, conflict};
use super::tag_removal::{TagOf, remove_tags};
use crate::image::graph::Graph;
use crate::image::{Digest, Name, Tag};
use crate::ui::progress::count;

/// The row of `ecr untag`.
pub(in crate::commands) const COMMAND: Command = Command { name: "untag", in_public: true, define, run };

/// The arguments of `ecr untag`.
#[derive(Debug, clap::Args)]
struct UntagArgs {
    /// The tags, as they are written on the command line.
    #[arg(
        help = "Tags: [HOST/]REPOSITORY:TAG, or - for such on standard input, one a line",
        value_name = "REFERENCE",
        required = true
    )]
    references: Vec<ReferenceText>,
    /// Only from the image of this digest; exit 5 where a tag names another one
    #[arg(long, value_name = "DIGEST")]
    expect: Option<Digest>,
    #[command(flatten)]
    consent: ConsentArgs,
}

fn define() -> clap::Command {
    let command = clap::Command::new("untag").about("Take tags from images, which stay").long_about(
        "Take tags from images. No image is deleted: Amazon ECR deletes an image with its last tag, so an image's last tag \
         is refused (exit 5). Each image is read again just before, and a tag that moved in the meantime is left.",
    );
    command_args::define::<UntagArgs>(command)
}

fn run(context: &Context, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    command_args::run(context, matches, untag)
}

/// A tag that is to go, and the image that it names.
struct TagToRemove<'a> {
    repository: &'a Repository,
    tag: Tag,
    /// Digest that the tag names; `None` if there is no such tag.
    digest: Option<Digest>,
}

fn untag(context: &Context, arguments: &UntagArgs) -> anyhow::Result<ExitCode> {
    let output = Output::of(context)?;
    arguments.consent.check(&context.ui, references::read_stdin(&arguments.references))?;
    let named = references::read(&context.settings, &arguments.references)?;
    block_on_finishing(|stop| async move {
        let (wanted, conflicts) = stop.or(plan(&named, arguments.expect.as_ref())).await?;
        if !conflicts.is_empty() {
            return Ok(conflict(context, &conflicts));
        }
        let replication = stop.or(read_replication(context, &named)).await?;
        let present = wanted.iter().filter(|wanted| wanted.digest.is_some()).count();
        let mut consent = Consent::DryRun;
        if present > 0 {
            show(context, arguments.consent, &wanted);
            let question = format!("Remove {}?", count(present, "tag"));
            consent = stop.or(arguments.consent.ask(context, question)).await?;
        }
        if consent == Consent::Refused {
            return Ok(ExitCode::from(NO));
        }
        let done = match consent {
            Consent::Given => stop.finish(&context.ui, remove(&wanted, &stop)).await,
            _ => vec![ItemResult::DryRun("would be removed"); wanted.len()],
        };
        let rows = wanted.iter().zip(done).map(|(wanted, done)| row(wanted, done)).collect();
        let columns = vec![Column::wrapped("TAG"), Column::left("DIGEST")];
        let more = Map::from_iter([("alsoDeletedIn".to_owned(), replication)]);
        let dry_run = arguments.consent.dry_run;
        ChangeReport { member: "tags", columns, rows, dry_run, more, signal: stop.signal() }
            .print(context, &output)
    })
}

/// Looks the tags up, and the reasons why they cannot go.
async fn plan<'a>(
    named: &'a [NamedImages],
    expect: Option<&Digest>,
) -> anyhow::Result<(Vec<TagToRemove<'a>>, Vec<String>)> {
    let (mut wanted, mut conflicts) = (Vec::new(), Vec::new());
    for NamedImages { repository, names } in named {
        let tags: Vec<&Tag> = names.iter().map(tag_of).collect::<anyhow::Result<_>>()?;
        let graph = lookup_graph(repository, names).await?;
        let mut holders: HashMap<&str, usize> = HashMap::new();
        for position in 0..graph.len() {
            holders.extend(graph.image(position).tags().map(|tag| (tag, position)));
        }
        let mut going: HashMap<usize, Vec<&Tag>> = HashMap::new();
        for tag in tags {
            let holder = holders.get(tag.as_str()).copied();
            let digest = holder.map(|position| graph.image(position).digest());
            if let (Some(expected), Some(digest)) = (expect, &digest)
                && digest != expected
            {
                conflicts.push(format!(
                    "{}:{tag} names {digest}, and not {expected} as --expect says",
                    repository.name
                ));
            }
            if let Some(position) = holder {
                going.entry(position).or_default().push(tag);
            }
            wanted.push(TagToRemove { repository, tag: tag.clone(), digest });
        }
        conflicts.extend(all_tags_going(repository, &graph, going));
    }
    Ok((wanted, conflicts))
}

/// The images that would lose all their tags, as conflicts. `going` has the tags by the image's position.
fn all_tags_going(repository: &Repository, graph: &Graph, going: HashMap<usize, Vec<&Tag>>) -> Vec<String> {
    let mut going: Vec<_> = going.into_iter().collect();
    going.sort_unstable_by_key(|(position, _)| *position);
    let bare =
        going.into_iter().filter(|(position, tags)| graph.image(*position).tags().count() == tags.len());
    let conflict = |(position, tags): (usize, Vec<&Tag>)| {
        let (name, first, digest) = (&repository.name, tags[0], graph.image(position).digest());
        let what = if tags.len() == 1 {
            format!("{name}:{first} is the only tag of {digest}")
        } else {
            format!("these are all tags of {name}@{digest}")
        };
        format!(
            "{what}, and Amazon ECR deletes an image with its last tag: `ecr rm {name}:{first}` deletes it, and \
             `ecr tag {name}:{first} OTHER` gives it another tag first"
        )
    };
    bare.map(conflict).collect()
}

fn tag_of(name: &Name) -> anyhow::Result<&Tag> {
    match name {
        Name::Tag(tag) => Ok(tag),
        other => {
            Err(usage(format!("{other} is no tag: untag takes REPOSITORY:TAG; `ecr rm` deletes images")))
        }
    }
}

/// Warns of deletions that are replicated, and answers where to.
async fn read_replication(context: &Context, named: &[NamedImages]) -> anyhow::Result<Value> {
    let mut everywhere: Vec<Value> = Vec::new();
    let mut replications = Replications::default();
    for NamedImages { repository, .. } in named {
        let replication = replications.of(&repository.connection).await?;
        if let Some(warning) = replication.warning(&repository.name) {
            context.ui.note(&format!("warning: {warning}"));
        }
        for destination in replication.destinations(&repository.name).unwrap_or_default() {
            let json = destination.json();
            if !everywhere.contains(&json) {
                everywhere.push(json);
            }
        }
    }
    Ok(Value::Array(everywhere))
}

/// Shows what the question is about.
fn show(context: &Context, consent: ConsentArgs, wanted: &[TagToRemove<'_>]) {
    if !consent.asks() {
        return;
    }
    for TagToRemove { repository, tag, digest } in wanted {
        if let Some(digest) = digest {
            context.ui.note(&format!("{}:{tag}  {digest}", repository.name));
        }
    }
}

/// Removes the existing tags, after another look at their images.
async fn remove(wanted: &[TagToRemove<'_>], stop: &Stop) -> Vec<ItemResult> {
    let mut done = Vec::new();
    for of_repository in wanted.chunk_by(|one, other| std::ptr::eq(one.repository, other.repository)) {
        // Tags that were not named stay.
        let going: HashSet<&str> = of_repository.iter().map(|wanted| wanted.tag.as_str()).collect();
        for some in of_repository.chunks(BATCH) {
            if stop.signal().is_some() {
                done.extend(some.iter().map(|_| ItemResult::NotReached));
                continue;
            }
            let present = some.iter().filter_map(|wanted| {
                let digest = wanted.digest.clone()?;
                Some(TagOf { tag: wanted.tag.as_str(), digest })
            });
            let present: Vec<TagOf<'_>> = present.collect();
            let removed = remove_tags(some[0].repository, &present, |number, image| {
                let has_other = image.tags().any(|tag| !going.contains(tag));
                (!has_other).then(|| format!("it has become the last tag of {}", present[number].digest))
            });
            let mut removed = removed.await.into_iter();
            done.extend(some.iter().map(|wanted| {
                wanted.digest.as_ref().and_then(|_| removed.next()).unwrap_or(ItemResult::Absent)
            }));
        }
    }
    done
}

fn row(wanted: &TagToRemove<'_>, done: ItemResult) -> Row {
    let done = if wanted.digest.is_none() { ItemResult::Absent } else { done };
    let mut members = Map::new();
    members.insert("repositoryName".to_owned(), json!(wanted.repository.name));
    members.insert("imageTag".to_owned(), json!(wanted.tag));
    if let Some(digest) = &wanted.digest {
        members.insert("imageDigest".to_owned(), json!(digest));
    }
    let shown = format!("{}:{}", wanted.repository.name, wanted.tag);
    let digest = wanted.digest.as_ref();
    Row {
        members,
        cells: vec![shown.clone(), digest.map_or_else(|| "-".to_owned(), |digest| digest.short().to_owned())],
        text: vec![shown, digest.map(ToString::to_string).unwrap_or_default()],
        done,
    }
}
