//! Writing an archive to a pipe: from its first byte to its last, one blob after another, and nothing on the disk.
//!
//! What is in a blob is known to be right only when all of it is on its way. So what lists the image comes last, and
//! after a failure nothing comes any more: whoever reads sees an archive that was cut off.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BLOCK, Listing, STEP, header};
use crate::image::{Descriptor, Digest, Manifest, Name};
use crate::store::files::{self, LAYOUT_FILE, LAYOUT_FILE_CONTENT};
use crate::store::stream::Parts;
use crate::store::{Capabilities, Error, Reader, ResumeState, Source, Store, StoreFuture, Written};

/// Display name for messages.
const NAME: &str = "-";
/// Two blocks of zeros end a tar file.
const END: [u8; 1024] = [0; 1024];

/// An archive that is written to a pipe.
pub struct ArchiveStream {
    docker: bool,
    output: Arc<Mutex<Output>>,
    state: Mutex<State>,
    /// Held by the writer of a blob until its last byte.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    there: HashSet<Digest>,
    listing: Option<Listing>,
}

struct Output {
    pipe: Box<dyn Write + Send>,
    /// The stream ended in the middle of a file.
    broken: bool,
}

impl ArchiveStream {
    /// Creates an archive on this pipe; a `docker` one has images of one platform each.
    pub fn new(pipe: impl Write + Send + 'static, docker: bool) -> Self {
        let output = Output { pipe: Box::new(pipe), broken: false };
        Self {
            docker,
            output: Arc::new(Mutex::new(output)),
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes off the reactor: the reader of the pipe may be slow.
    async fn send(
        &self,
        write: impl FnOnce(&mut Output) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        let output = Arc::clone(&self.output);
        let written = tokio::task::spawn_blocking(move || {
            write(&mut output.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let written = written.await.map_err(io::Error::other).flatten();
        written.map_err(Error::io("write to", Path::new("standard output")))
    }

    /// Writes whole files, the first of all in front of them.
    async fn files(&self, mut files: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        let begins = self.state().listing.is_none();
        if begins {
            self.state().listing = Some(Listing::new(self.docker));
            files.insert(0, (LAYOUT_FILE.to_owned(), LAYOUT_FILE_CONTENT.as_bytes().to_vec()));
        }
        self.send(move |output| files.iter().try_for_each(|(path, bytes)| output.file(path, bytes))).await
    }

    async fn receive(&self, blob: &Descriptor, source: &Source) -> Result<Written, Error> {
        let _turn = self.turn.lock().await;
        if !self.state().there.insert(blob.digest.clone()) {
            return Ok(Written::Present);
        }
        self.files(Vec::new()).await?;
        let mut parts = Parts::new(source.stream().await?, source.buffers(), STEP);
        let (path, size) = (files::blob_path(&blob.digest), blob.size);
        self.send(move |output| output.begin(&path, size)).await?;
        while let Some(part) = parts.next().await? {
            let end = part.end();
            self.send(move |output| output.pipe.write_all(&part.bytes)).await?;
            source.arrived(end);
        }
        parts.verify().await?;
        self.send(move |output| output.end(size)).await?;
        Ok(Written::Moved)
    }

    async fn put(&self, manifest: &Manifest) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let is_new = self.state().there.insert(manifest.digest().clone());
        let file = (files::blob_path(manifest.digest()), manifest.bytes().to_vec());
        self.files(if is_new { vec![file] } else { Vec::new() }).await
    }

    async fn close(&self) -> Result<(), Error> {
        let Some(listing) = self.state().listing.take() else { return Ok(()) };
        self.send(move |output| {
            for (path, bytes) in listing.files() {
                output.file(path, &bytes)?;
            }
            output.pipe.write_all(&END)?;
            output.pipe.flush()
        })
        .await
    }
}

impl Output {
    fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let size = bytes.len() as u64;
        self.begin(path, size)?;
        self.pipe.write_all(bytes)?;
        self.end(size)
    }

    fn begin(&mut self, path: &str, size: u64) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the archive was cut off before"));
        }
        self.broken = true;
        self.pipe.write_all(&header(path, size)?)
    }

    fn end(&mut self, size: u64) -> io::Result<()> {
        let rest = usize::try_from(size.next_multiple_of(BLOCK) - size).unwrap_or_default();
        self.pipe.write_all(&END[..rest])?;
        self.broken = false;
        Ok(())
    }
}

impl Store for ArchiveStream {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn manifest<'a>(&'a self, _name: &'a Name) -> StoreFuture<'a, Manifest> {
        Box::pin(async { Err(write_only()) })
    }

    fn open<'a>(&'a self, _blob: &'a Descriptor, _offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(async { Err(write_only()) })
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move {
            let state = self.state();
            let digests = blobs.iter().map(|blob| blob.digest.clone());
            Ok(digests.filter(|digest| !state.there.contains(digest)).collect())
        })
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> StoreFuture<'a, Written> {
        Box::pin(self.receive(blob, source))
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(self.put(manifest))
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.put(manifest).await?;
            if let Some(listing) = &mut self.state().listing {
                listing.add(manifest, tags);
            }
            Ok(())
        })
    }

    fn put_referrer<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.put(manifest).await?;
            if let Some(listing) = &mut self.state().listing {
                listing.index.attach(manifest);
            }
            Ok(())
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { is_docker_format: self.docker, is_sequential: true, ..Capabilities::default() }
    }

    fn keeps(&self) -> ResumeState {
        ResumeState::Beginning
    }

    fn finish(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.close())
    }
}

fn write_only() -> Error {
    Error::Place { place: NAME.to_owned(), reason: "is open for writing".to_owned() }
}
