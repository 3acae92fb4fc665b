//! Images of a repository, and the plan for them.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::super::Context;
use super::super::super::images::children::{all_children, place};
use super::super::super::images::describe::{Images, graph};
use super::super::super::images::manifest_cache::OwnFetches;
use super::super::super::images::selection::Repository;
use super::super::executor::Action;
use super::super::planned::{Chosen, Freed, Planned, Reasons};
use super::super::replication::DeleteReplication;
use super::args::{PruneArgs, RuleArgs};
use super::protect;
use crate::image::glob;
use crate::image::graph::{Graph, Time};
use crate::retention::references::References;
use crate::retention::{self, Criteria, Protector, TagState};

/// A repository that is to be pruned, with the options for it.
pub(super) struct PruneTarget<'a> {
    pub(super) repository: Repository,
    pub(super) options: &'a RuleArgs,
    /// References in the files of the options.
    pub(super) references: &'a References,
    pub(super) now: Timestamp,
}

/// The plan for a repository, and how many manifests were fetched for it.
pub(super) struct PlannedRepository {
    pub(super) planned: Planned,
    pub(super) fetched: usize,
}

impl PruneTarget<'_> {
    /// Lists the repository and makes its plan; only reads.
    pub(super) async fn plan(
        &self,
        context: &Context,
        arguments: &PruneArgs,
    ) -> anyhow::Result<PlannedRepository> {
        if self.repository.connection.is_public() {
            self.options.check_public()?;
        }
        let criteria = self.options.criteria(self.now)?;
        let cache = arguments.reading.cache(context);
        let mut graph = graph(&self.repository, Images::Any).await?;
        let before = OwnFetches::new(cache.own_fetches(&place(&self.repository)));
        let pulls = pulls(&graph, &before);
        let indexes = all_children(&self.repository, &mut graph, &cache).await?;
        // The list is from before our own fetches of this run, which the look before a deletion sees.
        let fetches = OwnFetches::new(cache.own_fetches(&place(&self.repository)));
        let plan = self.decided(&graph, &pulls, &criteria).await;
        let going: Vec<usize> = plan.going().collect();
        let untag = plan.untag.clone();
        let planned = Planned {
            repository: self.repository.clone(),
            images: graph.len(),
            freed: Freed::of(&graph, &going, &cache),
            empties: plan.empties(&graph),
            going,
            untag,
            reasons: Reasons::Plan(plan, self.describe(&criteria, pulls)),
            fetches,
            action: if self.options.archive { Action::Archive } else { Action::Delete },
            replication: DeleteReplication::Rules(Vec::new()),
            outcome: None,
            graph,
        };
        Ok(PlannedRepository { planned, fetched: indexes.fetched })
    }

    /// Decides which images go. Whether they are in use is asked only of those that would go.
    async fn decided(
        &self,
        graph: &Graph,
        pulls: &HashMap<usize, Option<Time>>,
        criteria: &Criteria,
    ) -> retention::Plan {
        let referenced = self.references.positions(&self.repository.name, graph).into_iter();
        let mut protected: HashMap<usize, Protector> =
            referenced.map(|position| (position, Protector::Reference)).collect();
        let plan = decide(graph, pulls, &protected, criteria);
        let Some(within) = self.options.protect_in_use else { return plan };
        let mut asked: Vec<usize> = plan.going().collect();
        asked.extend(plan.untag.iter().map(|(position, _)| *position));
        protected.extend(protect::in_use(&self.repository, graph, &asked, within).await);
        decide(graph, pulls, &protected, criteria)
    }

    /// Describes why an image was chosen: the criteria, and its age.
    fn describe(&self, criteria: &Criteria, pulls: HashMap<usize, Option<Time>>) -> Chosen {
        const DAY: i64 = 86_400;
        let now = self.now;
        let days = move |time: Time| (now.as_second() - time.timestamp().as_second()) / DAY;
        let shown = |days: i64| if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        let (tags, globs) = (criteria.tags, criteria.matching.clone());
        let asks_for_use = criteria.unused_since.is_some();
        Box::new(move |graph, position| {
            let mut parts = Vec::new();
            match tags {
                Some(TagState::Untagged) => parts.push("untagged".to_owned()),
                Some(TagState::Tagged) => parts.push("tagged".to_owned()),
                None => {}
            }
            if !globs.is_empty() {
                let matches = |tag: &&str| globs.iter().any(|pattern| glob::matches(pattern, tag));
                let others: Vec<&str> =
                    graph.image(position).ordinary_tags().filter(|tag| !matches(tag)).collect();
                let also =
                    if others.is_empty() { String::new() } else { format!(" (also {})", others.join(", ")) };
                parts.push(format!("tag matches{also}"));
            }
            if let Some(pushed) = graph.image(position).pushed() {
                parts.push(shown(days(pushed)));
            }
            let protected = HashMap::new();
            let repository = retention::Repository { graph, pulls: &pulls, protected: &protected };
            if asks_for_use && let Some(used) = repository.last_use(position) {
                parts.push(format!("not used for {}", shown(days(used))));
            }
            parts.join(", ")
        })
    }
}

fn decide(
    graph: &Graph,
    pulls: &HashMap<usize, Option<Time>>,
    protected: &HashMap<usize, Protector>,
    criteria: &Criteria,
) -> retention::Plan {
    retention::plan(retention::Repository { graph, pulls, protected }, criteria)
}

/// The pull times that our own fetches explain, as they were before.
fn pulls(graph: &Graph, fetches: &OwnFetches) -> HashMap<usize, Option<Time>> {
    let of = |position: usize| {
        let image = graph.image(position);
        let pulled = fetches.pulled_by_others(image);
        (pulled != image.pulled()).then_some((position, pulled))
    };
    (0..graph.len()).filter_map(of).collect()
}
