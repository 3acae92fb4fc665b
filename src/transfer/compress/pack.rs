//! One layer through the machine: read and verified, unpacked, checked against the configuration, packed, spooled.

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use super::deflate::{self, BlockCompressor};
use super::spool::{self, Filling};
use super::{Compression, Layer, Method, gzip, rewrite};
use crate::image::{Descriptor, Digest, Hasher};
use crate::store::compression_format::CompressionFormat;
use crate::store::{Buffers, Shared, Source, Stream};
use crate::transfer::Error;

/// Bytes per read.
const PIECE: usize = 512 * 1024;
/// Pieces that wait for the packer.
const AHEAD: usize = 1;

/// Memory per block in bytes: a compressor and its output.
const MEMORY: usize = 4 * deflate::BLOCK;

/// Pool of compressors for the blocks of all layers, so many that no processor waits. A block that waits to be
/// compressed or written keeps a permit, which bounds the memory.
#[derive(Clone)]
pub(super) struct WorkerPool {
    pub(super) handle: Handle,
    pub(super) blocks: Arc<Semaphore>,
    /// Idle compressors.
    compressors: Arc<Mutex<Vec<BlockCompressor>>>,
    /// Whose layer is sent already.
    pub(super) turn: Arc<Semaphore>,
}

impl WorkerPool {
    /// For as many blocks as keep this machine busy and have room in half of a transfer's memory.
    pub(super) fn new(buffers: &Buffers) -> Self {
        let processors = available_parallelism().map_or(2, usize::from);
        let blocks = Semaphore::new((processors * 3).min(buffers.budget() / 2 / MEMORY).max(3));
        let (blocks, turn) = (Arc::new(blocks), Arc::new(Semaphore::new(1)));
        Self { handle: Handle::current(), blocks, compressors: Arc::default(), turn }
    }

    /// Returns a compressor to the holder of a permit. Its level is that of all of the pool's work.
    pub(super) fn compressor(&self, level: u8) -> io::Result<BlockCompressor> {
        let spare = self.compressors.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.map_or_else(|| BlockCompressor::new(level), Ok)
    }

    pub(super) fn give_back(&self, compressor: BlockCompressor) {
        self.compressors.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
    }
}

/// Compresses a layer into a spool, and returns its new descriptor. `report` hears how many of its bytes have been
/// read.
pub(super) async fn pack(
    source: &Shared,
    layer: &Layer,
    (compression, workers): (Compression, &WorkerPool),
    filling: Filling,
    report: impl Fn(u64),
) -> Result<Descriptor, Error> {
    let stream = Source::new(Arc::clone(source), layer.blob.clone(), |_| {}).stream().await?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (own_workers, own_layer) = (workers.clone(), layer.clone());
    let wanted = CancelOnDrop::default();
    let still = Arc::clone(&wanted.0);
    let packing = tokio::task::spawn_blocking(move || {
        let incoming = Incoming { pieces: receiver, piece: Vec::new(), position: 0, unwanted: still };
        run(incoming, &own_layer, compression, &own_workers, filling)
    });
    // Where the packer gave up, the rest of the layer has nowhere to go, and the packer says why.
    let fed = feed(stream, sender, report).await;
    let packed = packing.await.map_err(Error::Task)?;
    drop(wanted);
    fed?;
    let place = source.name();
    let (digest, size) = packed.map_err(|failure| failure.explain(place, &layer.blob))?;
    Ok(rewrite::layer(&layer.blob, compression.method, digest, size))
}

async fn feed(mut stream: Stream, sender: mpsc::Sender<Vec<u8>>, report: impl Fn(u64)) -> Result<(), Error> {
    let mut position = 0;
    loop {
        let piece = stream.read(Vec::with_capacity(PIECE), PIECE).await?;
        if piece.is_empty() {
            break;
        }
        position += piece.len() as u64;
        if sender.send(piece).await.is_err() {
            return Ok(());
        }
        report(position);
    }
    Ok(stream.verify().await?)
}

/// Cancels the packer, which cannot be aborted: an interrupt is to take no longer than a block.
#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Error of compressing a layer.
enum Failure {
    Unpack(io::Error),
    Spool(io::Error),
    Identity { expected: Digest, found: Digest },
}

impl Failure {
    fn explain(self, place: String, layer: &Descriptor) -> Error {
        let digest = layer.digest.clone();
        match self {
            Self::Unpack(error) => Error::Unpack { place, digest, reason: error.to_string() },
            Self::Spool(error) => spool::failed(error).into(),
            Self::Identity { expected, found } => Error::DiffIdMismatch { place, digest, expected, found },
        }
    }
}

fn run(
    mut incoming: Incoming,
    layer: &Layer,
    compression: Compression,
    workers: &WorkerPool,
    mut filling: Filling,
) -> Result<(Digest, u64), Failure> {
    let (digest, diff_ids) = (&layer.blob.digest, &layer.diff_ids);
    let unwanted = Arc::clone(&incoming.unwanted);
    let front = incoming.fill_buf().map_err(Failure::Unpack)?;
    let mut plain = Plain { hasher: None, failed: None, reader: Box::new(io::empty()), unwanted };
    // What it is, not what it is called: some tools call plain layers gzip.
    let packed = CompressionFormat::detect(front);
    let algorithm = diff_ids.first().map_or(digest, |identity| identity).algorithm();
    if packed.is_some() || algorithm != digest.algorithm() {
        plain.hasher = Some(algorithm.hasher());
    }
    plain.reader = match packed {
        Some(compressor) => compressor.reader(incoming).map_err(Failure::Unpack)?,
        None => Box::new(incoming),
    };
    let level = compression.effort();
    let done = match compression.method {
        Method::Gzip => gzip::compress(&mut plain, &mut filling, level, workers),
        Method::Uncompressed => io::copy(&mut plain, &mut filling).map(|_| ()),
        Method::Zstd => compress_zstd(&mut plain, &mut filling, level),
    };
    if let Some(error) = plain.failed {
        return Err(Failure::Unpack(error));
    }
    done.map_err(Failure::Spool)?;
    // A plain layer is its own identity, and was hashed on its way in.
    let found = plain.hasher.map_or_else(|| digest.clone(), Hasher::finish);
    match diff_ids.iter().find(|expected| **expected != found) {
        Some(expected) => Err(Failure::Identity { expected: expected.clone(), found }),
        None => Ok(filling.finish()),
    }
}

fn compress_zstd(plain: &mut Plain, filling: &mut Filling, level: u8) -> io::Result<()> {
    let mut encoder = zstd::stream::Encoder::new(filling, i32::from(level))?;
    // Larger reads than those of io::copy, which would cost a call for each 8 KiB.
    let mut block = vec![0; deflate::BLOCK];
    loop {
        match gzip::fill(plain, &mut block)? {
            0 => return encoder.finish().map(|_| ()),
            length => io::Write::write_all(&mut encoder, &block[..length])?,
        }
    }
}

/// A layer as it is unpacked. What fails on this side is kept, so that it is told from what fails on the other.
pub(super) struct Plain {
    reader: Box<dyn Read + Send>,
    hasher: Option<Hasher>,
    failed: Option<io::Error>,
    unwanted: Arc<AtomicBool>,
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unwanted.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for the layer"));
        }
        match self.reader.read(buffer) {
            Ok(length) => {
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&buffer[..length]);
                }
                Ok(length)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = Some(error);
                Err(io::Error::other("the layer cannot be read on"))
            }
        }
    }
}

/// Pieces of a layer as they arrive.
struct Incoming {
    pieces: mpsc::Receiver<Vec<u8>>,
    piece: Vec<u8>,
    position: usize,
    unwanted: Arc<AtomicBool>,
}

impl BufRead for Incoming {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.piece.len() {
            self.piece = self.pieces.blocking_recv().unwrap_or_default();
            self.position = 0;
        }
        Ok(&self.piece[self.position..])
    }

    fn consume(&mut self, length: usize) {
        self.position += length;
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}
