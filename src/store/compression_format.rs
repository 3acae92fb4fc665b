//! Compression of archives and layers, detected by their first bytes, whatever their names.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

/// The most memory, in KiB, that xz may ask for: `xz -9` needs 65 MiB, and nothing that people make needs more.
const XZ_MEMORY: u32 = 128 * 1024;

/// Compression format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionFormat {
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// xz.
    Xz,
    /// bzip2, which is known by name only.
    Bzip2,
}

impl CompressionFormat {
    /// Finds it by the beginning of a content; `None` where that is not compressed.
    pub fn detect(front: &[u8]) -> Option<Self> {
        match front {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // The second may come first: a frame that says something to somebody else.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bzip2),
            _ => None,
        }
    }

    /// The end of a layer's media type.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => "+gzip",
            Self::Zstd => "+zstd",
            Self::Xz => "+xz",
            Self::Bzip2 => "+bzip2",
        }
    }

    /// Returns a reader of the content of `compressed`, which may have several members.
    pub fn reader<'a>(self, compressed: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(compressed)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(compressed)?),
            Self::Xz => Box::new(XzReader::new_mem_limit(compressed, true, XZ_MEMORY)),
            Self::Bzip2 => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "it is compressed with bzip2, which is not supported; decompress it first",
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'some text\n' | xz`, by xz 5.4.
    const XZ: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x16,
        0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x09, 0x73, 0x6f, 0x6d, 0x65, 0x20, 0x74, 0x65,
        0x78, 0x74, 0x0a, 0x00, 0x00, 0x00, 0x80, 0x41, 0x49, 0x0d, 0x11, 0xda, 0xfe, 0x1b, 0x00, 0x01, 0x22,
        0x0a, 0x15, 0x1a, 0xe1, 0x67, 0x1f, 0xb6, 0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
    ];

    #[test]
    fn compressors_are_known_by_their_first_bytes() {
        for (front, format) in [
            (&[0x1f, 0x8b, 8][..], Some(CompressionFormat::Gzip)),
            (&[0x28, 0xb5, 0x2f, 0xfd], Some(CompressionFormat::Zstd)),
            (XZ, Some(CompressionFormat::Xz)),
            (b"BZh91AY", Some(CompressionFormat::Bzip2)),
            (b"BZip", None),
            (b"", None),
        ] {
            assert_eq!(CompressionFormat::detect(front), format);
        }
    }

    #[test]
    fn xz_is_read_and_may_not_ask_for_all_memory() {
        let read = |bytes: &[u8]| {
            let mut plain = String::new();
            CompressionFormat::Xz.reader(bytes)?.read_to_string(&mut plain).map(|_| plain)
        };
        assert_eq!(read(XZ).unwrap(), "some text\n");
        assert_eq!(read(&[XZ, XZ].concat()).unwrap(), "some text\nsome text\n");
        assert!(read(&XZ[..XZ.len() - 1]).is_err(), "the end is missing");
        // The size of the dictionary is a byte of the block's header: here 4 GiB, with the sum mended.
        let mut greedy = XZ.to_vec();
        greedy[16] = 40;
        let sum = crc32(&greedy[12..20]).to_le_bytes();
        greedy[20..24].copy_from_slice(&sum);
        assert_eq!(read(&greedy).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    }
}
