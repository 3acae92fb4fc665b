//! OCI types: digest, descriptor, manifest, reference, platform. Pure: no files, no network; imports only `escape`.

mod descriptor;
mod digest;
pub mod glob;
pub mod graph;
pub mod host;
mod manifest;
pub mod media_type;
pub mod mutability;
mod name;
mod platform;
mod reference;

pub use descriptor::Descriptor;
pub(crate) use descriptor::null_is_default;
pub use digest::{Algorithm, Digest, Hasher};
pub use manifest::{Content, MAXIMUM_MANIFEST, Manifest};
pub use name::{RepositoryName, Tag};
pub use platform::Platform;
pub use reference::{Name, Reference, Registry};

use crate::escape::escape;

/// Error in a digest, a manifest, a platform or a reference.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Text that should be a digest is none.
    #[error(
        "'{}' is not a digest; expected 'sha256:' and 64, or 'sha512:' and 128, lower-case hexadecimal digits",
        escape(_0)
    )]
    Digest(String),
    /// Text that should be a tag is none.
    #[error(
        "'{}' is not a tag; expected up to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'",
        escape(_0)
    )]
    Tag(String),
    /// Text that should be a repository's name is none.
    #[error("'{}' is not a repository name: {reason}", escape(text))]
    Repository {
        /// The text as it was given.
        text: String,
        /// The problem.
        reason: &'static str,
    },
    /// Text that should be a platform is none.
    #[error(
        "'{}' is not a platform; expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64, and for \
         Windows also OS/ARCHITECTURE:VERSION",
        escape(_0)
    )]
    Platform(String),
    /// Text that should be a reference is none.
    #[error(
        "'{}' is not an image reference: {}; expected REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST, with or without an ECR host and '/' in front",
        escape(text),
        escape(reason)
    )]
    Reference {
        /// The text as it was given.
        text: String,
        /// The problem.
        reason: String,
    },
    /// A manifest that cannot be used.
    #[error("manifest {digest}: {reason}")]
    Manifest {
        /// The digest of the bytes, wrong as they may be.
        digest: Digest,
        /// The problem.
        reason: String,
    },
    /// More bytes than any registry takes.
    #[error("a manifest of {0} bytes is larger than the {MAXIMUM_MANIFEST} bytes that registries take")]
    TooLarge(u64),
}
