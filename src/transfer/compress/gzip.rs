//! gzip by several processors: the layer is cut into blocks, and each is compressed by itself. Together they are one
//! ordinary gzip member, which says neither a time nor a name: the same layer always gives the same bytes, on one
//! processor or on many.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use libdeflater::Crc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::deflate::{BlockCompressor, END};
use super::pack::WorkerPool;

/// No flags, no time, no name, an unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A compressed block.
struct Piece {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl WorkerPool {
    /// Compresses the first bytes of a block on another thread.
    fn begin(
        &self,
        mut compressor: BlockCompressor,
        length: usize,
        permit: OwnedSemaphorePermit,
    ) -> JoinHandle<io::Result<Piece>> {
        let home = self.clone();
        self.handle.spawn_blocking(move || {
            let bytes = compressor.compress(length);
            home.give_back(compressor);
            Ok(Piece { bytes: bytes?, _permit: permit })
        })
    }
}

/// Compresses everything that can be read.
pub(super) fn compress(
    plain: &mut impl Read,
    out: &mut impl Write,
    level: u8,
    workers: &WorkerPool,
) -> io::Result<()> {
    out.write_all(&HEADER)?;
    let mut checksum = Crc::new();
    let mut length = 0_u32;
    let mut waiting: VecDeque<JoinHandle<io::Result<Piece>>> = VecDeque::new();
    let mut finish = |job: JoinHandle<io::Result<Piece>>| {
        let piece = workers.handle.block_on(job).map_err(io::Error::other).flatten()?;
        out.write_all(&piece.bytes)
    };
    loop {
        while waiting.front().is_some_and(JoinHandle::is_finished) {
            waiting.pop_front().map_or(Ok(()), &mut finish)?;
        }
        // Other layers give their permits back without help from here, and this one's own are freed by writing.
        let permit = loop {
            if let Ok(permit) = Arc::clone(&workers.blocks).try_acquire_owned() {
                break permit;
            }
            let Some(job) = waiting.pop_front() else {
                let permit = workers.handle.block_on(Arc::clone(&workers.blocks).acquire_owned());
                break permit.map_err(io::Error::other)?;
            };
            finish(job)?;
        };
        let mut compressor = workers.compressor(level)?;
        let some = fill(plain, &mut compressor.plain)?;
        if some == 0 {
            workers.give_back(compressor);
            break;
        }
        checksum.update(&compressor.plain[..some]);
        // Kept modulo 2^32.
        length = length.wrapping_add(u32::try_from(some).map_err(io::Error::other)?);
        waiting.push_back(workers.begin(compressor, some, permit));
    }
    waiting.into_iter().try_for_each(finish)?;
    out.write_all(&END)?;
    out.write_all(&checksum.sum().to_le_bytes())?;
    out.write_all(&length.to_le_bytes())
}

/// Reads until the block is full or nothing is left.
pub(super) fn fill(plain: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < block.len() {
        match plain.read(&mut block[length..]) {
            Ok(0) => break,
            Ok(some) => length += some,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::super::deflate::BLOCK;
    use super::*;
    use crate::store::Buffers;

    async fn packed(content: Vec<u8>, level: u8) -> Vec<u8> {
        let workers = WorkerPool::new(&Buffers::within(0));
        let task = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            compress(&mut &content[..], &mut bytes, level, &workers).map(|()| bytes)
        });
        task.await.unwrap().unwrap()
    }

    /// The system's own gzip reads it, to which our decompressor is a stranger.
    fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let mut folder = tempfile::NamedTempFile::new().unwrap();
        folder.write_all(bytes).unwrap();
        let file = std::fs::File::open(folder.path()).unwrap();
        let output = std::process::Command::new("gzip").arg("-dc").stdin(file).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        output.stdout
    }

    #[tokio::test]
    async fn every_length_comes_back_and_the_same_bytes_come_again() {
        let words: Vec<u8> =
            (0u32..400_000).flat_map(|number| number.wrapping_mul(number).to_le_bytes()).collect();
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, words.len()] {
            for level in [1, 6] {
                let bytes = packed(words[..length].to_vec(), level).await;
                assert_eq!(bytes[..10], HEADER);
                assert!(unpacked(&bytes) == words[..length], "{length} bytes at level {level}");
                assert!(bytes == packed(words[..length].to_vec(), level).await, "{length} bytes, again");
            }
        }
    }
}
