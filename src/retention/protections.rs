//! Images that stay regardless of the criteria.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::{Criteria, KeepReason, Repository};
use crate::image::graph::{Graph, Status};

/// For every image: whether it is a candidate, and why it stays regardless of the criteria.
#[derive(Debug)]
pub(super) struct Protections {
    reasons: Vec<Option<KeepReason>>,
    candidates: Vec<bool>,
}

impl Protections {
    pub(super) fn of(repository: Repository<'_>, criteria: &Criteria) -> Self {
        let graph = repository.graph;
        let candidates: Vec<bool> = (0..graph.len()).map(|position| is_candidate(graph, position)).collect();
        let unknown = unknown_indexes(graph, |_| true);
        let reasons = (0..graph.len()).map(|position| {
            let by_tag = criteria.by_tag && candidates[position];
            own_reason(repository, criteria, position, by_tag)
                .or_else(|| may_belong(graph, position, &unknown))
        });
        let mut stays = Self { reasons: reasons.collect(), candidates };
        stays.keep_newest(repository, criteria);
        stays.keep_indexes_and_subjects(graph);
        stays
    }

    /// Like [`Protections::of`] for images that are named: they go, and with them children and companions where that is
    /// wanted.
    pub(super) fn of_named(graph: &Graph, named: &HashSet<usize>, children: bool, companions: bool) -> Self {
        let unknown = unknown_indexes(graph, |position| !named.contains(&position));
        let reason = |position: usize| {
            if named.contains(&position) {
                return None;
            }
            let is_child = graph.parents(position).next().is_some();
            let wanted = if is_child { children } else { companions };
            if !wanted {
                return Some(KeepReason::Unmatched(super::Unmatched::NotNamed));
            }
            may_belong(graph, position, &unknown)
        };
        let reasons = (0..graph.len()).map(reason).collect();
        Self { reasons, candidates: (0..graph.len()).map(|at| named.contains(&at)).collect() }
    }

    /// Returns whether no present index lists an image, and it is no companion of a present one.
    pub(super) fn is_candidate(&self, position: usize) -> bool {
        self.candidates[position]
    }

    /// Returns why an image stays in any case.
    pub(super) fn reason(&self, position: usize) -> Option<KeepReason> {
        self.reasons[position]
    }

    /// Keeps the newest tagged candidates. One of unknown age takes nobody's place.
    fn keep_newest(&mut self, repository: Repository<'_>, criteria: &Criteria) {
        let Some(keep) = criteria.keep.filter(|_| !criteria.by_tag) else { return };
        let graph = repository.graph;
        let mut tagged: Vec<usize> = (0..graph.len())
            .filter(|position| {
                let image = graph.image(*position);
                self.candidates[*position]
                    && !graph.is_companion(*position)
                    && image.status() == Status::Active
                    && image.pushed().is_some()
                    && image.ordinary_tags().next().is_some()
                    && criteria.matches_any(image)
            })
            .collect();
        tagged.sort_by_cached_key(|position| {
            let image = graph.image(*position);
            (Reverse(image.pushed()), image.digest())
        });
        for position in tagged.into_iter().take(keep) {
            self.reasons[position].get_or_insert(KeepReason::Newest(keep));
        }
    }

    /// Keeps the indexes and the subjects of images that have to stay.
    fn keep_indexes_and_subjects(&mut self, graph: &Graph) {
        let is_binding = |reason: &Option<KeepReason>| reason.is_some_and(KeepReason::is_binding);
        let mut waiting: Vec<usize> =
            (0..graph.len()).filter(|position| is_binding(&self.reasons[*position])).collect();
        while let Some(position) = waiting.pop() {
            let above: Vec<usize> = graph.parents(position).chain(graph.subjects_of(position)).collect();
            for other in above {
                if !is_binding(&self.reasons[other]) {
                    self.reasons[other] = Some(KeepReason::WaitsFor(position));
                    waiting.push(other);
                }
            }
        }
    }
}

fn is_candidate(graph: &Graph, position: usize) -> bool {
    let is_held = graph.parents(position).next().is_some();
    let is_about_another = graph.is_companion(position) && graph.subjects_of(position).next().is_some();
    !is_held && !is_about_another
}

/// Reason for an image to stay that lies in the image itself.
fn own_reason(
    repository: Repository<'_>,
    criteria: &Criteria,
    position: usize,
    by_tag: bool,
) -> Option<KeepReason> {
    let image = repository.graph.image(position);
    if let Some(protector) = repository.protected.get(&position) {
        return Some(KeepReason::Protected(*protector));
    }
    if image.status() == Status::Activating {
        return Some(KeepReason::Activating);
    }
    if !by_tag && criteria.keeps_by_tag(image) {
        return Some(KeepReason::KeepTag);
    }
    match image.pushed() {
        None => Some(KeepReason::UnknownAge),
        Some(pushed) if pushed >= criteria.young_since => Some(KeepReason::Young),
        // Last, since it is no reason for others to stay.
        Some(_) if criteria.archives && image.status() == Status::Archived => Some(KeepReason::Archived),
        Some(_) => None,
    }
}

/// Returns whether an image may be a child of an unreadable index: one without a tag at any time, one with a tag if it
/// was pushed before the index, as children are.
fn may_belong(graph: &Graph, position: usize, unknown: &[usize]) -> Option<KeepReason> {
    let index = unknown.iter().copied().find(|index| *index != position)?;
    let image = graph.image(position);
    let times = image.pushed().zip(graph.image(index).pushed());
    let is_younger = times.is_some_and(|(pushed, of_index)| pushed > of_index);
    (!image.is_tagged() || !is_younger).then_some(KeepReason::MayBelongTo(index))
}

/// Returns the two youngest unreadable indexes: enough to compare every image with one that is not itself.
fn unknown_indexes(graph: &Graph, is_wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    let is_unknown = |at: &usize| is_wanted(*at) && graph.is_index(*at) && graph.listed(*at).is_none();
    let mut unknown: Vec<usize> = (0..graph.len()).filter(is_unknown).collect();
    // One of unknown age may be younger than all.
    unknown.sort_by_key(|at| (graph.image(*at).pushed().is_some(), Reverse(graph.image(*at).pushed())));
    unknown.truncate(2);
    unknown
}
