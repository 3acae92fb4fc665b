//! Source or destination of a transfer, as written on the command line.
//!
//! A scheme says what is meant ([`scheme`]); `-` is an archive that comes by stdin or goes to stdout. A name without a
//! scheme that has a registry's host in front is a repository there: one of ECR goes through ECR's own API, another
//! host over `/v2/`. What begins like a path (`./x`, `../x`, `/x`, `~/x`) is one. What is left depends on where it
//! stands ([`BareName`]).

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::ecr_repository::EcrRepository;
use super::{block_on, distribution, registry};
use crate::image::{Digest, Name, Reference, Registry, RepositoryName, Tag};
use crate::network::Network;
use crate::platform;
use crate::settings::Settings;
use crate::store::docker_engine::EngineAddress;
use crate::store::scheme::{self, EngineImage, Place};
use crate::store::{ArchivePath, ArchiveStream, Engine, Format, Shared, VerifiedBlobs};

/// Meaning of a name without a scheme, without a host, and without the look of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BareName {
    /// A path, also behind a host if such a path exists.
    Path,
    /// A repository.
    Repository,
    /// An archive that exists, and else a repository.
    ExistingFile,
}

/// Side of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// One end of a transfer.
pub(super) struct Location {
    /// Name of the image.
    pub(super) name: Name,
    /// The store.
    pub(super) store: Shared,
    /// The repository, where it is one of ECR, so that it can be created.
    pub(super) target: Option<EcrRepository>,
    /// Repository with its registry, as it stands in front of a tag, if there is one.
    repository: Option<String>,
    /// The location is an archive that goes to stdout.
    takes_stdout: bool,
    /// The store is named after the image, as in docker's engine, and not after what holds it.
    store_is_named_after_image: bool,
}

impl Location {
    /// Parses a text and opens the location.
    pub(super) fn open(settings: &Settings, text: &str, side: Side, bare: BareName) -> anyhow::Result<Self> {
        match place(text, bare)? {
            Place::Path(path) if path.path == Path::new("-") => Self::stream(&path, side),
            Place::Path(path) => Self::local(settings, &path, side),
            Place::Engine(image) => Self::engine(settings, &image, side),
            Place::Registry(reference) => match &reference.registry {
                Some(registry)
                    if distribution::is_used(settings, text.starts_with("docker://"), registry)? =>
                {
                    Self::remote(settings, registry, &reference)
                }
                _ => {
                    let repository = scheme::repository(&reference);
                    let target = EcrRepository::of(settings, reference)?;
                    Ok(Self { repository: Some(repository), ..Self::of(target) })
                }
            },
        }
    }

    /// A repository over `/v2/`.
    pub(super) fn at(
        settings: &Settings,
        registry: &Registry,
        repository: &RepositoryName,
    ) -> anyhow::Result<Self> {
        let store = Arc::new(distribution::remote(settings, registry, repository)?);
        Ok(Self {
            name: Name::Unnamed,
            store,
            target: None,
            repository: None,
            takes_stdout: false,
            store_is_named_after_image: false,
        })
    }

    /// An end in a repository of ECR.
    pub(super) fn of(target: EcrRepository) -> Self {
        let (name, store) = (target.name.clone(), target.store());
        Self {
            name,
            store,
            target: Some(target),
            repository: None,
            takes_stdout: false,
            store_is_named_after_image: false,
        }
    }

    /// An image in docker's or podman's engine; without a tag, `latest`.
    fn engine(settings: &Settings, image: &EngineImage, side: Side) -> anyhow::Result<Self> {
        let (name, image, repository) = match image {
            EngineImage::Id(id) if side == Side::Destination => {
                return Err(registry::usage(format!(
                    "'docker-daemon:{id}' is an image's ID, which an engine computes; expected a name"
                )));
            }
            // What is saved by its ID has no name.
            EngineImage::Id(id) => (id.clone(), Name::Unnamed, None),
            EngineImage::Named(reference) => {
                let (name, image, repository) = named_image(reference.clone(), side);
                (name, image, Some(repository))
            }
        };
        let network = Network::from_settings(settings)?;
        let opened = async {
            let address = match settings.engine() {
                Some(host) => EngineAddress::parse(&host),
                None => EngineAddress::first_of(&settings.engine_sockets()),
            };
            let address = address.map_err(crate::store::Error::from)?;
            match side {
                Side::Source => Engine::source(address, &name, &network).await,
                Side::Destination => Engine::destination(address, &name, &network).await,
            }
        };
        let store = block_on(async {
            opened.await.map_err(|error| registry::explained(crate::transfer::Error::Store(error)))
        })?;
        let store = Arc::new(store);
        Ok(Self {
            name: image,
            store,
            target: None,
            repository,
            takes_stdout: false,
            store_is_named_after_image: true,
        })
    }

    fn local(settings: &Settings, path: &ArchivePath, side: Side) -> anyhow::Result<Self> {
        let cache = settings.cache_folder().map(|folder| folder.join("ecr").join("verified"));
        let verified = cache.map(VerifiedBlobs::in_folder).unwrap_or_default();
        Self::opened(path, move |path| match side {
            Side::Source => path.source(),
            Side::Destination => path.destination_with(verified),
        })
    }

    /// Opens a location on a thread that a signal does not wait for: a pipe waits for its other end, and a large
    /// archive takes its time.
    fn opened(
        path: &ArchivePath,
        open: impl FnOnce(&ArchivePath) -> Result<Shared, crate::store::Error> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let own = path.clone();
        let store = block_on(async {
            let opened = tokio::task::spawn_blocking(move || open(&own)).await?;
            opened.map_err(|error| registry::explained(error.into()))
        })?;
        Ok(Self::of_path(path, store))
    }

    fn of_path(path: &ArchivePath, store: Shared) -> Self {
        let (name, repository) = (path.image.clone(), path.repository.clone());
        Self { name, store, target: None, repository, takes_stdout: false, store_is_named_after_image: false }
    }

    fn stream(path: &ArchivePath, side: Side) -> anyhow::Result<Self> {
        if path.format == Some(Format::Layout) {
            return Err(registry::usage(
                "an OCI image layout is a folder; expected oci-archive:- for a stream",
            ));
        }
        if side == Side::Destination {
            return Self::output(path);
        }
        let input = platform::input().context("cannot read standard input")?;
        Self::opened(path, |path| path.source_in(input))
    }

    fn output(path: &ArchivePath) -> anyhow::Result<Self> {
        if io::stdout().is_terminal() {
            return Err(registry::usage(
                "an archive is nothing for a terminal; send it to a file or a program",
            ));
        }
        let store = Arc::new(ArchiveStream::new(io::stdout(), path.format == Some(Format::Docker)));
        Ok(Self { takes_stdout: true, ..Self::of_path(path, store) })
    }

    fn remote(settings: &Settings, registry: &Registry, reference: &Reference) -> anyhow::Result<Self> {
        let end = Self::at(settings, registry, &reference.repository)?;
        Ok(Self { name: reference.name.clone(), repository: Some(scheme::repository(reference)), ..end })
    }

    /// Returns the names of a source's image at this location, by these tags: docker's own stores have the repository
    /// in front of them, this location's or else the source's, and layouts if it was given.
    pub(super) fn names(&self, source: &Self, tags: Vec<String>) -> Vec<String> {
        let capabilities = self.store.capabilities();
        let repository = match &self.repository {
            own @ Some(_) if capabilities.is_docker_format || capabilities.has_content_addressed_files => own,
            None if capabilities.is_docker_format => &source.repository,
            _ => return tags,
        };
        match repository {
            Some(repository) => tags.into_iter().map(|tag| format!("{repository}:{tag}")).collect(),
            None => tags,
        }
    }

    /// Display name of an image here.
    pub(super) fn label(&self, tags: &[String], digest: &Digest) -> String {
        let place = match &self.target {
            Some(target) => target.repository.name.to_string(),
            None => self.store.name(),
        };
        match tags {
            [] => format!("{place}@{}", digest.short()),
            tags if self.store_is_named_after_image => format!("docker-daemon:{}", tags.join(",")),
            tags => format!("{place}:{}", tags.join(",")),
        }
    }

    /// Returns whether the image's bytes go to stdout, so that its digest cannot.
    pub(super) fn takes_stdout(&self) -> bool {
        self.takes_stdout
    }
}

/// Returns the name that an engine has for an image, the name by which it is read or written, and its repository.
fn named_image(mut reference: Reference, side: Side) -> (String, Name, String) {
    if reference.name == Name::Unnamed {
        reference.name = Name::Tag(Tag::latest());
    }
    let repository = scheme::repository(&reference);
    let name = match &reference.name {
        Name::Tag(tag) => format!("{repository}:{tag}"),
        Name::Digest(digest) => format!("{repository}@{digest}"),
        Name::Unnamed => repository.clone(),
    };
    // A saved image goes by its tag or by nothing.
    let image = match reference.name {
        Name::Digest(_) if side == Side::Source => Name::Unnamed,
        image => image,
    };
    (name, image, repository)
}

/// Returns whether a text looks like a path, or is the standard stream.
fn is_like_path(text: &str) -> bool {
    let rooted = ["/", "./", "../", "~/", ".\\", "..\\"].iter().any(|front| text.starts_with(front));
    let drive = matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    rooted || drive || [".", "..", "-"].contains(&text) || text.starts_with("-:")
}

fn no_such_archive(text: &str) -> anyhow::Error {
    registry::usage(format!(
        "there is no file {text}, and it is no usual name of a repository; expected ./{text} for a file to write, or the \
         registry's host in front of the repository's name"
    ))
}

/// Parses the place that a text names.
fn place(text: &str, bare: BareName) -> anyhow::Result<Place> {
    let wrong = |error: scheme::Error| registry::usage(error.to_string());
    if let Some(place) = scheme::parse(text).map_err(wrong)? {
        return Ok(place);
    }
    let path =
        |text: &str| ArchivePath::parse(None, text).map_err(|error| registry::usage(error.to_string()));
    if is_like_path(text) {
        return Ok(Place::Path(path(text)?));
    }
    // `dir:/path` is another tool's scheme; `dir:5000/path` would be a host.
    let is_scheme = text.split_once(':').is_some_and(|(_, rest)| rest.starts_with(['/', '.', '~']));
    if let Some(error) = scheme::unsupported(text).filter(|_| is_scheme) {
        return Err(wrong(error));
    }
    let reference = text.parse::<Reference>();
    let hosted = reference.as_ref().is_ok_and(|reference| reference.registry.is_some());
    let exists = |path: &ArchivePath| match bare {
        BareName::Path => path.path.exists(),
        BareName::ExistingFile => path.path.exists() && !path.path.is_dir() && !hosted,
        BareName::Repository => false,
    };
    if let Ok(path) = path(text)
        && exists(&path)
    {
        return Ok(Place::Path(path));
    }
    match (reference, bare) {
        (Ok(reference), _) if hosted => Ok(Place::Registry(reference)),
        (_, BareName::Path) | (Err(_), _) if scheme::unsupported(text).is_some() => {
            Err(scheme::unsupported(text).map_or_else(|| registry::usage(text), wrong))
        }
        (_, BareName::Path) => Ok(Place::Path(path(text)?)),
        (Ok(reference), _) => {
            let ending = Path::new(reference.repository.as_str()).extension();
            if bare == BareName::ExistingFile && ending.is_some_and(|ending| ending == "tar") {
                return Err(no_such_archive(text));
            }
            Ok(Place::Registry(reference))
        }
        (Err(error), _) => Err(registry::wrong(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the kind of a name without a scheme in each position: path, repository, copy's.
    fn kinds(text: &str) -> [&'static str; 3] {
        [BareName::Path, BareName::Repository, BareName::ExistingFile].map(|bare| match place(text, bare) {
            Ok(Place::Path(_)) => "path",
            Ok(Place::Engine(_)) => "engine",
            Ok(Place::Registry(_)) => "repository",
            Err(_) => "nothing",
        })
    }

    #[test]
    fn a_host_or_a_scheme_decides_the_kind_of_a_name_and_its_ending_does_not() {
        const PATH: [&str; 3] = ["path"; 3];
        const REPOSITORY: [&str; 3] = ["repository"; 3];
        const BARE: [&str; 3] = ["path", "repository", "repository"];
        let id = format!("docker-daemon:sha256:{}", "0".repeat(64));
        for (text, expected) in [
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app:v1.tar", REPOSITORY),
            ("docker.io/app.tar", REPOSITORY),
            ("docker.io/app:a.tar:b", ["path", "nothing", "nothing"]),
            ("localhost:5000/app:v1.tar", REPOSITORY),
            ("docker://registry.example/app:v1.tar", REPOSITORY),
            ("docker-daemon:app:v1.tar", ["engine"; 3]),
            (&id, ["engine"; 3]),
            ("oci:app", PATH),
            ("oci-archive:app:v1", PATH),
            ("docker-archive:registry.example/app:1", PATH),
            ("./app", PATH),
            ("../app:1", PATH),
            ("/srv/app:v1.tar", PATH),
            ("~/app", PATH),
            (".", PATH),
            ("C:/app", PATH),
            ("C:\\app:1", PATH),
            ("-", PATH),
            ("-:app:1", PATH),
            ("docker-archive:-", PATH),
            ("app", BARE),
            ("team/app:v1.tar", BARE),
            ("a:b", BARE),
            ("c:1", BARE),
            // Nothing of that name exists, and whether a file or a repository is meant is not guessed.
            ("app.tar", ["path", "repository", "nothing"]),
            ("dir:no/such", ["nothing"; 3]),
            ("dir:1", ["nothing", "repository", "repository"]),
            ("docker://app", ["nothing"; 3]),
            ("https://registry.example/app", ["nothing"; 3]),
        ] {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }

    #[test]
    fn an_existing_path_wins_where_a_path_is_possible() {
        // Tests share one working folder, which has this file.
        assert_eq!(kinds("Cargo.toml"), ["path", "nothing", "path"]);
    }
}
