//! `--exact`: every layer once.

use std::collections::HashMap;

use super::super::children::fetch;
use super::super::manifest_cache::ManifestCache;
use super::super::selection::Repository;
use crate::image::graph::{Graph, Status};
use crate::image::{Digest, Manifest, media_type};

/// The blobs of a repository.
#[derive(Debug, Default)]
pub(super) struct UniqueBlobs {
    blobs: HashMap<Digest, u64>,
    /// Number of manifests fetched.
    pub(super) fetched: usize,
    /// Number of images whose blobs are unknown: archived ones, and those deleted meanwhile.
    pub(super) unknown: usize,
}

impl UniqueBlobs {
    /// Reads the manifests of all images, from the cache as far as it has them.
    pub(super) async fn read(
        repository: &Repository,
        graph: &Graph,
        cache: &ManifestCache,
    ) -> anyhow::Result<Self> {
        let mut exact = Self::default();
        let mut missing = Vec::new();
        for position in (0..graph.len()).filter(|position| !graph.is_index(*position)) {
            let image = graph.image(position);
            match cache.get(&image.digest(), graph.media_type(position)) {
                Some(manifest) => exact.add(&manifest),
                None if image.status() == Status::Active => missing.push(position),
                None => exact.unknown += 1,
            }
        }
        let found = fetch(repository, graph, &missing, cache).await?;
        exact.fetched = found.len();
        exact.unknown += missing.len() - found.len();
        for (_, manifest) in &found {
            exact.add(manifest);
        }
        Ok(exact)
    }

    fn add(&mut self, manifest: &Manifest) {
        for blob in manifest.blobs().filter(|blob| !media_type::is_foreign(&blob.media_type)) {
            self.blobs.insert(blob.digest.clone(), blob.size);
        }
    }

    /// The bytes of all blobs, each once.
    pub(super) fn bytes(&self) -> u64 {
        self.blobs.values().sum()
    }
}

/// The bytes of blobs that none of the others has.
pub(super) fn only_in<'a>(exact: &UniqueBlobs, others: impl Iterator<Item = &'a UniqueBlobs>) -> u64 {
    let others: Vec<&UniqueBlobs> = others.collect();
    let own = |digest: &Digest| !others.iter().any(|other| other.blobs.contains_key(digest));
    exact.blobs.iter().filter(|(digest, _)| own(digest)).map(|(_, size)| size).sum()
}

/// The bytes of the blobs of all repositories, each once.
pub(super) fn distinct<'a>(all: impl Iterator<Item = &'a UniqueBlobs>) -> u64 {
    let blobs: HashMap<&Digest, u64> =
        all.flat_map(|exact| exact.blobs.iter().map(|(digest, size)| (digest, *size))).collect();
    blobs.values().sum()
}
