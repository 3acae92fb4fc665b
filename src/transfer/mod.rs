//! Moving images: one algorithm, whatever the two stores.
//!
//! First the plan: manifests are read, every blob counted once, and the destination asked what it has. Then blobs
//! move, several at once; then manifests, children before the index that lists them; then the image gets its tags.
//! So whatever happens in between, nobody ever sees an image that is not whole.

mod plan;
pub mod progress;

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::plan::Plan;
use self::progress::{Event, Progress};
use crate::image::{Descriptor, Digest, Manifest, Name, Platform};
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
    /// The memory for the bytes of all of them.
    pub buffers: Arc<Buffers>,
    /// Whether the source's files are hashed also where the destination does that.
    pub verify: bool,
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
    let plan = plan(source, options).await?;
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
    Ok(Outcome { digest, rewritten: plan.rewritten, blobs: blobs.len(), bytes, present })
}

async fn plan(source: &Shared, options: &Options) -> Result<Plan, Error> {
    let plan = Plan::make(source, &options.image, &options.platforms).await?;
    let digest = plan.root.digest();
    match options.expected.as_ref().filter(|expected| *expected != digest) {
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
    let plan = plan(source, options).await?;
    let digest = plan.root.digest().clone();
    let mut outcome =
        Outcome { digest, rewritten: plan.rewritten, blobs: 0, bytes: 0, present: plan.blobs.len() };
    let held = destination.held(&outcome.digest).await?;
    if held.is_none() {
        move_content(source, destination, &plan, options, progress, &mut outcome).await?;
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
    options: &Options,
    progress: &Arc<dyn Progress>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let missing = destination.prepare(&plan.blobs).await?;
    let blobs: Vec<&Descriptor> = plan.blobs.iter().filter(|blob| missing.contains(&blob.digest)).collect();
    let bytes = blobs.iter().map(|blob| blob.size).sum();
    let present = plan.blobs.len() - blobs.len();
    progress.hear(Event::Planned { blobs: blobs.len(), bytes, present });
    move_blobs(source, destination, &blobs, options, progress, outcome).await?;
    for child in &plan.children {
        put_child(destination, child, progress).await?;
    }
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
    // Dropping the set, as an interrupt does, stops what is in it.
    let mut tasks = JoinSet::new();
    let permits = Arc::new(Semaphore::new(options.jobs.max(1)));
    for &blob in blobs {
        let (source, destination) = (Arc::clone(source), Arc::clone(destination));
        let (permits, progress, blob) = (Arc::clone(&permits), Arc::clone(progress), blob.clone());
        let (buffers, verify) = (Arc::clone(&options.buffers), options.verify);
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            progress.hear(Event::Started(&blob));
            let (listener, digest) = (Arc::clone(&progress), blob.digest.clone());
            let source = Source::new(source, blob.clone(), move |position| {
                listener.hear(Event::Arrived { digest: &digest, position });
            });
            let source = source.with_buffers(buffers);
            let source = if verify { source } else { source.trusted() };
            let written = destination.write(&blob, &source).await?;
            progress.hear(Event::Finished(&blob));
            Ok((written, blob.size))
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

async fn put_child(
    destination: &Shared,
    child: &Manifest,
    progress: &Arc<dyn Progress>,
) -> Result<(), Error> {
    destination.put_manifest(child).await?;
    progress.hear(Event::Manifest(child.digest()));
    Ok(())
}
