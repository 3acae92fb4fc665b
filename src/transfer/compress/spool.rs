//! A compressed layer until it is moved: a file without a name, which is gone with the process whatever happens.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::image::{Algorithm, Descriptor, Digest, Hasher, Manifest, Name};
use crate::store::{Answer, Error, Reader, Source, Store, Written};

/// The spool while it is written: counted and hashed.
pub(super) struct Filling {
    file: File,
    hasher: Hasher,
    size: u64,
}

impl Filling {
    /// A new spool in the platform's temporary folder, which nobody else can read.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, hasher: Algorithm::Sha256.hasher(), size: 0 })
    }

    /// The spool to read from, with the digest and the size of what is in it.
    pub(super) fn finish(self) -> (Spool, Digest, u64) {
        (Spool { file: Arc::new(Mutex::new(self.file)) }, self.hasher.finish(), self.size)
    }
}

impl Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A store of one blob.
pub(super) struct Spool {
    file: Arc<Mutex<File>>,
}

impl Spool {
    fn only_a_blob(&self) -> Error {
        Error::Place { place: self.name(), reason: "holds a compressed layer and nothing else".to_owned() }
    }
}

impl Store for Spool {
    fn name(&self) -> String {
        format!("a temporary file in {}", place())
    }

    /// What is in it was hashed on its way in.
    fn is_local(&self) -> bool {
        true
    }

    fn open<'a>(&'a self, _blob: &'a Descriptor, offset: u64) -> Answer<'a, Box<dyn Reader>> {
        let reader = SpoolReader { file: Arc::clone(&self.file), position: offset };
        Box::pin(async { Ok(Box::new(reader) as Box<dyn Reader>) })
    }

    fn manifest<'a>(&'a self, _name: &'a Name) -> Answer<'a, Manifest> {
        Box::pin(async { Err(self.only_a_blob()) })
    }

    fn prepare<'a>(&'a self, _blobs: &'a [Descriptor]) -> Answer<'a, HashSet<Digest>> {
        Box::pin(async { Err(self.only_a_blob()) })
    }

    fn write<'a>(&'a self, _blob: &'a Descriptor, _source: &'a Source) -> Answer<'a, Written> {
        Box::pin(async { Err(self.only_a_blob()) })
    }

    fn put_manifest<'a>(&'a self, _manifest: &'a Manifest) -> Answer<'a, ()> {
        Box::pin(async { Err(self.only_a_blob()) })
    }

    fn put_image<'a>(&'a self, _manifest: &'a Manifest, _tags: &'a [String]) -> Answer<'a, ()> {
        Box::pin(async { Err(self.only_a_blob()) })
    }
}

/// Reads from a place of its own: a file without a name can be opened only once.
struct SpoolReader {
    file: Arc<Mutex<File>>,
    position: u64,
}

impl Reader for SpoolReader {
    fn read(&mut self, mut buffer: Vec<u8>, limit: usize) -> Answer<'_, Vec<u8>> {
        Box::pin(async move {
            let (file, position, before) = (Arc::clone(&self.file), self.position, buffer.len());
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

/// The folder that spools are in.
pub(super) fn place() -> String {
    tempfile::env::temp_dir().display().to_string()
}
