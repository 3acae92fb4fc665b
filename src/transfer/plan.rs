//! The plan of a transfer: its manifests, in the order in which they must arrive.

use std::collections::HashSet;

use super::Error;
use super::referrers::{self, Referrer};
use crate::image::{Content, Descriptor, Digest, Manifest, Name, Platform, media_type};
use crate::store::{self, Shared, Source};

/// Indexes in indexes: one level is common, two are seen, more are not meant well.
pub(super) const DEEPEST: usize = 8;
/// All manifests of an image are in memory together.
const MOST_MANIFEST_BYTES: usize = 64 * 1024 * 1024;
/// A configuration is read whole where the platform or the layers have to be known.
const LARGEST_CONFIGURATION: u64 = 8 * 1024 * 1024;

/// The annotation with which buildkit says which image an attestation in the same index is about.
pub(super) const ATTESTED: &str = "vnd.docker.reference.digest";

/// The manifests that a transfer copies.
#[derive(Debug)]
pub(super) struct Plan {
    /// The manifest that everything is for.
    pub(super) root: Manifest,
    /// The manifests below it, each behind those that it lists.
    pub(super) children: Vec<Manifest>,
    /// Their referrers, each after its subject.
    pub(super) referrers: Vec<Referrer>,
    /// Whether the root is an index that lost entries, and so has another digest than at its source.
    pub(super) rewritten: bool,
}

impl Plan {
    /// Finds out what belongs to an image. Without platforms that is everything, but for one of docker's places, which
    /// takes what containers here run on.
    pub(super) async fn make(
        source: &Shared,
        name: &Name,
        platforms: &[Platform],
        docker: Option<&Shared>,
        referrers: bool,
    ) -> Result<Self, Error> {
        let whole = source.manifest(name).await?;
        let whole_digest = whole.digest().clone();
        let here = (docker.is_some() && platforms.is_empty() && !whole.children().is_empty())
            .then(Platform::of_containers_here);
        let root = choose(source, whole, here.as_ref().map_or(platforms, std::slice::from_ref)).await?;
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

/// The way through the manifests below others, each visited once, and all of them bounded.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) children: Vec<Manifest>,
    pub(super) seen: HashSet<Digest>,
    bytes: usize,
}

impl Walk {
    pub(super) async fn children(
        &mut self,
        source: &Shared,
        index: &Manifest,
        depth: usize,
    ) -> Result<(), Error> {
        for entry in index.children() {
            if depth > DEEPEST {
                return Err(Error::TooDeep { place: source.name(), digest: index.digest().clone() });
            }
            if !self.seen.insert(entry.digest.clone()) {
                continue;
            }
            let child = fetch(source, entry).await?;
            self.count(source, &child)?;
            Box::pin(self.children(source, &child, depth + 1)).await?;
            self.children.push(child);
        }
        Ok(())
    }

    pub(super) fn count(&mut self, source: &Shared, manifest: &Manifest) -> Result<(), Error> {
        self.bytes += manifest.bytes().len();
        if self.bytes > MOST_MANIFEST_BYTES {
            return Err(Error::TooMuch { place: source.name(), limit: MOST_MANIFEST_BYTES });
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

/// The image for the platforms: the one manifest for one platform, and for several the index with what fits.
async fn choose(source: &Shared, whole: Manifest, platforms: &[Platform]) -> Result<Manifest, Error> {
    if platforms.is_empty() {
        return Ok(whole);
    }
    let Content::Index(entries) = whole.content() else {
        return single(source, whole, platforms).await;
    };
    let mut kept: Vec<&Descriptor> = Vec::new();
    for wanted in platforms {
        let fits = |entry: &&Descriptor| entry.platform().is_some_and(|offered| wanted.accepts(&offered));
        let entry = entries.iter().find(fits).ok_or_else(|| no_platform(source, wanted, entries))?;
        kept.push(entry);
    }
    if let [only] = kept[..] {
        return fetch(source, only).await;
    }
    let digests: HashSet<String> = kept.iter().map(|entry| entry.digest.to_string()).collect();
    let stays = |entry: &&Descriptor| {
        digests.contains(&entry.digest.to_string())
            || entry.annotation(ATTESTED).is_some_and(|digest| digests.contains(digest))
    };
    let remaining: Vec<Descriptor> = entries.iter().filter(stays).cloned().collect();
    if remaining.len() == entries.len() {
        return Ok(whole);
    }
    Ok(whole.with_children(&remaining).map_err(store::Error::image(source.name()))?)
}

/// Whether docker can load it: one image for one platform, with everything that it consists of.
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
        Content::Image { .. } => return Ok(()),
    };
    Err(Error::NotForDocker { place: destination.name(), digest: root.digest().clone(), reason })
}

/// An image by itself says what it is for in its configuration.
async fn single(source: &Shared, image: Manifest, platforms: &[Platform]) -> Result<Manifest, Error> {
    let Content::Image { config, .. } = image.content() else { return Ok(image) };
    let offered = configuration(source, config).await?.and_then(|bytes| Platform::of_configuration(&bytes));
    let refused = |wanted: &&Platform| !offered.as_ref().is_some_and(|offered| wanted.accepts(offered));
    match platforms.iter().find(refused) {
        None => Ok(image),
        Some(wanted) => Err(Error::NoPlatform {
            place: source.name(),
            wanted: wanted.clone(),
            offered: offered.map_or_else(|| "an unknown platform".to_owned(), |offered| offered.to_string()),
        }),
    }
}

/// A configuration's bytes; `None` where there are more of them than make sense.
pub(super) async fn configuration(source: &Shared, config: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
    if config.size > LARGEST_CONFIGURATION {
        return Ok(None);
    }
    let mut stream = Source::new(source.clone(), config.clone(), |_| {}).stream().await?;
    let size = usize::try_from(config.size).unwrap_or(usize::MAX);
    let bytes = stream.read(Vec::new(), size).await?;
    stream.verify().await?;
    Ok(Some(bytes))
}

fn no_platform(source: &Shared, wanted: &Platform, entries: &[Descriptor]) -> Error {
    let unknown = |platform: &Platform| platform.os == "unknown";
    let mut offered: Vec<String> = Vec::new();
    for platform in entries.iter().filter_map(Descriptor::platform).filter(|platform| !unknown(platform)) {
        let platform = platform.to_string();
        if !offered.contains(&platform) {
            offered.push(platform);
        }
    }
    let offered = if offered.is_empty() { "no platform by name".to_owned() } else { offered.join(", ") };
    Error::NoPlatform { place: source.name(), wanted: wanted.clone(), offered }
}
