//! An OCI archive: an OCI image layout in a tar file.
//!
//! It is read in place, by offsets, without being unpacked. Since a manifest says how large each blob is, every blob
//! has its place in the file from the start: a file is written in several places at once, and a stream from its first
//! byte to its last. The same image always gives the same bytes.

mod reader;
mod stream;
mod writer;

use std::io;

pub use self::reader::ArchiveReader;
pub use self::stream::ArchiveStream;
pub use self::writer::ArchiveWriter;
use super::docker::{self, Saved};
use super::files::INDEX;
use super::index::Index;
use crate::image::Manifest;

/// Tar counts in blocks of this size.
const BLOCK: u64 = 512;
const STEP: usize = 1024 * 1024;

/// Tar header of a file.
fn header(path: &str, size: u64) -> io::Result<Vec<u8>> {
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
    Ok(builder.get_ref().clone())
}

/// Entries of a finished archive. A docker archive is the same with `manifest.json` in it, as docker writes it since
/// version 25: it is read as either.
struct Listing {
    index: Index,
    saved: Option<Saved>,
}

impl Listing {
    fn new(docker: bool) -> Self {
        Self { index: Index::empty(), saved: docker.then(Saved::default) }
    }

    fn add(&mut self, manifest: &Manifest, tags: &[String]) {
        if let Some(saved) = &mut self.saved {
            let names: Vec<String> =
                tags.iter().filter(|tag| docker::split(tag).is_some()).cloned().collect();
            saved.add(manifest, &names);
        }
        self.index.add(manifest, tags, self.saved.is_some());
    }

    /// The last files of the archive.
    fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut files = vec![(INDEX, self.index.to_bytes())];
        if let Some(saved) = &self.saved {
            files.push((docker::LIST, saved.list()));
            files.push((docker::REPOSITORIES, saved.repositories()));
        }
        files
    }
}
