//! Places on this machine as they are written on the command line: `oci:PATH`, `oci-archive:PATH`,
//! `docker-archive:PATH` or a bare path, each with `:TAG` behind it where that is meant, and a docker archive also with
//! `:REPOSITORY:TAG`.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::open_file;
use super::{
    ArchiveReader, ArchiveStream, ArchiveWriter, DockerReader, Error, Layout, Shared, VerifiedBlobs, docker,
};
use crate::image::{Name, Reference, Tag};

/// The form in which a place keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An OCI image layout.
    Layout,
    /// An OCI archive.
    Archive,
    /// A docker archive.
    Docker,
}

/// A path with the form that it has and the tag that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePath {
    /// The form, where the text says it.
    pub format: Option<Format>,
    /// The path.
    pub path: PathBuf,
    /// The tag behind the path.
    pub tag: Option<Tag>,
    /// The repository in front of the tag, as docker archives name their images.
    pub repository: Option<String>,
}

impl ArchivePath {
    /// Reads a place. A colon belongs to the path where a file of that name exists; else a tag follows it.
    pub fn parse(text: &str) -> Self {
        let (format, rest) = match text.split_once(':') {
            Some(("oci", rest)) => (Some(Format::Layout), rest),
            Some(("oci-archive", rest)) => (Some(Format::Archive), rest),
            Some(("docker-archive", rest)) => (Some(Format::Docker), rest),
            _ => (None, text),
        };
        let path = PathBuf::from(rest);
        if !path.exists() && format == Some(Format::Docker) {
            return Self::docker(rest);
        }
        if !path.exists()
            && let Some((path, tag)) = rest.rsplit_once(':')
            && !path.is_empty()
            && let Ok(tag) = tag.parse()
        {
            return Self { format, path: path.into(), tag: Some(tag), repository: None };
        }
        Self { format, path, tag: None, repository: None }
    }

    /// `PATH[:[REPOSITORY:]TAG]`, where the path ends at the first colon behind which a file exists, or else at the
    /// first that a name follows.
    fn docker(text: &str) -> Self {
        let format = Some(Format::Docker);
        let parts = || text.match_indices(':').map(|(colon, _)| (&text[..colon], &text[colon + 1..]));
        let named = |(path, name): &(&str, &str)| !path.is_empty() && name.parse::<Reference>().is_ok();
        let existing = parts().filter(|(path, _)| PathBuf::from(path).exists());
        let Some((path, name)) = existing.chain(parts()).find(named) else {
            return Self { format, path: text.into(), tag: None, repository: None };
        };
        let (repository, tag) = match docker::split(name) {
            Some((repository, tag)) => (Some(repository), tag.parse().ok()),
            None => match name.parse() {
                Ok(tag) => (None, Some(tag)),
                Err(_) => (Some(name), None),
            },
        };
        Self { format, path: path.into(), tag, repository: repository.map(ToOwned::to_owned) }
    }

    /// The image that was asked for.
    pub fn image(&self) -> Name {
        self.tag.clone().map_or(Name::Unnamed, Name::Tag)
    }

    /// Opens the place to read from. That waits for whoever writes where it is a pipe, and may take long.
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
            _ if metadata.is_dir() => Ok(Arc::new(Layout::new(&self.path))),
            _ => self.archive(ArchiveReader::open(&self.path)?),
        }
    }

    /// The archive in an open file or pipe, read as this place says. It may take long too.
    pub fn source_in(&self, file: File) -> Result<Shared, Error> {
        self.archive(ArchiveReader::of_file(file, &self.path)?)
    }

    fn archive(&self, archive: ArchiveReader) -> Result<Shared, Error> {
        match (archive.is_docker_only(), self.format) {
            (true, Some(Format::Archive)) => Err(self.wrong("is a docker archive; expected an OCI archive")),
            (true, _) => Ok(Arc::new(DockerReader::new(&archive, self.repository.as_deref())?)),
            (false, Some(Format::Docker)) if !archive.is_saved() => {
                Err(self.wrong("has no manifest.json; expected a docker archive"))
            }
            (false, _) => Ok(Arc::new(archive.of_repository(self.repository.clone()))),
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::Place { place: self.path.display().to_string(), reason: reason.to_owned() }
    }

    /// Opens the place to write to. Without a form it is what is there already, or an archive where the name ends in
    /// `.tar`. A pipe is written from its beginning to its end, once somebody reads from it.
    pub fn destination(&self) -> Result<Shared, Error> {
        self.destination_with(VerifiedBlobs::default())
    }

    /// Opens the place to write to, where it is known which blobs of layouts were verified.
    pub fn destination_with(&self, verified: VerifiedBlobs) -> Result<Shared, Error> {
        let docker = self.format == Some(Format::Docker);
        if self.format != Some(Format::Layout) && is_pipe(&self.path) {
            let pipe = File::options().write(true).open(&self.path);
            let pipe = pipe.map_err(Error::io("write", &self.path))?;
            return Ok(Arc::new(ArchiveStream::new(pipe, docker)));
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
    std::fs::metadata(path).is_ok_and(|facts| facts.file_type().is_fifo())
}

/// Whether a tar file is there, by the magic in its first header.
fn is_tar(path: &Path) -> bool {
    let mut header = [0; 262];
    open_file(path).and_then(|mut file| file.read_exact(&mut header)).is_ok() && &header[257..] == b"ustar"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(format: Option<Format>, path: &str, tag: Option<&str>) -> ArchivePath {
        ArchivePath { format, path: path.into(), tag: tag.map(|tag| tag.parse().unwrap()), repository: None }
    }

    #[test]
    fn forms_paths_and_tags() {
        assert_eq!(ArchivePath::parse("no/such"), place(None, "no/such", None));
        assert_eq!(
            ArchivePath::parse("oci:no/such:1.0"),
            place(Some(Format::Layout), "no/such", Some("1.0"))
        );
        assert_eq!(ArchivePath::parse("oci-archive:a.tar"), place(Some(Format::Archive), "a.tar", None));
        assert_eq!(ArchivePath::parse("a.tar:x"), place(None, "a.tar", Some("x")));
        assert_eq!(ArchivePath::parse("c:/no/such"), place(None, "c:/no/such", None));
    }

    #[test]
    fn docker_archives_know_repositories() {
        let folder = tempfile::tempdir().unwrap();
        let existing = folder.path().join("a:b.tar");
        std::fs::write(&existing, "").unwrap();
        let existing = existing.to_str().unwrap();
        for (rest, path, repository, tag) in [
            ("a.tar".to_owned(), "a.tar", None, None),
            ("a.tar:1.0".to_owned(), "a.tar", None, Some("1.0")),
            ("a.tar:app:1.0".to_owned(), "a.tar", Some("app"), Some("1.0")),
            ("a.tar:team/app".to_owned(), "a.tar", Some("team/app"), None),
            ("a.tar:localhost:5000/app:1".to_owned(), "a.tar", Some("localhost:5000/app"), Some("1")),
            (existing.to_owned(), existing, None, None),
            (format!("{existing}:app:1"), existing, Some("app"), Some("1")),
        ] {
            let repository = repository.map(ToOwned::to_owned);
            let expected = ArchivePath { repository, ..place(Some(Format::Docker), path, tag) };
            assert_eq!(ArchivePath::parse(&format!("docker-archive:{rest}")), expected);
        }
    }

    #[test]
    fn a_colon_belongs_to_a_path_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image:1");
        std::fs::create_dir(&path).unwrap();
        let text = path.to_str().unwrap();
        assert_eq!(ArchivePath::parse(text), place(None, text, None));
        assert_eq!(ArchivePath::parse(&format!("{text}:2")), place(None, text, Some("2")));
    }
}
