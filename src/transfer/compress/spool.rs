//! Spool of a compressed layer until it is sent: a file without a name, which ends with the process.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::image::{Algorithm, Descriptor, Digest, Hasher, Manifest, Name};
use crate::store::{Capabilities, Error, Reader, Store, StoreFuture};

/// Creates a spool in the platform's temporary folder, private to this user, and its writer.
pub(super) fn new() -> io::Result<(Spool, Filling)> {
    let file = Arc::new(Mutex::new(tempfile::tempfile()?));
    let (progress, watched) = watch::channel(Progress { size: 0, whole: false });
    let filling = Filling { file: Arc::clone(&file), hasher: Algorithm::Sha256.hasher(), progress };
    Ok((Spool { file, progress: watched }, filling))
}

/// Progress of writing.
struct Progress {
    size: u64,
    whole: bool,
}

/// The spool while it is written: counted and hashed.
pub(super) struct Filling {
    file: Arc<Mutex<File>>,
    hasher: Hasher,
    progress: watch::Sender<Progress>,
}

impl Filling {
    /// Ends the spool; returns the digest and the size of its content.
    pub(super) fn finish(self) -> (Digest, u64) {
        self.progress.send_modify(|progress| progress.whole = true);
        (self.hasher.finish(), self.progress.borrow().size)
    }
}

impl Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.progress.borrow().size;
        let written = {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(size))?;
            file.write(bytes)?
        };
        self.hasher.update(&bytes[..written]);
        self.progress.send_modify(|progress| progress.size += written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A store of one blob, which can be read while it is filled.
#[derive(Clone)]
pub(super) struct Spool {
    file: Arc<Mutex<File>>,
    progress: watch::Receiver<Progress>,
}

impl Store for Spool {
    fn name(&self) -> String {
        format!("a temporary file in {}", place())
    }

    // What is in it was hashed on its way in.
    fn capabilities(&self) -> Capabilities {
        Capabilities::LAYOUT
    }

    fn open<'a>(&'a self, _blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        let reader = SpoolReader { spool: self.clone(), position: offset };
        Box::pin(async { Ok(Box::new(reader) as Box<dyn Reader>) })
    }

    fn manifest<'a>(&'a self, _name: &'a Name) -> StoreFuture<'a, Manifest> {
        let reason = "holds a compressed layer and nothing else".to_owned();
        Box::pin(async { Err(Error::Place { place: self.name(), reason }) })
    }
}

/// Reader with its own offset: a file without a name can be opened only once.
struct SpoolReader {
    spool: Spool,
    position: u64,
}

impl Reader for SpoolReader {
    fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> StoreFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let (position, before) = (self.position, buffer.len());
            let end = position + limit as u64;
            let there = |progress: &Progress| progress.whole || progress.size >= end;
            if self.spool.progress.wait_for(there).await.is_err() {
                let reason = "holds a part of a layer that could not be compressed".to_owned();
                return Err(Error::Place { place: self.spool.name(), reason });
            }
            let file = Arc::clone(&self.spool.file);
            let read = tokio::task::spawn_blocking(move || {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(position))?;
                (&*file).take(limit as u64).read_to_end(&mut buffer).map(|_| buffer)
            });
            let buffer = read.await.map_err(io::Error::other).flatten();
            let buffer = buffer.map_err(Error::io("read", std::path::Path::new(&place())))?;
            self.position += (buffer.len() - before) as u64;
            Ok(buffer)
        })
    }
}

/// Returns the error of writing a spool file.
pub(super) fn failed(error: io::Error) -> Error {
    Error::io("write a temporary file in", place().as_ref())(error)
}

/// The folder that spools are in.
fn place() -> String {
    tempfile::env::temp_dir().display().to_string()
}
