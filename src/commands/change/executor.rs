//! Carrying a plan out: another look at every image just before it goes, in calls of at most 100.
//!
//! The service has no conditional deletion, so that the time between the look and the call, one round trip, stays open.
//! Images go by their digests: an index in an earlier call than its children, a subject in an earlier one than its
//! referrers. Where one of them is spared, its children and referrers are spared too.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use super::super::images::describe::{identifier_of, looked_up};
use super::super::images::failures::has_code;
use super::super::images::manifest_cache::OwnFetches;
use super::super::images::selection::Repository;
use super::super::runtime::Stop;
use super::result::Done;
use crate::image::Name;
use crate::image::graph::{Graph, Image, Status};
use crate::retention::levels;

/// The most that DescribeImages and BatchDeleteImage take at once.
pub(super) const BATCH: usize = 100;
/// How many calls are under way at once for one repository.
const CALLS: usize = 4;

/// Action on the images of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Delete,
    Archive,
}

/// The part of a plan that is about one repository.
pub(super) struct Work<'a> {
    pub(super) repository: &'a Repository,
    /// The images of the plan as they were when it was made.
    pub(super) graph: &'a Graph,
    /// The positions of those that go.
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
    pub(super) images: HashMap<usize, Done>,
    pub(super) tags: Vec<Done>,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Delete => "deleted",
            Self::Archive => "archived",
        }
    }
}

impl Work<'_> {
    /// Removes the tags, then the images level by level. A signal ends it after the calls that are under way.
    pub(super) async fn run(&self, stop: &Stop) -> Outcome {
        let mut outcome = Outcome::default();
        for some in self.untag.chunks(BATCH) {
            outcome.tags.extend(self.untag_some(some, stop).await);
        }
        for level in levels(self.graph, &self.going) {
            let mut ready = Vec::new();
            for position in level {
                match self.held_up(position, &outcome) {
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

    /// Why an image cannot go: something of the plan that lists it, or that it is about, did not.
    fn held_up(&self, position: usize, outcome: &Outcome) -> Option<Done> {
        let above = self.graph.parents(position).chain(self.graph.subjects_of(position));
        for other in above {
            match outcome.images.get(&other) {
                // Not of the plan, or later than this one: an index that is about what it lists.
                None | Some(Done::Yes(_) | Done::Absent) => {}
                Some(Done::NotReached) => return Some(Done::NotReached),
                Some(_) => {
                    let digest = self.graph.image(other).digest();
                    return Some(Done::Spared(format!("belongs to {digest}, which is still there")));
                }
            }
        }
        None
    }

    /// Looks at up to 100 images and does it to those that are as they were.
    async fn some(&self, positions: &[usize], stop: &Stop) -> Vec<(usize, Done)> {
        let all = |done: &Done| positions.iter().map(|position| (*position, done.clone())).collect();
        if stop.signal().is_some() {
            return all(&Done::NotReached);
        }
        let names: Vec<Name> =
            positions.iter().map(|position| Name::Digest(self.graph.image(*position).digest())).collect();
        let found = match looked_up(self.repository, &names).await {
            Ok(found) => found,
            Err(error) => return all(&Done::of(&error)),
        };
        let (mut done, mut going) = (Vec::new(), Vec::new());
        for position in positions {
            let planned = self.graph.image(*position);
            match found.position(&planned.digest()).map(|at| found.image(at)) {
                None => done.push((*position, Done::Absent)),
                // A referrer follows its subject.
                Some(now) if self.action == Action::Archive && now.status() == Status::Archived => {
                    done.push((*position, Done::Yes(self.action.word())));
                }
                Some(now) => match self.changed(planned, now) {
                    Some(reason) => done.push((*position, Done::Spared(reason))),
                    None => going.push(*position),
                },
            }
        }
        // A signal during the look comes in time.
        if stop.signal().is_some() {
            done.extend(going.into_iter().map(|position| (position, Done::NotReached)));
        } else if self.action == Action::Delete {
            done.extend(self.delete(&going).await);
        } else {
            let calls = going.into_iter().map(|position| self.archive(position));
            let archived: Vec<(usize, Done)> = stream::iter(calls).buffer_unordered(CALLS).collect().await;
            done.extend(archived);
        }
        done
    }

    /// Reason why an image is no longer the one that was planned for.
    fn changed(&self, planned: &Image, now: &Image) -> Option<String> {
        let sorted = |image: &Image| {
            let mut tags: Vec<String> = image.tags().map(str::to_owned).collect();
            tags.sort_unstable();
            tags
        };
        let (before, after) = (sorted(planned), sorted(now));
        if before != after {
            let shown = |tags: &[String]| if tags.is_empty() { "none".to_owned() } else { tags.join(", ") };
            return Some(format!("its tags changed: {}, then {}", shown(&before), shown(&after)));
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

    async fn delete(&self, positions: &[usize]) -> Vec<(usize, Done)> {
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
                Ok(answer) => deleted(&digest, answer, self.action.word()),
                Err(error) => Done::of_error(error),
            };
            (*position, done)
        });
        each.collect()
    }

    async fn archive(&self, position: usize) -> (usize, Done) {
        let image = self.graph.image(position);
        // The service lets no referrer change its class but with its subject.
        if image.subject().is_some_and(|subject| self.graph.position(&subject).is_some()) {
            return (position, Done::Yes(self.action.word()));
        }
        let input = json!({
            "repositoryName": self.repository.name, "imageId": identifier_of(&image.digest()),
            "targetStorageClass": "ARCHIVE"
        });
        let answer = self.repository.connection.call("UpdateImageStorageClass", input).await;
        let done = match answer.map_err(anyhow::Error::from) {
            Ok(_) => Done::Yes(self.action.word()),
            Err(error) if has_code(&error, "ImageNotFoundException") => Done::Absent,
            Err(error) if has_code(&error, "ImageStorageClassUpdateNotSupportedException") => {
                Done::Spared(Done::of(&error).reason())
            }
            Err(error) => Done::of(&error),
        };
        (position, done)
    }

    async fn untag_some(&self, some: &[(usize, String)], stop: &Stop) -> Vec<Done> {
        if stop.signal().is_some() {
            return vec![Done::NotReached; some.len()];
        }
        let mut names: Vec<Name> = Vec::new();
        for (position, _) in some {
            let name = Name::Digest(self.graph.image(*position).digest());
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        let found = match looked_up(self.repository, &names).await {
            Ok(found) => found,
            Err(error) => return vec![Done::of(&error); some.len()],
        };
        let look = |position: usize, tag: &str| {
            let planned = self.graph.image(position);
            match found.position(&planned.digest()).map(|at| found.image(at)) {
                None => Some(Done::Absent),
                // It may be the only tag of the image that it names now, which would go with it.
                Some(now) if !now.tags().any(|other| other == tag) => {
                    Some(Done::Spared("the tag names another image by now, or none".to_owned()))
                }
                Some(now) => self.untag_changed(position, planned, now).map(Done::Spared),
            }
        };
        let mut done: Vec<Option<Done>> = some.iter().map(|(position, tag)| look(*position, tag)).collect();
        let ids: Vec<Value> = some
            .iter()
            .zip(&done)
            .filter(|(_, done)| done.is_none())
            .map(|((_, tag), _)| json!({"imageTag": tag}))
            .collect();
        if !ids.is_empty() {
            let input = json!({"repositoryName": self.repository.name, "imageIds": ids});
            let answer = self.repository.connection.call("BatchDeleteImage", input).await;
            for ((_, tag), done) in some.iter().zip(&mut done).filter(|(_, done)| done.is_none()) {
                *done = Some(match &answer {
                    Ok(answer) => untagged(tag, answer),
                    Err(error) => Done::of_error(error),
                });
            }
        }
        done.into_iter().flatten().collect()
    }

    /// Reason why an image is no longer the one that was planned for, once those of its tags that this run removed are set aside.
    fn untag_changed(&self, position: usize, planned: &Image, now: &Image) -> Option<String> {
        let going: Vec<&str> =
            self.untag.iter().filter(|(at, _)| *at == position).map(|(_, tag)| tag.as_str()).collect();
        let others = |image: &Image| {
            let mut tags: Vec<String> =
                image.tags().filter(|tag| !going.contains(tag)).map(str::to_owned).collect();
            tags.sort_unstable();
            tags
        };
        if others(planned) != others(now) || others(now).is_empty() {
            return Some("its other tags changed".to_owned());
        }
        if planned.status() != now.status() {
            return Some("its storage class changed".to_owned());
        }
        let pulled = |image: &Image| self.fetches.pulled_by_others(image);
        (pulled(planned) != pulled(now)).then(|| "it was pulled".to_owned())
    }
}

fn list<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer[name].as_array().into_iter().flatten()
}

/// Outcome for an image, by the service's answer: it has one entry for each tag, or one for each image.
fn deleted(digest: &str, answer: &Value, word: &'static str) -> Done {
    let is_it = |id: &Value| id["imageDigest"].as_str() == Some(digest);
    if let Some(failure) = list(answer, "failures").find(|failure| is_it(&failure["imageId"])) {
        return match failure["failureCode"].as_str() {
            Some("ImageNotFound") => Done::Absent,
            Some("ImageReferencedByManifestList") => Done::Spared(
                failure["failureReason"].as_str().unwrap_or("an index lists it by now").to_owned(),
            ),
            _ => Done::failed(failure),
        };
    }
    if list(answer, "imageIds").any(is_it) {
        return Done::Yes(word);
    }
    no_answer()
}

fn untagged(tag: &str, answer: &Value) -> Done {
    let is_it = |id: &Value| id["imageTag"].as_str() == Some(tag);
    if let Some(failure) = list(answer, "failures").find(|failure| is_it(&failure["imageId"])) {
        return match failure["failureCode"].as_str() {
            Some("ImageNotFound") => Done::Absent,
            _ => Done::failed(failure),
        };
    }
    if list(answer, "imageIds").any(is_it) { Done::Yes("removed") } else { no_answer() }
}

fn no_answer() -> Done {
    Done::Failed { code: "NoAnswer".to_owned(), reason: "the service says nothing of it".to_owned() }
}
