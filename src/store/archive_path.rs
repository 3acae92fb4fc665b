//! Paths of layouts and archives on the command line, each with an optional name of one of its images: `PATH:TAG`,
//! `PATH:REPOSITORY:TAG`, `PATH@DIGEST`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::open_file;
use super::{
    ArchiveReader, ArchiveStream, ArchiveWriter, DockerReader, Error, Layout, Shared, VerifiedBlobs, docker,
};
use crate::image::{Digest, Name, Reference, Tag};
use crate::platform;

/// The form in which a path keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An OCI image layout.
    Layout,
    /// An OCI archive.
    Archive,
    /// A docker archive.
    Docker,
}

/// Extensions of compressed archives, which are read but not written.
const COMPRESSED: [&str; 8] =
    [".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".txz", ".tar.bz2", ".tbz2"];

/// Path with its form and the name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePath {
    /// Archive format, if the text names it.
    pub format: Option<Format>,
    /// The path.
    pub path: PathBuf,
    /// The tag or the digest behind the path.
    pub image: Name,
    /// Repository in front of the tag, as docker archives name their images, and skopeo those of layouts.
    pub repository: Option<String>,
}

/// Text behind a path that is no name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' behind the path {path} is no name of an image; expected :TAG, :REPOSITORY:TAG or @DIGEST, or a path that \
     exists"
)]
pub struct NoName {
    path: String,
    name: String,
}

impl ArchivePath {
    /// A path without the name of an image.
    pub fn new(format: Option<Format>, path: impl Into<PathBuf>) -> Self {
        Self { format, path: path.into(), image: Name::Unnamed, repository: None }
    }

    /// Parses the text behind a scheme. What exists is a path, colons and all; else the path ends at the last colon up
    /// to which one exists, or at the first colon of all.
    pub fn parse(format: Option<Format>, text: &str) -> Result<Self, NoName> {
        let whole = Self::new(format, text);
        if whole.path.exists() {
            return Ok(whole);
        }
        if let Some((path, digest)) = text.rsplit_once('@')
            && let Ok(digest) = digest.parse::<Digest>()
        {
            // With both a tag and a digest the digest decides, as docker has it.
            return Ok(Self { image: Name::Digest(digest), ..Self::parse(format, path)? });
        }
        let drive = drive(text);
        let parts = || {
            let colons = text.match_indices(':').filter(move |(colon, _)| *colon > drive);
            colons.map(|(colon, _)| (&text[..colon], &text[colon + 1..]))
        };
        let existing = parts().rfind(|(path, name)| Path::new(path).exists() && is_name(name));
        match existing.or_else(|| parts().next()) {
            None => Ok(whole),
            Some((path, name)) if is_name(name) => Ok(Self::new(format, path).named(name)),
            Some((path, name)) => Err(NoName { path: path.to_owned(), name: name.to_owned() }),
        }
    }

    fn named(self, name: &str) -> Self {
        let (repository, tag) = match docker::split(name) {
            Some((repository, tag)) => (Some(repository), tag.parse::<Tag>().ok()),
            None => match name.parse() {
                Ok(tag) => (None, Some(tag)),
                Err(_) => (Some(name), None),
            },
        };
        let image = tag.map_or(Name::Unnamed, Name::Tag);
        Self { image, repository: repository.map(ToOwned::to_owned), ..self }
    }

    /// Opens the path for reading. That waits for whoever writes where it is a pipe, and may take long.
    pub fn source(&self) -> Result<Shared, Error> {
        let metadata = std::fs::metadata(&self.path).map_err(Error::io("read", &self.path))?;
        match self.format {
            Some(Format::Archive) if metadata.is_dir() => {
                Err(self.wrong("is a folder; expected an OCI archive, a file"))
            }
            Some(Format::Docker) if metadata.is_dir() => {
                Err(self.wrong("is a folder; expected a docker archive, a file"))
            }
            Some(Format::Layout) if !metadata.is_dir() => {
                Err(self.wrong("is a file; expected an OCI image layout, a folder"))
            }
            _ if metadata.is_dir() => {
                Ok(Arc::new(Layout::new(&self.path).of_repository(self.repository.clone())))
            }
            _ => self.read(ArchiveReader::open(&self.path)?),
        }
    }

    /// Opens the archive in an open file or pipe. It may take long too.
    pub fn source_in(&self, file: File) -> Result<Shared, Error> {
        self.read(ArchiveReader::of_file(file, &self.path)?)
    }

    /// The archive as the kind of store that it is.
    pub(super) fn read(&self, archive: ArchiveReader) -> Result<Shared, Error> {
        let wrong = |reason: &str| {
            let place = archive.path().display().to_string();
            Err(Error::Place { place, reason: reason.to_owned() })
        };
        match (archive.is_docker_only(), self.format) {
            (true, Some(Format::Archive)) => wrong("is a docker archive; expected an OCI archive"),
            (true, _) => Ok(Arc::new(DockerReader::new(&archive, self.repository.as_deref())?)),
            (false, Some(Format::Docker)) if !archive.is_saved() => {
                wrong("has no manifest.json; expected a docker archive")
            }
            (false, _) => Ok(Arc::new(archive.of_repository(self.repository.clone()))),
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::Place { place: self.path.display().to_string(), reason: reason.to_owned() }
    }

    /// Opens the path for writing. Without a form it is what is there already, or an archive where the name ends in
    /// `.tar`. A pipe is written from its beginning to its end, once somebody reads from it.
    pub fn destination(&self) -> Result<Shared, Error> {
        self.destination_with(VerifiedBlobs::default())
    }

    /// Opens the path for writing, with the record of verified blobs.
    pub fn destination_with(&self, verified: VerifiedBlobs) -> Result<Shared, Error> {
        let docker = self.format == Some(Format::Docker);
        if self.format != Some(Format::Layout) && is_pipe(&self.path) {
            let pipe = File::options().write(true).open(&self.path);
            let pipe = pipe.map_err(Error::io("write", &self.path))?;
            return Ok(Arc::new(ArchiveStream::new(pipe, docker)));
        }
        let name = self.path.to_string_lossy();
        if self.format != Some(Format::Layout)
            && !self.path.is_dir()
            && COMPRESSED.iter().any(|ending| name.ends_with(ending))
        {
            return Err(self.wrong(
                "cannot be written: archives are not compressed as a whole, since their layers are; expected a name \
                 that ends in .tar",
            ));
        }
        if docker {
            return Ok(Arc::new(ArchiveWriter::docker(&self.path)?));
        }
        let archive = match self.format {
            Some(format) => format == Format::Archive,
            None if self.path.is_dir() => false,
            None => is_tar(&self.path) || self.path.extension().is_some_and(|extension| extension == "tar"),
        };
        if archive {
            Ok(Arc::new(ArchiveWriter::new(&self.path)?))
        } else if self.path.exists() && !self.path.is_dir() {
            Err(self.wrong("is a file; expected a folder, or a name that ends in .tar"))
        } else {
            Ok(Arc::new(Layout::new(&self.path).with_verified(verified)))
        }
    }
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|facts| platform::is_pipe(&facts))
}

/// Returns whether a tar file exists there, by the magic in its first header.
fn is_tar(path: &Path) -> bool {
    let mut header = [0; 262];
    open_file(path).and_then(|mut file| file.read_exact(&mut header)).is_ok() && &header[257..] == b"ustar"
}

/// Returns the position of the colon behind a drive's letter, as in `C:\\layout` and `C:/layout`; the same on every
/// system, as a command line is.
fn drive(text: &str) -> usize {
    match text.as_bytes() {
        [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic() => 1,
        _ => 0,
    }
}

/// Returns whether text can be the name of an image in a layout or an archive.
fn is_name(text: &str) -> bool {
    Name::tag(text).is_ok()
        || text.parse::<Reference>().is_ok_and(|name| !matches!(name.name, Name::Digest(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(path: &str, repository: Option<&str>, tag: Option<&str>) -> ArchivePath {
        ArchivePath {
            image: tag.map_or(Name::Unnamed, |tag| Name::tag(tag).unwrap()),
            repository: repository.map(ToOwned::to_owned),
            ..ArchivePath::new(None, path)
        }
    }

    fn parse(text: &str) -> ArchivePath {
        ArchivePath::parse(None, text).unwrap()
    }

    #[test]
    fn a_path_ends_where_a_name_begins() {
        for (text, path, repository, tag) in [
            ("no/such", "no/such", None, None),
            ("no/such:1.0", "no/such", None, Some("1.0")),
            ("a.tar:app:1.0", "a.tar", Some("app"), Some("1.0")),
            ("a.tar:team/app", "a.tar", Some("team/app"), None),
            ("a.tar:localhost:5000/app:1", "a.tar", Some("localhost:5000/app"), Some("1")),
            // As skopeo reads it: the first colon ends the path.
            ("build-12:30:latest", "build-12", Some("30"), Some("latest")),
            ("c:/no/such", "c:/no/such", None, None),
            ("C:\\no\\such:1", "C:\\no\\such", None, Some("1")),
        ] {
            assert_eq!(parse(text), tagged(path, repository, tag), "{text}");
        }
        let digest = Digest::of(b"x");
        let expected = ArchivePath { image: Name::Digest(digest.clone()), ..ArchivePath::new(None, "a") };
        assert_eq!(parse(&format!("a@{digest}")), expected);
        assert_eq!(parse(&format!("a:1@{digest}")), expected);
    }

    #[test]
    fn invalid_names_make_no_paths() {
        for (text, path, name) in
            [("a:-x", "a", "-x"), ("a:App:1", "a", "App:1"), ("a:", "a", ""), ("a:b c", "a", "b c")]
        {
            let expected = NoName { path: path.to_owned(), name: name.to_owned() };
            assert_eq!(ArchivePath::parse(None, text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_colon_belongs_to_a_path_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["image", "image:1"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let path = folder.path().join("image:1");
        let text = path.to_str().unwrap();
        assert_eq!(parse(text), tagged(text, None, None));
        assert_eq!(parse(&format!("{text}:2")), tagged(text, None, Some("2")));
        assert_eq!(parse(&format!("{text}:app:2")), tagged(text, Some("app"), Some("2")));
    }
}
