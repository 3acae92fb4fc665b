//! Reading an archive in place.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use crate::image::{Descriptor, Digest, Manifest, Name};
use crate::store::docker;
use crate::store::files::{self, Extent, Files, MARK};
use crate::store::{Answer, Error, Reader, Source, Store, Written};

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
    pub(in crate::store) fn of_repository(self, repository: Option<String>) -> Self {
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
    pub(in crate::store) fn is_saved(&self) -> bool {
        [docker::LIST, docker::REPOSITORIES].iter().any(|&path| self.entries.contains_key(path))
    }

    /// Whether it has to be read as a docker archive: it is no OCI archive, or one that lists nothing, as docker 25
    /// writes it for an image by its digest.
    pub(in crate::store) fn is_docker_only(&self) -> bool {
        let listed = || files::index(self).map_or(true, |index| !index.is_empty());
        self.is_saved() && !(self.entries.contains_key(MARK) && listed())
    }

    /// Why a file cannot be had, as a sentence goes on.
    pub(in crate::store) fn absence(&self, path: &str) -> &'static str {
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

    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file lies: its offset and its size.
    pub(in crate::store) fn extent(&self, path: &str) -> Option<(u64, u64)> {
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
