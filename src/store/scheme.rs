//! Table of the schemes of locations on the command line.

use super::archive_path::{ArchivePath, Format, NoName};
use crate::image::{self, Reference};

/// A scheme.
pub struct Scheme {
    /// Prefix of the location.
    pub prefix: &'static str,
    /// Form of the location in help texts.
    pub usage: &'static str,
    /// Description in help texts.
    pub help: &'static str,
    parse: fn(&str) -> Result<Place, Error>,
}

/// Properties of a kind of store that decide how images are moved into it and out of it. Each store answers its own by
/// `Store::capabilities`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Blobs are files of this machine that go by their digests: a destination that computes digests itself may take
    /// them as they are.
    pub has_content_addressed_files: bool,
    /// Images are kept as docker keeps them: each for one platform, and with layers that need not be compressed.
    pub is_docker_format: bool,
    /// Blobs are sent far away to get there.
    pub is_remote: bool,
    /// One blob is taken after another.
    pub is_sequential: bool,
    /// Indexes may list manifests only.
    pub lists_manifests_only: bool,
}

impl Capabilities {
    /// Capabilities that are all off; the others are differences from it.
    const PLAIN: Self = Self {
        has_content_addressed_files: false,
        is_docker_format: false,
        is_remote: false,
        is_sequential: false,
        lists_manifests_only: false,
    };
    /// An OCI image layout, in a folder or in a tar file.
    pub const LAYOUT: Self = Self { has_content_addressed_files: true, ..Self::PLAIN };
    /// A docker archive.
    pub const DOCKER: Self = Self { is_docker_format: true, ..Self::PLAIN };
    /// A registry over `/v2/`.
    pub const REGISTRY: Self = Self { is_remote: true, ..Self::PLAIN };
    /// A repository of Amazon ECR, which refuses an index with anything but manifests in it.
    pub const ECR: Self = Self { is_remote: true, lists_manifests_only: true, ..Self::PLAIN };
}

/// Location with a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A layout or an archive; the path `-` is standard input or output.
    Path(ArchivePath),
    /// An image in docker's or podman's engine.
    Engine(EngineImage),
    /// An image in a registry.
    Registry(Reference),
}

/// An image in an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineImage {
    /// By its name.
    Named(Reference),
    /// By its id: the digest of its configuration, or the beginning of it behind `sha256:`.
    Id(String),
}

/// Error of parsing a location.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text behind a path is no name.
    #[error(transparent)]
    Name(#[from] NoName),
    /// The text is no reference.
    #[error(transparent)]
    Reference(#[from] image::Error),
    /// A registry is missing.
    #[error("'docker://{0}' names no registry; expected docker://HOST/REPOSITORY")]
    NoRegistry(String),
    /// The path is missing.
    #[error("'{0}' names no path")]
    NoPath(String),
    /// Other tools have this scheme.
    #[error("the scheme {prefix} is not supported; {instead}")]
    Unsupported {
        /// The scheme.
        prefix: &'static str,
        /// Alternative that is supported.
        instead: &'static str,
    },
}

/// The schemes that are known.
pub const SCHEMES: [Scheme; 5] = [
    Scheme {
        prefix: "oci:",
        usage: "oci:PATH[:NAME]",
        help: "an OCI image layout, a folder",
        parse: |rest| path(Format::Layout, "oci:", rest),
    },
    Scheme {
        prefix: "oci-archive:",
        usage: "oci-archive:PATH[:NAME]",
        help: "an OCI image layout in a tar file",
        parse: |rest| path(Format::Archive, "oci-archive:", rest),
    },
    Scheme {
        prefix: "docker-archive:",
        usage: "docker-archive:PATH[:NAME]",
        help: "a tar file that docker loads, with one platform of an image",
        parse: |rest| path(Format::Docker, "docker-archive:", rest),
    },
    Scheme {
        prefix: "docker-daemon:",
        usage: "docker-daemon:NAME",
        help: "an image of docker's or podman's engine",
        parse: engine,
    },
    Scheme {
        prefix: "docker://",
        usage: "docker://HOST/REPOSITORY[:TAG|@DIGEST]",
        help: "any OCI registry, over /v2/",
        parse: registry,
    },
];

/// Schemes of skopeo, podman and crane that there is something else for.
const UNSUPPORTED: [(&str, &str); 9] = [
    ("dir:", "write the image as oci:PATH"),
    ("containers-storage:", "save it with 'podman save --format oci-archive' and use oci-archive:PATH"),
    ("containerd:", "export it with 'ctr images export' and use oci-archive:PATH"),
    ("docker-image:", "use docker-daemon:NAME"),
    ("docker:", "use docker://HOST/REPOSITORY, or docker-daemon:NAME for the engine"),
    ("ocidir://", "use oci:PATH"),
    ("oci-layout:", "use oci:PATH"),
    ("tarball:", "use docker-archive:PATH or oci-archive:PATH"),
    ("sif:", "convert it with skopeo to oci:PATH"),
];

/// Parses a location with a scheme; `None` if it has none.
pub fn parse(text: &str) -> Result<Option<Place>, Error> {
    match SCHEMES.iter().find_map(|scheme| Some((scheme, text.strip_prefix(scheme.prefix)?))) {
        Some((scheme, rest)) => (scheme.parse)(rest).map(Some),
        None => Ok(None),
    }
}

/// The error for a scheme that only other tools have.
pub fn unsupported(text: &str) -> Option<Error> {
    let found = UNSUPPORTED.iter().find(|(prefix, _)| text.starts_with(prefix));
    found.map(|&(prefix, instead)| Error::Unsupported { prefix, instead })
}

/// Lists the schemes with their descriptions, for help texts.
pub fn help() -> String {
    let rows: Vec<String> =
        SCHEMES.iter().map(|scheme| format!("{} ({})", scheme.usage, scheme.help)).collect();
    rows.join("; ")
}

fn path(format: Format, prefix: &str, rest: &str) -> Result<Place, Error> {
    if rest.is_empty() || rest.starts_with([':', '@']) {
        return Err(Error::NoPath(format!("{prefix}{rest}")));
    }
    Ok(Place::Path(ArchivePath::parse(Some(format), rest)?))
}

fn engine(rest: &str) -> Result<Place, Error> {
    if let Some(id) = rest.strip_prefix("sha256:")
        && id.len() <= 64
        && id.len() >= 12
        && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    {
        return Ok(Place::Engine(EngineImage::Id(rest.to_owned())));
    }
    Ok(Place::Engine(EngineImage::Named(rest.parse()?)))
}

fn registry(rest: &str) -> Result<Place, Error> {
    let reference: Reference = rest.parse()?;
    match reference.registry {
        Some(_) => Ok(Place::Registry(reference)),
        None => Err(Error::NoRegistry(rest.to_owned())),
    }
}

/// Returns the repository with its registry, as it stands in front of a tag.
pub fn repository(reference: &Reference) -> String {
    match &reference.registry {
        Some(registry) => format!("{}/{}", registry.host(), reference.repository),
        None => reference.repository.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_reads_what_it_stands_for() {
        let path = |format, path: &str| Place::Path(ArchivePath::new(Some(format), path));
        let reference = |text: &str| text.parse::<Reference>().unwrap();
        let id = format!("sha256:{}", "0a".repeat(32));
        for (text, place) in [
            ("oci:no/such".to_owned(), path(Format::Layout, "no/such")),
            ("oci-archive:no/such".to_owned(), path(Format::Archive, "no/such")),
            ("docker-archive:no/such".to_owned(), path(Format::Docker, "no/such")),
            ("docker-archive:-".to_owned(), path(Format::Docker, "-")),
            ("docker-daemon:app:1".to_owned(), Place::Engine(EngineImage::Named(reference("app:1")))),
            (format!("docker-daemon:{id}"), Place::Engine(EngineImage::Id(id))),
            ("docker://a.example/b:c.tar".to_owned(), Place::Registry(reference("a.example/b:c.tar"))),
        ] {
            assert_eq!(parse(&text).unwrap(), Some(place), "{text}");
        }
        assert_eq!(parse("app:1.tar").unwrap(), None);
    }

    #[test]
    fn incomplete_and_unsupported_locations_are_reported() {
        for (text, reason) in [
            ("oci:", "'oci:' names no path"),
            ("oci::1", "'oci::1' names no path"),
            ("docker://app", "'docker://app' names no registry; expected docker://HOST/REPOSITORY"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), reason);
        }
        assert_eq!(
            unsupported("dir:/srv/image").unwrap().to_string(),
            "the scheme dir: is not supported; write the image as oci:PATH"
        );
        assert!(unsupported("directory:1").is_none());
    }
}
