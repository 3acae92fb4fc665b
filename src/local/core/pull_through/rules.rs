//! Pull through cache rules: which repository of which registry is upstream of one here.

use std::fmt;

use rusqlite::Connection;
use serde_json::Value;

use crate::image::Registry;
use crate::local::Fault;
use crate::local::call::Scope;
use crate::local::handlers::upstream::{registries_with_rules, rules};

/// The prefix that stands for none.
const ROOT: &str = "ROOT";

/// Where a repository's images come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Rule {
    pub(in crate::local) home: Home,
    /// The repository's name there.
    pub(in crate::local) repository: String,
    /// Whether the rule names a secret to log in with.
    pub(in crate::local) has_secret: bool,
}

/// A registry upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum Home {
    /// One that is reached over the network; without TLS on this machine only.
    Remote { host: String, plain: bool },
    /// Another registry of this store.
    Here(Scope),
}

impl fmt::Display for Home {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote { host, .. } => formatter.write_str(host),
            Self::Here(scope) => write!(
                formatter,
                "the registry with id '{}' in the region '{}' of this store",
                scope.account, scope.region
            ),
        }
    }
}

impl Home {
    /// Reads the URL of a rule: a host, with `https://` in front or without, or `http://` and a host that is this
    /// machine.
    pub(in crate::local) fn of_url(url: &str) -> Option<Self> {
        let (scheme, host) = url.split_once("://").unwrap_or(("", url));
        let host = host.strip_suffix('/').unwrap_or(host).to_ascii_lowercase();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_name) {
            return None;
        }
        match (Registry::of_host(&host)?, scheme) {
            (Registry::Ecr { account, region, .. }, "" | "https") => {
                Some(Self::Here(Scope { service: "ecr", account, region }))
            }
            (Registry::Loopback(_), "" | "http") => Some(Self::Remote { host, plain: true }),
            (_, "" | "https") => Some(Self::Remote { host, plain: false }),
            _ => None,
        }
    }
}

impl Rule {
    /// The rule for a repository: the one with the longest prefix that its name has.
    pub(in crate::local) fn of(
        connection: &Connection,
        scope: &Scope,
        repository: &str,
    ) -> Result<Option<Self>, Fault> {
        if scope.service != "ecr" {
            return Ok(None);
        }
        let rules = rules(connection, scope)?;
        let matching = rules.iter().filter_map(|(prefix, rule)| {
            Some((length(prefix), Self::read(rule, below(prefix, repository)?)?))
        });
        Ok(matching.max_by_key(|(length, _)| *length).map(|(_, rule)| rule))
    }

    /// What a rule says about the repository of this name below its prefix.
    pub(in crate::local) fn read(rule: &Value, rest: &str) -> Option<Self> {
        let text = |member: &str| rule[member].as_str();
        let prefix = text("upstreamRepositoryPrefix").filter(|prefix| *prefix != ROOT);
        let repository = match prefix {
            Some(prefix) => format!("{}/{rest}", prefix.trim_end_matches('/')),
            None => rest.to_owned(),
        };
        let home = Home::of_url(text("upstreamRegistryUrl")?)?;
        Some(Self { home, repository, has_secret: text("credentialArn").is_some() })
    }
}

/// The rest of a repository's name behind a prefix.
fn below<'a>(prefix: &str, repository: &'a str) -> Option<&'a str> {
    if prefix == ROOT {
        return Some(repository);
    }
    let rest = repository.strip_prefix(prefix.trim_end_matches('/'))?.strip_prefix('/')?;
    (!rest.is_empty()).then_some(rest)
}

fn length(prefix: &str) -> usize {
    if prefix == ROOT { 0 } else { prefix.len() }
}

/// The only registry of the store that has a rule for a repository of this name.
pub(in crate::local) fn scope_of(connection: &Connection, repository: &str) -> Result<Option<Scope>, Fault> {
    let mut found: Vec<Scope> = Vec::new();
    for (scope, prefix) in registries_with_rules(connection)? {
        if below(&prefix, repository).is_some() && !found.contains(&scope) {
            found.push(scope);
        }
    }
    Ok(if found.len() == 1 { found.pop() } else { None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn urls_lead_to_registries() {
        let remote = |host: &str, plain| Some(Home::Remote { host: host.to_owned(), plain });
        for (url, home) in [
            ("quay.io", remote("quay.io", false)),
            ("https://quay.io/", remote("quay.io", false)),
            ("http://quay.io", None),
            ("http://127.0.0.1:5000", remote("127.0.0.1:5000", true)),
            ("localhost:5000", remote("localhost:5000", true)),
            ("https://localhost:5000", remote("localhost:5000", false)),
            ("ftp://quay.io", None),
            ("quay.io/path", None),
            ("user@quay.io", None),
            ("", None),
        ] {
            assert_eq!(Home::of_url(url), home, "{url}");
        }
        let scope = Scope { service: "ecr", account: "111122223333".into(), region: "eu-west-1".into() };
        assert_eq!(Home::of_url("111122223333.dkr.ecr.eu-west-1.amazonaws.com"), Some(Home::Here(scope)));
    }

    #[test]
    fn names_change_their_prefix() {
        let name = |there: &str, rest: &str| {
            let rule = json!({ "upstreamRegistryUrl": "quay.io", "upstreamRepositoryPrefix": there });
            Rule::read(&rule, rest).map(|rule| rule.repository)
        };
        assert_eq!(name("ROOT", "a/b"), Some("a/b".to_owned()));
        assert_eq!(name("library", "b"), Some("library/b".to_owned()));
        assert_eq!(name("library/", "b"), Some("library/b".to_owned()));
        assert_eq!(below("hub", "hub/a/b"), Some("a/b"));
        assert_eq!(below("hub/", "hub/a"), Some("a"));
        assert_eq!(below("hub", "hub"), None);
        assert_eq!(below("hub", "hubs/a"), None);
        assert_eq!(below("ROOT", "hubs/a"), Some("hubs/a"));
    }
}
