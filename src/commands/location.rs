//! The two ends of a transfer, as they are written on the command line.
//!
//! `docker://HOST/REPOSITORY` is any registry over `/v2/`; `oci:PATH`, `oci-archive:PATH` and `docker-archive:PATH` are
//! on this machine; `docker-daemon:NAME` is in docker's or podman's engine; `-` is an archive that comes by stdin or
//! goes to stdout. Without a prefix a repository of ECR goes through ECR's own API, another host over `/v2/`, and what
//! looks like a path (`./x`, `/x`, `x.tar`) is one.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::block_on;
use super::ecr_repository::EcrRepository;
use super::login_hosts::{address, rules};
use super::registry;
use crate::auth::login::LoginContext;
use crate::auth::{self, entry};
use crate::image::{Digest, Name, Reference, Registry, RepositoryName, Tag};
use crate::network::Network;
use crate::settings::{Globals, Settings};
use crate::store::engine::Address;
use crate::store::registry::{Login, Remote};
use crate::store::{ArchivePath, ArchiveStream, Engine, Format, Shared, VerifiedBlobs};

/// What a text without a prefix means where it is not clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BareName {
    /// A path.
    Path,
    /// A repository.
    Repository,
}

/// Which end it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// One end of a transfer.
pub(super) struct Location {
    /// Which image is meant.
    pub(super) name: Name,
    /// The store.
    pub(super) store: Shared,
    /// The repository, where it is one of ECR, so that it can be created.
    pub(super) target: Option<EcrRepository>,
    /// Repository name as docker has it, if there is one.
    repository: Option<String>,
    takes_stdout: bool,
}

impl Location {
    /// Reads a text and opens the place that it names.
    pub(super) fn open(
        settings: &Settings,
        text: &str,
        side: Side,
        assume: BareName,
    ) -> anyhow::Result<Self> {
        if let Some(rest) = text.strip_prefix("docker://") {
            let reference: Reference = rest.parse().map_err(registry::wrong)?;
            let registry = reference.registry.as_ref().ok_or_else(|| {
                registry::usage(format!("'{text}' names no registry; expected docker://HOST/REPOSITORY"))
            })?;
            return Self::remote(settings, registry, &reference);
        }
        if let Some(rest) = text.strip_prefix("docker-daemon:") {
            return Self::engine(settings, rest, side);
        }
        let (format, rest) = match text.split_once(':') {
            Some(("oci-archive", rest)) => (Some(Format::Archive), rest),
            Some(("docker-archive", rest)) => (Some(Format::Docker), rest),
            _ => (None, text),
        };
        if rest == "-" || (format.is_some() && rest.starts_with("-:")) {
            return Self::stream(&ArchivePath { path: "-".into(), format, ..ArchivePath::parse(text) }, side);
        }
        if is_path(text, assume) {
            return Self::local(settings, &ArchivePath::parse(text), side);
        }
        let reference: Reference = text.parse().map_err(registry::wrong)?;
        if let Some(registry @ Registry::Other(_)) = &reference.registry {
            return Self::remote(settings, registry, &reference);
        }
        let target = EcrRepository::connect(settings, text)?;
        Ok(Self { repository: Some(titled(&reference)), ..Self::of(target) })
    }

    /// A repository over `/v2/`.
    pub(super) fn at(
        settings: &Settings,
        registry: &Registry,
        repository: &RepositoryName,
    ) -> anyhow::Result<Self> {
        let store = Arc::new(remote(settings, registry, repository)?);
        Ok(Self { name: Name::Unnamed, store, target: None, repository: None, takes_stdout: false })
    }

    /// An end in a repository of ECR.
    pub(super) fn of(target: EcrRepository) -> Self {
        let (name, store) = (target.name.clone(), target.store());
        Self { name, store, target: Some(target), repository: None, takes_stdout: false }
    }

    /// An image in docker's or podman's engine; without a tag, `latest`.
    fn engine(settings: &Settings, text: &str, side: Side) -> anyhow::Result<Self> {
        let mut reference: Reference = text.parse().map_err(registry::wrong)?;
        let repository = titled(&reference);
        if reference.name == Name::Unnamed {
            reference.name = Name::Tag(Tag::latest());
        }
        let name = match &reference.name {
            Name::Tag(tag) => format!("{repository}:{tag}"),
            Name::Digest(digest) => format!("{repository}@{digest}"),
            Name::Unnamed => repository.clone(),
        };
        let network = Network::from_settings(settings)?;
        let opened = async {
            let address = match settings.engine() {
                Some(host) => Address::parse(&host),
                None => Address::first_of(&settings.engine_sockets()),
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
        // A saved image goes by its tag or by nothing.
        let name = match reference.name {
            Name::Digest(_) if side == Side::Source => Name::Unnamed,
            name => name,
        };
        Ok(Self {
            name,
            store: Arc::new(store),
            target: None,
            repository: Some(repository),
            takes_stdout: false,
        })
    }

    fn local(settings: &Settings, place: &ArchivePath, side: Side) -> anyhow::Result<Self> {
        let cache = settings.cache_folder().map(|folder| folder.join("ecr").join("verified"));
        let verified = cache.map(VerifiedBlobs::in_folder).unwrap_or_default();
        Self::opened(place, move |place| match side {
            Side::Source => place.source(),
            Side::Destination => place.destination_with(verified),
        })
    }

    /// Opens a place on a thread that a signal does not wait for: a pipe waits for its other end, and a large archive
    /// takes its time.
    fn opened(
        place: &ArchivePath,
        open: impl FnOnce(&ArchivePath) -> Result<Shared, crate::store::Error> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let own = place.clone();
        let store = block_on(async {
            let opened = tokio::task::spawn_blocking(move || open(&own)).await?;
            opened.map_err(|error| registry::explained(error.into()))
        })?;
        let repository = place.repository.clone();
        Ok(Self { name: place.image(), store, target: None, repository, takes_stdout: false })
    }

    fn stream(place: &ArchivePath, side: Side) -> anyhow::Result<Self> {
        if side == Side::Destination {
            return Self::output(place);
        }
        let stdin = io::stdin().as_fd().try_clone_to_owned().context("cannot read standard input")?;
        Self::opened(place, |place| place.source_in(stdin.into()))
    }

    fn output(place: &ArchivePath) -> anyhow::Result<Self> {
        if io::stdout().is_terminal() {
            return Err(registry::usage(
                "an archive is nothing for a terminal; send it to a file or a program",
            ));
        }
        let store = Arc::new(ArchiveStream::new(io::stdout(), place.format == Some(Format::Docker)));
        let (name, repository) = (place.image(), place.repository.clone());
        Ok(Self { name, store, target: None, repository, takes_stdout: true })
    }

    fn remote(settings: &Settings, registry: &Registry, reference: &Reference) -> anyhow::Result<Self> {
        let end = Self::at(settings, registry, &reference.repository)?;
        Ok(Self { name: reference.name.clone(), repository: Some(titled(reference)), ..end })
    }

    /// What an image of a source is called here by these tags: docker's own places have the repository in front of
    /// them, this end's or else the source's.
    pub(super) fn names(&self, source: &Self, tags: Vec<String>) -> Vec<String> {
        match self.repository.as_ref().or(source.repository.as_ref()) {
            Some(repository) if self.store.is_docker() => {
                tags.into_iter().map(|tag| format!("{repository}:{tag}")).collect()
            }
            _ => tags,
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
            tags => format!("{place}:{}", tags.join(",")),
        }
    }

    /// Whether the image's bytes go to stdout, so that its digest cannot.
    pub(super) fn takes_stdout(&self) -> bool {
        self.takes_stdout
    }
}

/// A repository over `/v2/`, with the login for its registry.
pub(super) fn remote(
    settings: &Settings,
    registry: &Registry,
    repository: &RepositoryName,
) -> anyhow::Result<Remote> {
    let login = login(settings, registry, repository, false)?;
    let plain = match registry {
        Registry::Loopback(host) => !registry::is_secured(settings, host)?,
        _ => false,
    };
    let network = registry::network(settings)?;
    // What expires is ECR's; it does after twelve hours, and a transfer may begin in the last minute of them.
    let (own, renewed, path) = (settings.clone(), registry.clone(), repository.to_owned());
    let renew = move || self::login(&own, &renewed, &path, true).map_err(|error| format!("{error:#}"));
    let expires =
        login != Login::Anonymous && matches!(registry, Registry::Ecr { .. } | Registry::Loopback(_));
    let remote = Remote::new(registry.host(), repository, plain, login, network);
    let remote = match registry::journal_of(settings, format!("docker://{}", registry.host())) {
        Some(journal) => remote.with_journal(journal),
        None => remote,
    };
    Ok(if expires { remote.renewed_by(Arc::new(renew)) } else { remote })
}

/// A reference's registry and repository.
fn titled(reference: &Reference) -> String {
    match &reference.registry {
        Some(registry) => format!("{}/{}", registry.host(), reference.repository),
        None => reference.repository.to_string(),
    }
}

fn is_path(text: &str, assume: BareName) -> bool {
    let prefixed = ["oci:", "oci-archive:", "docker-archive:"].iter().any(|front| text.starts_with(front));
    let rooted = ["/", "./", "../", "~/"].iter().any(|front| text.starts_with(front));
    let folder = text == "." || text == "..";
    // The grammar of the command line, not of file systems: it is the same everywhere.
    let archive = text.strip_suffix(".tar").is_some() || text.contains(".tar:");
    let hosted = || text.parse::<Reference>().is_ok_and(|reference| reference.registry.is_some());
    let assumed = assume == BareName::Path && (PathBuf::from(text).exists() || !hosted());
    prefixed || rooted || folder || archive || assumed
}

/// The arguments that give each side an account of its own.
pub(super) fn accounts(command: clap::Command) -> clap::Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        clap::Arg::new(name).long(name).value_name(value).help(help)
    };
    command
        .arg(option("source-profile", "PROFILE", "The profile for the source"))
        .arg(option("source-region", "REGION", "The region of the source, where its host does not say it"))
        .arg(option("destination-profile", "PROFILE", "The profile for the destination"))
        .arg(option(
            "destination-region",
            "REGION",
            "The region of the destination, where its host does not say it",
        ))
}

/// The settings of a side, as its arguments say.
pub(super) fn settings_by(settings: &Settings, matches: &clap::ArgMatches, side: Side) -> Settings {
    let side = if side == Side::Source { "source" } else { "destination" };
    let value = |what: &str| matches.get_one::<String>(&format!("{side}-{what}"));
    settings_of(settings, value("profile"), value("region"))
}

/// The settings of one end: an account of its own, by `--source-profile` and the like.
fn settings_of(settings: &Settings, profile: Option<&String>, region: Option<&String>) -> Settings {
    if profile.is_none() && region.is_none() {
        return settings.clone();
    }
    let globals = settings.globals().clone();
    settings.with_globals(Globals {
        profile: profile.cloned().or(globals.profile),
        region: region.cloned().or(globals.region),
        ..globals
    })
}

/// The login for a registry: ECR's, and what login.conf says is one, as for every client that logs in through us;
/// others' from where docker and podman keep them. `fresh` where the one that is kept has expired.
fn login(settings: &Settings, registry: &Registry, repository: &str, fresh: bool) -> anyhow::Result<Login> {
    let host = registry.host();
    let target = rules(settings)?.target(&address(host)?);
    if let Some(target) = target.filter(|target| !target.public) {
        if target.anonymous() {
            return Ok(Login::Anonymous);
        }
        let (user, password) = token(settings, &target, fresh)?
            .as_deref()
            .and_then(entry::login)
            .with_context(|| format!("GetAuthorizationToken gave no password for {host}"))?;
        return Ok(Login::Password(user, password));
    }
    Ok(super::connect::stored_login(settings, host, repository)?.unwrap_or(Login::Anonymous))
}

fn token(settings: &Settings, target: &auth::target::Target, fresh: bool) -> anyhow::Result<Option<String>> {
    if !settings.local() {
        return Ok(Some(super::login::password(&LoginContext::open(settings), target, fresh)?.token));
    }
    // The embedded ECR in this process has no endpoint, and nothing to keep.
    let globals = Globals { region: Some(target.region.clone()), ..settings.globals().clone() };
    let client = super::connect(&settings.with_globals(globals), crate::model::ecr())?;
    let answer =
        block_on(async { anyhow::Ok(client.call("GetAuthorizationToken", serde_json::json!({})).await?) })?;
    let token = answer.pointer("/authorizationData/0/authorizationToken").and_then(|token| token.as_str());
    Ok(token.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_path_is_one() {
        for (text, path, assumed) in [
            ("app", false, true),
            ("team/app:1.0", false, true),
            ("./app", true, true),
            ("/srv/app:1", true, true),
            ("app.tar", true, true),
            ("app.tar:1", true, true),
            ("oci:app", true, true),
            ("oci-archive:app", true, true),
            ("docker.io/app", false, false),
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com/app", false, false),
        ] {
            assert_eq!(is_path(text, BareName::Repository), path, "{text}");
            assert_eq!(is_path(text, BareName::Path), assumed, "{text}");
        }
    }
}
