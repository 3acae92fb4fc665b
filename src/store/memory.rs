//! Images in memory: for tests, ours and those of programs that use this crate.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Error, Reader, Source, Store, StoreFuture, Written};
use crate::image::{Descriptor, Digest, Manifest, Name};

/// A store that lasts as long as the process.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<Digest, Bytes>,
    manifests: HashMap<Digest, Manifest>,
    tags: HashMap<String, Digest>,
    images: HashSet<Digest>,
}

impl Memory {
    /// A store without anything.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a blob and answers a descriptor of it.
    pub fn add_blob(&self, media_type: &str, bytes: impl Into<Bytes>) -> Descriptor {
        let bytes = bytes.into();
        let blob = Descriptor::new(media_type, Digest::of(&bytes), bytes.len() as u64);
        self.state().blobs.insert(blob.digest.clone(), bytes);
        blob
    }

    /// Stores bytes under a digest without verifying it.
    pub fn insert_unverified(&self, digest: &Digest, bytes: impl Into<Bytes>) {
        self.state().blobs.insert(digest.clone(), bytes.into());
    }

    /// The bytes of a blob.
    pub fn blob(&self, digest: &Digest) -> Option<Bytes> {
        self.state().blobs.get(digest).cloned()
    }

    /// Returns all tags and their digests, in the order of the tags.
    pub fn tags(&self) -> Vec<(String, Digest)> {
        let mut tags: Vec<_> = self.state().tags.clone().into_iter().collect();
        tags.sort();
        tags
    }

    fn keep(&self, manifest: &Manifest) {
        self.state().manifests.insert(manifest.digest().clone(), manifest.clone());
    }

    fn missing(&self, what: &'static str, digest: &Digest) -> Error {
        Error::Missing { place: self.name(), what, digest: digest.clone() }
    }
}

/// Reader of bytes in memory.
pub(super) struct BytesReader(Bytes);

impl BytesReader {
    pub(super) fn new(bytes: &Bytes, offset: u64) -> Self {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Self(bytes.slice(offset..))
    }
}

impl Reader for BytesReader {
    fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> StoreFuture<'_, Vec<u8>> {
        let next = self.0.split_to(limit.min(self.0.len()));
        buffer.extend_from_slice(&next);
        Box::pin(async { Ok(buffer) })
    }
}

impl Store for Memory {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest> {
        Box::pin(async move {
            let state = self.state();
            let digest = match name {
                Name::Digest(digest) => Some(digest),
                Name::Tag(tag) => state.tags.get(tag.as_str()),
                Name::Unnamed => state.images.iter().next(),
            };
            let found = digest.and_then(|digest| state.manifests.get(digest)).cloned();
            let (place, name) = (self.name(), name.to_string());
            found.ok_or(Error::NoImage { place, name, instead: String::new() })
        })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(async move {
            let bytes = self.blob(&blob.digest).ok_or_else(|| self.missing("blob", &blob.digest))?;
            Ok(Box::new(BytesReader::new(&bytes, offset)) as Box<dyn Reader>)
        })
    }

    fn image_tags<'a>(&'a self, digest: &'a Digest) -> StoreFuture<'a, Option<Vec<String>>> {
        Box::pin(async move {
            let state = self.state();
            let tags = state.tags.iter().filter(|(_, named)| *named == digest);
            let tags = tags.map(|(tag, _)| tag.clone()).collect();
            Ok(state.images.contains(digest).then_some(tags))
        })
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move {
            let digests = blobs.iter().map(|blob| blob.digest.clone());
            Ok(digests.filter(|digest| self.blob(digest).is_none()).collect())
        })
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> StoreFuture<'a, Written> {
        Box::pin(async move {
            let mut stream = source.stream().await?;
            let size = usize::try_from(blob.size).unwrap_or(usize::MAX);
            let bytes = stream.read(Vec::new(), size).await?;
            stream.verify().await?;
            source.arrived(blob.size);
            self.insert_unverified(&blob.digest, bytes);
            Ok(Written::Moved)
        })
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            for blob in manifest.blobs() {
                self.blob(&blob.digest).ok_or_else(|| self.missing("blob", &blob.digest))?;
            }
            for child in manifest.children() {
                let known = self.state().manifests.contains_key(&child.digest);
                known.then_some(()).ok_or_else(|| self.missing("manifest", &child.digest))?;
            }
            self.keep(manifest);
            Ok(())
        })
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> StoreFuture<'a, Vec<Descriptor>> {
        Box::pin(async move {
            let state = self.state();
            let about =
                state.manifests.values().filter(|manifest| manifest.subject().as_ref() == Some(subject));
            let mut found: Vec<Descriptor> = about.map(Manifest::referrer).collect();
            found.sort_by(|one, other| one.digest.cmp(&other.digest));
            Ok(found)
        })
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.put_manifest(manifest).await?;
            let mut state = self.state();
            state.images.insert(manifest.digest().clone());
            state.tags.extend(tags.iter().map(|tag| (tag.clone(), manifest.digest().clone())));
            Ok(())
        })
    }
}
