//! Moving blobs, several at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use super::limits::{Limits, WINDOW};
use super::progress::{Event, Progress};
use super::slow::SlowWatch;
use super::{Error, Options, Outcome, Stores};
use crate::image::Descriptor;
use crate::store::{Shared, Source, Written};

/// Mover of the blobs of one image.
#[derive(Clone)]
struct Mover {
    source: Shared,
    destination: Shared,
    options: Options,
    progress: Arc<dyn Progress>,
    /// Bytes that have moved, including repeated ones.
    moved: Arc<AtomicU64>,
}

/// Moves blobs, as many at once as make sense, and counts them.
pub(super) async fn move_blobs(
    stores: Stores<'_>,
    blobs: &[&Descriptor],
    options: &Options,
    progress: &Arc<dyn Progress>,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let mover = Mover {
        source: Arc::clone(stores.source),
        destination: Arc::clone(stores.destination),
        options: options.clone(),
        progress: Arc::clone(progress),
        moved: Arc::default(),
    };
    if stores.destination.capabilities().is_sequential {
        for &blob in blobs {
            progress.hear(Event::Started(blob));
            outcome.count(mover.move_blob(blob).await?);
        }
        return Ok(());
    }
    mover.move_all(blobs, outcome).await
}

impl Mover {
    async fn move_all(&self, blobs: &[&Descriptor], outcome: &mut Outcome) -> Result<(), Error> {
        let far = self.source.capabilities().is_remote || self.destination.capabilities().is_remote;
        let mut limits = Limits::new(self.options.jobs, self.options.buffers.budget(), far, Instant::now());
        let mut waiting: VecDeque<&Descriptor> = blobs.iter().copied().collect();
        let mut window = tokio::time::interval(WINDOW);
        window.reset();
        // Dropping the set, as an interrupt does, stops what is in it.
        let mut tasks = JoinSet::new();
        let mut slow = SlowWatch::new(&self.source, &self.destination, &self.progress);
        let mut sizes = 0_u64;
        loop {
            while let Some(&blob) = waiting.front().filter(|blob| limits.admit(blob.size)) {
                waiting.pop_front();
                self.progress.hear(Event::Started(blob));
                let (mover, blob) = (self.clone(), blob.clone());
                tasks.spawn(async move { mover.move_blob(&blob).await });
            }
            tokio::select! {
                task = tasks.join_next() => match task.map(|task| task.map_err(Error::Task).flatten()) {
                    None => {
                        self.end(sizes);
                        return Ok(());
                    }
                    Some(Ok(moved)) => {
                        sizes = sizes.saturating_add(moved.1);
                        limits.release(moved.1);
                        outcome.count(moved);
                    }
                    Some(Err(error)) => {
                        // The others hold unfinished files, which are to be removed before the error is returned.
                        tasks.shutdown().await;
                        return Err(error);
                    }
                },
                _ = window.tick() => {
                    let seen = slow.look(self.moved.load(Ordering::Relaxed), false);
                    limits.observe(seen.moved, seen.retries.all(), !waiting.is_empty(), Instant::now());
                }
            }
        }
    }

    /// Reports the moved bytes beyond those of the blobs that arrived.
    fn end(&self, sizes: u64) {
        let again = self.moved.load(Ordering::Relaxed).saturating_sub(sizes);
        if again > 0 {
            self.progress.hear(Event::Again(again));
        }
    }

    async fn move_blob(&self, blob: &Descriptor) -> Result<(Written, u64), Error> {
        let (listener, digest) = (Arc::clone(&self.progress), blob.digest.clone());
        let (moved, last) = (Arc::clone(&self.moved), AtomicU64::new(0));
        let source = Source::new(Arc::clone(&self.source), blob.clone(), move |position| {
            let before = last.swap(position, Ordering::Relaxed);
            moved.fetch_add(position.saturating_sub(before), Ordering::Relaxed);
            listener.hear(Event::Arrived { digest: &digest, position });
        });
        let source = source.with_buffers(Arc::clone(&self.options.buffers));
        let source = if self.options.verify { source } else { source.trusted() };
        let written = self.destination.write(blob, &source).await?;
        self.progress.hear(Event::Finished(blob));
        Ok((written, blob.size))
    }
}
