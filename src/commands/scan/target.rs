//! Which images a reference stands for: itself, or of an index the image of each platform.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::images::connection::{Address, Connection};
use super::super::images::content::Contents;
use super::super::images::describe::lookup;
use super::super::images::manifest_cache::ManifestCache;
use super::super::images::selection::Repository;
use crate::image::graph::{Graph, Kind, Status};
use crate::image::{Digest, Name, Platform, Reference};
use crate::settings::Settings;

/// Platform that buildkit writes for an attestation.
const NO_PLATFORM: &str = "unknown/unknown";

/// The connections of one command, one for each registry.
pub(super) struct Connections<'a> {
    settings: &'a Settings,
    open: HashMap<String, Arc<Connection>>,
}

impl<'a> Connections<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, open: HashMap::new() }
    }

    /// The repository of a reference.
    pub(super) fn repository(&mut self, reference: &Reference) -> anyhow::Result<Repository> {
        let host = reference.registry.as_ref().map(|registry| registry.host().to_owned()).unwrap_or_default();
        if let Some(connection) = self.open.get(&host) {
            let connection = Arc::clone(connection);
            return Ok(Repository { connection, name: reference.repository.to_string() });
        }
        let connection = Connection::open(self.settings, &Address::of(reference.registry.clone()))?;
        self.open.insert(host, Arc::clone(&connection));
        Ok(Repository { connection, name: reference.repository.to_string() })
    }
}

/// One image to be read, or what cannot be.
#[derive(Clone)]
pub(super) struct Target {
    /// As it was written on the command line.
    pub(super) reference: String,
    pub(super) repository: Repository,
    /// `None` where the image is not there.
    pub(super) digest: Option<Digest>,
    pub(super) platform: Option<String>,
    /// Why nothing can be read of it.
    pub(super) missing: Option<String>,
}

/// The images of a reference, and how many manifests were fetched to find them.
pub(super) async fn of_reference(
    (reference, text): (&Reference, &str),
    repository: &Repository,
    platforms: &[Platform],
    cache: &ManifestCache,
) -> anyhow::Result<(Vec<Target>, usize)> {
    let target = |digest: Option<Digest>, platform: Option<String>, missing: Option<&str>| Target {
        reference: text.to_owned(),
        repository: repository.clone(),
        digest,
        platform,
        missing: missing.map(str::to_owned),
    };
    let mut waiting: Vec<(Name, Option<String>)> = vec![(reference.name.clone(), None)];
    let (mut targets, mut fetched, mut seen) = (Vec::new(), 0, Vec::new());
    while let Some((name, platform)) = waiting.pop() {
        if seen.contains(&name) {
            continue;
        }
        let is_child = !seen.is_empty();
        seen.push(name.clone());
        let mut graph = Graph::default();
        lookup(repository, std::slice::from_ref(&name))
            .await?
            .into_iter()
            .for_each(|detail| graph.add(detail));
        graph.link();
        if graph.is_empty() {
            let digest = if let Name::Digest(digest) = &name { Some(digest.clone()) } else { None };
            targets.push(target(digest, platform, Some("it is not in the repository")));
            continue;
        }
        let digest = graph.image(0).digest();
        if !graph.is_index(0) {
            // An index may list what is no image, such as an index of SOCI.
            if !is_child || graph.kind(0) == Kind::Image {
                targets.push(target(Some(digest), platform, None));
            }
            continue;
        }
        let Some((children, is_fetched)) = children(repository, &graph, cache).await? else {
            let told = "what the index lists is not known: it is archived, or gone meanwhile";
            targets.push(target(Some(digest), platform, Some(told)));
            continue;
        };
        fetched += usize::from(is_fetched);
        if children.is_empty() {
            targets.push(target(Some(digest), platform, Some("the index lists no image")));
        }
        waiting.extend(children.into_iter().rev());
    }
    if targets.is_empty() {
        targets.push(target(None, None, Some("it lists no image that could be scanned")));
    }
    if !platforms.is_empty() {
        let wanted = |platform: &Option<String>| {
            let offered = platform.as_deref().and_then(|text| text.parse::<Platform>().ok());
            // What has no platform may be any of them.
            offered.is_none_or(|offered| platforms.iter().any(|wanted| wanted.accepts(&offered)))
        };
        targets.retain(|target| wanted(&target.platform));
        if targets.is_empty() {
            targets.push(target(None, None, Some("it has no image for these platforms")));
        }
    }
    Ok((targets, fetched))
}

/// Children of an index but attestations, with the platforms, and whether its manifest was fetched; `None` where it is
/// not known.
async fn children(
    repository: &Repository,
    graph: &Graph,
    cache: &ManifestCache,
) -> anyhow::Result<Option<(Vec<(Name, Option<String>)>, bool)>> {
    let contents = Contents { repository, graph, cache };
    if graph.image(0).status() != Status::Active
        && cache.get(&graph.image(0).digest(), graph.media_type(0)).is_none()
    {
        return Ok(None);
    }
    let (manifest, is_fetched) = contents.manifest(0).await?;
    let Some(manifest) = manifest else { return Ok(None) };
    let mut found = Vec::new();
    for child in manifest.children() {
        let platform = child.platform().map(|platform| platform.to_string());
        if platform.as_deref() != Some(NO_PLATFORM) {
            found.push((Name::Digest(child.digest.clone()), platform));
        }
    }
    Ok(Some((found, is_fetched)))
}
