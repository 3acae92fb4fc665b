//! Images that go: the chosen ones, and the children and companions that go with them.

use super::protections::Protections;
use super::{Criteria, KeepReason, RemovalReason, Repository, Unmatched, Verdict};
use crate::image::graph::Graph;

/// For every image, why it goes, if it does.
#[derive(Debug)]
pub(super) struct Removals<'a> {
    graph: &'a Graph,
    stays: &'a Protections,
    reasons: Vec<Option<RemovalReason>>,
}

impl<'a> Removals<'a> {
    /// Adds the children and companions of the chosen images, and removes those that a remaining image needs.
    pub(super) fn of(graph: &'a Graph, stays: &'a Protections, chosen: Vec<Option<RemovalReason>>) -> Self {
        let mut going = Self { graph, stays, reasons: chosen };
        going.add_dependents();
        going.take_out_what_is_needed();
        going
    }

    fn add_dependents(&mut self) {
        let mut waiting: Vec<usize> =
            (0..self.graph.len()).filter(|at| self.reasons[*at].is_some()).collect();
        while let Some(position) = waiting.pop() {
            let children =
                self.graph.children(position).map(|child| (child.position, RemovalReason::ChildOf(position)));
            let companions = self
                .graph
                .companions(position)
                .map(|companion| (companion, RemovalReason::CompanionOf(position)));
            for (other, reason) in children.chain(companions) {
                if self.reasons[other].is_none() && self.may_go_along(other, reason) {
                    self.reasons[other] = Some(reason);
                    waiting.push(other);
                }
            }
        }
    }

    /// Returns whether an image may go because another one does: it has no tag that somebody gave it, and need not
    /// stay. The tag of a companion whose subject is absent keeps it, too, from going with an index.
    fn may_go_along(&self, position: usize, reason: RemovalReason) -> bool {
        let image = self.graph.image(position);
        let has_own_tag = image.ordinary_tags().next().is_some()
            || (matches!(reason, RemovalReason::ChildOf(_))
                && image.is_tagged()
                && self.graph.subjects_of(position).next().is_none());
        self.stays.reason(position).is_none() && !has_own_tag
    }

    /// Keeps an added image if one of its indexes or subjects stays.
    fn take_out_what_is_needed(&mut self) {
        let graph = self.graph;
        let mut waiting: Vec<usize> = (0..graph.len()).filter(|at| self.reasons[*at].is_none()).collect();
        while let Some(staying) = waiting.pop() {
            let below: Vec<usize> = graph
                .children(staying)
                .map(|child| child.position)
                .chain(graph.companions(staying))
                .collect();
            for position in below {
                let goes_along = matches!(
                    self.reasons[position],
                    Some(RemovalReason::ChildOf(_) | RemovalReason::CompanionOf(_))
                );
                if goes_along {
                    self.reasons[position] = None;
                    waiting.push(position);
                }
            }
        }
    }

    /// Returns the verdict on an image, with the most informative reason.
    pub(super) fn verdict(
        &self,
        repository: Repository<'_>,
        criteria: &Criteria,
        position: usize,
    ) -> Verdict {
        if let Some(gone) = self.reasons[position] {
            return Verdict::Go(gone);
        }
        Verdict::Keep(self.kept(repository, criteria, position))
    }

    fn kept(&self, repository: Repository<'_>, criteria: &Criteria, position: usize) -> KeepReason {
        let graph = self.graph;
        if let Some(reason) = self.stays.reason(position) {
            return reason;
        }
        if let Some(index) = graph.parents(position).find(|index| self.reasons[*index].is_none()) {
            return KeepReason::HeldBy(index);
        }
        if graph.is_companion(position)
            && let Some(subject) = graph.subjects_of(position).find(|at| self.reasons[*at].is_none())
        {
            return KeepReason::About(subject);
        }
        if !self.stays.is_candidate(position) {
            return KeepReason::OwnTag;
        }
        let image = graph.image(position);
        KeepReason::Unmatched(match repository.unmatched(criteria, position) {
            Some(unmatched) => unmatched,
            None if criteria.by_tag && image.is_tagged() => return KeepReason::HasTags,
            None if criteria.by_tag => Unmatched::Untagged,
            None => Unmatched::NotNamed,
        })
    }
}
