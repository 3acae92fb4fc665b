//! The Store trait and its homes: everything that keeps images, seen as blobs, manifests and tags.
//!
//! A store is asked in one order: [`Store::manifest`] on the source; then on the destination [`Store::image_tags`],
//! [`Store::prepare`], [`Store::write`] for each blob (several at once), [`Store::put_manifest`] for the children of
//! an index, [`Store::put_image`], [`Store::put_referrer`] for what is about the image, [`Store::finish`]. Nothing may become visible in a store that was not verified.

mod archive;
mod archive_path;
mod buffers;
mod docker;
mod download;
pub mod ecr;
pub mod engine;
mod error;
mod files;
pub(crate) mod folder;
mod http;
mod index;
mod journal;
mod layout;
mod list_walk;
mod listing;
pub mod memory;
mod partial;
mod pending;
pub mod registry;
mod stream;
mod verified;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use archive::{ArchiveReader, ArchiveStream, ArchiveWriter};
pub use archive_path::{ArchivePath, Format};
pub use buffers::{Buffers, DEFAULT_MEMORY, LEAST_MEMORY};
pub use docker::DockerReader;
pub use ecr::Ecr;
pub use engine::Engine;
pub use error::Error;
pub use folder::private_temporary;
pub use journal::Journal;
pub use layout::Layout;
pub use list_walk::ListWalk;
pub use listing::{ImageListing, TagListing, Unreadable};
pub use memory::Memory;
pub use pending::PendingBlob;
pub use registry::Remote;
pub use stream::{Source, Stream};
pub use verified::VerifiedBlobs;

use crate::image::{Descriptor, Digest, Manifest, Name, Tag};

/// What a store's methods answer, sooner or later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Whether a tag is one of those that are meant.
pub type Chosen = dyn Fn(&str) -> bool + Send + Sync;

/// How a blob came to be in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Its bytes were moved.
    Moved,
    /// Somebody else had put it there by the time ours arrived.
    Present,
}

/// What is left of a transfer that ended early, for the next one to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// The beginning of something that was to be read from its first byte to its last, and is no use.
    Beginning,
    /// The blobs that arrived whole.
    Blobs,
    /// Every byte that arrived.
    Bytes,
}

/// A place that keeps images.
pub trait Store: Send + Sync {
    /// What messages call this place.
    fn name(&self) -> String;

    /// The manifest of this name. Its bytes were checked against the digest that they go by.
    fn manifest<'a>(&'a self, name: &'a Name) -> Answer<'a, Manifest>;

    /// The blob's bytes from an offset on, unchecked: [`Stream`] checks them.
    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> Answer<'a, Box<dyn Reader>>;

    /// The tags of an image that is here with everything it lists; `None` where it is not, or where that is not
    /// known, as in files: others write layouts and archives too, and not all of them write manifests last.
    fn image_tags<'a>(&'a self, _digest: &'a Digest) -> Answer<'a, Option<Vec<String>>> {
        Box::pin(async { Ok(None) })
    }

    /// Gets ready to take these blobs, in this order, and answers which of them it lacks. What it can never take is
    /// refused here, before anything moves.
    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> Answer<'a, HashSet<Digest>>;

    /// Which of these blobs it lacks, where nothing may change yet.
    fn missing<'a>(&'a self, blobs: &'a [Descriptor]) -> Answer<'a, HashSet<Digest>> {
        self.prepare(blobs)
    }

    /// Takes a blob. It is verified before it is here for anybody to see.
    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> Answer<'a, Written>;

    /// Takes what there is of a blob that is still being made, until it is whole, so that [`Store::write`] has less to
    /// do: where that comes from a [`Source::with_pending`] by this. What fails here fails there again, and is told there.
    fn begin<'a>(&'a self, _pending: &'a PendingBlob) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    /// Forgets what has begun and was stopped: nobody wants the blob.
    fn abandon<'a>(&'a self, _pending: &'a PendingBlob) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    /// Takes a manifest that an index will list.
    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> Answer<'a, ()>;

    /// Takes the manifest that everything was for, under these tags, or by its digest alone. Docker's own places take
    /// `REPOSITORY:TAG` too.
    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> Answer<'a, ()>;

    /// Of these tags those that name this image for certain, where the tags of an image cannot be listed but a tag can
    /// be looked up.
    fn tags_naming<'a>(&'a self, _digest: &'a Digest, _tags: &'a [String]) -> Answer<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Whether its blobs are files of this machine that go by their digests. A destination that computes digests itself
    /// may take them as they are.
    fn is_local(&self) -> bool {
        false
    }

    /// Finds out before anything moves whether an image may have these tags; what cannot be known is no objection.
    fn check_tags<'a>(&'a self, _digest: &'a Digest, _tags: &'a [String]) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// What says that it is about this manifest: signatures, bills of materials, attestations.
    fn referrers<'a>(&'a self, _subject: &'a Digest) -> Answer<'a, Vec<Descriptor>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Of what is about this manifest the part that is here with everything it lists and needs nothing more to be
    /// found; nothing where that is not known, as in files.
    fn existing_referrers<'a>(&'a self, _subject: &'a Digest) -> Answer<'a, HashSet<Digest>> {
        Box::pin(async { Ok(HashSet::new()) })
    }

    /// Takes a manifest that is about another one, so that it is found from there.
    fn put_referrer<'a>(&'a self, manifest: &'a Manifest) -> Answer<'a, ()> {
        self.put_image(manifest, &[])
    }

    /// The registry's host and the repository, where this is one that can take blobs over from its neighbours.
    fn mount_source(&self) -> Option<(&str, &str)> {
        None
    }

    /// Whether images are kept as docker keeps them: each for one platform, and with layers that nobody has compressed
    /// for sending yet.
    fn is_docker(&self) -> bool {
        false
    }

    /// Whether blobs are sent far away to get there.
    fn is_remote(&self) -> bool {
        false
    }

    /// Whether it takes one blob after another.
    fn is_sequential(&self) -> bool {
        false
    }

    /// All tags, where this place can list them.
    fn tags(&self) -> Answer<'_, TagListing> {
        let reason = "cannot list its tags".to_owned();
        Box::pin(async { Err(Error::Place { place: self.name(), reason }) })
    }

    /// The tags that are chosen, each with the digest that it names; `None` where there is no such repository. The
    /// listing is complete: what may be cut short or is no listing is an error.
    fn tags_with_digests<'a>(&'a self, _chosen: &'a Chosen) -> Answer<'a, Option<ImageListing>> {
        let reason = "cannot list its tags".to_owned();
        Box::pin(async { Err(Error::Place { place: self.name(), reason }) })
    }

    /// Takes tags away; an image goes with its last one where the place has it so.
    fn untag<'a>(&'a self, _tags: &'a [Tag]) -> Answer<'a, ()> {
        let reason = "cannot delete tags".to_owned();
        Box::pin(async { Err(Error::Place { place: self.name(), reason }) })
    }

    /// What it keeps of a transfer that ends early.
    fn keeps(&self) -> Kept {
        Kept::Nothing
    }

    /// Everything was taken.
    fn finish(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// A store that several tasks share.
pub type Shared = Arc<dyn Store>;

/// Bytes to read, from the front to the end.
pub trait Reader: Send {
    /// Appends the next bytes to `buffer`: `limit` of them, fewer only at the end.
    fn read(&mut self, buffer: Vec<u8>, limit: usize) -> Answer<'_, Vec<u8>>;

    /// What happened to the content since it was opened, asked when the bytes turned out to be wrong.
    fn suspicion(&self) -> Option<Error> {
        None
    }
}
