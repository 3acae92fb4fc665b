//! The [`Store`] trait and its implementations: anything that stores images as blobs, manifests and tags.
//!
//! A store is asked in one order: [`Store::manifest`] on the source; then on the destination [`Store::image_tags`],
//! [`Store::prepare`], [`Store::write`] for each blob (several at once), [`Store::put_manifest`] for the children of
//! an index, [`Store::put_image`], [`Store::put_referrer`] for its referrers, [`Store::finish`]. Nothing
//! unverified may become visible in a store.

mod archive;
mod archive_path;
mod buffers;
pub mod compression_format;
mod connections;
mod docker;
pub mod docker_engine;
mod download;
pub mod ecr;
mod error;
mod files;
pub(crate) mod folder;
mod http;
mod index;
mod journal;
mod lanes;
mod layout;
mod list_walk;
mod listing;
pub mod memory;
mod partial;
mod pending;
mod ranges;
pub mod registry;
mod resolver;
mod retries;
pub mod scheme;
mod stream;
mod verified;

use std::collections::HashSet;
use std::ops::Add;
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use archive::{ArchiveReader, ArchiveStream, ArchiveWriter};
pub use archive_path::{ArchivePath, Format, NoName};
pub use buffers::{Buffers, DEFAULT_MEMORY, MIN_MEMORY};
pub use docker::DockerReader;
pub use docker_engine::Engine;
pub use ecr::Ecr;
pub use error::Error;
pub use folder::private_temporary;
pub use journal::Journal;
pub use layout::Layout;
pub use list_walk::{ListWalk, TokenPages};
pub use listing::{ImageListing, TagListing, Unreadable};
pub use memory::Memory;
pub use pending::PendingBlob;
pub use registry::Remote;
pub use scheme::Capabilities;
pub use stream::{Source, Stream};
pub use verified::VerifiedBlobs;

use crate::image::{Descriptor, Digest, Manifest, Name, Tag};

/// Result of a store's asynchronous method.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Predicate that selects tags.
pub type TagFilter = dyn Fn(&str) -> bool + Send + Sync;

/// Result of writing a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Its bytes were transferred.
    Moved,
    /// Another client had written it in the meantime.
    Present,
}

/// Requests that did not succeed at once, and were repeated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retries {
    /// Number of requests that were throttled.
    pub throttled: u64,
    /// Number of requests that failed otherwise.
    pub failed: u64,
}

impl Retries {
    /// All of them.
    pub fn all(self) -> u64 {
        self.throttled + self.failed
    }
}

impl Add for Retries {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { throttled: self.throttled + other.throttled, failed: self.failed + other.failed }
    }
}

/// State that a store keeps of an interrupted transfer, so that the next one can resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeState {
    /// Nothing.
    Nothing,
    /// The beginning of a stream, which is of no use.
    Beginning,
    /// Blobs that arrived completely.
    Blobs,
    /// Every byte that arrived, incomplete blobs included.
    Bytes,
}

/// Store of images: a registry, layout, archive or docker engine. Without the methods that write (`prepare`,
/// `write`, `put_manifest`, `put_image`) it is read-only.
pub trait Store: Send + Sync {
    /// Display name for messages.
    fn name(&self) -> String;

    /// Reads a manifest, whose bytes are verified against its digest.
    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest>;

    /// Returns the entries of a name, of which a store may have several: then a platform chooses among them.
    fn candidates<'a>(&'a self, _name: &'a Name) -> StoreFuture<'a, Vec<Descriptor>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Returns the manifests below an index that are not completely present, if a store may lack some and can tell at
    /// once.
    fn absent<'a>(&'a self, _manifest: &'a Manifest) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async { Ok(HashSet::new()) })
    }

    /// Opens a blob at an offset. The bytes are not verified here but in [`Stream`].
    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>>;

    /// Like [`Store::open`], with memory for reading ahead.
    fn open_ahead<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
        _buffers: &'a Arc<Buffers>,
    ) -> StoreFuture<'a, Box<dyn Reader>> {
        self.open(blob, offset)
    }

    /// Returns the tags of a completely stored image, or `None` if it is incomplete or the store cannot tell: in
    /// layouts and archives a manifest may precede its blobs, since not all programs write it last.
    fn image_tags<'a>(&'a self, _digest: &'a Digest) -> StoreFuture<'a, Option<Vec<String>>> {
        Box::pin(async { Ok(None) })
    }

    /// Plans the upload of `blobs` (in this order) and returns those that are missing. Fails, before anything is
    /// transferred, if the store can never take one of them.
    fn prepare<'a>(&'a self, _blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async { Err(read_only(self)) })
    }

    /// Returns the blobs that are missing, without changing anything.
    fn missing<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        self.prepare(blobs)
    }

    /// Writes a blob, which becomes visible only after verification.
    fn write<'a>(&'a self, _blob: &'a Descriptor, _source: &'a Source) -> StoreFuture<'a, Written> {
        Box::pin(async { Err(read_only(self)) })
    }

    /// Uploads a [`PendingBlob`] as far as it has been produced, until it is complete. [`Store::write`] of a
    /// [`Source::with_pending`] resumes from there; a failure here occurs there again and is reported there.
    fn begin<'a>(&'a self, _pending: &'a PendingBlob) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    /// Discards the upload of a [`PendingBlob`] that was stopped.
    fn abandon<'a>(&'a self, _pending: &'a PendingBlob) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    /// Writes a manifest that an index will list.
    fn put_manifest<'a>(&'a self, _manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(async { Err(read_only(self)) })
    }

    /// Writes the manifest of the image under these tags, or by its digest alone if there are none. Docker's archives
    /// and engines take `REPOSITORY:TAG` too.
    fn put_image<'a>(&'a self, _manifest: &'a Manifest, _tags: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async { Err(read_only(self)) })
    }

    /// Returns those of `tags` that name this image, in stores that cannot list an image's tags but can look up a tag.
    fn tags_naming<'a>(&'a self, _digest: &'a Digest, _tags: &'a [String]) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Returns the capabilities of this kind of store.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Fails if the image certainly cannot get these tags, immutable ones for example, before anything is transferred.
    fn check_tags<'a>(&'a self, _digest: &'a Digest, _tags: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Lists the referrers of a manifest: signatures, bills of materials, attestations.
    fn referrers<'a>(&'a self, _subject: &'a Digest) -> StoreFuture<'a, Vec<Descriptor>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Returns the referrers of a manifest that are completely stored and listed; none if the store cannot tell, as in
    /// files.
    fn existing_referrers<'a>(&'a self, _subject: &'a Digest) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async { Ok(HashSet::new()) })
    }

    /// Writes a manifest with a `subject`, so that it is listed among the subject's referrers.
    fn put_referrer<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        self.put_image(manifest, &[])
    }

    /// Host and repository from which other repositories of the registry can mount blobs (OCI distribution 1.1,
    /// "Mounting a blob from another repository"); `None` for other stores.
    fn mount_source(&self) -> Option<(&str, &str)> {
        None
    }

    /// Lists all tags; an error if the store cannot.
    fn tags(&self) -> StoreFuture<'_, TagListing> {
        let reason = "cannot list its tags".to_owned();
        Box::pin(async { Err(Error::Place { place: self.name(), reason }) })
    }

    /// Lists the chosen tags, each with its digest; `None` if there is no such repository. A listing that may be
    /// incomplete is an error.
    fn tags_with_digests<'a>(&'a self, _chosen: &'a TagFilter) -> StoreFuture<'a, Option<ImageListing>> {
        let reason = "cannot list its tags".to_owned();
        Box::pin(async { Err(Error::Place { place: self.name(), reason }) })
    }

    /// Deletes tags. Where the store works that way, an image is deleted with its last tag.
    fn untag<'a>(&'a self, _tags: &'a [Tag]) -> StoreFuture<'a, ()> {
        let reason = "cannot delete tags".to_owned();
        Box::pin(async { Err(Error::Place { place: self.name(), reason }) })
    }

    /// Counts the requests so far that were throttled or failed, and were repeated: when they grow, fewer blobs move at
    /// once.
    fn retries(&self) -> Retries {
        Retries::default()
    }

    /// Returns whether present files are being hashed.
    fn is_hashing(&self) -> bool {
        false
    }

    /// State that remains of a transfer that ends early.
    fn keeps(&self) -> ResumeState {
        ResumeState::Nothing
    }

    /// Finishes the transfer, for example by writing an archive's index.
    fn finish(&self) -> StoreFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn read_only(store: &(impl Store + ?Sized)) -> Error {
    Error::Place { place: store.name(), reason: "can only be read".to_owned() }
}

/// A store that several tasks share.
pub type Shared = Arc<dyn Store>;

/// Bytes to read, from the front to the end.
pub trait Reader: Send {
    /// Appends the next bytes to `buffer`: `limit` of them, fewer only at the end.
    fn read(&mut self, buffer: Vec<u8>, limit: usize) -> StoreFuture<'_, Vec<u8>>;

    /// Returns an explanation of wrong bytes, such as a file that was changed since it was opened.
    fn suspicion(&self) -> Option<Error> {
        None
    }
}
