//! gzip by several processors: the layer is cut into blocks, and each is compressed with the end of the block before
//! it as its dictionary, so that nothing is lost where they meet. Together they are one ordinary gzip member, which
//! says neither a time nor a name: the same layer always gives the same bytes, on one processor or on many.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::pack::Crew;

/// Blocks of this size. Smaller ones gain nothing, larger ones need more memory.
pub(super) const BLOCK: usize = 512 * 1024;
/// As far as deflate looks back.
const WINDOW: usize = 32 * 1024;
/// No flags, no time, no name, an unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A compressed block, and the checksum of what it was.
struct Piece {
    bytes: Vec<u8>,
    checksum: Crc,
    _permit: OwnedSemaphorePermit,
}

/// Compresses everything that can be read.
pub(super) fn compress(
    plain: &mut impl Read,
    out: &mut impl Write,
    level: u8,
    crew: &Crew,
) -> io::Result<()> {
    out.write_all(&HEADER)?;
    let mut trailer = Crc::new();
    let mut waiting: VecDeque<JoinHandle<io::Result<Piece>>> = VecDeque::new();
    let mut finish = |job: JoinHandle<io::Result<Piece>>| {
        let piece = crew.handle.block_on(job).map_err(io::Error::other).flatten()?;
        trailer.combine(&piece.checksum);
        out.write_all(&piece.bytes)
    };
    let mut before: Option<Arc<Vec<u8>>> = None;
    let mut block = read_block(plain)?;
    loop {
        let next = read_block(plain)?;
        let last = next.is_empty();
        while waiting.front().is_some_and(JoinHandle::is_finished) {
            waiting.pop_front().map_or(Ok(()), &mut finish)?;
        }
        // Other layers give their permits back without help from here, and this one's own are freed by writing.
        let permit = loop {
            if let Ok(permit) = Arc::clone(&crew.blocks).try_acquire_owned() {
                break permit;
            }
            let Some(job) = waiting.pop_front() else {
                let permit = crew.handle.block_on(Arc::clone(&crew.blocks).acquire_owned());
                break permit.map_err(io::Error::other)?;
            };
            finish(job)?;
        };
        let this = Arc::new(block);
        let (own, dictionary) = (Arc::clone(&this), before.replace(this));
        waiting.push_back(crew.handle.spawn_blocking(move || {
            let dictionary =
                dictionary.as_ref().map_or(&[][..], |before| &before[before.len().saturating_sub(WINDOW)..]);
            let mut checksum = Crc::new();
            checksum.update(&own);
            let bytes = deflate(&own, dictionary, level, last)?;
            Ok(Piece { bytes, checksum, _permit: permit })
        }));
        if last {
            break;
        }
        block = next;
    }
    waiting.into_iter().try_for_each(finish)?;
    // The length is kept modulo 2^32, which is what Crc counts.
    out.write_all(&trailer.sum().to_le_bytes())?;
    out.write_all(&trailer.amount().to_le_bytes())
}

fn read_block(plain: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut block = vec![0; BLOCK];
    let length = fill(plain, &mut block)?;
    block.truncate(length);
    Ok(block)
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

fn deflate(block: &[u8], dictionary: &[u8], level: u8, last: bool) -> io::Result<Vec<u8>> {
    let mut deflater = Compress::new(Compression::new(level.into()), false);
    if !dictionary.is_empty() {
        deflater.set_dictionary(dictionary).map_err(io::Error::other)?;
    }
    // All blocks but the last end at a byte's boundary, so that the next can follow.
    let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
    let mut bytes = Vec::with_capacity(block.len() / 2 + 4096);
    let mut done = 0;
    loop {
        let before = deflater.total_in();
        let status = deflater.compress_vec(&block[done..], &mut bytes, flush).map_err(io::Error::other)?;
        done += usize::try_from(deflater.total_in() - before).map_err(io::Error::other)?;
        let room = bytes.len() < bytes.capacity();
        if status == Status::StreamEnd || (!last && room && done == block.len()) {
            return Ok(bytes);
        }
        bytes.reserve(block.len() / 4 + 4096);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn packed(content: Vec<u8>, level: u8) -> Vec<u8> {
        let crew = Crew::new();
        let task = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            compress(&mut &content[..], &mut bytes, level, &crew).map(|()| bytes)
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

    #[tokio::test]
    async fn blocks_know_what_was_before_them() {
        // Bytes that repeat only across the border of two blocks.
        let mut state = 1u64;
        let mut noise: Vec<u8> = Vec::new();
        while noise.len() < BLOCK {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            noise.extend_from_slice(&state.to_be_bytes()[..4]);
        }
        let again = noise[BLOCK - 16 * 1024..].to_vec();
        let alone = packed(noise.clone(), 6).await.len();
        noise.extend_from_slice(&again);
        assert!(packed(noise, 6).await.len() < alone + 2048);
    }
}
