//! Moving images: one algorithm, whatever the two stores.
//!
//! First the plan: manifests are read, every blob counted once, and the destination asked what it has. Then blobs
//! move, several at once; then manifests, children before the index that lists them; then the image gets its tags.
//! So whatever happens in between, nobody ever sees an image that is not whole.

pub mod compress;
mod plan;
pub mod progress;

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::compress::{Compression, Work};
use self::plan::Plan;
use self::progress::{Event, Progress};
use crate::image::{Descriptor, Digest, Manifest, Name, Platform};
use crate::store::{self, Shared, Source, Written};

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
        /// What there is instead.
        offered: String,
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
        /// What is wrong with it.
        reason: String,
    },
    /// A compressed layer is damaged.
    #[error("layer {digest} in {place} cannot be decompressed: {reason}")]
    Unpack {
        /// The source.
        place: String,
        /// The layer.
        digest: Digest,
        /// What the decompressor says.
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
    /// The program is broken.
    #[error("the transfer of a blob ended unexpectedly: {0}")]
    Task(tokio::task::JoinError),
}

/// What to move, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which image of the source.
    pub image: Name,
    /// The digest that the moved image must have; `None` for any.
    pub expected: Option<Digest>,
    /// For which platforms; none for all that there are.
    pub platforms: Vec<Platform>,
    /// What to call it at the destination.
    pub tags: Vec<String>,
    /// How many blobs move at once.
    pub jobs: usize,
    /// What its layers are to be compressed with. `None` leaves them as they are, but for those of docker's places
    /// that nobody compressed, which go to a registry with gzip.
    pub compression: Option<Compression>,
}

/// What became of it.
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
    let missing = match destination {
        None => plan.blobs.iter().map(|blob| blob.digest.clone()).collect(),
        Some(destination) if destination.held(plan.root.digest()).await?.is_some() => HashSet::new(),
        Some(destination) => destination.missing(&plan.blobs).await?,
    };
    let blobs: Vec<&Descriptor> = plan.blobs.iter().filter(|blob| missing.contains(&blob.digest)).collect();
    let bytes = blobs.iter().map(|blob| blob.size).sum();
    let present = plan.blobs.len() - blobs.len();
    progress.hear(Event::Planned { blobs: blobs.len(), bytes, present });
    let digest = plan.root.digest().clone();
    Ok(Outcome { digest, rewritten: plan.rewritten, blobs: blobs.len(), bytes, present, compressed: 0 })
}

async fn plan(source: &Shared, destination: Option<&Shared>, options: &Options) -> Result<Plan, Error> {
    let docker = destination.filter(|destination| destination.is_docker());
    let plan = Plan::make(source, &options.image, &options.platforms, docker).await?;
    let digest = plan.root.digest();
    // What is compressed on the way is compared when its digest is known.
    let expected = options.expected.as_ref().filter(|_| options.compression.is_none());
    match expected.filter(|expected| *expected != digest) {
        Some(expected) => Err(Error::OtherDigest {
            place: source.name(),
            found: digest.clone(),
            expected: expected.clone(),
        }),
        None => Ok(plan),
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
    let digest = plan.root.digest().clone();
    let (rewritten, present) = (plan.rewritten, plan.blobs.len());
    let mut outcome = Outcome { digest, rewritten, blobs: 0, bytes: 0, present, compressed: 0 };
    if let Some(work) = Work::of(source, Some(destination), options.compression, &plan).await? {
        let root = work.add(source, destination, &plan, options, progress, &mut outcome).await?;
        destination.put_image(&root, &options.tags).await?;
        progress.hear(Event::Manifest(root.digest()));
        return Ok(outcome);
    }
    let held = destination.held(&outcome.digest).await?;
    if held.is_none() {
        move_content(source, destination, &plan, options.jobs, progress, &mut outcome).await?;
    } else {
        progress.hear(Event::Planned { blobs: 0, bytes: 0, present: plan.blobs.len() });
    }
    if let Some(tags) = missing_tags(held.as_deref(), &options.tags) {
        destination.put_image(&plan.root, &tags).await?;
        progress.hear(Event::Manifest(plan.root.digest()));
    }
    Ok(outcome)
}

/// The tags that the image does not have yet; `None` where nothing is left to do.
fn missing_tags(held: Option<&[String]>, wanted: &[String]) -> Option<Vec<String>> {
    let Some(held) = held else { return Some(wanted.to_vec()) };
    let missing: Vec<String> = wanted.iter().filter(|tag| !held.contains(tag)).cloned().collect();
    (!missing.is_empty()).then_some(missing)
}

async fn move_content(
    source: &Shared,
    destination: &Shared,
    plan: &Plan,
    jobs: usize,
    progress: &Arc<dyn Progress>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let missing = destination.prepare(&plan.blobs).await?;
    let blobs: Vec<&Descriptor> = plan.blobs.iter().filter(|blob| missing.contains(&blob.digest)).collect();
    let bytes = blobs.iter().map(|blob| blob.size).sum();
    let present = plan.blobs.len() - blobs.len();
    progress.hear(Event::Planned { blobs: blobs.len(), bytes, present });
    move_blobs(source, destination, &blobs, jobs, progress, outcome).await?;
    for child in &plan.children {
        put_child(destination, child, progress).await?;
    }
    Ok(())
}

async fn move_blobs(
    source: &Shared,
    destination: &Shared,
    blobs: &[&Descriptor],
    jobs: usize,
    progress: &Arc<dyn Progress>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    // Dropping the set, as an interrupt does, stops what is in it.
    let mut tasks = JoinSet::new();
    let permits = Arc::new(Semaphore::new(jobs.max(1)));
    for &blob in blobs {
        let (source, destination) = (Arc::clone(source), Arc::clone(destination));
        let (permits, progress, blob) = (Arc::clone(&permits), Arc::clone(progress), blob.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            move_blob(source, &destination, blob, progress).await
        });
    }
    while let Some(task) = tasks.join_next().await {
        match task.map_err(Error::Task).flatten() {
            Ok((Written::Moved, size)) => {
                outcome.blobs += 1;
                outcome.bytes += size;
                outcome.present -= 1;
            }
            Ok((Written::Present, _)) => {}
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
    source: Shared,
    destination: &Shared,
    blob: Descriptor,
    progress: Arc<dyn Progress>,
) -> Result<(Written, u64), Error> {
    progress.hear(Event::Started(&blob));
    let (listener, digest) = (Arc::clone(&progress), blob.digest.clone());
    let source = Source::new(source, blob.clone(), move |position| {
        listener.hear(Event::Arrived { digest: &digest, position });
    });
    let written = destination.write(&blob, &source).await?;
    progress.hear(Event::Finished(&blob));
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
