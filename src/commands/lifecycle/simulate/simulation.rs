//! A policy evaluated over the images of one repository.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::super::images::children::all_children;
use super::super::super::images::describe::{Images, graph};
use super::super::super::images::manifest_cache::ManifestCache;
use super::super::super::images::selection::Repository;
use super::super::super::max_images::MaxImages;
use super::super::policy_text::PolicyText;
use super::SimulatedPeriod;
use super::over::{self, Week};
use super::warnings::{self, Warning};
use crate::image::graph::{Graph, Status, Time};
use crate::lifecycle::{Action, Explainer, Image, Plan, evaluate};
use crate::retention::references::References;

/// Effect of a policy on a repository.
pub(in crate::commands::lifecycle) struct Simulation {
    pub(in crate::commands::lifecycle) repository: Repository,
    pub(in crate::commands::lifecycle) account: Option<String>,
    /// `None` where there is none: then nothing happens.
    pub(in crate::commands::lifecycle) policy: Option<PolicyText>,
    pub(in crate::commands::lifecycle) images: Vec<Image>,
    /// The bytes of each image; none of an index, which has no layers of its own.
    sizes: Vec<u64>,
    pub(in crate::commands::lifecycle) plan: Plan,
    at: i64,
    pub(super) rules: Vec<RuleEffect>,
    pub(in crate::commands::lifecycle) warnings: Vec<Warning>,
    pub(super) weeks: Vec<Week>,
    /// Number of manifests fetched.
    pub(in crate::commands::lifecycle) fetched: usize,
    /// Number of indexes whose children are unknown: archived ones, and those deleted meanwhile.
    pub(super) unknown_indexes: usize,
    /// Objection of `--max`.
    pub(super) over_limit: Option<String>,
}

/// Effect of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleEffect {
    pub(super) priority: i64,
    pub(super) action: Action,
    pub(super) words: String,
    /// Number of images the rule selects by storage class and tags.
    pub(super) selected: usize,
    /// Number of images the rule acts on.
    pub(super) images: usize,
    /// Their bytes; layers that several images share count several times.
    pub(super) bytes: u64,
}

impl Simulation {
    /// Reads the repository and evaluates the policy.
    pub(in crate::commands::lifecycle) async fn run(
        repository: &Repository,
        policy: Option<PolicyText>,
        cache: &ManifestCache,
        when: SimulatedPeriod,
    ) -> anyhow::Result<Self> {
        let mut graph = graph(repository, Images::Any).await?;
        let (mut fetched, mut unknown_indexes) = (0, 0);
        // Without a policy the children of indexes do not matter.
        if policy.is_some() {
            let indexes = all_children(repository, &mut graph, cache).await?;
            (fetched, unknown_indexes) = (indexes.fetched, indexes.unknown.len());
        }
        let (images, sizes) = read(&graph, when.at);
        let account = graph.account().map(str::to_owned);
        drop(graph);
        let mut simulation = Self {
            repository: repository.clone(),
            account,
            policy,
            images,
            sizes,
            plan: Plan::default(),
            at: when.at.as_millisecond(),
            rules: Vec::new(),
            warnings: Vec::new(),
            weeks: Vec::new(),
            fetched,
            unknown_indexes,
            over_limit: None,
        };
        simulation.evaluate(when);
        Ok(simulation)
    }

    fn evaluate(&mut self, when: SimulatedPeriod) {
        let Some(PolicyText { policy, .. }) = &self.policy else { return };
        self.plan = evaluate(policy, &self.images, self.at);
        let mut acted: HashMap<i64, (usize, u64)> = HashMap::new();
        for decision in &self.plan.decisions {
            let (images, bytes) = acted.entry(decision.priority).or_default();
            *images += 1;
            *bytes = bytes.saturating_add(self.sizes[decision.image]);
        }
        let effect = |rule: &crate::lifecycle::Rule| {
            let (images, bytes) = acted.get(&rule.priority()).copied().unwrap_or_default();
            RuleEffect {
                priority: rule.priority(),
                action: rule.action(),
                words: rule.in_words(),
                selected: self.images.iter().filter(|image| rule.selects(image)).count(),
                images,
                bytes,
            }
        };
        self.rules = policy.rules().iter().map(effect).collect();
        if let Some(over) = when.over {
            self.weeks = over::weeks(policy, &self.images, &self.sizes, (self.at, over));
        }
        self.warnings = warnings::of(self, policy);
    }

    /// Warns of expiring images that are referenced.
    pub(super) fn warn_of(&mut self, references: &References) {
        let warnings = warnings::protected(self, references);
        self.warnings.extend(warnings);
    }

    /// Message where more would expire than may.
    pub(super) fn objection(&self, most: MaxImages) -> Option<String> {
        let (expired, images) = (self.count(Action::Expire), self.images.len());
        let is_exceeded = most.is_exceeded(expired, images);
        let text = most.text();
        is_exceeded.then(|| format!("{expired} of {images} images would expire, which is over --max {text}"))
    }

    /// Counts the images that the policy does `action` to.
    pub(super) fn count(&self, action: Action) -> usize {
        self.plan.decisions.iter().filter(|decision| decision.action == action).count()
    }

    /// The bytes of the images that this happens to.
    pub(super) fn bytes(&self, action: Action) -> u64 {
        let acted = self.plan.decisions.iter().filter(|decision| decision.action == action);
        acted.map(|decision| self.sizes[decision.image]).sum()
    }

    /// The bytes of an image; none of an index.
    pub(super) fn size(&self, image: usize) -> u64 {
        self.sizes[image]
    }

    /// The instant for which it is, in milliseconds.
    pub(super) fn at(&self) -> i64 {
        self.at
    }

    /// Returns the explainer of the decisions.
    pub(super) fn explainer(&self) -> Option<Explainer<'_>> {
        let policy = &self.policy.as_ref()?.policy;
        Some(Explainer::new(policy, &self.images, &self.plan, self.at))
    }
}

/// The images of a repository as the evaluation sees them, with their sizes. Those that are pushed later are not there
/// yet.
fn read(graph: &Graph, at: Timestamp) -> (Vec<Image>, Vec<u64>) {
    let (mut images, mut sizes) = (Vec::with_capacity(graph.len()), Vec::with_capacity(graph.len()));
    let milliseconds = |time: Time| time.timestamp().as_millisecond();
    for position in 0..graph.len() {
        let image = graph.image(position);
        let pushed = image.pushed().map(milliseconds);
        if pushed.is_some_and(|pushed| pushed > at.as_millisecond()) {
            continue;
        }
        let children = graph.children(position).map(|child| graph.image(child.position).digest().to_string());
        images.push(Image {
            digest: image.digest().to_string(),
            tags: image.tags().map(str::to_owned).collect(),
            // An image whose push is not known is taken for new: it stays.
            pushed_at: pushed.unwrap_or(at.as_millisecond()),
            pulled_at: image.pulled().map(milliseconds),
            archived_at: image.archived().filter(|_| image.status() == Status::Archived).map(milliseconds),
            activated_at: image.activated().map(milliseconds),
            status: image.status().name().to_owned(),
            subject: image.subject().map(|subject| subject.to_string()),
            children: children.collect(),
        });
        sizes.push(if graph.is_index(position) { 0 } else { image.size().unwrap_or_default() });
    }
    (images, sizes)
}
