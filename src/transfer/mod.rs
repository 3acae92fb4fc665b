//! Transfer of images: one algorithm, whatever the two stores.
//!
//! First the plan: manifests are read, every blob counted once, and the destination asked what it has. Then blobs
//! move, several at once; then manifests, children before the index that lists them; then the image gets its tags,
//! and what is about it follows. So whatever happens in between, nobody ever sees an image that is not whole.

mod blobs;
pub mod compress;
mod error;
mod limits;
mod missing;
mod plan;
mod platforms;
pub mod progress;
mod referrers;
mod slow;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use self::blobs::move_blobs;
use self::compress::{Compression, CompressionCache, LayerCompression};
pub use self::error::Error;
use self::missing::Missing;
use self::plan::Plan;
use self::progress::{Event, Progress};
use self::referrers::{Referrer, ReferrerLink};
use crate::image::{Content, Digest, Manifest, Name, Platform};
use crate::store::{Buffers, Shared, Written};

/// Limit of manifests read or written at once.
const MANIFESTS: usize = 16;

/// Options of a transfer.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tag or digest at the source.
    pub image: Name,
    /// The digest that the moved image must have; `None` for any.
    pub expected: Option<Digest>,
    /// For which platforms; none for all that there are.
    pub platforms: Vec<Platform>,
    /// Tags that the image gets at the destination.
    pub tags: Vec<String>,
    /// Transfer the image's referrers too: signatures, bills of materials, attestations.
    pub referrers: bool,
    /// The most blobs that move at once; how many of them do depends on their sizes and the network.
    pub jobs: usize,
    /// The memory for the bytes of all of them.
    pub buffers: Arc<Buffers>,
    /// Hash the source's files also if the destination does that.
    pub verify: bool,
    /// Compression of the layers. `None` keeps them as they are, except that uncompressed layers of docker's archives
    /// and engines are pushed with gzip.
    pub compression: Option<Compression>,
    /// Cache of the digests that layers have when compressed.
    pub cache: Option<CompressionCache>,
}

/// Result of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The digest of the image at the destination.
    pub digest: Digest,
    /// An index was rewritten for some of its platforms, so that its digest differs from the source's.
    pub rewritten: bool,
    /// Blobs that were moved.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were there already.
    pub present: usize,
    /// Number of layers that were compressed, so that the image's digest differs from the source's.
    pub compressed: usize,
    /// Number of referrers copied with the image or already present.
    pub referrers: usize,
}

impl Outcome {
    /// Counts a blob that was skipped because it exists.
    fn count(&mut self, (written, size): (Written, u64)) {
        if written == Written::Moved {
            self.blobs += 1;
            self.bytes = self.bytes.saturating_add(size);
            self.present -= 1;
        }
    }
}

/// The two stores of a copy.
#[derive(Clone, Copy)]
struct Stores<'a> {
    source: &'a Shared,
    destination: &'a Shared,
}

/// Copies an image from one store to another, and nothing else.
pub async fn copy(
    source: &Shared,
    destination: &Shared,
    options: &Options,
    progress: &Arc<dyn Progress>,
) -> Result<Outcome, Error> {
    let outcome = add(source, destination, options, progress).await?;
    destination.finish().await?;
    Ok(outcome)
}

/// Plans a copy, and changes nothing. Without a destination that is everything.
pub async fn survey(
    source: &Shared,
    destination: Option<&Shared>,
    options: &Options,
    progress: &Arc<dyn Progress>,
) -> Result<Outcome, Error> {
    let plan = plan(source, destination, options).await?;
    let compresses = LayerCompression::of(source, destination, options, &plan).await?.is_some();
    if !compresses {
        expect(source, &plan.root, options)?;
    }
    let needed = Missing::find(destination, &plan, options).await?;
    let missing = match destination {
        None => needed.blobs.iter().map(|blob| blob.digest.clone()).collect(),
        Some(destination) => {
            // The digest of what is compressed on its way is not known yet, nor whether its tags name it already.
            if !compresses {
                needed.check_tags(destination, &plan).await?;
            }
            if needed.blobs.is_empty() { HashSet::new() } else { destination.missing(&needed.blobs).await? }
        }
    };
    let mut outcome = needed.outcome(&plan);
    let blobs = needed.moving(&missing, &mut outcome, progress);
    outcome.blobs = blobs.len();
    outcome.bytes = blobs.iter().map(|blob| blob.size).fold(0, u64::saturating_add);
    outcome.present -= outcome.blobs;
    Ok(outcome)
}

async fn plan(source: &Shared, destination: Option<&Shared>, options: &Options) -> Result<Plan, Error> {
    let docker = destination.filter(|destination| destination.capabilities().is_docker_format);
    let plan = Plan::make(source, &options.image, &options.platforms, docker, options.referrers).await?;
    if let Some(destination) =
        destination.filter(|destination| destination.capabilities().lists_manifests_only)
    {
        for index in plan.manifests().filter(|manifest| matches!(manifest.content(), Content::Index(_))) {
            if let Some(blob) = index.blobs().next() {
                let (place, digest) = (destination.name(), index.digest().clone());
                return Err(Error::NoImagesInIndex { place, digest, listed: blob.media_type.clone() });
            }
        }
    }
    Ok(plan)
}

/// Checks that an image has the digest that was asked for.
fn expect(source: &Shared, root: &Manifest, options: &Options) -> Result<(), Error> {
    match options.expected.as_ref().filter(|expected| *expected != root.digest()) {
        Some(expected) => Err(Error::OtherDigest {
            place: source.name(),
            found: root.digest().clone(),
            expected: expected.clone(),
        }),
        None => Ok(()),
    }
}

/// Copies an image to a store that is to take more of them before it is finished.
pub async fn add(
    source: &Shared,
    destination: &Shared,
    options: &Options,
    progress: &Arc<dyn Progress>,
) -> Result<Outcome, Error> {
    let stores = Stores { source, destination };
    let plan = plan(source, Some(destination), options).await?;
    if let Some(work) = LayerCompression::of(source, Some(destination), options, &plan).await? {
        return work.add(stores, &plan, options, progress).await;
    }
    expect(source, &plan.root, options)?;
    let needed = Missing::find(Some(destination), &plan, options).await?;
    let mut outcome = needed.outcome(&plan);
    if needed.content {
        // Both only ask: what is refused is refused before anything moves.
        let prepare = async { destination.prepare(&needed.blobs).await.map_err(Error::from) };
        let asked = async { tokio::try_join!(needed.check_tags(destination, &plan), prepare) };
        let ((), missing) = slow::while_hashing(destination, progress, asked).await?;
        let blobs = needed.moving(&missing, &mut outcome, progress);
        move_blobs(stores, &blobs, options, progress, &mut outcome).await?;
    } else {
        needed.check_tags(destination, &plan).await?;
        progress.hear(Event::Planned { blobs: 0, bytes: 0, present: outcome.present });
    }
    if needed.image {
        put_children(destination, &plan.children, progress).await?;
    }
    if let Some(tags) = &needed.tags {
        destination.put_image(&plan.root, tags).await?;
        progress.hear(Event::Manifest(plan.root.digest()));
    }
    for referrer in &needed.referrers {
        put_referrer(destination, referrer, progress).await?;
    }
    Ok(outcome)
}

async fn put_referrer(
    destination: &Shared,
    referrer: &Referrer,
    progress: &Arc<dyn Progress>,
) -> Result<(), Error> {
    put_children(destination, &referrer.children, progress).await?;
    match &referrer.link {
        ReferrerLink::Subject(_) => destination.put_referrer(&referrer.manifest).await?,
        ReferrerLink::Tag(tag) => {
            destination.put_image(&referrer.manifest, std::slice::from_ref(tag)).await?;
        }
    }
    progress.hear(Event::Manifest(referrer.manifest.digest()));
    Ok(())
}

/// Writes the manifests below an index, several at once if that saves round trips, and each only after its children.
async fn put_children(
    destination: &Shared,
    children: &[Manifest],
    progress: &Arc<dyn Progress>,
) -> Result<(), Error> {
    let at_once = if destination.capabilities().is_remote { MANIFESTS } else { 1 };
    let put = |child| -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            destination.put_manifest(child).await?;
            progress.hear(Event::Manifest(child.digest()));
            Ok(())
        })
    };
    let mut rest = children;
    while !rest.is_empty() {
        // Each stands behind those that it lists.
        let lists = |child: &Manifest, before: &[Manifest]| {
            child.children().iter().any(|entry| before.iter().any(|before| *before.digest() == entry.digest))
        };
        let end = (1..rest.len()).find(|&at| lists(&rest[at], &rest[..at])).unwrap_or(rest.len());
        let (ready, behind) = rest.split_at(end);
        let writes: Vec<BoxFuture<'_, _>> = ready.iter().map(put).collect();
        stream::iter(writes).buffer_unordered(at_once).try_collect::<()>().await?;
        rest = behind;
    }
    Ok(())
}
