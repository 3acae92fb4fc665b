//! Compression of layers during a transfer: for `--compress`, and for the uncompressed layers of docker archives on the
//! way to a registry.
//!
//! A registry wants a blob's digest and size before it says that it has it already, and a compressed layer has neither
//! until it is done. So each layer is compressed into a spool, a nameless file in the platform's temporary folder, and
//! moved from there like any other blob: it can be sent again where the network fails, and an upload that ended early
//! is taken up again by the next run (the same layer always gives the same bytes). While one layer moves, others are
//! compressed, and no more than a few spools exist at once.
//!
//! One layer at a time is sent while it is compressed: an upload needs its digest only at its end. What the destination
//! turns out to have is not sent on, so no more goes there in vain than the network takes while a layer is compressed,
//! and nobody waits for it. What became of a layer is remembered, so that the next time the destination is asked before
//! anything is compressed.

mod cache;
mod choice;
mod compression;
mod deflate;
mod gzip;
mod layer_mover;
mod pack;
mod rewrite;
mod spool;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use tokio::task::JoinSet;

pub use self::cache::CompressionCache;
use self::choice::Choice;
pub use self::compression::{Compression, Method, NoCompression};
use self::layer_mover::LayerMover;
use self::pack::{WorkerPool, pack};
use super::limits::WINDOW;
use super::plan::{Blobs, Plan};
use super::progress::{Event, Progress};
use super::slow::SlowWatch;
use super::{Error, Options, Outcome, Stores, expect, move_blobs, put_children};
use crate::image::{Descriptor, Digest, Manifest};
use crate::store::{self, Shared, Written};

/// A layer to compress.
#[derive(Debug, Clone)]
struct Layer {
    blob: Descriptor,
    /// Digests of the uncompressed layer (`diff_ids`) in the configurations of its images.
    diff_ids: Vec<Digest>,
}

/// Layers to compress, and how.
pub(super) struct LayerCompression {
    compression: Compression,
    layers: IndexMap<Digest, Layer>,
}

impl LayerCompression {
    /// Plans the compression; `None` if all layers stay as they are, which layers of docker's places that nobody asked
    /// to compress also do if the image's own digest is asked for.
    pub(super) async fn of(
        source: &Shared,
        destination: Option<&Shared>,
        options: &Options,
        plan: &Plan,
    ) -> Result<Option<Self>, Error> {
        let Some(choice) = Choice::of(source, destination, options, plan)? else { return Ok(None) };
        let layers = choice.layers(source, plan).await?;
        Ok((!layers.is_empty()).then_some(Self { compression: choice.compression, layers }))
    }

    /// Transfers the image: unchanged blobs, and compressed layers.
    pub(super) async fn add(
        self,
        stores: Stores<'_>,
        plan: &Plan,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) -> Result<Outcome, Error> {
        let Stores { source, destination } = stores;
        let mut kept = Blobs::default();
        plan.image().for_each(|manifest| kept.add(manifest));
        kept.list.retain(|blob| !self.layers.contains_key(&blob.digest));
        // Before anything is compressed, so that a repository that is not there takes no time to be missed.
        let missing = destination.prepare(&kept.list).await?;
        self.check_tags(source, destination, plan, options).await?;
        let moving: Vec<&Descriptor> =
            kept.list.iter().filter(|blob| missing.contains(&blob.digest)).collect();
        let layers = self.layers.values().map(|layer| &layer.blob);
        let bytes = moving.iter().copied().chain(layers).map(|blob| blob.size).fold(0, u64::saturating_add);
        let present = kept.list.len() - moving.len();
        progress.hear(Event::Planned { blobs: moving.len() + self.layers.len(), bytes, present });
        let mut outcome = self.outcome(plan, kept.list.len());
        move_blobs(stores, &moving, options, progress, &mut outcome).await?;
        let packed = self.layers(stores, options, progress, &mut outcome).await?;
        let (children, root) = self.rewritten(source, plan, &packed)?;
        expect(source, &root, options)?;
        // Only now is it known which digest the tags are to name.
        destination.check_tags(root.digest(), &options.tags).await?;
        put_children(destination, &children, progress).await?;
        destination.put_image(&root, &options.tags).await?;
        progress.hear(Event::Manifest(root.digest()));
        root.digest().clone_into(&mut outcome.digest);
        Ok(outcome)
    }

    /// The outcome before anything moved: so many of the blobs that stay as they are count as present.
    fn outcome(&self, plan: &Plan, present: usize) -> Outcome {
        Outcome {
            digest: plan.root.digest().clone(),
            rewritten: plan.rewritten,
            blobs: 0,
            bytes: 0,
            present,
            referrers: 0,
            compressed: self.layers.len(),
        }
    }

    /// Finds a tag that cannot move before a byte is sent.
    async fn check_tags(
        &self,
        source: &Shared,
        destination: &Shared,
        plan: &Plan,
        options: &Options,
    ) -> Result<(), Error> {
        if destination.check_tags(plan.root.digest(), &options.tags).await.is_err() {
            // Unless it names just what will come of this: that is worth compressing everything first.
            let packed = self.foreseen(source, options).await?;
            let (_, root) = self.rewritten(source, plan, &packed)?;
            destination.check_tags(root.digest(), &options.tags).await?;
        }
        Ok(())
    }

    /// Returns the manifests, children first, with the layers' new digests.
    fn rewritten(
        &self,
        source: &Shared,
        plan: &Plan,
        packed: &HashMap<Digest, Descriptor>,
    ) -> Result<(Vec<Manifest>, Manifest), Error> {
        let all = rewrite::all(plan, packed, self.compression.method);
        Ok(all.map_err(store::Error::image(source.name()))?)
    }

    /// Returns the descriptors that the layers will have: from the cache, or by compressing without sending.
    async fn foreseen(
        &self,
        source: &Shared,
        options: &Options,
    ) -> Result<HashMap<Digest, Descriptor>, Error> {
        let workers = WorkerPool::new(&options.buffers);
        let mut packed = HashMap::new();
        for (digest, layer) in &self.layers {
            let new = if let Some(known) = self.compression.known(layer, options.cache.as_ref()) {
                known
            } else {
                let (_, filling) = spool::new().map_err(spool::failed)?;
                pack(source, layer, (self.compression, &workers), filling, |_| {}).await?
            };
            packed.insert(digest.clone(), new);
        }
        Ok(packed)
    }

    /// Compresses and transfers the layers; returns the result of each.
    async fn layers(
        &self,
        stores: Stores<'_>,
        options: &Options,
        progress: &Arc<dyn Progress>,
        outcome: &mut Outcome,
    ) -> Result<HashMap<Digest, Descriptor>, Error> {
        let mover = LayerMover::new(self.compression, stores, options, progress);
        let _half = options.buffers.reserve_half().await;
        let (work, mut slow) = (mover.work(), SlowWatch::new(stores.source, stores.destination, progress));
        let mut window = tokio::time::interval(WINDOW);
        window.reset();
        let mut tasks = JoinSet::new();
        for layer in self.layers.values() {
            tasks.spawn(mover.clone().move_layer(layer.clone()));
        }
        let mut packed = HashMap::new();
        loop {
            let task = tokio::select! {
                task = tasks.join_next() => task,
                _ = window.tick() => {
                    let (sent, is_compressing) = work.seen();
                    slow.look(sent, is_compressing);
                    continue;
                }
            };
            let Some(task) = task else { return Ok(packed) };
            match task.map_err(Error::Task).flatten() {
                Ok((old, new, written)) => {
                    match written {
                        Written::Moved => {
                            outcome.blobs += 1;
                            outcome.bytes = outcome.bytes.saturating_add(new.size);
                        }
                        Written::Present => outcome.present += 1,
                    }
                    packed.insert(old, new);
                }
                Err(error) => {
                    tasks.shutdown().await;
                    return Err(error);
                }
            }
        }
    }
}
