//! Carrying a plan out: another look at every image just before it goes, in calls of at most 100.
//!
//! The service has no conditional deletion, so that the time between the look and the call, one round trip, stays open.
//! Images go by their digests: an index in an earlier call than its children, a subject in an earlier one than its
//! referrers. Where one of them is spared, its children and referrers are spared too.

use std::collections::{HashMap, HashSet};

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use super::super::images::describe::{identifier_of, lookup_graph};
use super::super::images::failures::has_code;
use super::super::images::manifest_cache::OwnFetches;
use super::super::images::selection::Repository;
use super::super::runtime::Stop;
use super::result::ItemResult;
use super::tag_removal::{TagOf, remove_tags};
use crate::image::Name;
use crate::image::graph::{Graph, Image, Status};
use crate::retention::levels;

/// The most that DescribeImages and BatchDeleteImage take at once.
pub(super) const BATCH: usize = 100;
/// Limit of concurrent calls for one repository.
const CALLS: usize = 4;

/// Action on the images of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Delete,
    Archive,
}

/// The part of a plan that is about one repository.
pub(super) struct PlannedChange<'a> {
    pub(super) repository: &'a Repository,
    /// The images of the plan as they were when it was made.
    pub(super) graph: &'a Graph,
    /// Positions of the images to change.
    pub(super) going: Vec<usize>,
    /// Tags that go from images that stay.
    pub(super) untag: &'a [(usize, String)],
    /// Our own fetches, which explain pull times.
    pub(super) fetches: &'a OwnFetches,
    pub(super) action: Action,
}

/// Outcomes for the images and tags of a plan.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) images: HashMap<usize, ItemResult>,
    pub(super) tags: Vec<ItemResult>,
}

impl Action {
    /// The name in tables and plan files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Archive => "archive",
        }
    }

    /// The action of this name.
    pub(super) fn read(name: &str) -> Option<Self> {
        [Self::Delete, Self::Archive].into_iter().find(|action| action.name() == name)
    }

    /// Returns the participle for a changed image: `deleted` or `archived`.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Delete => "deleted",
            Self::Archive => "archived",
        }
    }
}

impl PlannedChange<'_> {
    /// Removes the tags, then the images level by level. A signal ends it after the calls that are under way.
    pub(super) async fn run(&self, stop: &Stop) -> Outcome {
        let mut outcome = Outcome::default();
        for some in self.untag.chunks(BATCH) {
            outcome.tags.extend(self.untag_some(some, stop).await);
        }
        for level in levels(self.graph, &self.going) {
            let mut ready = Vec::new();
            for position in level {
                match self.blocked_by(position, &outcome) {
                    Some(done) => drop(outcome.images.insert(position, done)),
                    None => ready.push(position),
                }
            }
            let calls = ready.chunks(BATCH).map(|some| self.some(some, stop));
            let mut calls = stream::iter(calls).buffer_unordered(CALLS);
            while let Some(done) = calls.next().await {
                outcome.images.extend(done);
            }
        }
        outcome
    }

    /// Returns why an image must stay: an image of the plan that lists it, or that it refers to, was not changed.
    fn blocked_by(&self, position: usize, outcome: &Outcome) -> Option<ItemResult> {
        let above = self.graph.parents(position).chain(self.graph.subjects_of(position));
        for other in above {
            match outcome.images.get(&other) {
                // Not of the plan, or later than this one: an index that is about what it lists.
                None | Some(ItemResult::Changed(_)) => {}
                Some(ItemResult::Absent) if self.action == Action::Delete => {}
                // A referrer is archived with its subject, and never without it.
                Some(ItemResult::Absent) => {
                    let digest = self.graph.image(other).digest();
                    return Some(ItemResult::Spared(format!("belongs to {digest}, which is gone")));
                }
                Some(ItemResult::NotReached) => return Some(ItemResult::NotReached),
                Some(_) => {
                    let digest = self.graph.image(other).digest();
                    return Some(ItemResult::Spared(format!("belongs to {digest}, which is still there")));
                }
            }
        }
        None
    }

    /// Looks at up to 100 images and changes those that are unchanged since the plan was made.
    async fn some(&self, positions: &[usize], stop: &Stop) -> Vec<(usize, ItemResult)> {
        let all = |done: &ItemResult| positions.iter().map(|position| (*position, done.clone())).collect();
        if stop.signal().is_some() {
            return all(&ItemResult::NotReached);
        }
        let names: Vec<Name> =
            positions.iter().map(|position| Name::Digest(self.graph.image(*position).digest())).collect();
        let found = match lookup_graph(self.repository, &names).await {
            Ok(found) => found,
            Err(error) => return all(&ItemResult::of(&error)),
        };
        let (mut done, mut going) = (Vec::new(), Vec::new());
        for position in positions {
            let planned = self.graph.image(*position);
            match found.position(&planned.digest()).map(|at| found.image(at)) {
                None => done.push((*position, ItemResult::Absent)),
                // A referrer follows its subject.
                Some(now) if self.action == Action::Archive && now.status() == Status::Archived => {
                    done.push((*position, ItemResult::Changed(self.action.done())));
                }
                Some(now) => match self.difference(planned, now, &HashSet::new()) {
                    Some(reason) => done.push((*position, ItemResult::Spared(reason))),
                    None => going.push(*position),
                },
            }
        }
        // A signal during the look comes in time.
        if stop.signal().is_some() {
            done.extend(going.into_iter().map(|position| (position, ItemResult::NotReached)));
        } else if self.action == Action::Delete {
            done.extend(self.delete(&going).await);
        } else {
            let calls = going.into_iter().map(|position| self.archive(position, stop));
            let archived: Vec<(usize, ItemResult)> =
                stream::iter(calls).buffer_unordered(CALLS).collect().await;
            done.extend(archived);
        }
        done
    }

    /// Reason why an image is no longer the one that was planned for. Tags that this run takes from it do not count.
    fn difference(&self, planned: &Image, now: &Image, removed: &HashSet<&str>) -> Option<String> {
        let sorted = |image: &Image| {
            let mut tags: Vec<String> =
                image.tags().filter(|tag| !removed.contains(tag)).map(str::to_owned).collect();
            tags.sort_unstable();
            tags
        };
        let (before, after) = (sorted(planned), sorted(now));
        if before != after {
            let shown = |tags: &[String]| if tags.is_empty() { "none".to_owned() } else { tags.join(", ") };
            return Some(format!("its tags changed: {}, then {}", shown(&before), shown(&after)));
        }
        if planned.pushed() != now.pushed() {
            return Some("it was pushed again".to_owned());
        }
        if self.fetches.pulled_by_others(planned) != self.fetches.pulled_by_others(now) {
            return Some("it was pulled".to_owned());
        }
        if planned.status() != now.status() {
            let name = |status: Status| status.name().to_lowercase();
            return Some(format!("it was {}, and is {}", name(planned.status()), name(now.status())));
        }
        None
    }

    async fn delete(&self, positions: &[usize]) -> Vec<(usize, ItemResult)> {
        if positions.is_empty() {
            return Vec::new();
        }
        let ids: Vec<Value> =
            positions.iter().map(|position| identifier_of(&self.graph.image(*position).digest())).collect();
        let input = json!({"repositoryName": self.repository.name, "imageIds": ids});
        let answer = self.repository.connection.call("BatchDeleteImage", input).await;
        let each = positions.iter().map(|position| {
            let digest = self.graph.image(*position).digest().to_string();
            let done = match &answer {
                Ok(answer) => deleted(&digest, answer, self.action.done()),
                Err(error) => ItemResult::of_error(error),
            };
            (*position, done)
        });
        each.collect()
    }

    async fn archive(&self, position: usize, stop: &Stop) -> (usize, ItemResult) {
        if stop.signal().is_some() {
            return (position, ItemResult::NotReached);
        }
        let image = self.graph.image(position);
        // The service lets no referrer change its class but with its subject, which went before it.
        let subject = image.subject().and_then(|subject| self.graph.position(&subject));
        if subject.is_some_and(|subject| self.going.binary_search(&subject).is_ok()) {
            return (position, ItemResult::Changed(self.action.done()));
        }
        let input = json!({
            "repositoryName": self.repository.name, "imageId": identifier_of(&image.digest()),
            "targetStorageClass": "ARCHIVE"
        });
        let answer = self.repository.connection.call("UpdateImageStorageClass", input).await;
        let done = match answer.map_err(anyhow::Error::from) {
            Ok(_) => ItemResult::Changed(self.action.done()),
            Err(error) if has_code(&error, "ImageNotFoundException") => ItemResult::Absent,
            Err(error) if has_code(&error, "ImageStorageClassUpdateNotSupportedException") => {
                ItemResult::Spared(ItemResult::of(&error).reason())
            }
            Err(error) => ItemResult::of(&error),
        };
        (position, done)
    }

    async fn untag_some(&self, some: &[(usize, String)], stop: &Stop) -> Vec<ItemResult> {
        if stop.signal().is_some() {
            return vec![ItemResult::NotReached; some.len()];
        }
        let digest = |position: usize| self.graph.image(position).digest();
        let tags = some.iter().map(|(at, tag)| TagOf { tag, digest: digest(*at) });
        let tags: Vec<TagOf<'_>> = tags.collect();
        remove_tags(self.repository, &tags, |number, now| {
            let position = some[number].0;
            // The tags are in the order of their images.
            let first = self.untag.partition_point(|(at, _)| *at < position);
            let going = self.untag[first..].iter().take_while(|(at, _)| *at == position);
            let going: HashSet<&str> = going.map(|(_, tag)| tag.as_str()).collect();
            if now.tags().all(|tag| going.contains(tag)) {
                return Some("it would lose its last tag".to_owned());
            }
            self.difference(self.graph.image(position), now, &going)
        })
        .await
    }
}

/// Entries of a list in the service's answer.
pub(super) fn answered<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer[name].as_array().into_iter().flatten()
}

/// Outcome for an image, by the service's answer: it has one entry for each tag, or one for each image.
fn deleted(digest: &str, answer: &Value, word: &'static str) -> ItemResult {
    let is_it = |id: &Value| id["imageDigest"].as_str() == Some(digest);
    if let Some(failure) = answered(answer, "failures").find(|failure| is_it(&failure["imageId"])) {
        return match failure["failureCode"].as_str() {
            Some("ImageNotFound") => ItemResult::Absent,
            Some("ImageReferencedByManifestList") => ItemResult::Spared(
                failure["failureReason"].as_str().unwrap_or("an index lists it by now").to_owned(),
            ),
            _ => ItemResult::failed(failure),
        };
    }
    if answered(answer, "imageIds").any(is_it) {
        return ItemResult::Changed(word);
    }
    no_answer()
}

/// Returns the outcome for an image that the answer does not mention.
pub(super) fn no_answer() -> ItemResult {
    ItemResult::Failed { code: "NoAnswer".to_owned(), reason: "the service says nothing of it".to_owned() }
}
