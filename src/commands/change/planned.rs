//! Repository with a plan and its results.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::super::images::manifest_cache::{ManifestCache, OwnFetches};
use super::super::images::selection::Repository;
use super::super::runtime::Stop;
use super::executor::{Action, Outcome, PlannedChange};
use super::replication::DeleteReplication;
use crate::image::graph::Graph;
use crate::image::{Digest, media_type};
use crate::retention::{Plan, Verdict};

/// A repository with a plan.
pub(super) struct Planned {
    pub(super) repository: Repository,
    /// Graph of the images; of a plan from a file only those to change.
    pub(super) graph: Graph,
    /// Number of images in the repository.
    pub(super) images: usize,
    /// The positions of the images that go.
    pub(super) going: Vec<usize>,
    /// Tags that go from images that stay.
    pub(super) untag: Vec<(usize, String)>,
    pub(super) reasons: Reasons,
    pub(super) freed: Freed,
    pub(super) fetches: OwnFetches,
    pub(super) action: Action,
    /// Registries to which deletions are replicated.
    pub(super) replication: DeleteReplication,
    /// The change leaves no tagged image that can be pulled.
    pub(super) empties: bool,
    /// Outcome of carrying it out; `None` where only the plan is shown.
    pub(super) outcome: Option<Outcome>,
}

/// Describes why an image was chosen.
pub(super) type Chosen = Box<dyn Fn(&Graph, usize) -> String>;

/// Source of the reasons for which images stay and go.
pub(super) enum Reasons {
    /// The plan, with why an image was chosen.
    Plan(Plan, Chosen),
    /// A plan file.
    File(HashMap<usize, String>),
}

/// Bytes that a plan frees.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Freed {
    pub(super) bytes: u64,
    /// Layers that remaining images need are left out; otherwise `bytes` is an upper bound.
    pub(super) is_exact: bool,
}

impl Planned {
    /// Returns why an image stays or goes.
    pub(super) fn reason(&self, position: usize) -> String {
        match &self.reasons {
            Reasons::File(reasons) => reasons.get(&position).cloned().unwrap_or_default(),
            Reasons::Plan(plan, chosen) => match plan.verdict(position) {
                Verdict::Keep(kept) => kept.text(&self.graph),
                Verdict::Go(gone) => gone.text(&self.graph, &chosen(&self.graph, position)),
            },
        }
    }

    /// The images that stay, as far as they are known.
    pub(super) fn staying(&self) -> Vec<usize> {
        let going: HashSet<usize> = self.going.iter().copied().collect();
        (0..self.graph.len()).filter(|position| !going.contains(position)).collect()
    }

    /// Returns whether there is nothing to change.
    pub(super) fn is_empty(&self) -> bool {
        self.going.is_empty() && self.untag.is_empty()
    }

    /// Carries the plan out.
    pub(super) async fn run(&mut self, stop: &Stop) {
        let work = PlannedChange {
            repository: &self.repository,
            graph: &self.graph,
            going: self.going.clone(),
            untag: &self.untag,
            fetches: &self.fetches,
            action: self.action,
        };
        let outcome = work.run(stop).await;
        self.outcome = Some(outcome);
    }

    /// Returns, as JSON, the registries in which deletions take effect too.
    pub(super) fn also_deleted_in(&self) -> Vec<Value> {
        if self.action == Action::Archive {
            return Vec::new();
        }
        let destinations = self.replication.destinations(&self.repository.name).unwrap_or_default();
        destinations.into_iter().map(super::replication::Destination::json).collect()
    }
}

impl Freed {
    /// Returns the bytes of layers that nothing needs any more, if all manifests are cached; else the sum of the sizes
    /// that the service gives.
    pub(super) fn of(graph: &Graph, going: &[usize], cache: &ManifestCache) -> Self {
        let images: Vec<usize> =
            going.iter().copied().filter(|position| !graph.is_index(*position)).collect();
        let sum = || {
            images.iter().filter_map(|position| graph.image(*position).size()).fold(0, u64::saturating_add)
        };
        match exactly(graph, going, &images, cache) {
            Some(bytes) => Self { bytes, is_exact: true },
            None => Self { bytes: sum(), is_exact: images.is_empty() },
        }
    }
}

/// `None` where the manifest of an image is not in the cache.
fn exactly(graph: &Graph, going: &[usize], images: &[usize], cache: &ManifestCache) -> Option<u64> {
    let blobs = |position: usize| -> Option<Vec<(Digest, u64)>> {
        let manifest = cache.get(&graph.image(position).digest(), graph.media_type(position))?;
        let blobs = manifest.blobs().filter(|blob| !media_type::is_foreign(&blob.media_type));
        Some(blobs.map(|blob| (blob.digest.clone(), blob.size)).collect())
    };
    let mut freed: HashMap<Digest, u64> = HashMap::new();
    for position in images {
        freed.extend(blobs(*position)?);
    }
    let going: HashSet<usize> = going.iter().copied().collect();
    for position in (0..graph.len()).filter(|at| !going.contains(at) && !graph.is_index(*at)) {
        for (digest, _) in blobs(position)? {
            freed.remove(&digest);
        }
    }
    Some(freed.values().sum())
}
