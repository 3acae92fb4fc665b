//! References: `[HOST/]REPOSITORY[:TAG|@DIGEST]`.

use std::fmt;
use std::str::FromStr;

use super::{Digest, Error};

/// What an image is called within its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// By nothing: the only image there is, or `latest`.
    Unnamed,
    /// By a tag.
    Tag(String),
    /// By the digest of its manifest.
    Digest(Digest),
}

impl Name {
    /// A tag, checked against the grammar of the OCI distribution specification.
    pub fn tag(text: &str) -> Result<Self, Error> {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let right = text.len() <= 128
            && text.bytes().all(inside)
            && text.bytes().next().is_some_and(|first| !b".-".contains(&first));
        if right { Ok(Self::Tag(text.to_owned())) } else { Err(Error::Tag(text.to_owned())) }
    }
}

/// The registry that a host in a reference stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registry {
    /// Amazon ECR, private.
    Ecr {
        /// The host as it was given.
        host: String,
        /// The account that the registry belongs to: its registry id.
        account: String,
        /// The region.
        region: String,
        /// Whether the host is a FIPS endpoint.
        fips: bool,
    },
    /// A registry on this machine, such as an embedded ECR: host and port.
    Loopback(String),
    /// Any other registry: host and port.
    Other(String),
}

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry; `None` for the one that is configured.
    pub registry: Option<Registry>,
    /// The repository's name.
    pub repository: String,
    /// Which image of the repository.
    pub name: Name,
}

/// The ends of ECR's registry hosts in all of AWS's partitions.
const SUFFIXES: [&str; 9] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".on.aws",
    ".on.amazonwebservices.com.cn",
    ".sc2s.sgov.gov",
    ".c2s.ic.gov",
    ".cloud.adc-e.uk",
    ".csp.hci.ic.gov",
];

impl Registry {
    /// What a host, with a port or without, stands for.
    pub fn of_host(host: &str) -> Self {
        ecr(host).unwrap_or_else(|| {
            let name = host.strip_prefix('[').map_or_else(
                || host.rsplit_once(':').map_or(host, |(name, _)| name),
                |rest| rest.split_once(']').map_or(rest, |(name, _)| name),
            );
            let loopback = name == "localhost"
                || name.ends_with(".localhost")
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
            if loopback { Self::Loopback(host.to_owned()) } else { Self::Other(host.to_owned()) }
        })
    }

    /// Whether the first part of a reference is a host: docker's rule, which every client follows.
    pub fn is_host(first: &str) -> bool {
        first == "localhost" || first.contains(['.', ':'])
    }

    /// The host as it was given.
    pub fn host(&self) -> &str {
        match self {
            Self::Ecr { host, .. } | Self::Loopback(host) | Self::Other(host) => host,
        }
    }
}

/// Reads `ACCOUNT.dkr.ecr[-fips].REGION.SUFFIX` and the dual-stack `ACCOUNT.dkr-ecr[-fips].REGION.SUFFIX`.
fn ecr(host: &str) -> Option<Registry> {
    let front = SUFFIXES.iter().find_map(|suffix| host.strip_suffix(suffix))?;
    let (account, rest) = front.split_once(".dkr.ecr").or_else(|| front.split_once(".dkr-ecr"))?;
    let (fips, region) = match rest.strip_prefix("-fips.") {
        Some(region) => (true, region),
        None => (false, rest.strip_prefix('.')?),
    };
    let account_is_right = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let region_is_right = !region.is_empty()
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (account_is_right && region_is_right).then(|| Registry::Ecr {
        host: host.to_owned(),
        account: account.to_owned(),
        region: region.to_owned(),
        fips,
    })
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
            Some((first, rest)) if Registry::is_host(first) => (Some(Registry::of_host(first)), rest),
            _ => (None, path),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(Name::tag(tag)?)),
            None => (rest, None),
        };
        check_repository(repository).map_err(|reason| wrong(&reason))?;
        // With both a tag and a digest the digest decides, as docker has it.
        let name = digest.map(Name::Digest).or(tag).unwrap_or(Name::Unnamed);
        Ok(Self { registry, repository: repository.to_owned(), name })
    }
}

fn check_repository(repository: &str) -> Result<(), String> {
    if repository.is_empty() {
        return Err("it names no repository".to_owned());
    }
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    for part in repository.split('/') {
        let ends = [part.bytes().next(), part.bytes().last()];
        let right = ends.iter().all(|end| end.is_some_and(alphanumeric))
            && part.bytes().all(|byte| alphanumeric(byte) || b"._-".contains(&byte));
        if !right {
            return Err(format!(
                "'{repository}' is not a repository name (lower-case letters and digits, with '.', '_', '-' and '/' between them)"
            ));
        }
    }
    if (2..=256).contains(&repository.len()) {
        Ok(())
    } else {
        Err("a repository name has 2 to 256 characters".to_owned())
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
        Reference { registry: None, repository: repository.to_owned(), name }
    }

    #[test]
    fn names_without_a_host() {
        assert_eq!(reference("app"), plain("app", Name::Unnamed));
        assert_eq!(reference("team/app:1.0"), plain("team/app", Name::Tag("1.0".to_owned())));
        let digest = Digest::of(b"");
        assert_eq!(reference(&format!("team/app@{digest}")), plain("team/app", Name::Digest(digest.clone())));
        assert_eq!(reference(&format!("app:1@{digest}")), plain("app", Name::Digest(digest)));
    }

    #[test]
    fn hosts_of_every_partition_give_account_and_region() {
        for (host, region, fips) in [
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "us-east-1", false),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", true),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", false),
            ("123456789012.dkr-ecr-fips.us-east-2.on.aws", "us-east-2", true),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", false),
            ("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", false),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", false),
            ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", false),
            ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1", false),
            ("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1", false),
            ("123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1", false),
        ] {
            let expected = Registry::Ecr {
                host: host.to_owned(),
                account: "123456789012".to_owned(),
                region: region.to_owned(),
                fips,
            };
            let text = format!("{host}/team/app:1");
            assert_eq!(reference(&text).registry, Some(expected));
            assert_eq!(reference(&text).to_string(), text);
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
        ] {
            assert_eq!(registry(&format!("{host}/app")), Registry::Other(host.to_owned()));
        }
    }

    #[test]
    fn what_is_no_reference_says_why() {
        let reason = |text: &str| match text.parse::<Reference>().unwrap_err() {
            Error::Reference { reason, .. } => reason,
            error => error.to_string(),
        };
        assert_eq!(reason(""), "it is empty");
        assert_eq!(reason("https://example/app"), "it is a URL");
        assert_eq!(reason("127.0.0.1:5000/"), "it names no repository");
        assert_eq!(reason("a"), "a repository name has 2 to 256 characters");
        let shape = "is not a repository name (lower-case letters and digits, with '.', '_', '-' and '/' between them)";
        for wrong in ["App", "team//app", "/app", "app/", "-app", "app_"] {
            assert_eq!(reason(wrong), format!("'{wrong}' {shape}"));
        }
        assert_eq!(reason("app:"), Error::Tag(String::new()).to_string());
        assert_eq!(reason("app:-x"), Error::Tag("-x".to_owned()).to_string());
        assert_eq!(reason("app@sha256:12"), Error::Digest("sha256:12".to_owned()).to_string());
    }
}
