//! Registry hosts: their written forms, and which of them are Amazon ECR's.
//!
//! A host comes from command lines, image names and other people's configuration, and the answer decides whether a
//! password is handed out: so it is read strictly, from the end, and what is not exactly a host of ECR is
//! foreign. `A.dkr.ecr.R.amazonaws.com.evil.example` is one.

use std::fmt;
use std::net::IpAddr;

/// A host as clients write it, brought into one form: no scheme, no path, lower case, no trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The host's name, or an IP address (in brackets where it is IPv6).
    pub name: String,
    /// The port, where one was given.
    pub port: Option<u16>,
}

/// Registry of Amazon ECR, parsed from its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EcrHost {
    /// A private registry.
    Private {
        /// Account that owns it: its registry id.
        account: String,
        /// The region.
        region: String,
        /// The host is a FIPS endpoint.
        fips: bool,
        /// The host has IPv6 addresses besides IPv4 ones.
        dualstack: bool,
    },
    /// The public gallery.
    Public {
        /// The host has IPv6 addresses besides IPv4 ones.
        dualstack: bool,
    },
}

/// The region of the public gallery's API.
pub const PUBLIC_REGION: &str = "us-east-1";

/// DNS suffixes of private registries' hosts in every partition, and whether they are the dual-stack ones. A new
/// partition is one more row.
const DNS_SUFFIXES: &[(&str, bool)] = &[
    ("amazonaws.com", false),              // aws, aws-us-gov
    ("on.aws", true),                      // aws, aws-us-gov
    ("amazonaws.com.cn", false),           // aws-cn
    ("on.amazonwebservices.com.cn", true), // aws-cn
    ("amazonaws.eu", false),               // aws-eusc
    ("c2s.ic.gov", false),                 // aws-iso
    ("sc2s.sgov.gov", false),              // aws-iso-b
    ("cloud.adc-e.uk", false),             // aws-iso-e
    ("csp.hci.ic.gov", false),             // aws-iso-f
];

/// The public gallery's hosts.
const PUBLIC_HOSTS: &[(&str, bool)] = &[("public.ecr.aws", false), ("ecr-public.aws.com", true)];

/// The partition that a region is in, as ARNs name it.
pub fn partition(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("eusc-", "aws-eusc"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
    ];
    PARTITIONS.iter().find(|(start, _)| region.starts_with(start)).map_or("aws", |(_, partition)| partition)
}

/// The host of an account's registry in a region.
pub fn of_registry(account: &str, region: &str) -> String {
    const PARTITIONS: [(&str, &str); 6] = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("us-isof-", "csp.hci.ic.gov"),
    ];
    let end = PARTITIONS
        .iter()
        .find(|(start, _)| region.starts_with(start))
        .map_or("amazonaws.com", |(_, end)| end);
    format!("{account}.dkr.ecr.{region}.{end}")
}

/// Returns whether a name is this machine's whatever its resolver says (RFC 6761, 6.3).
pub fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Returns whether a host in lower case is this machine: one of its names, or a loopback address, in brackets or not.
pub fn is_this_machine(host: &str) -> bool {
    is_local_name(host) || ip(host).is_some_and(|address| address.is_loopback())
}

/// Returns the IP address that a host is, in brackets or not.
pub fn ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

impl Address {
    /// Reads a host with or without a scheme (`http`, `https`), a port and a path. `None` where there is no host.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some((scheme, rest))
                if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) =>
            {
                rest
            }
            Some(_) => return None,
            None => text,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // The text before an @ is not the host.
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (name, port) = if authority.starts_with('[') {
            let end = authority.find(']')? + 1;
            (
                &authority[..end],
                authority[end..].strip_prefix(':').or(authority[end..].is_empty().then_some(""))?,
            )
        } else {
            authority.split_once(':').unwrap_or((authority, ""))
        };
        let port = match port {
            "" => None,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        (!name.is_empty() && name.bytes().all(sound)).then_some(Self { name, port })
    }

    /// The registry of Amazon ECR that answers here; `None` for a host that is not Amazon ECR's, whatever the port.
    pub fn ecr(&self) -> Option<EcrHost> {
        EcrHost::from_name(&self.name)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

impl EcrHost {
    /// The registry behind a host's name in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some((_, dualstack)) = PUBLIC_HOSTS.iter().find(|(host, _)| *host == name) {
            return Some(Self::Public { dualstack: *dualstack });
        }
        let (account, rest) = name.split_at_checked(12)?;
        let rest = rest.strip_prefix(".dkr.ecr").or_else(|| rest.strip_prefix(".dkr-ecr"))?;
        let (fips, rest) = match rest.strip_prefix("-fips.") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix('.')?),
        };
        let (region, end) = rest.split_once('.')?;
        let (_, dualstack) = DNS_SUFFIXES.iter().find(|(known, _)| *known == end)?;
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let region_is_right = region.bytes().all(inside) && !region.is_empty() && !region.starts_with('-');
        (is_account_id(account) && region_is_right).then(|| Self::Private {
            account: account.to_owned(),
            region: region.to_owned(),
            fips,
            dualstack: *dualstack,
        })
    }

    /// Returns the region whose API issues passwords for this registry.
    pub fn region(&self) -> &str {
        match self {
            Self::Private { region, .. } => region,
            Self::Public { .. } => PUBLIC_REGION,
        }
    }

    /// The account; the public gallery has none.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Private { account, .. } => Some(account),
            Self::Public { .. } => None,
        }
    }
}

/// Returns whether a text has the form of an AWS account's identifier: twelve digits.
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_registry_is_read_as_what_it_was_made_of() {
        for region in [
            "eu-west-1",
            "us-gov-west-1",
            "cn-north-1",
            "eusc-de-east-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "eu-isoe-west-1",
            "us-isof-south-1",
        ] {
            let ecr = Address::parse(&of_registry("123456789012", region)).unwrap().ecr();
            let expected = EcrHost::Private {
                account: "123456789012".to_owned(),
                region: region.to_owned(),
                fips: false,
                dualstack: false,
            };
            assert_eq!(ecr, Some(expected), "{region}");
        }
    }

    #[test]
    fn this_machine_has_names_and_addresses() {
        for own in ["localhost", "localhost.", "a.localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"] {
            assert!(is_this_machine(own), "{own}");
        }
        for other in [
            "",
            "localhost.example",
            "notlocalhost",
            "127.example",
            "0.0.0.0",
            "10.0.0.1",
            "127.0.0.1]",
            "[::2]",
        ] {
            assert!(!is_this_machine(other), "{other}");
        }
    }

    fn ecr(text: &str) -> Option<EcrHost> {
        Address::parse(text)?.ecr()
    }

    fn private(region: &str, fips: bool, dualstack: bool) -> EcrHost {
        EcrHost::Private { account: "123456789012".into(), region: region.into(), fips, dualstack }
    }

    #[test]
    fn every_partition_and_form_is_known() {
        for (host, region, fips, dualstack) in [
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "us-east-1", false, false),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", true, false),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", false, true),
            ("123456789012.dkr-ecr-fips.us-east-2.on.aws", "us-east-2", true, true),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", false, false),
            ("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", false, true),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", false, false),
            ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", false, false),
            ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1", false, false),
            ("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1", false, false),
            ("123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1", false, false),
        ] {
            assert_eq!(ecr(host), Some(private(region, fips, dualstack)), "{host}");
        }
        assert_eq!(ecr("public.ecr.aws"), Some(EcrHost::Public { dualstack: false }));
        assert_eq!(ecr("ecr-public.aws.com"), Some(EcrHost::Public { dualstack: true }));
    }

    #[test]
    fn schemes_ports_paths_capitals_and_dots_make_no_difference() {
        for text in [
            "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "http://123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "HTTPS://123456789012.DKR.ECR.EU-WEST-1.AmazonAWS.com/v2/",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443",
            "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com:443/v2/team/app?x#y",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.",
            " 123456789012.dkr.ecr.eu-west-1.amazonaws.com\r\n",
            "AWS@123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(ecr(text), Some(private("eu-west-1", false, false)), "{text}");
        }
        let address = Address::parse("HTTPS://Public.ECR.aws:443/x").unwrap();
        assert_eq!(address.to_string(), "public.ecr.aws:443");
        assert_eq!(Address::parse("[::1]:5000").unwrap(), Address { name: "[::1]".into(), port: Some(5000) });
    }

    #[test]
    fn hosts_that_only_look_like_ecr_are_other_registries() {
        for text in [
            "",
            "docker.io",
            "https://index.docker.io/v1/",
            "12345678901.dkr.ecr.us-east-1.amazonaws.com",
            "1234567890123.dkr.ecr.us-east-1.amazonaws.com",
            "a23456789012.dkr.ecr.us-east-1.amazonaws.com",
            "x.123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.fake.example.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.comx",
            "123456789012.dkr.ecr.us-east-1.evil.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.fake.example.com/123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com@evil.example",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com\\@evil.example",
            "evil.example#123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr..amazonaws.com",
            "123456789012.dkr.ecr.-x.amazonaws.com",
            "123456789012.dkr.ecrx.us-east-1.amazonaws.com",
            "123456789012-dkr-ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com:99999",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com:x",
            "ftp://123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "x.public.ecr.aws",
            "public.ecr.aws.evil.example",
            "public.ecr.awsx",
            "12345678901\u{e9}.dkr.ecr.us-east-1.amazonaws.com",
            "api.ecr.us-east-1.amazonaws.com",
        ] {
            assert_eq!(ecr(text), None, "{text}");
        }
    }
}
