//! Compressing layers on their way: what `--compress` asks for, and what the uncompressed layers of docker archives
//! need before they go to a registry.
//!
//! A registry wants a blob's digest and size before it says that it has it already, and a compressed layer has neither
//! until it is done. So each layer is compressed into a spool, a nameless file in the platform's temporary folder, and
//! moved from there like any other blob: it can be sent again where the network fails, and an upload that ended early
//! is taken up again by the next run (the same layer always gives the same bytes). While one layer moves, others are
//! compressed, and no more than `SPOOLS` spools exist at once.
//!
//! One layer at a time is sent while it is compressed: an upload needs its digest only at its end. What the destination
//! turns out to have is not sent on, so no more goes there in vain than the network takes while a layer is compressed,
//! and nobody waits for it. What became of a layer is remembered, so that the next time the destination is asked before
//! anything is compressed.

mod cache;
mod deflate;
mod gzip;
mod pack;
mod rewrite;
mod spool;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZero;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indexmap::IndexMap;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use self::cache::CompressionCache;
use self::pack::{WorkerPool, pack};
use super::plan::{self, Blobs, Plan};
use super::progress::{Event, Progress};
use super::{Error, Options, Outcome, expect, move_blobs, put_children};
use crate::image::{Content, Descriptor, Digest, Manifest, media_type, null_is_default};
use crate::store::{self, Buffers, PendingBlob, Shared, Source, Written};

/// The most layers that are compressed or wait in spools at once.
const SPOOLS: usize = 4;

/// How layers can be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Gzip, which every runtime reads.
    Gzip,
    /// Smaller and faster, for runtimes since about 2021.
    Zstd,
    /// Not at all, as every docker engine loads it; nobody asks for it by name.
    Uncompressed,
}

/// Compression method and level as written on the command line: `gzip`, `zstd:19`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// How.
    pub method: Method,
    /// How hard; `None` for the method's usual level, and then layers that have this form already stay as they are.
    pub level: Option<u8>,
}

impl Compression {
    /// Default for uncompressed layers of docker archives and engines.
    const USUAL: Self = Self { method: Method::Gzip, level: None };
    /// What layers become that older docker engines cannot load.
    const UNCOMPRESSED: Self = Self { method: Method::Uncompressed, level: None };

    /// The level that is meant: the usual ones of skopeo and crane's compressor, and of zstd's own tool.
    fn effort(self) -> u8 {
        self.level.unwrap_or(match self.method {
            Method::Gzip => 5,
            Method::Zstd => 3,
            Method::Uncompressed => 0,
        })
    }
}

impl Compression {
    /// Cache key of a layer's compressed form: a digest of everything that determines its bytes.
    fn name(self, layer: &Layer) -> Digest {
        let (version, method, effort) = (env!("CARGO_PKG_VERSION"), self.method.name(), self.effort());
        let mut name = format!("ecr {version} {method}:{effort} {}", layer.blob.digest);
        for identity in &layer.diff_ids {
            name = format!("{name} {identity}");
        }
        Digest::of(name.as_bytes())
    }

    /// Returns the descriptor of a layer's compressed form, if the cache has it.
    fn known(self, layer: &Layer, options: &Options) -> Option<Descriptor> {
        let (digest, size) = options.cache.as_ref()?.find(&self.name(layer))?;
        Some(rewrite::layer(&layer.blob, self.method, digest, size))
    }
}

/// Text that names no compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected gzip or zstd, with a level from 1 to 9 or 1 to 19 behind a colon or none, such as zstd:9")]
pub struct NoCompression;

impl FromStr for Compression {
    type Err = NoCompression;

    fn from_str(text: &str) -> Result<Self, NoCompression> {
        let (method, level) = match text.split_once(':') {
            Some((method, level)) => (method, Some(level.parse::<u8>().map_err(|_| NoCompression)?)),
            None => (text, None),
        };
        // From 20 on zstd needs more memory to decompress than runtimes allow.
        let (method, highest) = match method {
            "gzip" => (Method::Gzip, 9),
            "zstd" => (Method::Zstd, 19),
            _ => return Err(NoCompression),
        };
        let right = level.is_none_or(|level| (1..=highest).contains(&level));
        right.then_some(Self { method, level }).ok_or(NoCompression)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.method.name())?;
        self.level.iter().try_for_each(|level| write!(formatter, ":{level}"))
    }
}

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

#[derive(Deserialize)]
struct Configuration {
    rootfs: Option<RootFileSystem>,
}

#[derive(Deserialize)]
struct RootFileSystem {
    #[serde(default, deserialize_with = "null_is_default")]
    diff_ids: Vec<Digest>,
}

impl LayerCompression {
    /// What there is to compress; `None` where everything stays as it is: for layers of docker's places that nobody
    /// asked to compress also where the image's own digest is asked for.
    pub(super) async fn of(
        source: &Shared,
        destination: Option<&Shared>,
        options: &Options,
        plan: &Plan,
    ) -> Result<Option<Self>, Error> {
        let to = destination.map(|destination| destination.capabilities()).unwrap_or_default();
        let from_docker = source.capabilities().is_docker_format;
        let fixed = options.expected.as_ref() == Some(plan.root.digest());
        let asked = options.compression;
        if let Some(destination) = destination.filter(|_| to.is_docker_format)
            && asked.is_some_and(|asked| asked.method == Method::Zstd)
        {
            return Err(Error::NotForDocker {
                place: destination.name(),
                digest: plan.root.digest().clone(),
                reason: "older engines cannot load layers that zstd compressed; leave out --compress zstd",
            });
        }
        let compression = match asked {
            Some(asked) => asked,
            None if to.is_docker_format => Compression::UNCOMPRESSED,
            None if from_docker => Compression::USUAL,
            None => return Ok(None),
        };
        let wanted = |layer: &Descriptor| match LayerEncoding::of(&layer.media_type) {
            None => false,
            Some(form) if asked.is_some() => {
                Some(form) != compression.method.form() || compression.level.is_some()
            }
            Some(form) if to.is_docker_format => {
                matches!(form, LayerEncoding::Zstd | LayerEncoding::XzOrBzip2)
            }
            Some(LayerEncoding::Uncompressed) => to.is_remote && !fixed,
            Some(form) => form == LayerEncoding::XzOrBzip2,
        };
        let mut layers: IndexMap<Digest, Layer> = IndexMap::new();
        for image in plan.image() {
            let Content::Image { config, layers: listed } = image.content() else { continue };
            if !media_type::is_configuration(&config.media_type) || !listed.iter().any(wanted) {
                continue;
            }
            // What says nothing about a root file system only looks like an image, and stays as it is.
            let diff_ids = diff_ids(source, image, config, listed.len()).await?.unwrap_or_default();
            for (blob, identity) in listed.iter().zip(diff_ids).filter(|(blob, _)| wanted(blob)) {
                let new = || Layer { blob: blob.clone(), diff_ids: Vec::new() };
                layers.entry(blob.digest.clone()).or_insert_with(new).diff_ids.push(identity);
            }
        }
        Ok((!layers.is_empty()).then_some(Self { compression, layers }))
    }

    /// Moves the image: what stays as it is, and what is compressed on the way.
    pub(super) async fn add(
        self,
        source: &Shared,
        destination: &Shared,
        plan: &Plan,
        options: &Options,
        progress: &Arc<dyn Progress>,
    ) -> Result<Outcome, Error> {
        let mut kept = Blobs::default();
        plan.image().for_each(|manifest| kept.add(manifest));
        kept.list.retain(|blob| !self.layers.contains_key(&blob.digest));
        // Before anything is compressed, so that a repository that is not there takes no time to be missed.
        let missing = destination.prepare(&kept.list).await?;
        if destination.check_tags(plan.root.digest(), &options.tags).await.is_err() {
            // A tag cannot move, unless it names just what will come of this: that is worth compressing everything
            // before a byte is sent.
            let packed = self.foreseen(source, options).await?;
            let (_, root) = self.rewritten(source, plan, &packed)?;
            destination.check_tags(root.digest(), &options.tags).await?;
        }
        let moving: Vec<&Descriptor> =
            kept.list.iter().filter(|blob| missing.contains(&blob.digest)).collect();
        let layers = self.layers.values().map(|layer| &layer.blob);
        let bytes = moving.iter().copied().chain(layers).map(|blob| blob.size).fold(0, u64::saturating_add);
        let present = kept.list.len() - moving.len();
        progress.hear(Event::Planned { blobs: moving.len() + self.layers.len(), bytes, present });
        let mut outcome = Outcome {
            digest: plan.root.digest().clone(),
            rewritten: plan.rewritten,
            blobs: 0,
            bytes: 0,
            present: kept.list.len(),
            referrers: 0,
            compressed: self.layers.len(),
        };
        move_blobs(source, destination, &moving, options, progress, &mut outcome).await?;
        let packed = self.layers(source, destination, options, progress, &mut outcome).await?;
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

    /// The manifests, children first, that list what came of the layers.
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
            let new = if let Some(known) = self.compression.known(layer, options) {
                known
            } else {
                let (_, filling) = spool::new().map_err(spool::failed)?;
                pack(source, layer, self.compression, &workers, filling, |_| {}).await?
            };
            packed.insert(digest.clone(), new);
        }
        Ok(packed)
    }

    async fn layers(
        &self,
        source: &Shared,
        destination: &Shared,
        options: &Options,
        progress: &Arc<dyn Progress>,
        outcome: &mut Outcome,
    ) -> Result<HashMap<Digest, Descriptor>, Error> {
        let mut tasks = JoinSet::new();
        let permits = Arc::new(Semaphore::new(options.jobs.clamp(1, SPOOLS)));
        let workers = WorkerPool::new(&options.buffers);
        let _half = options.buffers.halve().await;
        for layer in self.layers.values() {
            let (source, destination, layer) = (Arc::clone(source), Arc::clone(destination), layer.clone());
            let (permits, progress, workers) = (Arc::clone(&permits), Arc::clone(progress), workers.clone());
            let (compression, buffers) = (self.compression, Arc::clone(&options.buffers));
            // An archive gives a blob that it is asked about its place at once, and this is only a hint.
            let to = destination.capabilities();
            let hint = !to.is_docker_format && !to.has_content_addressed_files;
            let known = hint.then(|| compression.known(&layer, options)).flatten();
            let memory = options.cache.clone();
            tasks.spawn(async move {
                let _permit = permits.acquire_owned().await;
                if let Some(known) = known
                    && destination.prepare(std::slice::from_ref(&known)).await?.is_empty()
                {
                    progress.hear(Event::Started(&layer.blob));
                    progress.hear(Event::Finished(&layer.blob));
                    return Ok((layer.blob.digest, known, Written::Present));
                }
                let (packed, written) =
                    move_layer(&source, &destination, &layer, compression, &workers, buffers, &progress)
                        .await?;
                if let Some(memory) = memory {
                    memory.keep(&compression.name(&layer), &packed);
                }
                Ok::<_, Error>((layer.blob.digest, packed, written))
            });
        }
        let mut packed = HashMap::new();
        while let Some(task) = tasks.join_next().await {
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
        Ok(packed)
    }
}

/// Compresses a layer and moves what comes of it. Each is half of the way that is shown.
async fn move_layer(
    source: &Shared,
    destination: &Shared,
    layer: &Layer,
    compression: Compression,
    workers: &WorkerPool,
    buffers: Arc<Buffers>,
    progress: &Arc<dyn Progress>,
) -> Result<(Descriptor, Written), Error> {
    let blob = layer.blob.clone();
    progress.hear(Event::Started(&blob));
    let half = blob.size / 2;
    let whole = Arc::new(AtomicU64::new(0));
    let report =
        |position: u64| progress.hear(Event::Arrived { digest: &blob.digest, position: position / 2 });
    let (listener, old, size) = (Arc::clone(progress), blob.clone(), Arc::clone(&whole));
    let report_sent = move |arrived: u64| {
        // Until it is known how much there is to send, only the other half is shown.
        if let Some(size) = NonZero::new(u128::from(size.load(Ordering::Relaxed))) {
            let sent = u128::from(old.size - half) * u128::from(arrived) / size;
            let position = half + u64::try_from(sent).unwrap_or(0);
            listener.hear(Event::Arrived { digest: &old.digest, position });
        }
    };
    let (spool, filling) = spool::new().map_err(spool::failed)?;
    let spool: Shared = Arc::new(spool);
    let unnamed = Descriptor { digest: compression.name(layer), ..blob.clone() };
    let pending = Source::new(Arc::clone(&spool), unnamed, report_sent.clone());
    let pending = Arc::new(PendingBlob::new(pending.with_buffers(Arc::clone(&buffers))));
    let mut early = JoinSet::new();
    let mut packing = pin!(pack(source, layer, compression, workers, filling, report));
    let packed = tokio::select! {
        packed = &mut packing => packed,
        turn = Arc::clone(&workers.turn).acquire_owned() => {
            let (destination, pending) = (Arc::clone(destination), Arc::clone(&pending));
            early.spawn(async move {
                destination.begin(&pending).await;
                drop(turn);
            });
            packing.await
        }
    };
    let abandon = async |mut early: JoinSet<()>| {
        pending.stop();
        early.join_next().await;
        destination.abandon(&pending).await;
    };
    let new = match packed {
        Ok(new) => new,
        Err(error) => {
            abandon(early).await;
            return Err(error);
        }
    };
    whole.store(new.size, Ordering::Relaxed);
    let missing: HashSet<Digest> = destination.prepare(std::slice::from_ref(&new)).await?;
    let written = if missing.contains(&new.digest) {
        early.join_next().await;
        let from_spool = Source::new(spool, new.clone(), report_sent).with_buffers(buffers).trusted();
        destination.write(&new, &from_spool.with_pending(pending)).await?
    } else {
        abandon(early).await;
        Written::Present
    };
    progress.hear(Event::Finished(&blob));
    Ok((new, written))
}

/// Reads the `diff_ids` of an image, one for each layer; `None` if its configuration has none.
async fn diff_ids(
    source: &Shared,
    image: &Manifest,
    config: &Descriptor,
    layers: usize,
) -> Result<Option<Vec<Digest>>, Error> {
    let wrong = |reason: String| Error::Configuration {
        place: source.name(),
        digest: image.digest().clone(),
        reason,
    };
    let bytes = plan::configuration(source, config).await?;
    let bytes = bytes.ok_or_else(|| wrong(format!("it has {} bytes", config.size)))?;
    let configuration: Configuration =
        serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let Some(RootFileSystem { diff_ids }) = configuration.rootfs else { return Ok(None) };
    if diff_ids.len() == layers {
        Ok(Some(diff_ids))
    } else {
        Err(wrong(format!("it has {} layers, and the manifest {layers}", diff_ids.len())))
    }
}

/// How a layer is packed, as its media type says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LayerEncoding {
    Uncompressed,
    Gzip,
    Zstd,
    /// In a way that only docker archives have.
    XzOrBzip2,
}

impl LayerEncoding {
    /// `None` for what is no layer of a file system, or one whose content lies elsewhere.
    fn of(media_type: &str) -> Option<Self> {
        let rest = media_type
            .strip_prefix("application/vnd.oci.image.layer.v1.tar")
            .or_else(|| media_type.strip_prefix("application/vnd.docker.image.rootfs.diff.tar"))?;
        match rest {
            "" => Some(Self::Uncompressed),
            "+gzip" | ".gzip" => Some(Self::Gzip),
            "+zstd" | ".zstd" => Some(Self::Zstd),
            "+xz" | "+bzip2" => Some(Self::XzOrBzip2),
            _ => None,
        }
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Uncompressed => "tar",
        }
    }

    fn form(self) -> Option<LayerEncoding> {
        match self {
            Self::Gzip => Some(LayerEncoding::Gzip),
            Self::Zstd => Some(LayerEncoding::Zstd),
            Self::Uncompressed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_as_they_are_written() {
        for text in ["gzip", "gzip:1", "gzip:9", "zstd", "zstd:1", "zstd:19"] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        for wrong in ["", "gzip:", "gzip:0", "gzip:10", "zstd:20", "zstd:-1", "xz", "GZIP"] {
            assert_eq!(wrong.parse::<Compression>(), Err(NoCompression), "{wrong}");
        }
    }

    #[test]
    fn only_layers_have_a_form() {
        for (media_type, form) in [
            ("application/vnd.oci.image.layer.v1.tar", Some(LayerEncoding::Uncompressed)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some(LayerEncoding::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Some(LayerEncoding::Zstd)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Some(LayerEncoding::Gzip)),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", None),
            ("application/vnd.oci.image.layer.v1.tar+encrypted", None),
            ("application/vnd.in-toto+json", None),
        ] {
            assert_eq!(LayerEncoding::of(media_type), form, "{media_type}");
        }
    }
}
