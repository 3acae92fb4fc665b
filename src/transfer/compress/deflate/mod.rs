//! Blocks compressed by libdeflate, which packs more in less time than a compressor that streams, but ends all that it
//! makes. So that another stream can follow, the mark of the end is taken away. It stands in the header of the last
//! part, at no place that is known: the stream is walked over as if to unpack it. Most of a walk is waiting, and two at
//! once take little longer than one, which is why a block is two streams.
//!
//! Why not simpler: members of gzip one behind the other are read by most programs, but not by all (Python's `tarfile` of
//! a stream stops after the first), and a compressor that can be told not to end its stream takes 1.7 times as long for
//! the same size (150 MB of a root file system: zlib-rs 1.5 s at level 4 and 49.8 MB, libdeflate 0.9 s and 49.3 MB).

mod bits;
mod code;
mod walk;

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use self::walk::{End, ends};

/// Bytes that one stream compresses: larger ones gain little, smaller ones have less history to refer to.
const STREAM: usize = 256 * 1024;
/// Bytes compressed at once.
pub(super) const BLOCK: usize = 2 * STREAM;

/// Libdeflate's levels for those from 1 to 9: the fastest whose output is no larger than that of crane's and skopeo's
/// compressor at its level of this number. A root file system of 428 MB becomes 133.0, 127.8, 125.8, 122.0, 120.8 and
/// 119.7 MB at those named here, there 144.7, 140.4, 136.5, 132.4, 128.1, 126.6, 124.4, 123.0 and 122.3 MB.
const LEVELS: [i32; 9] = [1, 1, 1, 2, 2, 3, 5, 6, 8];

/// Compresses one block at a time and is reused. Its memory is that of a libdeflate compressor and two blocks.
pub(super) struct BlockCompressor {
    compressor: Compressor,
    /// Uncompressed bytes of the block.
    pub(super) plain: Box<[u8]>,
    room: Box<[u8]>,
}

impl BlockCompressor {
    /// For a level from 1 to 9.
    pub(super) fn new(level: u8) -> io::Result<Self> {
        let level = LEVELS[usize::from(level.clamp(1, 9) - 1)];
        let level =
            CompressionLvl::new(level).map_err(|_| io::Error::other("libdeflate has no such level"))?;
        let mut compressor = Compressor::new(level);
        let room = BLOCK / STREAM * compressor.deflate_compress_bound(STREAM);
        Ok(Self { compressor, plain: vec![0; BLOCK].into(), room: vec![0; room].into() })
    }

    /// The first bytes of the block, compressed so that others can follow, the same to the same bytes.
    pub(super) fn compress(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut streams: Vec<&[u8]> = Vec::with_capacity(BLOCK / STREAM);
        let mut room = &mut self.room[..];
        for plain in self.plain[..length].chunks(STREAM) {
            let length = self.compressor.deflate_compress(plain, room).map_err(io::Error::other)?;
            let (stream, rest) = room.split_at_mut(length);
            streams.push(stream);
            room = rest;
        }
        join(&streams).ok_or_else(|| io::Error::other("what libdeflate made cannot be read"))
    }
}

/// An empty stored part, but for the three zeros of its header, up to which zeros fill a byte: where it ends, another
/// stream can begin.
const BOUNDARY: [u8; 4] = [0, 0, 0xff, 0xff];
/// A stream of nothing, which ends all that came before.
pub(super) const END: [u8; 2] = [3, 0];

/// Streams one behind the other, without the marks of their ends. `None` where one is not whole.
fn join(streams: &[&[u8]]) -> Option<Vec<u8>> {
    let size = streams.iter().map(|stream| stream.len() + 1 + BOUNDARY.len()).sum();
    let mut joined = Vec::with_capacity(size);
    for (stream, End { mark, length }) in streams.iter().zip(ends(streams)?) {
        if length.div_ceil(8) != stream.len() {
            return None;
        }
        let start = joined.len();
        joined.extend_from_slice(stream);
        joined[start + mark / 8] &= !(1 << (mark % 8));
        // What fills the last byte is zero, as the header of the boundary is.
        joined.resize(start + (length + 3).div_ceil(8), 0);
        joined.extend_from_slice(&BOUNDARY);
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::bufread::DeflateDecoder;

    use super::*;
    use crate::harness::random::Random;

    /// Contents that compress well, contents that do not, and changes between the two.
    fn contents() -> Vec<Vec<u8>> {
        let mut state = 1_u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let text = include_bytes!("walk.rs");
        let mixed = (0..BLOCK).map(|place| match place / 10_000 % 3 {
            0 => 0,
            1 => text[place % text.len()],
            _ => noise(),
        });
        let mut contents =
            vec![mixed.collect(), vec![7; BLOCK], text.repeat(30), b"one line".to_vec(), Vec::new()];
        contents.push((0..BLOCK - 1).map(|_| noise()).collect());
        // A few values only, whose codes are of very different lengths.
        contents.push((0..BLOCK).map(|_| noise() & noise() & noise() & noise()).collect());
        contents.push((0..=STREAM).map(|_| noise() % 3).collect());
        contents
    }

    /// Decompresses with another library, which must need all bytes.
    fn unpacked(mut bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        DeflateDecoder::new(&mut bytes).read_to_end(&mut plain).unwrap();
        assert_eq!(bytes.len(), 0);
        plain
    }

    fn compressed(content: &[u8], level: u8) -> Vec<u8> {
        let mut compressor = BlockCompressor::new(level).unwrap();
        compressor.plain[..content.len()].copy_from_slice(content);
        compressor.compress(content.len()).unwrap()
    }

    /// Compresses with libdeflate.
    fn stream(content: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::new(6).unwrap());
        let mut stream = vec![0; compressor.deflate_compress_bound(content.len())];
        let length = compressor.deflate_compress(content, &mut stream).unwrap();
        stream.truncate(length);
        stream
    }

    #[test]
    fn blocks_follow_each_other() {
        for level in [1, 5, 6, 9] {
            let (mut packed, mut plain) = (Vec::new(), Vec::new());
            for content in contents() {
                packed.extend(compressed(&content, level));
                plain.extend(content);
            }
            packed.extend(END);
            assert!(unpacked(&packed) == plain, "level {level}");
        }
    }

    /// Contents by chance, opened by zlib and by libdeflate, each of which must need every byte. `GZIP_CASES` says how
    /// many; the seed is fixed.
    #[test]
    fn zlib_and_libdeflate_open_whatever_was_joined() {
        let cases = std::env::var("GZIP_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut next = |limit: usize| random.below(limit);
        for case in 0..cases {
            let mut content = Vec::new();
            let length = next(2 * BLOCK) + next(64);
            // Stretches of noise of few or many values, of one byte, and of what stands further up.
            while content.len() < length {
                let magnitude = 1 + next(17);
                let stretch = 1 + next(1 << magnitude);
                match next(4) {
                    0 => content.extend(std::iter::repeat_n(u8::try_from(next(256)).unwrap(), stretch)),
                    1 if !content.is_empty() => {
                        let start = next(content.len());
                        let end = content.len().min(start + stretch);
                        content.extend_from_within(start..end);
                    }
                    kind => {
                        let values = if kind == 2 { 256 } else { 1 + next(20) };
                        content.extend((0..stretch).map(|_| u8::try_from(next(values)).unwrap()));
                    }
                }
            }
            content.truncate(length);
            let level = u8::try_from(1 + next(9)).unwrap();
            let mut joined = Vec::new();
            for block in content.chunks(BLOCK) {
                joined.extend(compressed(block, level));
            }
            joined.extend(END);
            assert!(unpacked(&joined) == content, "case {case}: {length} bytes at level {level}");
            let mut plain = vec![0; content.len() + 1];
            let opened = libdeflater::Decompressor::new().deflate_decompress(&joined, &mut plain).unwrap();
            assert!(plain[..opened] == content, "case {case}: {length} bytes at level {level}");
        }
    }

    #[test]
    fn streams_of_other_libraries_are_joined() {
        for content in contents() {
            for level in [0, 1] {
                let mut stream = Vec::new();
                let level = flate2::Compression::new(level);
                flate2::bufread::DeflateEncoder::new(&content[..], level).read_to_end(&mut stream).unwrap();
                let joined = join(&[&stream]).unwrap();
                assert!(unpacked(&[&joined[..], &END].concat()) == content);
            }
        }
    }

    #[test]
    fn truncated_streams_are_refused() {
        let whole = stream(&contents()[0][..20_000]);
        assert!(join(&[&whole]).is_some());
        for length in 0..whole.len() {
            assert!(join(&[&whole[..length]]).is_none(), "{length} of {} bytes", whole.len());
        }
        assert!(join(&[&[&whole[..], &[0]].concat()]).is_none());
        // Parts of the fourth kind, which there is not, and a stored one of more than there is.
        for wrong in [&[7][..], &[1, 9, 0, 0xf6, 0xff, 1, 2, 3]] {
            assert!(join(&[wrong]).is_none());
        }
    }

    #[test]
    fn malformed_streams_end() {
        let whole = stream(&contents()[0][5_000..30_000]);
        for place in 0..whole.len().min(4000) {
            let mut broken = whole.clone();
            broken[place] ^= 1 << (place % 8);
            // Either way; but not for ever, and without a panic.
            let _ = join(&[&broken, &whole]);
        }
    }
}
