//! Upstream registries of a pull through cache: what to fetch from them, and the results.

use std::fmt;

use serde::Deserialize;

use crate::image::{Digest, Name, Registry};
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::store::time;

/// A tag is looked up upstream again after so many milliseconds: a day, as Amazon ECR does.
const FRESH: i64 = 24 * 60 * 60 * 1000;

/// Action that a policy must allow a caller whose pull fetches something from upstream.
pub(in crate::local) const ACTION: &str = "BatchImportUpstreamImage";

/// The images and layers that have to be fetched from upstream before a request can be answered.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::local) struct UpstreamFetch {
    /// The registry here.
    pub(in crate::local) scope: Scope,
    /// The repository here.
    pub(in crate::local) repository: String,
    /// The rule of the repository.
    pub(in crate::local) rule: Rule,
    /// The images, layers and lists to fetch.
    pub(in crate::local) wanted: Vec<UpstreamItem>,
}

/// One image, layer or list that is fetched from upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum UpstreamItem {
    /// An image with everything that it lists.
    Image(Name),
    /// One blob.
    Layer(Digest),
    /// The referrers of an image, with everything that they list.
    Referrers(Digest),
    /// Nothing but the knowledge that the registry lets us in.
    Access,
}

/// Error of fetching an image or a layer from upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct UpstreamError {
    pub(in crate::local) kind: UpstreamErrorKind,
    pub(in crate::local) reason: String,
}

/// Kinds of [`UpstreamError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum UpstreamErrorKind {
    /// Upstream does not have it.
    Missing,
    /// Upstream does not let us in.
    Denied,
    /// Upstream throttles.
    Throttled,
    /// Upstream cannot be reached, or does not make sense.
    Unavailable,
    /// This machine cannot keep it.
    LocalStorage,
}

impl UpstreamError {
    pub(in crate::local) fn new(kind: UpstreamErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// The `failureCode` of an image.
    pub(in crate::local) fn code(&self) -> &'static str {
        match self.kind {
            UpstreamErrorKind::Missing => "ImageNotFound",
            UpstreamErrorKind::Denied => "UpstreamAccessDenied",
            UpstreamErrorKind::Throttled => "UpstreamTooManyRequests",
            UpstreamErrorKind::Unavailable | UpstreamErrorKind::LocalStorage => "UpstreamUnavailable",
        }
    }
}

/// Results of fetching an [`UpstreamFetch`]: the items that could not be fetched, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::local) struct FetchResults(pub(in crate::local) Vec<(UpstreamItem, UpstreamError)>);

impl FetchResults {
    /// Returns why an item was not fetched; `None` if it was, or was not tried.
    pub(in crate::local) fn failure(&self, wanted: &UpstreamItem) -> Option<&UpstreamError> {
        self.0.iter().find(|(each, _)| each == wanted).map(|(_, failure)| failure)
    }
}

/// Returns whether a look-up at this time is recent enough to be relied on.
pub(in crate::local) fn is_recent(looked_up_at: i64) -> bool {
    time::now() - looked_up_at < FRESH
}

impl UpstreamFetch {
    /// The repository here.
    pub(in crate::local) fn reference(&self) -> RepositoryRef {
        RepositoryRef { scope: self.scope.clone(), name: self.repository.clone() }
    }
}

/// The prefix that stands for none.
const ROOT: &str = "ROOT";

/// Pull through cache rule of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Rule {
    pub(in crate::local) home: UpstreamRegistry,
    /// The repository's name there.
    pub(in crate::local) repository: String,
    /// The rule names a secret to log in with.
    pub(in crate::local) has_secret: bool,
}

/// A registry upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum UpstreamRegistry {
    /// One that is reached over the network; without TLS on this machine only.
    Remote { host: String, plain: bool },
    /// Another registry of this store.
    SameStore(Scope),
}

impl fmt::Display for UpstreamRegistry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote { host, .. } => formatter.write_str(host),
            Self::SameStore(scope) => write!(
                formatter,
                "the registry with id '{}' in the region '{}' of this store",
                scope.account, scope.region
            ),
        }
    }
}

impl UpstreamRegistry {
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
                Some(Self::SameStore(Scope { service: "ecr", account, region }))
            }
            (Registry::Loopback(_), "" | "http") => Some(Self::Remote { host, plain: true }),
            (_, "" | "https") => Some(Self::Remote { host, plain: false }),
            _ => None,
        }
    }
}

/// A pull through cache rule, as it is configured for a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::local) struct PullThroughCacheRule {
    upstream_registry_url: String,
    upstream_repository_prefix: Option<String>,
    credential_arn: Option<String>,
}

impl Rule {
    /// Upstream of the repository of this name below a rule's prefix.
    pub(in crate::local) fn read(rule: &PullThroughCacheRule, rest: &str) -> Option<Self> {
        let prefix = rule.upstream_repository_prefix.as_ref().filter(|prefix| *prefix != ROOT);
        let repository = match prefix {
            Some(prefix) => format!("{}/{rest}", prefix.trim_end_matches('/')),
            None => rest.to_owned(),
        };
        let home = UpstreamRegistry::of_url(&rule.upstream_registry_url)?;
        Some(Self { home, repository, has_secret: rule.credential_arn.is_some() })
    }
}

/// The rest of a repository's name behind a prefix.
pub(in crate::local) fn below<'a>(prefix: &str, repository: &'a str) -> Option<&'a str> {
    if prefix == ROOT {
        return Some(repository);
    }
    let rest = repository.strip_prefix(prefix.trim_end_matches('/'))?.strip_prefix('/')?;
    (!rest.is_empty()).then_some(rest)
}

pub(in crate::local) fn length(prefix: &str) -> usize {
    if prefix == ROOT { 0 } else { prefix.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_registries() {
        let remote = |host: &str, plain| Some(UpstreamRegistry::Remote { host: host.to_owned(), plain });
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
            assert_eq!(UpstreamRegistry::of_url(url), home, "{url}");
        }
        let scope = Scope { service: "ecr", account: "111122223333".into(), region: "eu-west-1".into() };
        assert_eq!(
            UpstreamRegistry::of_url("111122223333.dkr.ecr.eu-west-1.amazonaws.com"),
            Some(UpstreamRegistry::SameStore(scope))
        );
    }

    #[test]
    fn names_change_their_prefix() {
        let name = |there: &str, rest: &str| {
            let rule = PullThroughCacheRule {
                upstream_registry_url: "quay.io".to_owned(),
                upstream_repository_prefix: Some(there.to_owned()),
                credential_arn: None,
            };
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
