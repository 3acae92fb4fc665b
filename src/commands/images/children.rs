//! The children of indexes: from the cache, or fetched, which counts as a pull of the index.

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::Context;
use super::super::registry::explained;
use super::describe::identifier_of;
use super::manifest_cache::{ManifestCache, OwnFetch, pulled_by_others};
use super::selection::Repository;
use crate::image::graph::{Graph, Status, Time};
use crate::image::{Digest, Manifest, Name, media_type};
use crate::store::{self, Store as _};
use crate::ui::progress::count;

/// The most that BatchGetImage takes at once.
const BATCH: usize = 100;
/// Limit of concurrent calls for one repository.
const CALLS: usize = 4;

/// Known children of the indexes of a repository.
#[derive(Debug, Default)]
pub(in crate::commands) struct Indexes {
    /// Number of manifests fetched, which thereby count as pulled.
    pub(in crate::commands) fetched: usize,
    /// Positions of indexes whose children are not known.
    pub(in crate::commands) unknown: Vec<usize>,
}

/// Sets the children of the indexes whose manifests are in the cache; fetches nothing.
pub(in crate::commands) fn known_children(graph: &mut Graph, cache: &ManifestCache) -> Indexes {
    let mut indexes = Indexes::default();
    for position in 0..graph.len() {
        if !graph.is_index(position) {
            continue;
        }
        match cache.get(&graph.image(position).digest(), graph.media_type(position)) {
            Some(manifest) => graph.set_children(position, &manifest),
            None => indexes.unknown.push(position),
        }
    }
    graph.link();
    indexes
}

/// Sets the children of all indexes; manifests that are not cached are fetched, except archived ones.
pub(in crate::commands) async fn all_children(
    repository: &Repository,
    graph: &mut Graph,
    cache: &ManifestCache,
) -> anyhow::Result<Indexes> {
    let Indexes { unknown, .. } = known_children(graph, cache);
    let wanted: Vec<usize> = unknown
        .iter()
        .copied()
        .filter(|position| graph.image(*position).status() == Status::Active)
        .collect();
    let found = fetch(repository, graph, &wanted, cache).await?;
    // Amazon ECR Public keeps no pull times.
    let fetched = if repository.connection.is_public() { 0 } else { found.len() };
    for (position, manifest) in &found {
        graph.set_children(*position, manifest);
    }
    graph.link();
    let unknown = unknown.into_iter().filter(|position| graph.listed(*position).is_none()).collect();
    Ok(Indexes { fetched, unknown })
}

/// Fetches the manifests of images and keeps them. An image that is gone meanwhile is left out.
pub(in crate::commands) async fn fetch(
    repository: &Repository,
    graph: &Graph,
    positions: &[usize],
    cache: &ManifestCache,
) -> anyhow::Result<Vec<(usize, Manifest)>> {
    note(repository, graph, positions, cache);
    let mut calls = stream::iter(positions.chunks(BATCH).map(|some| batch(repository, graph, some)))
        .buffer_unordered(CALLS);
    let mut found = Vec::new();
    while let Some(some) = calls.next().await {
        for (position, manifest) in some? {
            cache.put(&graph.image(position).digest(), &manifest);
            found.push((position, manifest));
        }
    }
    Ok(found)
}

fn note(repository: &Repository, graph: &Graph, positions: &[usize], cache: &ManifestCache) {
    let earlier = cache.own_fetches(&place(repository));
    let fetches = positions.iter().map(|position| {
        let image = graph.image(*position);
        let digest = image.digest();
        let pulled_before = pulled_by_others(&earlier, &digest, image.pulled());
        OwnFetch { digest, at: Time::of(Timestamp::now()), pulled_before }
    });
    cache.note(&place(repository), &fetches.collect::<Vec<_>>());
}

/// Key of a repository in the notes of fetches.
pub(in crate::commands) fn place(repository: &Repository) -> String {
    let connection = &repository.connection;
    let account = connection.account().map(str::to_owned).or_else(|| connection.settings().profile());
    let endpoint = connection.settings().endpoint("ecr").ok().flatten();
    let parts = [account, connection.region(), endpoint, Some(repository.name.clone())];
    parts.map(Option::unwrap_or_default).join("/")
}

async fn batch(
    repository: &Repository,
    graph: &Graph,
    positions: &[usize],
) -> anyhow::Result<Vec<(usize, Manifest)>> {
    let ids: Vec<Value> =
        positions.iter().map(|position| identifier_of(&graph.image(*position).digest())).collect();
    let input = json!({
        "repositoryName": repository.name, "imageIds": ids, "acceptedMediaTypes": media_type::MANIFESTS
    });
    if repository.connection.is_public() {
        return public_batch(repository, graph, positions).await;
    }
    let answer = repository.connection.call("BatchGetImage", input).await?;
    // Gone meanwhile, or archived: its content is unknown. Anything else says nothing about the image.
    let is_absence = |failure: &Value| {
        matches!(failure["failureCode"].as_str(), Some("ImageNotFound" | "ImageInaccessible"))
    };
    let mut failures = answer["failures"].as_array().into_iter().flatten();
    if let Some(failure) = failures.find(|failure| !is_absence(failure)) {
        let text = |name: &str| failure[name].as_str().unwrap_or_default();
        let digest = failure["imageId"]["imageDigest"].as_str().unwrap_or_default();
        anyhow::bail!(
            "the manifest of {}@{digest} cannot be read: {}: {}",
            repository.name,
            text("failureCode"),
            text("failureReason")
        );
    }
    let mut found = Vec::new();
    for image in answer["images"].as_array().into_iter().flatten() {
        let text = image["imageManifest"].as_str().unwrap_or_default().to_owned();
        let digest: Option<Digest> =
            image["imageId"]["imageDigest"].as_str().and_then(|digest| digest.parse().ok());
        let Some(digest) = digest else { continue };
        if digest.algorithm().of(text.as_bytes()) != digest {
            anyhow::bail!("BatchGetImage answered other bytes than those of {digest}");
        }
        // A manifest that cannot be read leaves its children unknown.
        let manifest = Manifest::parse(text.into(), image["imageManifestMediaType"].as_str()).ok();
        found.extend(graph.position(&digest).zip(manifest));
    }
    Ok(found)
}

/// Reads manifests over `/v2/`: the API of Amazon ECR Public has no BatchGetImage.
async fn public_batch(
    repository: &Repository,
    graph: &Graph,
    positions: &[usize],
) -> anyhow::Result<Vec<(usize, Manifest)>> {
    let remote = super::public::remote(repository)?;
    let mut found = Vec::new();
    for position in positions {
        match remote.manifest(&Name::Digest(graph.image(*position).digest())).await {
            Ok(manifest) => found.push((*position, manifest)),
            Err(store::Error::NoImage { .. }) => {}
            Err(error) => return Err(explained(error.into())),
        }
    }
    Ok(found)
}

/// Notes once that fetched images count as pulled, and how to avoid that.
pub(in crate::commands) fn tell_fetched(context: &Context, fetched: usize) {
    if fetched > 0 {
        let counts = if fetched == 1 { "counts as a pull" } else { "count as pulls" };
        context.ui.note(&format!(
            "{} fetched, which {counts}; `ecr register-pull-time-update-exclusion` keeps your principal's \
             pulls out of pull times",
            count(fetched, "manifest")
        ));
    }
}
