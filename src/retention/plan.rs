//! The plan: a verdict on every image.

use std::collections::{HashMap, HashSet};

use super::protections::Protections;
use super::removals::Removals;
use super::{Criteria, KeepReason, Protector, RemovalReason, TagState, Unmatched, tags};
use crate::image::graph::{Graph, Time};

/// A repository as the plan sees it.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    /// Its images, with the children of all indexes whose manifests can be read.
    pub graph: &'a Graph,
    /// Last pulls that differ from the service's: our own fetches are left out.
    pub pulls: &'a HashMap<usize, Option<Time>>,
    /// Protected images, with the protection.
    pub protected: &'a HashMap<usize, Protector>,
}

/// Decision on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The image stays.
    Keep(KeepReason),
    /// The image is deleted or archived.
    Go(RemovalReason),
}

/// A verdict on every image of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    verdicts: Vec<Verdict>,
    /// Tags that go from images that stay: positions and tags.
    pub untag: Vec<(usize, String)>,
}

impl Repository<'_> {
    /// Returns when an image was last pulled by others.
    fn pulled(&self, position: usize) -> Option<Time> {
        self.pulls.get(&position).copied().unwrap_or_else(|| self.graph.image(position).pulled())
    }

    /// Returns when an image or one of its children was last pushed or pulled.
    pub fn last_use(&self, position: usize) -> Option<Time> {
        let mut latest = self.graph.image(position).pushed().max(self.pulled(position));
        let mut seen = HashSet::from([position]);
        let mut waiting = vec![position];
        while let Some(next) = waiting.pop() {
            for child in self.graph.children(next).filter(|child| seen.insert(child.position)) {
                let image = self.graph.image(child.position);
                latest = latest.max(image.pushed()).max(self.pulled(child.position));
                waiting.push(child.position);
            }
        }
        latest
    }

    /// Returns the first criterion that a candidate does not satisfy.
    pub(super) fn unmatched(&self, criteria: &Criteria, position: usize) -> Option<Unmatched> {
        let image = self.graph.image(position);
        if criteria.orphans && !self.is_orphan(position) {
            return Some(Unmatched::NoOrphan);
        }
        if self.graph.is_companion(position) {
            if image.ordinary_tags().next().is_some() {
                return Some(Unmatched::Tagged);
            }
            let is_plain = criteria.tags.is_none() && criteria.matching.is_empty();
            if !criteria.orphans || !is_plain {
                return Some(Unmatched::Orphan);
            }
        }
        match criteria.tags {
            Some(TagState::Untagged) if image.is_tagged() => return Some(Unmatched::Tagged),
            Some(TagState::Tagged) if !image.is_tagged() => return Some(Unmatched::Untagged),
            _ => {}
        }
        if !criteria.matches_any(image) {
            return Some(Unmatched::NoMatch);
        }
        if criteria.pushed_before.is_some_and(|before| image.pushed().is_none_or(|pushed| pushed >= before)) {
            return Some(Unmatched::Pushed);
        }
        let used = |since: Time| image.pushed().is_none() || self.last_use(position) >= Some(since);
        if criteria.unused_since.is_some_and(used) {
            return Some(Unmatched::Used);
        }
        None
    }

    /// Returns whether a candidate is a companion, whose subject is then absent, or an index that has none of its
    /// children.
    pub(super) fn is_orphan(&self, position: usize) -> bool {
        if self.graph.is_companion(position) {
            return true;
        }
        let listed = self.graph.listed(position);
        listed
            .is_some_and(|listed| !listed.absent.is_empty() && self.graph.children(position).next().is_none())
    }
}

/// Decides about every image of a repository.
pub fn plan(repository: Repository<'_>, criteria: &Criteria) -> Plan {
    let stays = Protections::of(repository, criteria);
    let graph = repository.graph;
    let mut roots = vec![None; graph.len()];
    let mut untag = Vec::new();
    if criteria.by_tag {
        let removed = tags::removed(repository, criteria, &stays);
        for (position, tags) in removed {
            if graph.image(position).tags().count() == tags.len() {
                roots[position] = Some(RemovalReason::Chosen);
            } else {
                untag.extend(tags.into_iter().map(|tag| (position, tag)));
            }
        }
    } else {
        for (position, root) in roots.iter_mut().enumerate() {
            let is_free = stays.is_candidate(position) && stays.reason(position).is_none();
            if is_free && repository.unmatched(criteria, position).is_none() {
                *root = Some(if graph.is_companion(position) {
                    RemovalReason::Orphan
                } else {
                    RemovalReason::Chosen
                });
            }
        }
    }
    let going = Removals::of(graph, &stays, roots);
    let verdicts = (0..graph.len()).map(|position| going.verdict(repository, criteria, position)).collect();
    untag.sort();
    Plan { verdicts, untag }
}

/// Decides about the images of a repository of which some are to be deleted by name. Children and companions go along
/// where that is wanted; of what was named nothing stays, so that it is the caller who looks at what holds it.
#[allow(clippy::implicit_hasher, reason = "nobody has another one")]
pub fn removal(graph: &Graph, named: &HashSet<usize>, children: bool, companions: bool) -> Plan {
    let criteria = Criteria::none(Time::of(jiff::Timestamp::MAX));
    let (pulls, protected) = (HashMap::new(), HashMap::new());
    let repository = Repository { graph, pulls: &pulls, protected: &protected };
    let stays = Protections::of_named(graph, named, children, companions);
    let roots = (0..graph.len()).map(|at| named.contains(&at).then_some(RemovalReason::Chosen)).collect();
    let going = Removals::of(graph, &stays, roots);
    let verdicts = (0..graph.len()).map(|position| going.verdict(repository, &criteria, position)).collect();
    Plan { verdicts, untag: Vec::new() }
}

impl Plan {
    /// The verdict on an image.
    pub fn verdict(&self, position: usize) -> Verdict {
        self.verdicts[position]
    }

    /// Returns whether an image is removed.
    pub fn goes(&self, position: usize) -> bool {
        matches!(self.verdicts[position], Verdict::Go(_))
    }

    /// The positions of the images that go.
    pub fn going(&self) -> impl Iterator<Item = usize> {
        (0..self.verdicts.len()).filter(|position| self.goes(*position))
    }

    /// Returns whether the plan removes no image and no tag.
    pub fn is_empty(&self) -> bool {
        self.untag.is_empty() && self.going().next().is_none()
    }

    /// Returns whether the repository has tagged images that can be pulled, and would have none any more.
    pub fn empties(&self, graph: &Graph) -> bool {
        let is_tagged = |position: usize| {
            let image = graph.image(position);
            image.status() == crate::image::graph::Status::Active
                && !graph.is_companion(position)
                && image.ordinary_tags().next().is_some()
        };
        let mut tagged = (0..graph.len()).filter(|position| is_tagged(*position)).peekable();
        tagged.peek().is_some() && tagged.all(|position| self.goes(position))
    }
}
