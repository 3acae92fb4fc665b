//! Files of a store: blobs by their content, and the uploads that become blobs.
//!
//! A blob gets its final name only when it is whole and verified, and only inside the database transaction that
//! records it. So a process that sweeps unrecorded files inside a transaction of its own can never meet one that is
//! about to be recorded. What was written survives the death of the process; only a store that is to survive power
//! cuts waits for the disk.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::image::{Algorithm, Digest};
use crate::local::store::verified::{FileStamp, Verified};
use crate::platform;

/// Bytes read at once for hashing.
const CHUNK: usize = 256 * 1024;

/// Bytes written at once. The kernel caches a write in pieces of its size, and large ones are made of memory that a
/// virtual machine that has not run for long must first get from its host, which takes several times as long as
/// copying; smaller ones cost a third more.
const PIECE: usize = 64 * 1024;

/// The folders `blobs` and `uploads` of a store.
#[derive(Debug)]
pub(in crate::local) struct Blobs {
    folder: PathBuf,
    /// Files that are known to match their digests.
    pub(in crate::local) verified: Verified,
    is_durable: bool,
}

impl Blobs {
    /// Opens a store's folder, creating missing parts.
    pub(in crate::local) fn open(folder: &Path) -> io::Result<Self> {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            create_private(&folder.join("blobs").join(algorithm.name()))?;
        }
        create_private(&folder.join("uploads"))?;
        Ok(Self { folder: folder.to_owned(), verified: Verified::default(), is_durable: false })
    }

    /// Flushes every blob to the disk from now on.
    pub(in crate::local) fn make_durable(&mut self) {
        self.is_durable = true;
    }

    /// Makes sure that the bytes of a finished upload are as safe as the store is to be.
    pub(in crate::local) fn settle(&self, upload: &File) -> io::Result<()> {
        if self.is_durable { upload.sync_all() } else { Ok(()) }
    }

    /// Returns the path of a blob, which need not exist. `None` if the text is no digest that a file could be
    /// named after.
    pub(in crate::local) fn path(&self, digest: &str) -> Option<PathBuf> {
        let digest: Digest = digest.parse().ok()?;
        let hex = digest.hexadecimal();
        Some(self.folder.join("blobs").join(digest.algorithm().name()).join(&hex[..2]).join(hex))
    }

    /// Returns the path of an upload's bytes. The identifier comes from the database, never from a request.
    pub(in crate::local) fn upload_path(&self, id: &str) -> PathBuf {
        self.folder.join("uploads").join(id)
    }

    /// Opens an upload for this process alone; others wait until the file is closed.
    pub(in crate::local) fn lock_upload(&self, id: &str) -> io::Result<File> {
        let path = self.upload_path(id);
        let file = platform::private_file().read(true).write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        Ok(file)
    }

    /// Like [`Self::lock_upload`], without waiting: `None` if another request has the file.
    pub(in crate::local) fn try_lock_upload(&self, id: &str) -> io::Result<Option<File>> {
        let path = self.upload_path(id);
        let file = platform::private_file().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Removes an upload's bytes; it is no error if they are gone already.
    pub(in crate::local) fn remove_upload(&self, id: &str) -> io::Result<()> {
        forgiving(fs::remove_file(self.upload_path(id)))
    }

    /// Moves a finished upload, whose bytes are settled already, to its path among the blobs. It replaces a file that
    /// is there already: that one may be damaged.
    pub(in crate::local) fn keep(&self, id: &str, digest: &str) -> io::Result<()> {
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "not the digest of a blob");
        let path = self.path(digest).ok_or_else(missing)?;
        let shard = path.parent().ok_or_else(missing)?;
        if !shard.is_dir() {
            create_private(shard)?;
            if self.is_durable {
                flush_folder(shard.parent().ok_or_else(missing)?)?;
            }
        }
        fs::rename(self.upload_path(id), &path)?;
        if let Ok(digest) = digest.parse() {
            self.verified.remember(digest, FileStamp::of(&fs::metadata(&path)?));
        }
        if self.is_durable { flush_folder(shard) } else { Ok(()) }
    }

    /// Makes a blob, which was not recorded after all, the upload again that it was.
    pub(in crate::local) fn take_back(&self, id: &str, digest: &str) -> io::Result<()> {
        let upload = self.upload_path(id);
        let is_gone = fs::metadata(&upload).map_or(true, |file| file.len() == 0);
        match self.path(digest) {
            Some(path) if is_gone => forgiving(fs::rename(path, upload)),
            _ => Ok(()),
        }
    }

    /// Removes every blob and upload for which `known` (which gets a digest or an upload's identifier) is false.
    /// Runs inside a write transaction, so that no other process records a file meanwhile.
    pub(in crate::local) fn sweep<E: From<io::Error>>(
        &self,
        mut known_blob: impl FnMut(&str) -> Result<bool, E>,
        mut known_upload: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<(), E> {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512].map(Algorithm::name) {
            for shard in fs::read_dir(self.folder.join("blobs").join(algorithm))? {
                let shard = shard?.path();
                for name in names(&shard)? {
                    if !known_blob(&format!("{algorithm}:{name}"))? {
                        forgiving(fs::remove_file(shard.join(name)))?;
                    }
                }
            }
        }
        for name in names(&self.folder.join("uploads"))? {
            if !known_upload(&name)? {
                self.remove_upload(&name)?;
            }
        }
        Ok(())
    }
}

/// Writes bytes at an offset in a file and adds them to a hash, piece by piece: the hashed bytes are still in the
/// processor's cache when they are written.
pub(in crate::local) fn write_at(
    mut file: &File,
    offset: u64,
    bytes: &[u8],
    mut hash: Option<&mut Sha256>,
) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    // Up to where a piece of the file ends, then whole pieces.
    let ahead = PIECE - usize::try_from(offset % PIECE as u64).unwrap_or_default();
    let (head, rest) = bytes.split_at(ahead.min(bytes.len()));
    for piece in std::iter::once(head).chain(rest.chunks(PIECE)) {
        if let Some(hash) = &mut hash {
            hash.update(piece);
        }
        file.write_all(piece)?;
    }
    Ok(())
}

/// Hashes a file from its beginning.
pub(in crate::local) fn hash(file: &File) -> io::Result<Sha256> {
    let mut hasher = Sha256::new();
    read_pieces(file, |piece| hasher.update(piece))?;
    Ok(hasher)
}

/// Reads a file from its beginning, piece by piece.
pub(in crate::local) fn read_pieces(mut file: &File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            count => take(&buffer[..count]),
        }
    }
}

/// Creates a folder that only its owner can enter, and missing ones above it.
pub(in crate::local) fn create_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    match platform::private_folder().create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        result => result.map_err(in_the_way),
    }
}

/// Rewords "File exists", which is no help about a folder that is being created.
fn in_the_way(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            io::Error::new(io::ErrorKind::NotADirectory, "a file is in the way")
        }
        _ => error,
    }
}

/// Flushes a folder's entries, so that a new name in it survives a power cut.
fn flush_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn forgiving(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
