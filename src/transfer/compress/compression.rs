//! Method and level of a compression, and the compression in a layer's media type.

use std::fmt;
use std::str::FromStr;

use super::Layer;
use super::cache::CompressionCache;
use super::rewrite;
use crate::image::{Descriptor, Digest};

/// Compression method of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Gzip, which every runtime reads.
    Gzip,
    /// Smaller and faster, for runtimes since about 2021.
    Zstd,
    /// None, as every docker engine loads it; it has no name on the command line.
    Uncompressed,
}

/// Compression method and level as written on the command line: `gzip`, `zstd:19`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// Compression method.
    pub method: Method,
    /// Compression level; `None` for the method's usual level, and then layers that have this form already stay as they
    /// are.
    pub level: Option<u8>,
}

impl Compression {
    /// Default for uncompressed layers of docker archives and engines.
    pub(super) const USUAL: Self = Self { method: Method::Gzip, level: None };
    /// Method for layers that older docker engines cannot load.
    pub(super) const UNCOMPRESSED: Self = Self { method: Method::Uncompressed, level: None };

    /// Returns the level to use: the usual ones of skopeo and crane's compressor, and of zstd's own tool.
    pub(super) fn effort(self) -> u8 {
        self.level.unwrap_or(match self.method {
            Method::Gzip => 5,
            Method::Zstd => 3,
            Method::Uncompressed => 0,
        })
    }

    /// Cache key of a layer's compressed form: a digest of everything that determines its bytes.
    pub(super) fn name(self, layer: &Layer) -> Digest {
        let (version, method, effort) = (env!("CARGO_PKG_VERSION"), self.method.name(), self.effort());
        let mut name = format!("ecr {version} {method}:{effort} {}", layer.blob.digest);
        for identity in &layer.diff_ids {
            name = format!("{name} {identity}");
        }
        Digest::of(name.as_bytes())
    }

    /// Returns the descriptor of a layer's compressed form, if the cache has it.
    pub(super) fn known(self, layer: &Layer, cache: Option<&CompressionCache>) -> Option<Descriptor> {
        let (digest, size) = cache?.find(&self.name(layer))?;
        Some(rewrite::layer(&layer.blob, self.method, digest, size))
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

    /// The encoding of layers that this method compressed; `None` for none that has a name of its own.
    pub(super) fn form(self) -> Option<LayerEncoding> {
        match self {
            Self::Gzip => Some(LayerEncoding::Gzip),
            Self::Zstd => Some(LayerEncoding::Zstd),
            Self::Uncompressed => None,
        }
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

/// Compression of a layer, as its media type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LayerEncoding {
    Uncompressed,
    Gzip,
    Zstd,
    /// In a format that only docker archives have.
    XzOrBzip2,
}

impl LayerEncoding {
    /// Returns the compression; `None` for content that is no layer of a file system, or lies elsewhere.
    pub(super) fn of(media_type: &str) -> Option<Self> {
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
