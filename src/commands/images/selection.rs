//! Repositories that a command is for: names, globs, `--all`, and `-` for names on standard input.

use clap::ValueHint;

use std::io::BufRead as _;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::super::argument_types::{ProfileName, RepositoryText};
use super::super::registry::{usage, wrong};
use super::connection::{Connection, RegistryAddress};
use super::failures::Failures;
use crate::image::{Name, Reference, Registry, glob};
use crate::settings::Settings;

/// The most that DescribeRepositories answers at once.
const PAGE: u32 = 1000;

/// The arguments that name repositories.
#[derive(Debug, Clone, Default, clap::Args)]
pub(in crate::commands) struct RepositoryArgs {
    /// Repositories, with or without the registry's host in front: names, globs in quotes ('team/*'; '*' also matches
    /// '/'), or - for names on standard input
    #[arg(value_name = "REPOSITORY")]
    pub(in crate::commands) repositories: Vec<RepositoryText>,
    /// All repositories of the registry
    #[arg(long)]
    pub(in crate::commands) all: bool,
}

/// The arguments that name several registries, for commands that only read.
#[derive(Debug, Clone, Default, clap::Args)]
pub(in crate::commands) struct RegistryArgs {
    /// Ask with each of these profiles, separated by commas, and show the account
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(in crate::commands) profiles: Vec<ProfileName>,
    /// Ask in each of these regions, separated by commas, and show the region
    #[arg(long, value_name = "NAMES", value_hint = ValueHint::Other, value_delimiter = ',')]
    pub(in crate::commands) regions: Vec<String>,
}

impl RegistryArgs {
    /// Returns whether rows show their account and region.
    pub(in crate::commands) fn are_given(&self) -> bool {
        !self.profiles.is_empty() || !self.regions.is_empty()
    }

    /// Returns the chosen registries, for references with this host or none.
    pub(in crate::commands) fn addresses(
        &self,
        registry: Option<&Registry>,
    ) -> anyhow::Result<Vec<RegistryAddress>> {
        if let Some(registry) = registry {
            if self.are_given() {
                return Err(usage(format!(
                    "{} says which registry is meant: leave it out, or leave out --profiles and --regions",
                    registry.host()
                )));
            }
            return Ok(vec![RegistryAddress::of(Some(registry.clone()))]);
        }
        let mut addresses = Vec::new();
        for profile in each(&self.profiles) {
            for region in each(&self.regions) {
                addresses.push(RegistryAddress { registry: None, profile: profile.clone(), region });
            }
        }
        Ok(addresses)
    }
}

/// Each of the given names, or `None` once for the configured one.
fn each<T: Clone + Into<String>>(given: &[T]) -> Vec<Option<String>> {
    if given.is_empty() {
        return vec![None];
    }
    given.iter().cloned().map(|name| Some(name.into())).collect()
}

/// A repository that can be reached.
#[derive(Clone)]
pub(in crate::commands) struct Repository {
    pub(in crate::commands) connection: Arc<Connection>,
    pub(in crate::commands) name: String,
}

impl Repository {
    /// Connects to the repository that a reference names.
    pub(in crate::commands) fn of_reference(
        settings: &Settings,
        reference: &Reference,
    ) -> anyhow::Result<Self> {
        let connection = Connection::open(settings, &RegistryAddress::of(reference.registry.clone()))?;
        Ok(Self { connection, name: reference.repository.to_string() })
    }
}

/// Repository with its description by DescribeRepositories.
pub(in crate::commands) struct Described {
    pub(in crate::commands) repository: Repository,
    pub(in crate::commands) description: Value,
}

/// Selected repositories of one registry.
struct Group {
    connection: Arc<Connection>,
    patterns: Vec<String>,
}

/// The repositories that the command line selects, before any is looked for.
pub(in crate::commands) struct Selection {
    groups: Vec<Group>,
    /// Errors of profiles and regions while the others work.
    failures: Failures,
}

impl Selection {
    /// Reads the arguments; at least one repository or `--all` is required.
    pub(in crate::commands) fn read(
        settings: &Settings,
        repositories: &RepositoryArgs,
        registries: &RegistryArgs,
    ) -> anyhow::Result<Self> {
        let mut texts = expand(repositories.repositories.iter().map(|text| text.as_str()))?;
        match (texts.is_empty(), repositories.all) {
            (true, false) => {
                return Err(usage("name a repository, a glob such as 'team/*', or --all for all of them"));
            }
            (false, true) => return Err(usage("--all takes no repositories beside it")),
            (true, true) => texts.push("*".to_owned()),
            (false, false) => {}
        }
        let mut wanted: Vec<(Option<Registry>, Vec<String>)> = Vec::new();
        for text in &texts {
            let (registry, pattern) = pattern(text)?;
            match wanted.iter_mut().find(|(known, _)| *known == registry) {
                Some((_, patterns)) => patterns.push(pattern),
                None => wanted.push((registry, vec![pattern])),
            }
        }
        let (mut groups, mut failures) = (Vec::new(), Failures::default());
        for (registry, patterns) in wanted {
            for address in registries.addresses(registry.as_ref())? {
                match Connection::open(settings, &address) {
                    Ok(connection) => groups.push(Group { connection, patterns: patterns.clone() }),
                    Err(error) if registries.are_given() => failures.add(address.name(), error),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Self { groups, failures })
    }

    /// Finds the repositories, each once: registry by registry, in the order of the arguments, those of a glob by name.
    /// A registry that cannot be asked is a failure, and the others go on.
    pub(in crate::commands) async fn repositories(&mut self, failures: &mut Failures) -> Vec<Repository> {
        failures.append(std::mem::take(&mut self.failures));
        let found = join_all(self.groups.iter().map(Group::names)).await;
        let mut repositories = Vec::new();
        for (group, names) in self.groups.iter().zip(found) {
            match names {
                Ok(names) => repositories.extend(
                    names
                        .into_iter()
                        .map(|name| Repository { connection: Arc::clone(&group.connection), name }),
                ),
                Err(error) => failures.registry(&group.connection, error),
            }
        }
        repositories
    }

    /// Finds the repositories as [`Selection::repositories`] does, but fails if a glob matches nothing: for commands
    /// that change or judge, where a mistyped glob would look like a success.
    pub(in crate::commands) async fn matching_repositories(
        &mut self,
        failures: &mut Failures,
    ) -> Vec<Repository> {
        let repositories = self.repositories(failures).await;
        if !failures.is_empty() {
            return repositories;
        }
        let mut globs: Vec<&String> = self.groups.iter().flat_map(|group| &group.patterns).collect();
        globs.sort();
        globs.dedup();
        // `*` is `--all`, and a registry may be empty.
        for glob in globs.into_iter().filter(|glob| is_glob(glob) && *glob != "*") {
            if !repositories.iter().any(|repository| glob::matches(glob, &repository.name)) {
                failures.add(String::new(), anyhow::anyhow!("no repository matches '{glob}'"));
            }
        }
        repositories
    }

    /// Finds the repositories as [`Selection::repositories`] does, with their descriptions.
    pub(in crate::commands) async fn described(&mut self, failures: &mut Failures) -> Vec<Described> {
        failures.append(std::mem::take(&mut self.failures));
        let found = join_all(self.groups.iter().map(Group::described)).await;
        let mut all = Vec::new();
        for (group, descriptions) in self.groups.iter().zip(found) {
            match descriptions {
                Ok(descriptions) => all.extend(descriptions.into_iter().filter_map(|description| {
                    let name = description["repositoryName"].as_str()?.to_owned();
                    let connection = Arc::clone(&group.connection);
                    Some(Described { repository: Repository { connection, name }, description })
                })),
                Err(error) => failures.registry(&group.connection, error),
            }
        }
        all
    }

    /// Returns whether the arguments name exactly one repository.
    pub(in crate::commands) fn is_one(&self) -> bool {
        matches!(self.groups.as_slice(), [group] if matches!(group.patterns.as_slice(), [one] if !is_glob(one)))
    }
}

impl Group {
    async fn names(&self) -> anyhow::Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        let mut all: Option<Vec<String>> = None;
        for pattern in &self.patterns {
            if !is_glob(pattern) {
                names.push(pattern.clone());
                continue;
            }
            if all.is_none() {
                let mut found = Vec::new();
                describe_repositories(&self.connection, |repository| {
                    found.extend(repository["repositoryName"].as_str().map(str::to_owned));
                })
                .await?;
                found.sort();
                all = Some(found);
            }
            let found = all.iter().flatten().filter(|name| glob::matches(pattern, name));
            names.extend(found.cloned());
        }
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(names)
    }
}

impl Group {
    /// Repositories as the registry describes them: by name if there are names only, else all that fit.
    async fn described(&self) -> anyhow::Result<Vec<Value>> {
        const MAX_NAMES: usize = 100;
        let mut found = Vec::new();
        if self.patterns.iter().any(|pattern| is_glob(pattern)) {
            let fits = |name: &str| self.patterns.iter().any(|pattern| glob::matches(pattern, name));
            describe_repositories(&self.connection, |repository| {
                found.extend(
                    repository["repositoryName"]
                        .as_str()
                        .filter(|name| fits(name))
                        .map(|_| repository.clone()),
                );
            })
            .await?;
        } else {
            for names in self.patterns.chunks(MAX_NAMES) {
                let input = json!({"repositoryNames": names});
                let mut answer = self.connection.call("DescribeRepositories", input).await?;
                if let Value::Array(some) = answer["repositories"].take() {
                    found.extend(some);
                }
            }
        }
        found.sort_by(|one, other| one["repositoryName"].as_str().cmp(&other["repositoryName"].as_str()));
        Ok(found)
    }
}

/// Describes all repositories of a registry, page by page.
pub(in crate::commands) async fn describe_repositories(
    connection: &Connection,
    mut take: impl FnMut(&Value),
) -> anyhow::Result<()> {
    let mut pages = super::pages::Pages::new(connection, "DescribeRepositories", json!({"maxResults": PAGE}));
    while let Some(page) = pages.next().await? {
        page["repositories"].as_array().into_iter().flatten().for_each(&mut take);
    }
    Ok(())
}

/// Replaces `-` by the lines of standard input, without blank ones and comments.
pub(in crate::commands) fn expand<'a>(
    arguments: impl Iterator<Item = &'a str>,
) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for argument in arguments {
        if argument != "-" {
            texts.push(argument.to_owned());
            continue;
        }
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| usage(format!("standard input cannot be read: {error}")))?;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                texts.push(line.to_owned());
            }
        }
    }
    Ok(texts)
}

/// The registry and the name or glob of `[HOST/]REPOSITORY`.
pub(in crate::commands) fn pattern(text: &str) -> anyhow::Result<(Option<Registry>, String)> {
    let (first, rest) = text.split_once('/').unwrap_or((text, ""));
    if Registry::is_host(first) && is_glob(rest) && !is_glob(first) {
        let registry = Registry::of_host(first).ok_or_else(|| usage(format!("'{first}' is no host")))?;
        return Ok((Some(registry), rest.to_owned()));
    }
    if is_glob(text) {
        return Ok((None, text.to_owned()));
    }
    let reference: Reference = text.parse().map_err(wrong)?;
    if reference.name != Name::Unnamed {
        return Err(usage(format!("'{text}' names one image; expected a repository")));
    }
    Ok((reference.registry, reference.repository.into()))
}

/// Returns whether a text is a pattern, not a name.
pub(in crate::commands) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_globs_with_and_without_a_host() {
        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let read = |text: &str| {
            pattern(text)
                .map(|(registry, pattern)| (registry.map(|registry| registry.host().to_owned()), pattern))
        };
        assert_eq!(read("team/app").unwrap(), (None, "team/app".to_owned()));
        assert_eq!(read("team/*").unwrap(), (None, "team/*".to_owned()));
        assert_eq!(read(&format!("{host}/team/*")).unwrap(), (Some(host.to_owned()), "team/*".to_owned()));
        assert_eq!(
            read("localhost:5000/app").unwrap(),
            (Some("localhost:5000".to_owned()), "app".to_owned())
        );
        for image in ["app:1", "Team", ""] {
            assert!(read(image).is_err(), "{image}");
        }
    }

    #[test]
    fn profiles_and_regions_are_multiplied() {
        let args = RegistryArgs {
            profiles: ["a", "b"].map(|name| name.to_owned().into()).to_vec(),
            regions: vec!["r".into(), "s".into()],
        };
        let pairs: Vec<_> = args
            .addresses(None)
            .unwrap()
            .into_iter()
            .map(|address| (address.profile.unwrap(), address.region.unwrap()))
            .collect();
        let expected = [("a", "r"), ("a", "s"), ("b", "r"), ("b", "s")];
        assert_eq!(pairs, expected.map(|(profile, region)| (profile.to_owned(), region.to_owned())));
        let host = Registry::of_host("localhost:5000").unwrap();
        assert!(args.addresses(Some(&host)).is_err());
        assert_eq!(RegistryArgs::default().addresses(None).unwrap(), [RegistryAddress::default()]);
    }
}
