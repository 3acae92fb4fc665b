//! Reading of an archive in place.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::STEP;
use crate::image::{Descriptor, Digest, Manifest, Name};
use crate::platform::{self, FileExt as _};
use crate::store::compression_format::CompressionFormat;
use crate::store::files::{self, Extent, Files, LAYOUT_FILE};
use crate::store::folder::open_file;
use crate::store::{Capabilities, Error, Reader, Store, StoreFuture, TagListing, docker, index};

/// Limit of files, more than any layout has.
const MAXIMUM_ENTRIES: usize = 100_000;
/// Links to links, as many as Linux follows.
const MAX_LINKS: usize = 40;

/// Most bytes that the names of all files of an archive may have together.
const MAXIMUM_NAMES: usize = 32 * 1024 * 1024;
/// Limit of the bytes in front of one file: its header, and further headers about it.
const MAXIMUM_HEADER: usize = 1024 * 1024;

/// An OCI archive to read from.
pub struct ArchiveReader {
    path: PathBuf,
    file: Arc<File>,
    entries: HashMap<String, (u64, u64)>,
    /// Sparse files, which cannot be read in place.
    sparse: HashSet<String>,
    repository: Option<String>,
}

impl ArchiveReader {
    /// Opens an archive and finds out where everything in it lies. A pipe is read to its end first.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let is_pipe = fs::metadata(&path).is_ok_and(|facts| platform::is_pipe(&facts));
        // Opening a pipe waits for its writer.
        let file = if is_pipe { File::open(&path) } else { open_file(&path) };
        let file = file.map_err(Error::io("read", &path))?;
        Self::of_file(file, path)
    }

    /// The archive in an open file or pipe, which messages call by this name.
    pub fn of_file(file: File, path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let mut file = in_place(file).map_err(Error::io("read", &path))?;
        let wrong = |reason: String| Error::Place { place: path.display().to_string(), reason };
        let mut front = Vec::new();
        files::read_at(&file, 0, &mut front, 8).map_err(Error::io("read", &path))?;
        if front.is_empty() {
            return Err(wrong("is empty; expected an OCI or docker archive".to_owned()));
        }
        if let Some(format) = CompressionFormat::detect(&front) {
            let unpacked = decompressed(file, format);
            file = unpacked
                .map_err(|error| wrong(format!("cannot be decompressed into a temporary file: {error}")))?;
        }
        let (entries, sparse) = scan(&file)
            .map_err(|error| wrong(format!("is not a tar file, or a damaged one: {}", reason(&error))))?;
        Ok(Self { path, file: Arc::new(file), entries, sparse, repository: None })
    }

    /// Restricts the archive to the images of one repository, as docker names them.
    #[must_use]
    pub(in crate::store) fn of_repository(self, repository: Option<String>) -> Self {
        Self { repository, ..self }
    }
}

/// Offset and size of each file, and the files that are stored sparse.
type FileExtents = (HashMap<String, (u64, u64)>, HashSet<String>);

/// Returns the file itself if it is seekable, or else a copy of its content: a file without a name, which no other
/// process can open and which ends with this one.
fn in_place(mut file: File) -> io::Result<File> {
    if file.metadata()?.is_file() && file.stream_position()? == 0 {
        return Ok(file);
    }
    let mut copy = tempfile::tempfile().map_err(|error| {
        let folder = tempfile::env::temp_dir();
        io::Error::new(
            error.kind(),
            format!("no temporary file can be made in {}: {error}", folder.display()),
        )
    })?;
    io::copy(&mut file, &mut copy)?;
    Ok(copy)
}

/// Decompresses a file into one without a name, since archives are read by offsets.
fn decompressed(mut file: File, format: CompressionFormat) -> io::Result<File> {
    file.rewind()?;
    let mut plain = format.reader(BufReader::with_capacity(STEP, file))?;
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut plain, &mut copy)?;
    Ok(copy)
}

/// Bounded reader of a file's headers, one of which may claim gigabytes.
struct Headers<'a> {
    file: &'a File,
    position: u64,
    /// Bytes that may still be read in front of the next file.
    left: &'a Cell<usize>,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        let left = self.left.get().checked_sub(read).ok_or_else(|| {
            io::Error::other(format!("it has a header of more than {MAXIMUM_HEADER} bytes"))
        })?;
        self.left.set(left);
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
            SeekFrom::End(distance) => self.file.metadata()?.len().checked_add_signed(distance),
        };
        self.position = moved.ok_or_else(|| io::Error::other("it has a file of an impossible size"))?;
        Ok(self.position)
    }
}

/// Fault of a tar header, without the bytes that the tar library quotes after it: they may be a secret's.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(": ") {
        Some((words, _)) if text.contains(" when getting ") => words.to_owned(),
        _ => text,
    }
}

/// Refuses an archive of more files, or of longer names, than any layout has.
fn check_limits(entries: usize, names: usize) -> io::Result<()> {
    if entries == MAXIMUM_ENTRIES {
        return Err(io::Error::other(format!("it has more than {MAXIMUM_ENTRIES} files")));
    }
    if names > MAXIMUM_NAMES {
        return Err(io::Error::other(format!("its files have names of more than {MAXIMUM_NAMES} bytes")));
    }
    Ok(())
}

/// Finds where each file of an archive lies.
fn scan(file: &File) -> io::Result<FileExtents> {
    let length = file.metadata()?.len();
    let left = Cell::new(MAXIMUM_HEADER);
    let mut archive = tar::Archive::new(Headers { file, position: 0, left: &left });
    let mut entries = HashMap::new();
    let mut links = HashMap::new();
    let mut sparse = HashSet::new();
    let mut names = 0;
    for (count, entry) in archive.entries_with_seek()?.enumerate() {
        let entry = entry?;
        left.set(MAXIMUM_HEADER);
        names += entry.path_bytes().len() + entry.link_name_bytes().map_or(0, |name| name.len());
        check_limits(count, names)?;
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            let (path, targets) = link(&entry, kind.is_symlink());
            links.insert(path, targets);
            continue;
        }
        if kind.is_gnu_sparse() {
            sparse.insert(own_path(&entry.path_bytes()));
        }
        if !kind.is_file() {
            continue;
        }
        let (start, size) = (entry.raw_file_position(), entry.size());
        if start.checked_add(size).is_none_or(|end| end > length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends in the middle of a file"));
        }
        // As tar unpacks it, the last file of a name is the one that counts.
        entries.insert(own_path(&entry.path_bytes()), (start, size));
    }
    for path in links.keys() {
        if let Some(place) = followed(path, &links, &entries) {
            entries.entry(path.clone()).or_insert(place);
        }
    }
    Ok((entries, sparse))
}

fn own_path(bytes: &[u8]) -> String {
    plain(&String::from_utf8_lossy(bytes)).to_owned()
}

/// A path from the archive's root, however a writer begins it: `./a`, `/a` and `a` are one.
fn plain(path: &str) -> &str {
    path.trim_start_matches("./").trim_start_matches('/')
}

/// Returns offset and size of the file that a link leads to, through other links.
fn followed(
    path: &str,
    links: &HashMap<String, Vec<String>>,
    entries: &HashMap<String, (u64, u64)>,
) -> Option<(u64, u64)> {
    let mut path = path;
    for _ in 0..MAX_LINKS {
        let targets = links.get(path)?;
        if let Some(place) = targets.iter().find_map(|target| entries.get(target)) {
            return Some(*place);
        }
        path = targets.iter().find(|target| links.contains_key(*target))?;
    }
    None
}

/// Returns a link's path and the possible targets, from the archive's root: docker saves a shared layer once, and links
/// to it. A symbolic link is relative to its own folder; some writers mean the root. What leads out of the archive
/// leads nowhere.
fn link<R: io::Read>(entry: &tar::Entry<'_, R>, symbolic: bool) -> (String, Vec<String>) {
    let path = own_path(&entry.path_bytes());
    let target = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
    let target = target.filter(|target| !(symbolic && target.starts_with('/'))).unwrap_or_default();
    let folder: Vec<&str> = path.split('/').collect();
    let below = |folder: &[&str]| {
        let mut parts = folder.to_vec();
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        Some(parts.join("/")).filter(|path| !path.is_empty())
    };
    let own = if symbolic { below(&folder[..folder.len() - 1]) } else { None };
    let targets = own.into_iter().chain(below(&[])).collect();
    (path, targets)
}

impl Files for ArchiveReader {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn find(&self, path: &str) -> Result<Option<Extent>, Error> {
        let Some((start, size)) = self.extent(path) else { return Ok(None) };
        let file = Arc::clone(&self.file);
        Ok(Some(Extent { path: self.path.clone(), file, start, size, is_outside: false }))
    }

    fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }
}

impl ArchiveReader {
    /// Returns whether docker's own tools wrote the archive, or tools like them.
    pub(in crate::store) fn is_saved(&self) -> bool {
        [docker::LIST, docker::REPOSITORIES].iter().any(|&path| self.entries.contains_key(path))
    }

    /// Returns whether the archive has to be read as a docker archive: it is no OCI archive, or one that lists nothing,
    /// as docker 25 writes it for an image by its digest.
    pub(in crate::store) fn is_docker_only(&self) -> bool {
        let listed = || files::index(self).map_or(true, |index| !index.is_empty());
        self.is_saved() && !(self.entries.contains_key(LAYOUT_FILE) && listed())
    }

    /// Returns why a file cannot be read, as the second half of a sentence.
    pub(in crate::store) fn absence(&self, path: &str) -> &'static str {
        if self.sparse.contains(plain(path)) {
            "it is kept with holes; expected tar without --sparse"
        } else {
            "it is missing"
        }
    }

    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::store) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Returns offset and size of a file.
    pub(in crate::store) fn extent(&self, path: &str) -> Option<(u64, u64)> {
        self.entries.get(plain(path)).copied()
    }
}

impl Store for ArchiveReader {
    fn name(&self) -> String {
        self.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Manifest> {
        Box::pin(async move { files::manifest(self, name) })
    }

    fn candidates<'a>(&'a self, name: &'a Name) -> StoreFuture<'a, Vec<Descriptor>> {
        Box::pin(async move { files::index(self)?.candidates(self, name) })
    }

    fn absent<'a>(&'a self, manifest: &'a Manifest) -> StoreFuture<'a, HashSet<Digest>> {
        Box::pin(async move { index::absent(self, manifest) })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> StoreFuture<'a, Box<dyn Reader>> {
        Box::pin(async move { files::open(self, blob, offset) })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { is_docker_format: self.is_saved(), ..Capabilities::LAYOUT }
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> StoreFuture<'a, Vec<Descriptor>> {
        Box::pin(async move { files::referrers(self, subject) })
    }

    fn tags(&self) -> StoreFuture<'_, TagListing> {
        Box::pin(async move { Ok(TagListing::of(files::index(self)?.tags())) })
    }
}
