//! Platforms: `OS/ARCHITECTURE[/VARIANT][:OS-VERSION]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Error;

/// Platform of an image, as the OCI image index writes it down.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The architecture, such as `amd64`.
    pub architecture: String,
    /// The variant of the architecture, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version of the operating system, such as `10.0.20348.2402`, which matters for Windows.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

impl Platform {
    /// Platform of containers on this machine: Linux, also within a virtual machine, on this processor.
    pub fn container_default() -> Self {
        let (architecture, variant) = if cfg!(target_arch = "x86_64") {
            ("amd64", None)
        } else if cfg!(target_arch = "aarch64") {
            ("arm64", None)
        } else if cfg!(target_arch = "arm") {
            ("arm", Some("v7"))
        } else if cfg!(target_arch = "powerpc64") {
            ("ppc64le", None)
        } else if cfg!(target_arch = "s390x") {
            ("s390x", None)
        } else if cfg!(target_arch = "riscv64") {
            ("riscv64", None)
        } else {
            ("386", None)
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(ToOwned::to_owned),
            os_version: None,
        }
    }

    /// Returns whether an image for `offered` satisfies this request. A variant and a version only count when they were
    /// asked for; of a version the first parts do: `10.0.17763` is any build of it.
    pub fn accepts(&self, offered: &Self) -> bool {
        let version = |wanted: &String| {
            let rest = offered.os_version.as_ref().and_then(|version| version.strip_prefix(wanted.as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.os == offered.os
            && self.normalized_architecture() == offered.normalized_architecture()
            && (self.variant.is_none() || self.normalized_variant() == offered.normalized_variant())
            && self.os_version.as_ref().is_none_or(version)
    }

    /// Ranks an accepted image, the best match lowest: without a requested variant, an image that names none, then the
    /// usual variant.
    pub fn match_rank(&self, offered: &Self) -> u8 {
        let usual = Self { variant: None, ..offered.clone() };
        match &offered.variant {
            variant if *variant == self.variant => 0,
            _ if self.variant.is_some() || usual.normalized_variant() == offered.normalized_variant() => 1,
            _ => 2,
        }
    }

    /// The architecture by Go's name, where another one is common.
    fn normalized_architecture(&self) -> &str {
        match self.architecture.as_str() {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            "i386" => "386",
            other => other,
        }
    }

    /// Returns the variant, or if there is none the usual one of OCI's and containerd's tables.
    fn normalized_variant(&self) -> Option<&str> {
        match (self.normalized_architecture(), self.variant.as_deref()) {
            ("amd64", None) => Some("v1"),
            ("arm64", None | Some("8")) => Some("v8"),
            ("arm", None | Some("7")) => Some("v7"),
            ("arm", Some("5")) => Some("v5"),
            ("arm", Some("6")) => Some("v6"),
            (_, variant) => variant,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(formatter, "/{variant}"))?;
        self.os_version.iter().try_for_each(|version| write!(formatter, ":{version}"))
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (rest, version) = match text.split_once(':') {
            Some((rest, version)) => (rest, Some(version)),
            None => (text, None),
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let word = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if !(2..=3).contains(&parts.len()) || !parts.iter().chain(&version).all(word) {
            return Err(Error::Platform(text.to_owned()));
        }
        Ok(Self {
            os: parts[0].to_owned(),
            architecture: parts[1].to_owned(),
            variant: parts.get(2).map(|&variant| variant.to_owned()),
            os_version: version.map(ToOwned::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn text_and_back() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64", "windows/amd64:10.0.17763.1234"] {
            assert_eq!(platform(text).to_string(), text);
        }
        for wrong in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/a md", "windows/amd64:"] {
            assert_eq!(wrong.parse::<Platform>(), Err(Error::Platform(wrong.to_owned())));
        }
    }

    #[test]
    fn a_variant_counts_only_when_it_is_asked_for() {
        assert!(platform("linux/arm").accepts(&platform("linux/arm/v7")));
        assert!(platform("linux/arm64/v8").accepts(&platform("linux/arm64")));
        assert!(!platform("linux/arm/v6").accepts(&platform("linux/arm/v7")));
        assert!(!platform("linux/amd64").accepts(&platform("windows/amd64")));
    }

    #[test]
    fn one_architecture_by_several_names_and_variants_that_are_understood() {
        // containerd's table: platforms/database.go.
        for (wanted, offered) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/arm64", "linux/aarch64"),
            ("linux/arm/v7", "linux/arm"),
            ("linux/arm/v7", "linux/arm/7"),
        ] {
            assert!(platform(wanted).accepts(&platform(offered)), "{wanted} {offered}");
        }
        assert!(!platform("linux/amd64/v2").accepts(&platform("linux/amd64")));
    }

    #[test]
    fn a_version_counts_by_its_parts_where_it_is_asked_for() {
        let offered = platform("windows/amd64:10.0.17763.1234");
        for (wanted, accepted) in [
            ("windows/amd64", true),
            ("windows/amd64:10.0.17763", true),
            ("windows/amd64:10.0.17763.1234", true),
            ("windows/amd64:10.0.1776", false),
            ("windows/amd64:10.0.17763.1", false),
        ] {
            assert_eq!(platform(wanted).accepts(&offered), accepted, "{wanted}");
        }
        assert!(!platform("windows/amd64:10").accepts(&platform("windows/amd64")));
    }
}
