//! Parser of URLs below `/v2/`.

use url::form_urlencoded;

/// Resource of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum Endpoint {
    Base,
    Catalog,
    Tags { name: String },
    Manifest { name: String, reference: String },
    Referrers { name: String, digest: String },
    Blob { name: String, digest: String },
    Uploads { name: String },
    Upload { name: String, id: String },
}

impl Endpoint {
    /// Reads the path of a URL.
    pub(in crate::local) fn of(path: &str) -> Option<Self> {
        let path = path.replace("%3A", ":").replace("%3a", ":");
        let rest = path.strip_prefix("/v2")?;
        let Some(rest) = rest.strip_prefix('/').filter(|rest| !rest.is_empty()) else {
            return matches!(rest, "" | "/").then_some(Self::Base);
        };
        if rest == "_catalog" {
            return Some(Self::Catalog);
        }
        let named = |text: &str| text.to_owned();
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Self::Tags { name: named(name) });
        }
        if let Some(name) = rest.trim_end_matches('/').strip_suffix("/blobs/uploads") {
            return Some(Self::Uploads { name: named(name) });
        }
        let (head, last) = rest.rsplit_once('/')?;
        let last = named(last);
        if let Some(name) = head.strip_suffix("/blobs/uploads") {
            return Some(Self::Upload { name: named(name), id: last.to_ascii_lowercase() });
        }
        let (name, kind) = head.rsplit_once('/')?;
        let name = named(name);
        match kind {
            "manifests" => Some(Self::Manifest { name, reference: last }),
            "blobs" => Some(Self::Blob { name, digest: last }),
            "referrers" => Some(Self::Referrers { name, digest: last }),
            _ => None,
        }
    }

    /// The methods that it knows.
    pub(in crate::local) fn methods(&self) -> &'static str {
        match self {
            Self::Base | Self::Catalog | Self::Tags { .. } | Self::Referrers { .. } => "GET, HEAD",
            Self::Manifest { .. } => "GET, HEAD, PUT, DELETE",
            Self::Blob { .. } => "GET, HEAD, DELETE",
            Self::Uploads { .. } => "POST",
            Self::Upload { .. } => "GET, HEAD, PATCH, PUT, DELETE",
        }
    }
}

/// The parameters of a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::local) struct Query(Vec<(String, String)>);

impl Query {
    pub(in crate::local) fn of(text: Option<&str>) -> Self {
        Self(form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The value of a parameter.
    pub(in crate::local) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(in crate::local) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }
}

/// Writes parameters as they go into a URL.
pub(in crate::local) fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_behind() {
        let text = str::to_owned;
        let name = || text("a/b");
        for (path, expected) in [
            ("/v2", Some(Endpoint::Base)),
            ("/v2/", Some(Endpoint::Base)),
            ("/v2x", None),
            ("/v2/_catalog", Some(Endpoint::Catalog)),
            ("/v2/a/b/tags/list", Some(Endpoint::Tags { name: name() })),
            ("/v2/a/b/manifests/1", Some(Endpoint::Manifest { name: name(), reference: text("1") })),
            ("/v2/a/b/blobs/x%3Ay", Some(Endpoint::Blob { name: name(), digest: text("x:y") })),
            ("/v2/a/b/referrers/x:y", Some(Endpoint::Referrers { name: name(), digest: text("x:y") })),
            ("/v2/a/b/blobs/uploads/", Some(Endpoint::Uploads { name: name() })),
            ("/v2/a/b/blobs/uploads", Some(Endpoint::Uploads { name: name() })),
            ("/v2/a/b/blobs/uploads/7", Some(Endpoint::Upload { name: name(), id: text("7") })),
            (
                "/v2/blobs/manifests/manifests/1",
                Some(Endpoint::Manifest { name: text("blobs/manifests"), reference: text("1") }),
            ),
            ("/v2/a/b", None),
            ("/v2/manifests/1", None),
        ] {
            assert_eq!(Endpoint::of(path), expected, "{path}");
        }
    }

    #[test]
    fn parameters_are_decoded() {
        let found = Query::of(Some("a=1&tag=x%2Fy&tag=z"));
        assert_eq!((found.get("a"), found.get("b")), (Some("1"), None));
        assert_eq!(found.all("tag"), ["x/y", "z"]);
        assert_eq!(query(&[("last", "a b&c")]), "last=a+b%26c");
    }
}
