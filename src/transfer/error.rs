//! Errors of transfers.

use crate::image::{Digest, Platform};
use crate::store;

/// Error of a transfer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the two stores cannot go on.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is no image for a platform.
    #[error("{place} has no image for {wanted}; it has {offered}")]
    NoPlatform {
        /// The source.
        place: String,
        /// Requested platform.
        wanted: Platform,
        /// The platforms that the image has.
        offered: String,
    },
    /// An index lists images whose content is not there.
    #[error(
        "{place} has only a part of {digest}: its index lists {absent} without the content; choose what it has with \
         {present}"
    )]
    Incomplete {
        /// The source.
        place: String,
        /// The index.
        digest: Digest,
        /// The platforms whose content is missing.
        absent: String,
        /// The options that choose the others.
        present: String,
    },
    /// Several images of one name are for the same platform.
    #[error("{place} has several images for {wanted}: {one} and {other}; choose one by its digest")]
    Ambiguous {
        /// The source.
        place: String,
        /// Requested platform.
        wanted: String,
        /// One of them.
        one: Digest,
        /// Another one.
        other: Digest,
    },
    /// The image is not the one that it should be.
    #[error("{place} has {found}, expected {expected}")]
    OtherDigest {
        /// The source.
        place: String,
        /// The digest it has.
        found: Digest,
        /// Requested digest.
        expected: Digest,
    },
    /// The destination is docker's, and the image is not one of docker's.
    #[error("{place} cannot take {digest}: {reason}")]
    NotForDocker {
        /// The destination.
        place: String,
        /// The manifest.
        digest: Digest,
        /// Reason for the failure.
        reason: &'static str,
    },
    /// An index lists content other than manifests, and the destination takes no such index.
    #[error(
        "{place} cannot take {digest}: it is an index of {listed}, and Amazon ECR takes indexes of images only; a build \
         cache of buildkit is exported for it with --cache-to type=registry,image-manifest=true"
    )]
    NoImagesInIndex {
        /// The destination.
        place: String,
        /// The index.
        digest: Digest,
        /// The media type of something that it lists.
        listed: String,
    },
    /// Indexes list indexes without an end in sight.
    #[error("{place}: index {digest} is nested too deeply")]
    TooDeep {
        /// The source.
        place: String,
        /// The index at which it was too much.
        digest: Digest,
    },
    /// An image has more manifests than fit.
    #[error("{place}: the image's manifests have more than {limit} bytes together")]
    TooMuch {
        /// The source.
        place: String,
        /// Limit in bytes.
        limit: usize,
    },
    /// A configuration is of no use.
    #[error("the configuration of image {digest} in {place} cannot be used: {reason}")]
    Configuration {
        /// The source.
        place: String,
        /// The image's manifest.
        digest: Digest,
        /// The reason.
        reason: String,
    },
    /// A compressed layer is damaged.
    #[error("layer {digest} in {place} cannot be decompressed: {reason}")]
    Unpack {
        /// The source.
        place: String,
        /// The layer.
        digest: Digest,
        /// The decompressor's message.
        reason: String,
    },
    /// A layer is not the one that its image was made with.
    #[error(
        "layer {digest} in {place} decompresses to {found}, and its image's configuration says {expected}"
    )]
    DiffIdMismatch {
        /// The source.
        place: String,
        /// The layer.
        digest: Digest,
        /// Digest of its content.
        found: Digest,
        /// The digest in the configuration.
        expected: Digest,
    },
    /// An image has more referrers than is sensible.
    #[error("{place}: too many referrers, or referrers of referrers, of {digest}; copy it without them")]
    TooManyReferrers {
        /// The source.
        place: String,
        /// Digest of their subject.
        digest: Digest,
    },
    /// The program is broken.
    #[error("the transfer of a blob ended unexpectedly: {0}")]
    Task(tokio::task::JoinError),
}
