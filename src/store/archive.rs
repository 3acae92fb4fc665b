//! An OCI archive: an OCI image layout in a tar file.
//!
//! It is read in place, by offsets, without being unpacked. It is written under a temporary name that becomes the
//! final one when everything in it was verified. Since a manifest says how large each blob is, every blob has its
//! place in the file from the start: several are written at once, and the same image always gives the same bytes.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use super::docker::{self, Saved};
use super::files::{self, Extent, Files, INDEX, Index, MARK, MARK_TEXT};
use super::layout::write;
use super::stream::Parts;
use super::{Answer, Error, Reader, Source, Store, Written};
use crate::image::{Descriptor, Digest, Manifest, Name};

/// Tar counts in blocks of this size.
const BLOCK: u64 = 512;
const STEP: usize = 1024 * 1024;
/// More files than any layout has; what lists more is not meant well.
const MAXIMUM_ENTRIES: usize = 100_000;
/// Links to links, as many as Linux follows.
const MOST_LINKS: usize = 40;

/// An OCI archive to read from.
pub struct ArchiveReader {
    path: PathBuf,
    entries: HashMap<String, (u64, u64)>,
    /// Files that are kept with holes, which cannot be read in place.
    sparse: HashSet<String>,
    repository: Option<String>,
}

impl ArchiveReader {
    /// Opens an archive and finds out where everything in it lies.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let mut file = File::open(&path).map_err(Error::io("read", &path))?;
        let wrong = |reason: String| Error::Place { place: path.display().to_string(), reason };
        let mut magic = [0; 4];
        let read = file.read(&mut magic).map_err(Error::io("read", &path))?;
        if magic.starts_with(&[0x1f, 0x8b]) || magic == [0x28, 0xb5, 0x2f, 0xfd] {
            return Err(wrong("is compressed; expected a plain tar file, so decompress it first".to_owned()));
        }
        if read == 0 {
            return Err(wrong("is empty; expected an OCI archive".to_owned()));
        }
        file.rewind().map_err(Error::io("read", &path))?;
        let (entries, sparse) =
            scan(&file).map_err(|error| wrong(format!("is not a tar file, or a damaged one: {error}")))?;
        Ok(Self { path: path.clone(), entries, sparse, repository: None })
    }

    /// The same archive with the images of one repository only, as docker names them.
    #[must_use]
    pub(super) fn of_repository(self, repository: Option<String>) -> Self {
        Self { repository, ..self }
    }
}

/// Where each file lies, and the files that are kept with holes.
type Found = (HashMap<String, (u64, u64)>, HashSet<String>);

fn scan(file: &File) -> io::Result<Found> {
    let length = file.metadata()?.len();
    let mut archive = tar::Archive::new(file);
    let mut entries = HashMap::new();
    let mut links = HashMap::new();
    let mut sparse = HashSet::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            links.extend(link(&entry, kind.is_symlink()));
            continue;
        }
        if links.len() + sparse.len() > MAXIMUM_ENTRIES {
            return Err(io::Error::other(format!("it has more than {MAXIMUM_ENTRIES} files")));
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
        if entries.len() > MAXIMUM_ENTRIES {
            return Err(io::Error::other(format!("it has more than {MAXIMUM_ENTRIES} files")));
        }
    }
    for (path, first) in &links {
        let mut target = first;
        for _ in 0..MOST_LINKS {
            match links.get(target) {
                Some(next) if !entries.contains_key(target) => target = next,
                _ => break,
            }
        }
        if let Some(&place) = entries.get(target) {
            entries.entry(path.clone()).or_insert(place);
        }
    }
    Ok((entries, sparse))
}

fn own_path(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_start_matches("./").to_owned()
}

/// A link's path and that of its target, both from the archive's root. docker saves a layer that several images have
/// once, and links to it. What leads out of the archive leads nowhere.
fn link<R: io::Read>(entry: &tar::Entry<'_, R>, symbolic: bool) -> Option<(String, String)> {
    let path = own_path(&entry.path_bytes());
    let target = String::from_utf8_lossy(&entry.link_name_bytes()?).into_owned();
    if symbolic && target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = if symbolic { path.split('/').collect() } else { Vec::new() };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    let target = parts.join("/");
    Some((path, target))
}

impl Files for ArchiveReader {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn find(&self, path: &str) -> Result<Option<Extent>, Error> {
        let Some(&(start, size)) = self.entries.get(path) else { return Ok(None) };
        let file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        Ok(Some(Extent { path: self.path.clone(), file, start, size }))
    }

    fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }
}

impl ArchiveReader {
    /// Whether docker's own tools wrote it, or something like them.
    pub(super) fn is_saved(&self) -> bool {
        [docker::LIST, docker::REPOSITORIES].iter().any(|&path| self.entries.contains_key(path))
    }

    /// Whether it has to be read as a docker archive: it is no OCI archive, or one that lists nothing, as docker 25
    /// writes it for an image by its digest.
    pub(super) fn is_docker_only(&self) -> bool {
        let listed = || files::index(self).map_or(true, |index| !index.is_empty());
        self.is_saved() && !(self.entries.contains_key(MARK) && listed())
    }

    /// Why a file cannot be had, as a sentence goes on.
    pub(super) fn absence(&self, path: &str) -> &'static str {
        if self.sparse.contains(path) {
            "it is kept with holes; expected tar without --sparse"
        } else {
            "it is missing"
        }
    }

    /// Of an index that docker saved, the part that is here: since docker 29 it is saved whole, with the content of
    /// those platforms only that were pulled.
    fn present(&self, whole: Manifest) -> Result<Manifest, Error> {
        let mut here = Vec::new();
        for entry in whole.children() {
            if !self.entries.contains_key(&files::blob_path(&entry.digest)) {
                continue;
            }
            let child = files::manifest(self, &Name::Digest(entry.digest.clone()))?;
            let has = |blob: &Descriptor| self.entries.contains_key(&files::blob_path(&blob.digest));
            if child.blobs().chain(child.children()).all(has) {
                here.push((entry.clone(), child));
            }
        }
        if here.is_empty() || here.len() == whole.children().len() {
            return Ok(whole);
        }
        if here.len() == 1 {
            return Ok(here.swap_remove(0).1);
        }
        let entries: Vec<Descriptor> = here.into_iter().map(|(entry, _)| entry).collect();
        whole.with_children(&entries).map_err(Error::image(self.place()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file lies: its offset and its size.
    pub(super) fn extent(&self, path: &str) -> Option<(u64, u64)> {
        self.entries.get(path).copied()
    }

    fn read_only(&self) -> Error {
        Error::Place { place: self.place(), reason: "is open for reading".to_owned() }
    }
}

impl Store for ArchiveReader {
    fn name(&self) -> String {
        self.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> Answer<'a, Manifest> {
        Box::pin(async move {
            let whole = files::manifest(self, name)?;
            if self.is_saved() && !matches!(name, Name::Digest(_)) { self.present(whole) } else { Ok(whole) }
        })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> Answer<'a, Box<dyn Reader>> {
        Box::pin(async move { files::open(self, blob, offset) })
    }

    fn is_docker(&self) -> bool {
        self.is_saved()
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> Answer<'a, Vec<Descriptor>> {
        Box::pin(async move { files::referrers(self, subject) })
    }

    fn prepare<'a>(&'a self, _blobs: &'a [Descriptor]) -> Answer<'a, HashSet<Digest>> {
        Box::pin(async { Err(self.read_only()) })
    }

    fn tags(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move { Ok(files::index(self)?.tags()) })
    }

    fn write<'a>(&'a self, _blob: &'a Descriptor, _source: &'a Source) -> Answer<'a, Written> {
        Box::pin(async { Err(self.read_only()) })
    }

    fn is_local(&self) -> bool {
        true
    }

    fn put_manifest<'a>(&'a self, _manifest: &'a Manifest) -> Answer<'a, ()> {
        Box::pin(async { Err(self.read_only()) })
    }

    fn put_image<'a>(&'a self, _manifest: &'a Manifest, _tags: &'a [String]) -> Answer<'a, ()> {
        Box::pin(async { Err(self.read_only()) })
    }
}

/// An OCI archive to write: a new file, or one in place of an older archive. A docker archive is the same with
/// `manifest.json` in it, as docker writes it since version 25: it is read as either.
pub struct ArchiveWriter {
    path: PathBuf,
    docker: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    temporary: Option<NamedTempFile>,
    end: u64,
    places: HashMap<Digest, u64>,
    index: Option<Index>,
    saved: Saved,
}

impl ArchiveWriter {
    /// The archive of this name. What is there already has to be an archive, which the new one will replace.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open(path.into(), false)
    }

    /// The docker archive of this name, for images of one platform each.
    pub fn docker(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::open(path.into(), true)
    }

    fn open(path: PathBuf, docker: bool) -> Result<Self, Error> {
        if path.exists() {
            let kept = |error: Error| Error::Place {
                place: path.display().to_string(),
                reason: format!("is there already and will not be replaced: {error}"),
            };
            let old = ArchiveReader::open(&path).map_err(kept)?;
            if !(docker && old.is_saved()) {
                files::index(&old).map_err(kept)?;
            }
        }
        Ok(Self { path, docker, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> Error {
        Error::io("write", &self.path)
    }

    fn begin(&self) -> Result<(), Error> {
        let mut state = self.state();
        if state.temporary.is_none() {
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            fs::metadata(folder).map_err(Error::io("write in", folder))?;
            let mut builder = tempfile::Builder::new();
            builder.prefix(".unfinished-");
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
            state.temporary = Some(builder.tempfile_in(folder).map_err(self.failed())?);
            state.index = Some(Index::empty());
            state.append(MARK, MARK_TEXT.as_bytes()).map_err(self.failed())?;
        }
        Ok(())
    }

    async fn receive(&self, blob: &Descriptor, source: &Source) -> Result<Written, Error> {
        let file = {
            let mut state = self.state();
            let start = state.place(&blob.digest, blob.size).map_err(self.failed())?;
            let file = state.file().and_then(NamedTempFile::reopen).map_err(self.failed())?;
            (&file).seek(SeekFrom::Start(start)).map_err(self.failed())?;
            Arc::new(file)
        };
        let mut parts = Parts::new(source.stream().await?, source.buffers(), STEP);
        while let Some(part) = parts.next().await? {
            let end = part.end();
            write(Arc::clone(&file), part.bytes).await.map_err(self.failed())?;
            source.arrived(end);
        }
        parts.verify().await?;
        Ok(Written::Moved)
    }

    fn put(&self, manifest: &Manifest) -> Result<(), Error> {
        self.begin()?;
        let mut state = self.state();
        if !state.places.contains_key(manifest.digest()) {
            let path = files::blob_path(manifest.digest());
            let start = state.append(&path, manifest.bytes()).map_err(self.failed())?;
            state.places.insert(manifest.digest().clone(), start);
        }
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        let mut state = self.state();
        let Some(index) = state.index.take() else { return Ok(()) };
        state.append(INDEX, &index.to_bytes()).map_err(self.failed())?;
        if self.docker {
            let (list, repositories) = (state.saved.list(), state.saved.repositories());
            state.append(docker::LIST, &list).map_err(self.failed())?;
            state.append(docker::REPOSITORIES, &repositories).map_err(self.failed())?;
        }
        let end = state.end + 2 * BLOCK;
        // Two blocks of zeros end a tar file.
        state.file().and_then(|file| file.as_file().set_len(end)).map_err(self.failed())?;
        let temporary = state.temporary.take();
        let kept = temporary.map(|temporary| temporary.persist(&self.path)).transpose();
        kept.map(|_| ()).map_err(|error| self.failed()(error.error))
    }
}

impl State {
    fn file(&self) -> io::Result<&NamedTempFile> {
        self.temporary.as_ref().ok_or_else(|| io::Error::other("the archive is finished"))
    }

    /// Gives a blob its place, with a header in front, and answers where its bytes go.
    fn place(&mut self, digest: &Digest, size: u64) -> io::Result<u64> {
        if let Some(&start) = self.places.get(digest) {
            return Ok(start);
        }
        let start = self.header(&files::blob_path(digest), size)?;
        self.places.insert(digest.clone(), start);
        Ok(start)
    }

    fn header(&mut self, path: &str, size: u64) -> io::Result<u64> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        // The builder writes what a long path needs in front of the header; the content comes later.
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut header, path, io::empty())?;
        let bytes = builder.get_ref().clone();
        let mut file = self.file()?.as_file();
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(&bytes)?;
        let start = self.end + bytes.len() as u64;
        self.end = (start + size).next_multiple_of(BLOCK);
        Ok(start)
    }

    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<u64> {
        let start = self.header(path, bytes.len() as u64)?;
        self.file()?.as_file().write_all(bytes)?;
        Ok(start)
    }
}

impl Files for ArchiveWriter {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn find(&self, _path: &str) -> Result<Option<Extent>, Error> {
        Err(Error::Place { place: self.place(), reason: "is open for writing".to_owned() })
    }
}

impl Store for ArchiveWriter {
    fn name(&self) -> String {
        self.place()
    }

    fn manifest<'a>(&'a self, name: &'a Name) -> Answer<'a, Manifest> {
        Box::pin(async move { files::manifest(self, name) })
    }

    fn open<'a>(&'a self, blob: &'a Descriptor, offset: u64) -> Answer<'a, Box<dyn Reader>> {
        Box::pin(async move { files::open(self, blob, offset) })
    }

    fn prepare<'a>(&'a self, blobs: &'a [Descriptor]) -> Answer<'a, HashSet<Digest>> {
        Box::pin(async move {
            self.begin()?;
            let mut state = self.state();
            for blob in blobs {
                state.place(&blob.digest, blob.size).map_err(self.failed())?;
            }
            Ok(blobs.iter().map(|blob| blob.digest.clone()).collect())
        })
    }

    fn missing<'a>(&'a self, blobs: &'a [Descriptor]) -> Answer<'a, HashSet<Digest>> {
        Box::pin(async move { Ok(blobs.iter().map(|blob| blob.digest.clone()).collect()) })
    }

    fn write<'a>(&'a self, blob: &'a Descriptor, source: &'a Source) -> Answer<'a, Written> {
        Box::pin(self.receive(blob, source))
    }

    fn put_manifest<'a>(&'a self, manifest: &'a Manifest) -> Answer<'a, ()> {
        Box::pin(async move { self.put(manifest) })
    }

    fn put_image<'a>(&'a self, manifest: &'a Manifest, tags: &'a [String]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.put(manifest)?;
            let mut state = self.state();
            if self.docker {
                let names: Vec<String> =
                    tags.iter().filter(|tag| docker::split(tag).is_some()).cloned().collect();
                state.saved.add(manifest, &names);
            }
            if let Some(index) = state.index.as_mut() {
                index.add(manifest, tags);
            }
            Ok(())
        })
    }

    fn is_docker(&self) -> bool {
        self.docker
    }

    fn put_referrer<'a>(&'a self, manifest: &'a Manifest) -> Answer<'a, ()> {
        Box::pin(async move {
            self.put(manifest)?;
            if let Some(index) = self.state().index.as_mut() {
                index.attach(manifest);
            }
            Ok(())
        })
    }

    fn finish(&self) -> Answer<'_, ()> {
        Box::pin(async move { self.close() })
    }
}
