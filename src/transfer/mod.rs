//! Moving images: one algorithm, whatever the two stores.
//!
//! First the plan: manifests are read, every blob counted once, and the destination asked what it has. Then blobs
//! move, several at once; then manifests, children before the index that lists them; then the image gets its tags,
//! and what is about it follows. So whatever happens in between, nobody ever sees an image that is not whole.

pub mod compress;
mod missing;
mod plan;
mod platforms;
pub mod progress;
mod referrers;

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::compress::{Compression, CompressionCache, Work};
use self::missing::Missing;
use self::plan::Plan;
use self::progress::{Event, Progress};
use self::referrers::{Referrer, ReferrerLink};
use crate::image::{Content, Descriptor, Digest, Manifest, Name, Platform};
use crate::store::{self, Buffers, Shared, Source, Written};

/// Why an image was not moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the two stores cannot go on.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is no image for a platform.
    #[error("{place} has no image for {wanted}; it has {offered}")]
    NoPlatform {
        /// The source.
        place: String,
        /// The platform that was asked for.
        wanted: Platform,
        /// The platforms that the image has.
        offered: String,
    },
    /// An index lists images whose content is not there.
    #[error(
        "{place} has only a part of {digest}: its index lists {absent} without the content; choose what it has with \
         {present}"
    )]
    Incomplete {
        /// The source.
        place: String,
        /// The index.
        digest: Digest,
        /// The platforms whose content is missing.
        absent: String,
        /// The options that choose the others.
        present: String,
    },
    /// Several images of one name are for the same platform.
    #[error("{place} has several images for {wanted}: {one} and {other}; choose one by its digest")]
    Ambiguous {
        /// The source.
        place: String,
        /// The platform that was asked for.
        wanted: String,
        /// One of them.
        one: Digest,
        /// Another one.
        other: Digest,
    },
    /// The image is not the one that it should be.
    #[error("{place} has {found}, expected {expected}")]
    OtherDigest {
        /// The source.
        place: String,
        /// The digest it has.
        found: Digest,
        /// The digest that was asked for.
        expected: Digest,
    },
    /// A docker archive or engine is to take what is none of its images.
    #[error("{place} cannot take {digest}: {reason}")]
    NotForDocker {
        /// The destination.
        place: String,
        /// The manifest.
        digest: Digest,
        /// Why not.
        reason: &'static str,
    },
    /// An index lists content that is no manifest, and the destination takes no such index.
    #[error(
        "{place} cannot take {digest}: it is an index of {listed}, and Amazon ECR takes indexes of images only; a build \
         cache of buildkit is exported for it with --cache-to type=registry,image-manifest=true"
    )]
    NoImagesInIndex {
        /// The destination.
        place: String,
        /// The index.
        digest: Digest,
        /// The media type of something that it lists.
        listed: String,
    },
    /// Indexes list indexes without an end in sight.
    #[error("{place}: index {digest} is nested too deeply")]
    TooDeep {
        /// The source.
        place: String,
        /// The index at which it was too much.
        digest: Digest,
    },
    /// An image has more manifests than fit.
    #[error("{place}: the image's manifests have more than {limit} bytes together")]
    TooMuch {
        /// The source.
        place: String,
        /// How many bytes are taken.
        limit: usize,
    },
    /// A configuration is of no use.
    #[error("the configuration of image {digest} in {place} cannot be used: {reason}")]
    Configuration {
        /// The source.
        place: String,
        /// The image's manifest.
        digest: Digest,
        /// The reason.
        reason: String,
    },
    /// A compressed layer is damaged.
    #[error("layer {digest} in {place} cannot be decompressed: {reason}")]
    Unpack {
        /// The source.
        place: String,
        /// The layer.
        digest: Digest,
        /// The decompressor's message.
        reason: String,
    },
    /// A layer is not the one that its image was made with.
    #[error(
        "layer {digest} in {place} decompresses to {found}, and its image's configuration says {expected}"
    )]
    Identity {
        /// The source.
        place: String,
        /// The layer.
        digest: Digest,
        /// The digest of what is in it.
        found: Digest,
        /// The digest in the configuration.
        expected: Digest,
    },
    /// More is said about an image than makes sense.
    #[error("{place}: too many referrers, or referrers of referrers, of {digest}; copy it without them")]
    TooManyReferrers {
        /// The source.
        place: String,
        /// Digest of their subject.
        digest: Digest,
    },
    /// The program is broken.
    #[error("the transfer of a blob ended unexpectedly: {0}")]
    Task(tokio::task::JoinError),
}

/// Options of a transfer.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which image of the source.
    pub image: Name,
    /// The digest that the moved image must have; `None` for any.
    pub expected: Option<Digest>,
    /// For which platforms; none for all that there are.
    pub platforms: Vec<Platform>,
    /// Tags that the image gets at the destination.
    pub tags: Vec<String>,
    /// Whether what is about the image moves with it: signatures, bills of materials, attestations.
    pub referrers: bool,
    /// How many blobs move at once.
    pub jobs: usize,
    /// The memory for the bytes of all of them.
    pub buffers: Arc<Buffers>,
    /// Whether the source's files are hashed also where the destination does that.
    pub verify: bool,
    /// Compression of the layers. `None` keeps them as they are, except that uncompressed layers of docker's archives
    /// and engines are pushed with gzip.
    pub compression: Option<Compression>,
    /// Where it is remembered what became of layers that were compressed.
    pub cache: Option<CompressionCache>,
}

/// Result of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The digest of the image at the destination.
    pub digest: Digest,
    /// Whether an index was rewritten for some of its platforms, so that its digest is another than at the source.
    pub rewritten: bool,
    /// Blobs that were moved.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were there already.
    pub present: usize,
    /// Layers that were compressed on the way, so that the image's digest is another than at the source.
    pub compressed: usize,
    /// Number of referrers copied with the image or already present.
    pub referrers: usize,
}

impl Outcome {
    /// Counts a blob of so many bytes that was taken for one that is there.
    fn count(&mut self, (written, size): (Written, u64)) {
        if written == Written::Moved {
            self.blobs += 1;
            self.bytes = self.bytes.saturating_add(size);
            self.present -= 1;
        }
    }
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

/// Finds out what a copy would move, and changes nothing. Without a destination that is everything.
pub async fn survey(
    source: &Shared,
    destination: Option<&Shared>,
    options: &Options,
    progress: &Arc<dyn Progress>,
) -> Result<Outcome, Error> {
    let plan = plan(source, destination, options).await?;
    let compresses = Work::of(source, destination, options, &plan).await?.is_some();
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
    let docker = destination.filter(|destination| destination.capabilities().is_dockers);
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

/// Whether an image has the digest that was asked for.
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
    let plan = plan(source, Some(destination), options).await?;
    if let Some(work) = Work::of(source, Some(destination), options, &plan).await? {
        return work.add(source, destination, &plan, options, progress).await;
    }
    expect(source, &plan.root, options)?;
    let needed = Missing::find(Some(destination), &plan, options).await?;
    let mut outcome = needed.outcome(&plan);
    if needed.content {
        // Both only ask: what is refused is refused before anything moves.
        let prepare = async { destination.prepare(&needed.blobs).await.map_err(Error::from) };
        let ((), missing) = tokio::try_join!(needed.check_tags(destination, &plan), prepare)?;
        let blobs = needed.moving(&missing, &mut outcome, progress);
        move_blobs(source, destination, &blobs, options, progress, &mut outcome).await?;
    } else {
        needed.check_tags(destination, &plan).await?;
        progress.hear(Event::Planned { blobs: 0, bytes: 0, present: outcome.present });
    }
    if needed.image {
        for child in &plan.children {
            put_child(destination, child, progress).await?;
        }
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
    for child in &referrer.children {
        put_child(destination, child, progress).await?;
    }
    match &referrer.link {
        ReferrerLink::Subject(_) => destination.put_referrer(&referrer.manifest).await?,
        ReferrerLink::Tag(tag) => {
            destination.put_image(&referrer.manifest, std::slice::from_ref(tag)).await?;
        }
    }
    progress.hear(Event::Manifest(referrer.manifest.digest()));
    Ok(())
}

async fn move_blobs(
    source: &Shared,
    destination: &Shared,
    blobs: &[&Descriptor],
    options: &Options,
    progress: &Arc<dyn Progress>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    if destination.capabilities().is_stream {
        for &blob in blobs {
            outcome.count(move_blob(source, destination, blob, options, progress).await?);
        }
        return Ok(());
    }
    // Dropping the set, as an interrupt does, stops what is in it.
    let mut tasks = JoinSet::new();
    let permits = Arc::new(Semaphore::new(options.jobs.max(1)));
    for &blob in blobs {
        let (source, destination, blob) = (Arc::clone(source), Arc::clone(destination), blob.clone());
        let (permits, progress, options) = (Arc::clone(&permits), Arc::clone(progress), options.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            move_blob(&source, &destination, &blob, &options, &progress).await
        });
    }
    while let Some(task) = tasks.join_next().await {
        match task.map_err(Error::Task).flatten() {
            Ok(moved) => outcome.count(moved),
            Err(error) => {
                // The others hold unfinished files, which are to be gone before anybody hears of the error.
                tasks.shutdown().await;
                return Err(error);
            }
        }
    }
    Ok(())
}

async fn move_blob(
    source: &Shared,
    destination: &Shared,
    blob: &Descriptor,
    options: &Options,
    progress: &Arc<dyn Progress>,
) -> Result<(Written, u64), Error> {
    progress.hear(Event::Started(blob));
    let (listener, digest) = (Arc::clone(progress), blob.digest.clone());
    let source = Source::new(Arc::clone(source), blob.clone(), move |position| {
        listener.hear(Event::Arrived { digest: &digest, position });
    });
    let source = source.with_buffers(Arc::clone(&options.buffers));
    let source = if options.verify { source } else { source.trusted() };
    let written = destination.write(blob, &source).await?;
    progress.hear(Event::Finished(blob));
    Ok((written, blob.size))
}

async fn put_child(
    destination: &Shared,
    child: &Manifest,
    progress: &Arc<dyn Progress>,
) -> Result<(), Error> {
    destination.put_manifest(child).await?;
    progress.hear(Event::Manifest(child.digest()));
    Ok(())
}
