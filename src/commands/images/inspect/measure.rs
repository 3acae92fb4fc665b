//! Uncompressed sizes of layers. No manifest says them, so each layer is read, verified and decompressed; nothing of it
//! is kept.

use std::io::{self, BufRead, BufReader, Read};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc::{Receiver, channel};

use super::super::super::registry::explained;
use crate::image::{Algorithm, Descriptor, Digest};
use crate::store::Store;
use crate::store::compression_format::CompressionFormat;

/// Bytes that are read from the network at once.
const CHUNK: usize = 1 << 20;
/// Chunks that wait for the decompressor.
const QUEUE: usize = 2;
/// Layers that are read at once.
const LAYERS: usize = 4;

/// A layer without its compression.
pub(super) struct Uncompressed {
    pub(super) bytes: u64,
    /// SHA-256 of the uncompressed layer: OCI's `DiffID`.
    pub(super) diff_id: Digest,
}

/// Reads the layers of an image, in their order.
///
/// # Errors
///
/// A layer that cannot be read, has other bytes than its digest says, or cannot be decompressed.
pub(super) async fn measure(store: &dyn Store, layers: &[Descriptor]) -> anyhow::Result<Vec<Uncompressed>> {
    stream::iter(layers).map(|layer| measure_layer(store, layer)).buffered(LAYERS).try_collect().await
}

async fn measure_layer(store: &dyn Store, layer: &Descriptor) -> anyhow::Result<Uncompressed> {
    let failed = |error: crate::store::Error| explained(error.into());
    let mut reader = store.open(layer, 0).await.map_err(failed)?;
    let (sender, receiver) = channel(QUEUE);
    let decompressor =
        tokio::task::spawn_blocking(move || decompress(Chunks { receiver, chunk: io::Cursor::default() }));
    let mut hasher = layer.digest.algorithm().hasher();
    loop {
        let chunk = reader.read(Vec::new(), CHUNK).await.map_err(failed)?;
        hasher.update(&chunk);
        // A decompressor that has failed takes no more bytes; its error is reported below.
        if chunk.is_empty() || sender.send(chunk).await.is_err() {
            break;
        }
    }
    drop(sender);
    let measured = decompressor.await?;
    let measured = measured
        .map_err(|error| anyhow::anyhow!("the layer {} cannot be decompressed: {error}", layer.digest))?;
    if hasher.finish() != layer.digest {
        anyhow::bail!("the registry answered other bytes than those of the layer {}", layer.digest);
    }
    Ok(measured)
}

fn decompress(chunks: Chunks) -> io::Result<Uncompressed> {
    let mut chunks = BufReader::with_capacity(64 * 1024, chunks);
    let format = CompressionFormat::detect(chunks.fill_buf()?);
    let mut plain: Box<dyn Read + Send> = match format {
        Some(format) => format.reader(chunks)?,
        None => Box::new(chunks),
    };
    let (mut hasher, mut bytes) = (Algorithm::Sha256.hasher(), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match plain.read(&mut buffer)? {
            0 => return Ok(Uncompressed { bytes, diff_id: hasher.finish() }),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// The chunks of a layer as one reader, for a thread that may be blocked.
struct Chunks {
    receiver: Receiver<Vec<u8>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.chunk.read(buffer)? {
                0 => match self.receiver.blocking_recv() {
                    Some(chunk) => self.chunk = io::Cursor::new(chunk),
                    None => return Ok(0),
                },
                read => return Ok(read),
            }
        }
    }
}
