//! Choice of the images of a repository that are listed.

use clap::ValueHint;
use jiff::Timestamp;

use super::super::age::Age;
use super::super::manifest_cache::pulled_by_others;
use super::{ImagesArgs, ListedRepository};
use crate::image::glob;
use crate::image::graph::{Graph, Status, Time};

/// The arguments that choose images.
#[derive(Debug, clap::Args)]
pub(super) struct FilterArgs {
    /// Only images with a tag that matches one of these globs
    #[arg(long, value_name = "GLOB", value_hint = ValueHint::Other)]
    tag: Vec<String>,
    /// Hide tags that match one of these globs, and images all of whose tags are hidden
    #[arg(long, value_name = "GLOB", value_hint = ValueHint::Other)]
    exclude: Vec<String>,
    /// Only images without a tag
    #[arg(long, conflicts_with = "tagged")]
    untagged: bool,
    /// Only images with a tag
    #[arg(long)]
    tagged: bool,
    /// Only images that were pushed since then: 30d, 6h, 2026-11-01
    #[arg(long, value_name = "TIME")]
    since: Option<Age>,
    /// Only images that were pushed before then
    #[arg(long, value_name = "TIME")]
    until: Option<Age>,
    /// Only images that nobody has pulled or pushed for this long
    #[arg(long, value_name = "TIME")]
    not_pulled_for: Option<Age>,
}

/// The filter with its times resolved.
pub(super) struct Filter<'a> {
    arguments: &'a FilterArgs,
    archived: bool,
    since: Option<Time>,
    until: Option<Time>,
    unused_since: Option<Time>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(arguments: &'a ImagesArgs, now: Timestamp) -> Self {
        let time = |age: Option<Age>| age.map(|age| Time::of(age.before(now)));
        let filter = &arguments.filter;
        Self {
            arguments: filter,
            archived: arguments.archived,
            since: time(filter.since),
            until: time(filter.until),
            unused_since: time(filter.not_pulled_for),
        }
    }

    /// Returns whether an image has a line of its own; children and companions of listed images have none.
    pub(super) fn lists(&self, contents: &ListedRepository, position: usize) -> bool {
        let graph = &contents.graph;
        let image = graph.image(position);
        let pushed = image.pushed();
        let has_tag = self.tags(graph, position).next().is_some();
        let hidden = image.is_tagged() && !has_tag;
        let wanted = &self.arguments.tag;
        (self.archived || image.status() != Status::Archived)
            && !graph.is_folded(position)
            && !hidden
            && !(self.arguments.untagged && image.is_tagged())
            && (!self.arguments.tagged || image.is_tagged())
            && (wanted.is_empty() || self.tags(graph, position).any(|tag| glob::matches_any(wanted, tag)))
            && self.since.is_none_or(|since| pushed.is_some_and(|pushed| pushed >= since))
            && self.until.is_none_or(|until| pushed.is_some_and(|pushed| pushed < until))
            && self.unused_since.is_none_or(|since| last_use(contents, position).is_none_or(|at| at < since))
    }

    /// The tags that are shown.
    pub(super) fn tags<'g>(&'g self, graph: &'g Graph, position: usize) -> impl Iterator<Item = &'g str> {
        graph.image(position).tags().filter(|tag| !glob::matches_any(&self.arguments.exclude, tag))
    }
}

/// Returns the last use of an image: its push, or a pull by anybody but us of itself or one of its children.
fn last_use(contents: &ListedRepository, position: usize) -> Option<Time> {
    let graph = &contents.graph;
    let pulled = |position: usize| {
        let image = graph.image(position);
        pulled_by_others(&contents.fetches, &image.digest(), image.pulled())
    };
    let children = graph.children(position).map(|child| pulled(child.position));
    children.chain([pulled(position), graph.image(position).pushed()]).max().flatten()
}
