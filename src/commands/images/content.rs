//! Content of an image: its manifest, from the cache or fetched, and its configuration.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::super::ecr_repository::EcrRepository;
use super::super::registry::{explained, wrong};
use super::children;
use super::manifest_cache::ManifestCache;
use super::selection::Repository;
use crate::image::graph::{Graph, Status};
use crate::image::{Content, Descriptor, Digest, Manifest, Name, Platform, Reference};
use crate::store::Store;

/// More bytes of configuration than this no image has.
const MAXIMUM_CONFIGURATION: u64 = 16 * 1024 * 1024;

/// Images of one repository, as far as they are known, with the source of more.
pub(in crate::commands) struct ImageReader<'a> {
    pub(in crate::commands) repository: &'a Repository,
    pub(in crate::commands) graph: &'a Graph,
    pub(in crate::commands) cache: &'a ManifestCache,
}

/// A platform's image: its digest, the number of manifests that were fetched to find it, and whether one that could have led
/// to it cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::commands) struct Chosen {
    pub(in crate::commands) digest: Option<Digest>,
    pub(in crate::commands) fetched: usize,
    pub(in crate::commands) is_unreadable: bool,
}

impl ImageReader<'_> {
    /// Returns the manifest of an image, and whether it was fetched; `None` if the image is deleted or archived.
    pub(in crate::commands) async fn manifest(
        &self,
        position: usize,
    ) -> anyhow::Result<(Option<Manifest>, bool)> {
        let digest = self.graph.image(position).digest();
        if let Some(manifest) = self.cache.get(&digest, self.graph.media_type(position)) {
            return Ok((Some(manifest), false));
        }
        if self.graph.image(position).status() != Status::Active {
            return Ok((None, false));
        }
        let fetched = children::fetch(self.repository, self.graph, &[position], self.cache).await?;
        let manifest = fetched.into_iter().next().map(|(_, manifest)| manifest);
        let is_fetched = manifest.is_some() && !self.repository.connection.is_public();
        Ok((manifest, is_fetched))
    }

    /// The image for a platform: the image itself, or the child of an index that fits best.
    pub(in crate::commands) fn for_platform<'s>(
        &'s self,
        position: usize,
        platform: &'s Platform,
        depth: usize,
    ) -> LocalBoxFuture<'s, anyhow::Result<Chosen>> {
        const MAX_DEPTH: usize = 8;
        Box::pin(async move {
            let (manifest, is_fetched) = self.manifest(position).await?;
            let fetched = usize::from(is_fetched);
            let mut chosen = Chosen { digest: None, fetched, is_unreadable: manifest.is_none() };
            let Some(manifest) = manifest else { return Ok(chosen) };
            if let Content::Image { config, .. } = manifest.content() {
                let bytes = self.configuration(config).await?;
                let own = Platform::of_configuration(&bytes);
                chosen.digest = own.filter(|own| platform.accepts(own)).map(|_| manifest.digest().clone());
                return Ok(chosen);
            }
            if let Some(child) = best(&manifest.children(), platform) {
                chosen.digest = Some(child.digest.clone());
                return Ok(chosen);
            }
            let nested = manifest.children().into_iter().filter(|child| child.platform().is_none());
            for child in nested.filter_map(|child| self.graph.position(&child.digest)) {
                if depth < MAX_DEPTH && chosen.digest.is_none() {
                    let found = self.for_platform(child, platform, depth + 1).await?;
                    chosen = Chosen {
                        digest: found.digest,
                        fetched: chosen.fetched + found.fetched,
                        is_unreadable: chosen.is_unreadable || found.is_unreadable,
                    };
                }
            }
            Ok(chosen)
        })
    }

    /// The bytes of a configuration, checked against its digest.
    pub(in crate::commands) async fn configuration(&self, config: &Descriptor) -> anyhow::Result<Vec<u8>> {
        if config.size > MAXIMUM_CONFIGURATION {
            anyhow::bail!(
                "the configuration {} has {} bytes, which no image needs",
                config.digest,
                config.size
            );
        }
        let store = store(self.repository)?;
        let failed = |error: crate::store::Error| explained(error.into());
        let mut reader = store.open(config, 0).await.map_err(failed)?;
        let limit = usize::try_from(config.size).unwrap_or(usize::MAX).saturating_add(1);
        let bytes = reader.read(Vec::new(), limit).await.map_err(failed)?;
        if config.digest.algorithm().of(&bytes) != config.digest {
            anyhow::bail!(
                "the registry answered other bytes than those of the configuration {}",
                config.digest
            );
        }
        Ok(bytes)
    }
}

/// A repository as a store of manifests and blobs.
pub(in crate::commands) fn store(repository: &Repository) -> anyhow::Result<Arc<dyn Store>> {
    let connection = &repository.connection;
    if connection.is_public() {
        return Ok(Arc::new(super::public::remote(repository)?));
    }
    let name = repository.name.parse().map_err(wrong)?;
    let reference = Reference { registry: None, repository: name, name: Name::Unnamed };
    let target = EcrRepository::of(connection.settings(), reference)?;
    Ok(target.of_account(connection.account()).store())
}

/// Returns the child that fits a platform best: one without a variant before one with another variant than the usual.
fn best<'a>(children: &[&'a Descriptor], platform: &Platform) -> Option<&'a Descriptor> {
    let distance = |child: &Descriptor| {
        let offered = child.platform().filter(|offered| platform.accepts(offered))?;
        Some(platform.match_rank(&offered))
    };
    let fitting = children.iter().filter_map(|child| Some((distance(child)?, *child)));
    fitting.min_by_key(|(distance, _)| *distance).map(|(_, child)| child)
}
