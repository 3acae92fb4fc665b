//! Events of a transfer, for a progress display.

pub use crate::image::{Descriptor, Digest};

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The plan is complete.
    Planned {
        /// Blobs to move.
        blobs: usize,
        /// Their bytes.
        bytes: u64,
        /// Blobs that the destination has already.
        present: usize,
    },
    /// The transfer of a blob has begun.
    Started(&'a Descriptor),
    /// So many of a blob's bytes have arrived, less than before where some were lost.
    Arrived {
        /// The blob.
        digest: &'a Digest,
        /// Number of its bytes that have arrived.
        position: u64,
    },
    /// A blob arrived whole.
    Finished(&'a Descriptor),
    /// A manifest arrived.
    Manifest(&'a Digest),
    /// The transfer is slow for a reason; `None` if it no longer is.
    Slow(Option<Reason>),
    /// So many bytes had to be moved once more: connections broke, or the other end failed.
    Again(u64),
}

/// Reason for a slow transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The other end asks for fewer requests.
    Throttled,
    /// Requests fail and are repeated.
    Failing,
    /// Nothing arrives or is taken.
    Waiting,
    /// Layers are compressed.
    Compressing,
    /// Files that are here already are hashed.
    Hashing,
}

impl Reason {
    /// Describes the reason in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Failing => "repeating what failed",
            Self::Waiting => "waiting for the registry",
            Self::Compressing => "compressing",
            Self::Hashing => "hashing what is here already",
        }
    }
}

/// Observer of a transfer, called from several tasks at once.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn hear(&self, event: Event<'_>);
}

/// Observer that does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn hear(&self, _event: Event<'_>) {}
}
