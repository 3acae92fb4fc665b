//! The plan of a transfer: its manifests, in the order in which they must arrive.

use std::collections::{HashMap, HashSet};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::platforms;
use super::referrers::{self, Referrer};
use super::{Error, MANIFESTS};
use crate::image::{Content, Descriptor, Digest, Manifest, Name, Platform, media_type};
use crate::store::{self, Shared, Source};

/// Limit of the depth of nested indexes: one level is common, two are rare.
pub(super) const MAX_DEPTH: usize = 8;
/// All manifests of an image are in memory together.
const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;
/// A configuration is read whole where the platform or the layers have to be known.
const MAX_CONFIGURATION: u64 = 8 * 1024 * 1024;

/// Annotation of buildkit with the image that an attestation in the same index refers to.
pub(super) const ATTESTED: &str = "vnd.docker.reference.digest";

/// The manifests that a transfer copies.
#[derive(Debug)]
pub(super) struct Plan {
    /// The manifest that everything is for.
    pub(super) root: Manifest,
    /// Manifests below it, children before their index.
    pub(super) children: Vec<Manifest>,
    /// Their referrers, each after its subject.
    pub(super) referrers: Vec<Referrer>,
    /// The root is an index that lost entries, so that its digest differs from the source's.
    pub(super) rewritten: bool,
}

impl Plan {
    /// Collects the manifests and blobs of an image. Without platforms that is everything, but for one of docker's
    /// places, which takes what containers here run on.
    pub(super) async fn make(
        source: &Shared,
        name: &Name,
        platforms: &[Platform],
        docker: Option<&Shared>,
        referrers: bool,
    ) -> Result<Self, Error> {
        let chooses = docker.is_some() || !platforms.is_empty();
        let listed = if chooses { platforms::candidates(source, name).await? } else { None };
        let is_list = listed.is_some();
        let whole = match listed {
            Some(listed) => listed,
            None => source.manifest(name).await?,
        };
        let whole_digest = whole.digest().clone();
        let here = (docker.is_some() && platforms.is_empty() && !whole.children().is_empty())
            .then(Platform::container_default);
        let chosen = here.as_ref().map_or(platforms, std::slice::from_ref);
        let root = platforms::choose(source, whole, chosen, is_list).await?;
        if let Some(destination) = docker {
            fit(destination, &root, referrers)?;
        }
        let rewritten = !root.children().is_empty() && *root.digest() != whole_digest;
        let mut walk = Walk::default();
        walk.children(source, &root, 1).await?;
        let children = std::mem::take(&mut walk.children);
        let referrers =
            if referrers { referrers::gather(source, &root, &children, walk).await? } else { Vec::new() };
        Ok(Self { root, children, referrers, rewritten })
    }

    /// The manifests of the image itself.
    pub(super) fn image(&self) -> impl Iterator<Item = &Manifest> {
        self.children.iter().chain([&self.root])
    }

    /// Returns all manifests, those of the referrers too.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.image().chain(self.referrers.iter().flat_map(Referrer::manifests))
    }
}

/// Every blob that manifests list, once.
#[derive(Default)]
pub(super) struct Blobs {
    pub(super) list: Vec<Descriptor>,
    seen: HashSet<Digest>,
}

impl Blobs {
    pub(super) fn add(&mut self, manifest: &Manifest) {
        for blob in manifest.blobs() {
            // What registries do not keep stays where its URLs say.
            if !media_type::is_foreign(&blob.media_type) && self.seen.insert(blob.digest.clone()) {
                self.list.push(blob.clone());
            }
        }
    }
}

/// Walk over the manifests below others, each visited once, with limits.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) children: Vec<Manifest>,
    pub(super) seen: HashSet<Digest>,
    /// Manifests that were read ahead.
    fetched: HashMap<Digest, Manifest>,
    bytes: usize,
}

impl Walk {
    pub(super) async fn children(
        &mut self,
        source: &Shared,
        index: &Manifest,
        depth: usize,
    ) -> Result<(), Error> {
        self.prefetch(source, index, depth).await?;
        for entry in index.children() {
            if depth > MAX_DEPTH {
                return Err(Error::TooDeep { place: source.name(), digest: index.digest().clone() });
            }
            if !self.seen.insert(entry.digest.clone()) {
                continue;
            }
            let child = match self.fetched.remove(&entry.digest) {
                Some(child) => child,
                None => fetch(source, entry).await?,
            };
            self.count(source, &child)?;
            Box::pin(self.children(source, &child, depth + 1)).await?;
            self.children.push(child);
        }
        Ok(())
    }

    /// Reads the children of an index, many at once, before the walk visits them in order.
    async fn prefetch(&mut self, source: &Shared, index: &Manifest, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH || !source.capabilities().is_remote {
            return Ok(());
        }
        let (mut named, entries) = (HashSet::new(), index.children());
        let wanted = entries.iter().filter(|entry| {
            !self.seen.contains(&entry.digest)
                && !self.fetched.contains_key(&entry.digest)
                && named.insert(&entry.digest)
        });
        let reads: Vec<BoxFuture<'_, _>> =
            wanted.map(|entry| -> BoxFuture<'_, _> { Box::pin(fetch(source, entry)) }).collect();
        let mut reads = stream::iter(reads).buffered(MANIFESTS);
        let mut bytes = self.bytes;
        while let Some(manifest) = reads.try_next().await? {
            bytes += manifest.bytes().len();
            if bytes > MAX_MANIFEST_BYTES {
                return Err(Error::TooMuch { place: source.name(), limit: MAX_MANIFEST_BYTES });
            }
            self.fetched.insert(manifest.digest().clone(), manifest);
        }
        Ok(())
    }

    pub(super) fn count(&mut self, source: &Shared, manifest: &Manifest) -> Result<(), Error> {
        self.bytes += manifest.bytes().len();
        if self.bytes > MAX_MANIFEST_BYTES {
            return Err(Error::TooMuch { place: source.name(), limit: MAX_MANIFEST_BYTES });
        }
        Ok(())
    }
}

pub(super) async fn fetch(source: &Shared, entry: &Descriptor) -> Result<Manifest, Error> {
    let manifest = source.manifest(&Name::Digest(entry.digest.clone())).await?;
    if manifest.bytes().len() as u64 != entry.size {
        return Err(store::Error::size(source.name(), entry, manifest.bytes().len().to_string()).into());
    }
    Ok(manifest)
}

/// Checks that docker can load the image: one image for one platform, with everything that it consists of.
fn fit(destination: &Shared, root: &Manifest, referrers: bool) -> Result<(), Error> {
    let reason = match root.content() {
        _ if referrers => "docker's archives and engines keep no referrers; leave out --referrers",
        Content::Index(_) => "it is an index of several platforms; choose one with --platform",
        Content::Image { config, .. } if !media_type::is_configuration(&config.media_type) => {
            "it is no container image, and docker's archives and engines keep nothing else"
        }
        Content::Image { layers, .. }
            if layers.iter().any(|layer| media_type::is_foreign(&layer.media_type)) =>
        {
            "some of its layers are not kept by registries"
        }
        Content::Image { layers, .. }
            if layers.iter().any(|layer| media_type::is_encrypted(&layer.media_type)) =>
        {
            "its layers are encrypted, and docker's archives and engines take them only decrypted"
        }
        Content::Image { .. } => return Ok(()),
    };
    Err(Error::NotForDocker { place: destination.name(), digest: root.digest().clone(), reason })
}

/// A configuration's bytes; `None` where there are more of them than make sense.
pub(super) async fn configuration(source: &Shared, config: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
    if config.size > MAX_CONFIGURATION {
        return Ok(None);
    }
    let mut stream = Source::new(source.clone(), config.clone(), |_| {}).stream().await?;
    let size = usize::try_from(config.size).unwrap_or(usize::MAX);
    let bytes = stream.read(Vec::new(), size).await?;
    stream.verify().await?;
    Ok(Some(bytes))
}
