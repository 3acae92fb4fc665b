//! Errors between a transfer and Amazon ECR.

use crate::image::{Digest, RepositoryName};
use crate::service;

/// Error of a repository of Amazon ECR.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service refused, or could not be reached.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// The repository does not exist.
    #[error("the repository {repository} does not exist: {source}")]
    NoRepository {
        /// The repository.
        repository: String,
        /// Error of the service.
        source: service::Error,
    },
    /// The service answered something that makes no sense.
    #[error("{operation} on {place} answered {answer}")]
    Answer {
        /// The repository.
        place: String,
        /// The operation.
        operation: &'static str,
        /// The invalid response.
        answer: String,
    },
    /// The service kept losing bytes.
    #[error("cannot upload blob {digest}: {reason}")]
    Upload {
        /// The blob.
        digest: Digest,
        /// Reason for the failure.
        reason: String,
    },
    /// A tag stays where it is.
    #[error(
        "{repository} has the tag {tag} for {found} already, and keeps it there (its tag mutability is {mutability}); \
         nothing was sent. Choose another tag for {wanted}"
    )]
    Immutable {
        /// The repository.
        repository: String,
        /// The tag.
        tag: String,
        /// The digest of the image that has it.
        found: Digest,
        /// The digest of the image that was to have it.
        wanted: Digest,
        /// Mutability of the repository's tags, as the service names it.
        mutability: String,
    },
    /// An image is archived, or being restored.
    #[error(
        "{image} of {repository} cannot be pulled: {reason}. `ecr restore {repository}{image} --wait` brings an archived \
         image back"
    )]
    Inaccessible {
        /// The repository.
        repository: RepositoryName,
        /// The tag or digest, with `:` or `@` in front.
        image: String,
        /// Message of the service.
        reason: String,
    },
    /// ECR cannot keep a blob without bytes.
    #[error(
        "blob {0} has no bytes, and Amazon ECR cannot store such a blob; build the image with the OCI empty \
         descriptor, the two bytes {{}}, in its place"
    )]
    Empty(Digest),
}
