//! Moving one layer: compressed into a spool, and sent from there; the first of them while it is compressed.

use std::num::NonZero;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Layer;
use super::cache::CompressionCache;
use super::compression::Compression;
use super::pack::{WorkerPool, pack};
use super::spool::{self, Filling};
use crate::image::{Descriptor, Digest};
use crate::store::{Buffers, PendingBlob, Shared, Source, Written};
use crate::transfer::progress::{Event, Progress};
use crate::transfer::{Error, Options, Stores};

/// The most layers that are compressed or wait in spools at once.
const SPOOLS: usize = 4;

/// Mover of a transfer's layers; each layer has a copy of it.
#[derive(Clone)]
pub(super) struct LayerMover {
    compression: Compression,
    source: Shared,
    destination: Shared,
    cache: Option<CompressionCache>,
    buffers: Arc<Buffers>,
    workers: WorkerPool,
    permits: Arc<Semaphore>,
    progress: Arc<dyn Progress>,
    work: Arc<Work>,
}

/// Progress of a transfer's layers.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Number of layers that are being compressed.
    compressing: AtomicUsize,
    /// Bytes of compressed layers that were sent.
    sent: AtomicU64,
}

impl Work {
    /// Bytes that were sent, and whether layers are being compressed.
    pub(super) fn seen(&self) -> (u64, bool) {
        (self.sent.load(Ordering::Relaxed), self.compressing.load(Ordering::Relaxed) > 0)
    }
}

impl LayerMover {
    pub(super) fn new(
        compression: Compression,
        stores: Stores<'_>,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) -> Self {
        Self {
            compression,
            source: Arc::clone(stores.source),
            destination: Arc::clone(stores.destination),
            cache: options.cache.clone(),
            buffers: Arc::clone(&options.buffers),
            workers: WorkerPool::new(&options.buffers),
            permits: Arc::new(Semaphore::new(options.jobs.clamp(1, SPOOLS))),
            progress: Arc::clone(progress),
            work: Arc::default(),
        }
    }

    /// Activities of the layers that are moved.
    pub(super) fn work(&self) -> Arc<Work> {
        Arc::clone(&self.work)
    }

    /// Compresses and moves a layer in its turn; returns its old digest and the result.
    pub(super) async fn move_layer(self, layer: Layer) -> Result<(Digest, Descriptor, Written), Error> {
        let known = self.known(&layer);
        let _permit = Arc::clone(&self.permits).acquire_owned().await;
        if let Some(known) = known
            && self.destination.prepare(std::slice::from_ref(&known)).await?.is_empty()
        {
            self.progress.hear(Event::Started(&layer.blob));
            self.progress.hear(Event::Finished(&layer.blob));
            return Ok((layer.blob.digest, known, Written::Present));
        }
        let (packed, written) = self.compress_and_write(&layer).await?;
        if let Some(cache) = &self.cache {
            cache.keep(&self.compression.name(&layer), &packed);
        }
        Ok((layer.blob.digest, packed, written))
    }

    /// Returns the layer's result from an earlier transfer, if the destination can be asked about it.
    fn known(&self, layer: &Layer) -> Option<Descriptor> {
        // An archive gives a blob that it is asked about its place at once, and this is only a hint.
        let to = self.destination.capabilities();
        let hint = !to.is_docker_format && !to.has_content_addressed_files;
        hint.then(|| self.compression.known(layer, self.cache.as_ref())).flatten()
    }

    async fn compress_and_write(&self, layer: &Layer) -> Result<(Descriptor, Written), Error> {
        self.progress.hear(Event::Started(&layer.blob));
        let progress = HalfProgress::new(&layer.blob, &self.progress);
        let (spool, filling) = spool::new().map_err(spool::failed)?;
        let spool: Shared = Arc::new(spool);
        let unnamed = Descriptor { digest: self.compression.name(layer), ..layer.blob.clone() };
        let pending = self.source_of(&spool, unnamed, &progress);
        let mut early = EarlyUpload::new(&self.destination, pending);
        self.work.compressing.fetch_add(1, Ordering::Relaxed);
        let compressed = self.compress(layer, filling, &mut early, &progress).await;
        self.work.compressing.fetch_sub(1, Ordering::Relaxed);
        let new = match compressed {
            Ok(new) => new,
            Err(error) => {
                early.abandon().await;
                return Err(error);
            }
        };
        progress.size_is(new.size);
        let missing = self.destination.prepare(std::slice::from_ref(&new)).await?;
        let written = if missing.contains(&new.digest) {
            let pending = early.sent().await;
            let whole = self.source_of(&spool, new.clone(), &progress).trusted();
            self.destination.write(&new, &whole.with_pending(pending)).await?
        } else {
            early.abandon().await;
            Written::Present
        };
        self.progress.hear(Event::Finished(&layer.blob));
        Ok((new, written))
    }

    fn source_of(&self, spool: &Shared, blob: Descriptor, progress: &HalfProgress) -> Source {
        let progress = progress.clone();
        let (work, last) = (Arc::clone(&self.work), AtomicU64::new(0));
        let report = move |arrived: u64| {
            let before = last.swap(arrived, Ordering::Relaxed);
            work.sent.fetch_add(arrived.saturating_sub(before), Ordering::Relaxed);
            progress.sent(arrived);
        };
        let source = Source::new(Arc::clone(spool), blob, report);
        source.with_buffers(Arc::clone(&self.buffers))
    }

    /// Compresses a layer; as soon as no other layer is sent early, this one is.
    async fn compress(
        &self,
        layer: &Layer,
        filling: Filling,
        early: &mut EarlyUpload,
        progress: &HalfProgress,
    ) -> Result<Descriptor, Error> {
        let report = |position| progress.compressed(position);
        let mut packing = pin!(pack(&self.source, layer, (self.compression, &self.workers), filling, report));
        tokio::select! {
            packed = &mut packing => packed,
            turn = Arc::clone(&self.workers.turn).acquire_owned() => {
                early.start(turn);
                packing.await
            }
        }
    }
}

/// The upload of a layer that is still compressed.
struct EarlyUpload {
    destination: Shared,
    pending: Arc<PendingBlob>,
    task: JoinSet<()>,
}

impl EarlyUpload {
    fn new(destination: &Shared, pending: Source) -> Self {
        let pending = Arc::new(PendingBlob::new(pending));
        Self { destination: Arc::clone(destination), pending, task: JoinSet::new() }
    }

    /// Starts sending; the turn is given back when all is sent.
    fn start(&mut self, turn: impl Send + 'static) {
        let (destination, pending) = (Arc::clone(&self.destination), Arc::clone(&self.pending));
        self.task.spawn(async move {
            destination.begin(&pending).await;
            drop(turn);
        });
    }

    /// Waits until all that could be sent early is.
    async fn sent(mut self) -> Arc<PendingBlob> {
        self.task.join_next().await;
        self.pending
    }

    async fn abandon(mut self) {
        self.pending.stop();
        self.task.join_next().await;
        self.destination.abandon(&self.pending).await;
    }
}

/// Progress of a layer, of which compressing and sending are half each.
#[derive(Clone)]
struct HalfProgress {
    blob: Descriptor,
    /// Bytes to send; 0 until that is known.
    size: Arc<AtomicU64>,
    progress: Arc<dyn Progress>,
}

impl HalfProgress {
    fn new(blob: &Descriptor, progress: &Arc<dyn Progress>) -> Self {
        Self { blob: blob.clone(), size: Arc::default(), progress: Arc::clone(progress) }
    }

    fn size_is(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    fn compressed(&self, position: u64) {
        self.arrived(position / 2);
    }

    fn sent(&self, arrived: u64) {
        // Until it is known how much there is to send, only the other half is shown.
        if let Some(size) = NonZero::new(u128::from(self.size.load(Ordering::Relaxed))) {
            let half = self.blob.size / 2;
            let sent = u128::from(self.blob.size - half) * u128::from(arrived) / size;
            self.arrived(half + u64::try_from(sent).unwrap_or(0));
        }
    }

    fn arrived(&self, position: u64) {
        self.progress.hear(Event::Arrived { digest: &self.blob.digest, position });
    }
}
