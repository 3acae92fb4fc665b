//! Tags and repository names, in the grammar of the OCI distribution specification ("Pulling manifests").
//!
//! Both come from command lines, listings, files and headers, and end in URLs, paths and terminal lines. The only way
//! to a value of these types is the check, so nothing that holds one has to look again.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::Error;

/// The longest tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
const MAX_TAG: usize = 128;
/// The longest repository name: ECR's limit, one more than that of docker's reference grammar. The specification of
/// registries leaves it to clients.
const MAX_REPOSITORY: usize = 256;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

/// A repository's name, without its registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(String);

impl Tag {
    /// Returns the default tag, `latest`.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    /// A tag whose grammar the caller guarantees.
    pub(super) fn trusted(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Tag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let right = text.len() <= MAX_TAG
            && text.bytes().all(inside)
            && text.bytes().next().is_some_and(|first| !b".-".contains(&first));
        if right { Ok(Self(text.to_owned())) } else { Err(Error::Tag(text.to_owned())) }
    }
}

impl FromStr for RepositoryName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Repository { text: text.to_owned(), reason };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.len() > MAX_REPOSITORY {
            return Err(wrong("a repository name has at most 256 characters"));
        }
        if text.split('/').all(is_component) {
            return Ok(Self(text.to_owned()));
        }
        Err(wrong(
            "expected lower-case letters and digits, with one '.', one or two '_', any '-' or '/' between them",
        ))
    }
}

/// Returns whether a part of a repository's name matches `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(part: &str) -> bool {
    let alphanumeric = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let mut rest = part;
    loop {
        let behind = rest.trim_start_matches(alphanumeric);
        if behind.len() == rest.len() {
            return false;
        }
        if behind.is_empty() {
            return true;
        }
        rest = behind.trim_start_matches(|character| !alphanumeric(character));
        let separator = &behind[..behind.len() - rest.len()];
        if !matches!(separator, "." | "_" | "__") && !separator.bytes().all(|byte| byte == b'-') {
            return false;
        }
    }
}

macro_rules! text_of {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

text_of!(Tag);
text_of!(RepositoryName);

#[cfg(test)]
mod tests {
    use super::*;

    /// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
    #[test]
    fn tags_of_the_specifications_grammar() {
        let longest = "a".repeat(128);
        for right in ["1", "_", "v1.0-rc_1", "A", "latest", "sha256-0.sig", &longest] {
            assert_eq!(right.parse::<Tag>().map(String::from), Ok(right.to_owned()));
        }
        let longer = "a".repeat(129);
        for wrong in [
            "",
            ".",
            "..",
            "-x",
            ".x",
            "a/b",
            "../../victim/manifests/latest",
            "v1/../latest",
            "a b",
            "a%2fb",
            "a?b",
            "a#b",
            "a:b",
            "a@b",
            "a\u{1b}[31m",
            "a\n",
            "a\0",
            "ä",
            &longer,
        ] {
            assert_eq!(wrong.parse::<Tag>(), Err(Error::Tag(wrong.to_owned())));
        }
    }

    /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`
    #[test]
    fn repository_names_of_the_specifications_grammar() {
        let longest = "a".repeat(256);
        for right in ["a", "team/app", "a.b_c__d-e---f/0", "library/nginx", &longest] {
            assert_eq!(right.parse::<RepositoryName>().map(String::from), Ok(right.to_owned()));
        }
        let longer = "a".repeat(257);
        for wrong in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "../victim",
            "a/../b",
            "a/./b",
            "A",
            "a..b",
            "a___b",
            "a._b",
            "a.-b",
            "-a",
            "a-",
            "_a",
            "a_",
            ".a",
            "a.",
            "a b",
            "a%2fb",
            "a?b",
            "a#b",
            "a:b",
            "a@b",
            "a\u{1b}[31m",
            "ä",
            &longer,
        ] {
            assert!(wrong.parse::<RepositoryName>().is_err(), "{wrong}");
        }
    }
}
