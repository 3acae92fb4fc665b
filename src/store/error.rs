//! Errors of stores.

use std::io;
use std::path::Path;

use super::{docker_engine, ecr, registry};
use crate::image::{self, Descriptor, Digest};

/// Error of a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A digest, a manifest or a reference is wrong.
    #[error("{place}: {source}")]
    Image {
        /// Display name of the store or file.
        place: String,
        /// The cause.
        source: image::Error,
    },
    /// The operating system refused.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// A verb.
        doing: &'static str,
        /// The file or folder.
        path: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A store is not usable.
    #[error("{place} {reason}")]
    Place {
        /// The file or folder.
        place: String,
        /// The finding and the expectation.
        reason: String,
    },
    /// A blob or a manifest that something else lists is not there.
    #[error("{place} has no {what} {digest}")]
    Missing {
        /// Display name of the store.
        place: String,
        /// `blob` or `manifest`.
        what: &'static str,
        /// Its digest.
        digest: Digest,
    },
    /// No image of this name.
    #[error("{place} has no image {name}{instead}")]
    NoImage {
        /// Display name of the store.
        place: String,
        /// The tag or digest.
        name: String,
        /// Suggestion, with punctuation in front; may be empty.
        instead: String,
    },
    /// Bytes do not have the digest that they go by.
    #[error("{what} {digest} in {place} is damaged: its bytes have the digest {found}")]
    Mismatch {
        /// Source of the bytes.
        place: String,
        /// `blob` or `manifest`.
        what: &'static str,
        /// The digest that they should have.
        digest: Digest,
        /// The digest that they have.
        found: Digest,
    },
    /// The number of bytes differs from the manifest's.
    #[error("blob {digest} in {place} is damaged: it has {found} bytes, and its manifest says {expected}")]
    Size {
        /// Source of the bytes.
        place: String,
        /// The blob.
        digest: Digest,
        /// The size in the manifest.
        expected: u64,
        /// Size found, as half a sentence: `12`, or `more than 12`.
        found: String,
    },
    /// A file was written to while it was read.
    #[error("{path} changed while it was read; nothing was taken from it, so run the command again")]
    Changed {
        /// The file.
        path: String,
    },
    /// A blob could not be downloaded.
    #[error("cannot download blob {digest}: {reason}")]
    Download {
        /// The blob.
        digest: Digest,
        /// Reason for the failure.
        reason: String,
    },
    /// Something about a repository of Amazon ECR.
    #[error(transparent)]
    Ecr(#[from] ecr::Error),
    /// Something about a docker engine.
    #[error(transparent)]
    Engine(#[from] docker_engine::Error),
    /// Something about another registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl Error {
    /// Error of the operating system, with the attempted action and the path.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { doing, path, source }
    }

    /// A wrong digest, manifest or reference, with where it was found.
    pub fn image(place: impl Into<String>) -> impl FnOnce(image::Error) -> Self {
        let place = place.into();
        move |source| Self::Image { place, source }
    }

    /// Error of a blob whose size differs from the manifest's.
    pub fn size(place: impl Into<String>, blob: &Descriptor, found: impl Into<String>) -> Self {
        Self::Size {
            place: place.into(),
            digest: blob.digest.clone(),
            expected: blob.size,
            found: found.into(),
        }
    }
}
