//! Registries on both sides of a mirror, and their repositories.

use serde_json::json;

use super::super::distribution;
use super::super::ecr_repository::EcrRepository;
use super::super::location::Location;
use super::super::registry::{self, explained};
use crate::image::{Name, Reference, Registry, RepositoryName, glob};
use crate::settings::Settings;
use crate::store::TokenPages;
use crate::store::registry::Remote;
use crate::ui::progress::Display;

/// The most that DescribeRepositories answers at once.
const PAGE: u32 = 1000;
/// Stands for any repository where only the registry matters.
const ANY: &str = "any";

/// A registry.
pub(super) enum SyncRegistry {
    /// ECR, through its own API: one of its repositories, by which the others are reached.
    Ecr(Box<EcrRepository>),
    /// Any registry over `/v2/`.
    Other { settings: Box<Settings>, registry: Registry, any: Box<Remote> },
}

impl SyncRegistry {
    /// Reads a source: the registry, and the glob behind its host.
    pub(super) fn source(settings: &Settings, text: &str) -> anyhow::Result<(Self, String)> {
        let (host, glob, explicit) = split(text);
        if glob.is_empty() {
            return Err(registry::usage(format!("'{text}' names no repository; '{text}/*' is all of them")));
        }
        if !is_glob(glob) {
            let reference: Reference = glob.parse().map_err(registry::wrong)?;
            if reference.name != Name::Unnamed {
                return Err(registry::usage(format!("'{text}' names one image; choose tags with --match")));
            }
        }
        Ok((Self::open(settings, host, explicit)?, glob.to_owned()))
    }

    /// Reads a destination: the registry, and the prefix behind its host, which ends in a slash unless it is empty.
    pub(super) fn destination(settings: &Settings, text: &str) -> anyhow::Result<(Self, String)> {
        let (host, prefix, explicit) = split(text);
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() {
            let sound = |below: Reference| below.name == Name::Unnamed && below.registry.is_none();
            if !format!("{prefix}/{ANY}").parse().is_ok_and(sound) {
                return Err(registry::usage(format!(
                    "'{text}' is not a registry or a prefix of repositories"
                )));
            }
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok((Self::open(settings, host, explicit)?, prefix))
    }

    /// Opens a registry; `explicit` if `docker://` asks for `/v2/`, whatever the host.
    fn open(settings: &Settings, host: Option<&str>, explicit: bool) -> anyhow::Result<Self> {
        let unknown = |host| registry::usage(format!("'{host}' is no host"));
        let registry = host.map(|host| Registry::of_host(host).ok_or_else(|| unknown(host))).transpose()?;
        match registry {
            None if explicit => Err(registry::usage("docker:// is followed by a registry's host")),
            Some(registry) if distribution::is_used(settings, explicit, &registry)? => {
                let any = ANY.parse().map_err(registry::wrong)?;
                let any = Box::new(distribution::remote(settings, &registry, &any)?);
                Ok(Self::Other { settings: Box::new(settings.clone()), registry, any })
            }
            registry => {
                let repository = ANY.parse().map_err(registry::wrong)?;
                let reference = Reference { registry, repository, name: Name::Unnamed };
                Ok(Self::Ecr(Box::new(EcrRepository::of(settings, reference)?)))
            }
        }
    }

    pub(super) fn is_ecr(&self) -> bool {
        matches!(self, Self::Ecr(_))
    }

    /// A repository of this registry. Not for asynchronous code: a login may have to be asked for.
    pub(super) fn end(&self, repository: &RepositoryName) -> anyhow::Result<Location> {
        match self {
            Self::Ecr(target) => Ok(Location::of(target.sibling(repository))),
            Self::Other { settings, registry, .. } => Location::at(settings, registry, repository),
        }
    }

    /// The names of its repositories that a glob covers. What is no glob is a name.
    async fn repositories(&self, glob: &str) -> anyhow::Result<Listed> {
        if !is_glob(glob) {
            let name = glob.parse().map_err(registry::wrong)?;
            return Ok(Listed { names: vec![name], invalid: Vec::new() });
        }
        let names = match self {
            Self::Ecr(target) => described(target).await?,
            Self::Other { any, .. } => any
                .catalog()
                .await
                .map(|names| names.into_iter().collect())
                .map_err(|error| explained(crate::store::Error::from(error).into()))?,
        };
        let mut listed = Listed::default();
        for name in names.into_iter().filter(|name| glob::matches(glob, name)) {
            match name.parse() {
                Ok(name) => listed.names.push(name),
                Err(_) => listed.invalid.push(name),
            }
        }
        listed.names.sort();
        Ok(listed)
    }

    /// Display name of the registry for messages.
    fn place(&self) -> &str {
        match self {
            Self::Ecr(_) => "Amazon ECR",
            Self::Other { registry, .. } => registry.host(),
        }
    }

    /// Returns whether two may be the same registry: then a mirror below a prefix is not mirrored again.
    fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ecr(one), Self::Ecr(other)) => one.may_share_registry(other),
            (Self::Other { registry: one, .. }, Self::Other { registry: other, .. }) => one == other,
            _ => true,
        }
    }
}

/// Repositories of a registry that a glob matches.
#[derive(Default)]
struct Listed {
    names: Vec<RepositoryName>,
    /// Names that are no repository's.
    invalid: Vec<String>,
}

/// Repositories that match the arguments.
#[derive(Default)]
pub(super) struct MatchedRepositories<'a> {
    pub(super) repositories: Vec<(&'a SyncRegistry, RepositoryName)>,
    /// Listed names that are no repository's, with the registry that lists them.
    pub(super) invalid: Vec<(String, &'a str)>,
}

/// Returns the repositories to mirror, each once, in the order of the sources.
pub(super) async fn repositories<'a>(
    sources: &'a [(SyncRegistry, String)],
    destination: &SyncRegistry,
    prefix: &str,
    display: &Display,
) -> anyhow::Result<MatchedRepositories<'a>> {
    let (mut meant, mut left) = (MatchedRepositories::default(), 0usize);
    for (home, glob) in sources {
        let Listed { names, invalid } = home.repositories(glob).await?;
        if names.is_empty() && invalid.is_empty() {
            anyhow::bail!("no repository matches {glob}");
        }
        meant.invalid.extend(invalid.into_iter().map(|name| (name, home.place())));
        let all = &mut meant.repositories;
        for name in names {
            let mirror = is_glob(glob) && !prefix.is_empty() && name.starts_with(prefix);
            if mirror && home.may_be(destination) {
                left += 1;
                continue;
            }
            match all.iter().find(|(_, known)| *known == name) {
                None => all.push((home, name)),
                Some((known, _)) if known.may_be(home) => {}
                Some(_) => {
                    return Err(registry::usage(format!(
                        "two of the sources have a repository {name}; mirror them to different prefixes"
                    )));
                }
            }
        }
    }
    if left > 0 {
        display.note(&format!("left out what is below {prefix} already: {left}"));
    }
    Ok(meant)
}

async fn described(target: &EcrRepository) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut pages = TokenPages::default();
    let endless = |reason| anyhow::anyhow!("cannot list the repositories of Amazon ECR: {reason}");
    loop {
        let mut input = json!({"maxResults": PAGE});
        if let Some(registry) = &target.repository.registry {
            input["registryId"] = json!(registry);
        }
        let input = pages.input(input).map_err(endless)?;
        let answer = target.client.call("DescribeRepositories", input).await?;
        let some =
            answer["repositories"].as_array().ok_or_else(|| endless("its answer is no list".to_owned()))?;
        let goes_on = pages.page(&answer, some.len()).map_err(endless)?;
        names.extend(some.iter().filter_map(|each| each["repositoryName"].as_str()).map(ToOwned::to_owned));
        if !goes_on {
            return Ok(names);
        }
    }
}

/// Splits a reference into host, rest, and whether `docker://` stands in front.
fn split(text: &str) -> (Option<&str>, &str, bool) {
    let (rest, explicit) = text.strip_prefix("docker://").map_or((text, false), |rest| (rest, true));
    let (first, below) = rest.split_once('/').unwrap_or((rest, ""));
    if Registry::is_host(first) && !is_glob(first) {
        (Some(first), below, explicit)
    } else {
        (None, rest, explicit)
    }
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn hosts_and_what_is_behind_them() {
        for (text, host, below, explicit) in [
            ("team/*", None, "team/*", false),
            ("*", None, "*", false),
            ("mirror", None, "mirror", false),
            ("/", None, "/", false),
            ("team.*/x", None, "team.*/x", false),
            ("docker.io/library/*", Some("docker.io"), "library/*", false),
            ("docker://localhost:5000/a", Some("localhost:5000"), "a", true),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                Some("123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
                "",
                false,
            ),
        ] {
            assert_eq!(split(text), (host, below, explicit), "{text}");
        }
    }
}
