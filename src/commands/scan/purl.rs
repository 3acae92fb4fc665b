//! Package URLs, as far as ignore files name packages by them.

use super::finding::Finding;

/// The package managers of Amazon Inspector and the types of package URLs that they have.
const TYPES: &[(&str, &[&str])] = &[
    ("PIP", &["pypi"]),
    ("PYTHONPKG", &["pypi"]),
    ("NPM", &["npm"]),
    ("NODEPKG", &["npm"]),
    ("YARN", &["npm"]),
    ("JAR", &["maven"]),
    ("POM", &["maven"]),
    ("GRADLE", &["maven"]),
    ("GOBINARY", &["golang"]),
    ("GOMOD", &["golang"]),
    ("BUNDLER", &["gem"]),
    ("GEMSPEC", &["gem"]),
    ("COMPOSER", &["composer"]),
    ("CARGO", &["cargo"]),
    ("RUSTBINARY", &["cargo"]),
    ("NUGET", &["nuget"]),
    ("DOTNET", &["nuget"]),
    ("OS", &["deb", "rpm", "apk"]),
];

/// `pkg:TYPE/[NAMESPACE/]NAME[@VERSION]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Purl {
    kind: String,
    /// With the namespace in front, where there is one.
    name: String,
    version: Option<String>,
}

impl Purl {
    /// Reads a package URL; `None` where it is none. Qualifiers and subpaths are not looked at.
    pub(super) fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("pkg:")?.trim_start_matches('/');
        let rest = rest.split(['?', '#']).next()?;
        let (kind, rest) = rest.split_once('/')?;
        // A scope of npm may be written with its @ as it is.
        let at = rest.rfind('@').filter(|at| *at > 0);
        let (name, version) = at.map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 1..])));
        (!kind.is_empty() && !name.is_empty()).then(|| Self {
            kind: kind.to_ascii_lowercase(),
            name: decoded(name),
            version: version.filter(|version| !version.is_empty()).map(decoded),
        })
    }

    /// Returns whether a finding is in this package.
    pub(super) fn names(&self, finding: &Finding) -> bool {
        let manager = finding.package_manager.as_deref().unwrap_or_default();
        let types =
            TYPES.iter().find(|(name, _)| *name == manager).map(|(_, types)| *types).unwrap_or_default();
        let package = finding.package.as_deref().unwrap_or_default().replace(':', "/");
        // The namespace of a package of an operating system is the distribution, which findings do not say.
        let name =
            if manager == "OS" { self.name.rsplit('/').next().unwrap_or_default() } else { &self.name };
        types.contains(&self.kind.as_str())
            && package == name
            && (self.version.is_none() || self.version == finding.version)
    }
}

/// A text with its percent-encoding undone; as it is where that is wrong.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_read() {
        let read = |text: &str| Purl::read(text).map(|purl| (purl.kind, purl.name, purl.version));
        let found = |kind: &str, name: &str, version: Option<&str>| {
            Some((kind.to_owned(), name.to_owned(), version.map(str::to_owned)))
        };
        assert_eq!(read("pkg:npm/%40scope/a@1.0?x=y#z"), found("npm", "@scope/a", Some("1.0")));
        assert_eq!(read("pkg:npm/@scope/a"), found("npm", "@scope/a", None));
        assert_eq!(read("pkg:npm/@scope"), found("npm", "@scope", None));
        assert_eq!(read("pkg:maven/org.a/b@2"), found("maven", "org.a/b", Some("2")));
        for wrong in ["", "npm/a", "pkg:npm", "pkg:/a", "pkg:npm/"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
