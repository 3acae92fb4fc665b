//! References: `[HOST/]REPOSITORY[:TAG|@DIGEST]`.

use std::fmt;
use std::str::FromStr;

use super::host::{Address, EcrHost, is_this_machine};
use super::{Digest, Error, RepositoryName, Tag};

/// Name of an image within its repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// By nothing: the only image there is, or `latest`.
    Unnamed,
    /// By a tag.
    Tag(Tag),
    /// By the digest of its manifest.
    Digest(Digest),
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => formatter.write_str("latest"),
            Self::Tag(tag) => tag.fmt(formatter),
            Self::Digest(digest) => digest.fmt(formatter),
        }
    }
}

impl Name {
    /// A tag, checked against the grammar of the OCI distribution specification.
    pub fn tag(text: &str) -> Result<Self, Error> {
        text.parse().map(Self::Tag)
    }
}

/// The registry that a host in a reference stands for. Hosts are in their one form: lower case, no trailing dot, with
/// the port that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registry {
    /// Amazon ECR, private.
    Ecr {
        /// The host.
        host: String,
        /// Account that owns the registry: its registry id.
        account: String,
        /// The region.
        region: String,
        /// The host is a FIPS endpoint.
        fips: bool,
        /// The host has IPv6 addresses besides IPv4 ones.
        dualstack: bool,
    },
    /// A registry on this machine, such as an embedded ECR: host and port.
    Loopback(String),
    /// Any other registry, the public gallery among them: host and port.
    Other(String),
}

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry; `None` for the one that is configured.
    pub registry: Option<Registry>,
    /// The repository's name.
    pub repository: RepositoryName,
    /// Tag or digest.
    pub name: Name,
}

impl Registry {
    /// Registry behind a host, with a port or without; `None` if the text is no host.
    pub fn of_host(host: &str) -> Option<Self> {
        let address = Address::parse(host)?;
        let host = address.to_string();
        if let Some(EcrHost::Private { account, region, fips, dualstack }) = address.ecr() {
            return Some(Self::Ecr { host, account, region, fips, dualstack });
        }
        Some(if is_this_machine(&address.name) { Self::Loopback(host) } else { Self::Other(host) })
    }

    /// Returns whether the first part of a reference is a host: docker's rule, which every client follows.
    pub fn is_host(first: &str) -> bool {
        first.eq_ignore_ascii_case("localhost") || first.contains(['.', ':'])
    }

    /// Returns whether the registry is Amazon ECR Public, by any of its hosts.
    pub fn is_public(&self) -> bool {
        let address = Address::parse(self.host());
        matches!(address.and_then(|address| address.ecr()), Some(EcrHost::Public { .. }))
    }

    /// The host.
    pub fn host(&self) -> &str {
        match self {
            Self::Ecr { host, .. } | Self::Loopback(host) | Self::Other(host) => host,
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Reference { text: text.to_owned(), reason: reason.to_owned() };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.contains("://") {
            return Err(wrong("it is a URL"));
        }
        let (path, digest) = match text.split_once('@') {
            Some((path, digest)) => (path, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (registry, rest) = match path.split_once('/') {
            Some((first, rest)) if Registry::is_host(first) => {
                let registry = Registry::of_host(first);
                (Some(registry.ok_or_else(|| wrong(&format!("'{first}' is no host")))?), rest)
            }
            _ => (None, path),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(Name::tag(tag)?)),
            None => (rest, None),
        };
        if repository.is_empty() {
            return Err(wrong("it names no repository"));
        }
        let repository: RepositoryName = repository.parse().map_err(|error: Error| match error {
            Error::Repository { reason, .. } => {
                wrong(&format!("'{repository}' is not a repository name: {reason}"))
            }
            error => error,
        })?;
        // With both a tag and a digest the digest decides, as docker has it.
        let name = digest.map(Name::Digest).or(tag).unwrap_or(Name::Unnamed);
        Ok(Self { registry, repository, name })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(formatter, "{}/", registry.host())?;
        }
        formatter.write_str(&self.repository)?;
        match &self.name {
            Name::Unnamed => Ok(()),
            Name::Tag(tag) => write!(formatter, ":{tag}"),
            Name::Digest(digest) => write!(formatter, "@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn plain(repository: &str, name: Name) -> Reference {
        Reference { registry: None, repository: repository.parse().unwrap(), name }
    }

    #[test]
    fn names_without_a_host() {
        assert_eq!(reference("app"), plain("app", Name::Unnamed));
        assert_eq!(reference("x:1"), plain("x", Name::tag("1").unwrap()));
        assert_eq!(reference("team/app:1.0"), plain("team/app", Name::tag("1.0").unwrap()));
        let digest = Digest::of(b"");
        assert_eq!(reference(&format!("team/app@{digest}")), plain("team/app", Name::Digest(digest.clone())));
        assert_eq!(reference(&format!("app:1@{digest}")), plain("app", Name::Digest(digest)));
    }

    #[test]
    fn hosts_of_ecr_say_account_region_and_form() {
        for (host, region, fips, dualstack) in [
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "us-east-1", false, false),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", true, false),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", false, true),
            ("123456789012.dkr-ecr-fips.us-east-2.on.aws", "us-east-2", true, true),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn:443", "cn-north-1", false, false),
        ] {
            let account = "123456789012".to_owned();
            let expected =
                Registry::Ecr { host: host.to_owned(), account, region: region.to_owned(), fips, dualstack };
            let text = format!("{host}/team/app:1");
            assert_eq!(reference(&text).registry, Some(expected));
            assert_eq!(reference(&text).to_string(), text);
        }
    }

    #[test]
    fn capitals_and_a_trailing_dot_make_no_other_registry() {
        for (text, one_form) in [
            (
                "123456789012.DKR.ECR.EU-West-1.AmazonAWS.com./app:V1",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:V1",
            ),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com.:8443/app",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com:8443/app",
            ),
            ("Public.ECR.aws/nginx/nginx", "public.ecr.aws/nginx/nginx"),
            ("LocalHost:5000/app", "localhost:5000/app"),
            ("LOCALHOST/app", "localhost/app"),
        ] {
            assert_eq!(reference(text), reference(one_form));
            assert_eq!(reference(text).to_string(), one_form);
        }
    }

    #[test]
    fn other_hosts() {
        let registry = |text: &str| reference(text).registry.unwrap();
        for host in ["127.0.0.1:5000", "localhost:5000", "localhost", "[::1]:5000"] {
            assert_eq!(registry(&format!("{host}/app:1")), Registry::Loopback(host.to_owned()));
        }
        for host in [
            "docker.io",
            "registry.example:5000",
            "12345.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example",
            "public.ecr.aws",
        ] {
            assert_eq!(registry(&format!("{host}/app")), Registry::Other(host.to_owned()));
        }
    }

    #[test]
    fn invalid_references_have_reasons() {
        let reason = |text: &str| match text.parse::<Reference>().unwrap_err() {
            Error::Reference { reason, .. } => reason,
            error => error.to_string(),
        };
        assert_eq!(reason(""), "it is empty");
        assert_eq!(reason("https://example/app"), "it is a URL");
        assert_eq!(reason("127.0.0.1:5000/"), "it names no repository");
        assert_eq!(reason("localhost:99999/app"), "'localhost:99999' is no host");
        assert_eq!(reason("re gistry.example/app"), "'re gistry.example' is no host");
        let long = "a".repeat(257);
        assert_eq!(
            reason(&long),
            format!("'{long}' is not a repository name: a repository name has at most 256 characters")
        );
        let shape = "is not a repository name: expected lower-case letters and digits, with one '.', one or two '_', \
                     any '-' or '/' between them";
        for wrong in ["App", "team//app", "/app", "app/", "-app", "app_"] {
            assert_eq!(reason(wrong), format!("'{wrong}' {shape}"));
        }
        assert_eq!(reason("app:"), Error::Tag(String::new()).to_string());
        assert_eq!(reason("app:-x"), Error::Tag("-x".to_owned()).to_string());
        assert_eq!(reason("app@sha256:12"), Error::Digest("sha256:12".to_owned()).to_string());
    }
}
