//! Resources of a registry and their URLs. Nothing but checked names and digests gets into one.

use url::Url;

use super::error::ResponseError;
use super::read::Reads;
use crate::image::{Digest, Name, RepositoryName, Tag};

/// Something that a registry has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resource<'a> {
    /// The mark of a registry: `/v2/`.
    Root,
    /// The list of repositories.
    Catalog,
    /// The repository's list of tags.
    Tags,
    /// A manifest by its tag.
    Tag(&'a Tag),
    /// A manifest by its digest.
    Manifest(&'a Digest),
    /// Referrers of a manifest.
    Referrers(&'a Digest),
    /// A blob.
    Blob(&'a Digest),
    /// Start of uploads.
    Uploads,
    /// Mount of another repository's blob.
    Mount { digest: &'a Digest, from: &'a RepositoryName },
}

impl<'a> Resource<'a> {
    /// The manifest of a name. What has no name is `latest`, which the caller keeps.
    pub(super) fn named(name: &'a Name, latest: &'a Tag) -> Self {
        match name {
            Name::Unnamed => Self::Tag(latest),
            Name::Tag(tag) => Self::Tag(tag),
            Name::Digest(digest) => Self::Manifest(digest),
        }
    }
}

impl Reads {
    /// The URL of a resource.
    pub(super) fn url(&self, resource: Resource<'_>) -> Result<Url, ResponseError> {
        let below = |path: std::fmt::Arguments<'_>| format!("{}/{path}", self.repository);
        let path = match resource {
            Resource::Root => String::new(),
            Resource::Catalog => "_catalog".to_owned(),
            Resource::Tags => below(format_args!("tags/list")),
            Resource::Tag(tag) => below(format_args!("manifests/{tag}")),
            Resource::Manifest(digest) => below(format_args!("manifests/{digest}")),
            Resource::Referrers(digest) => below(format_args!("referrers/{digest}")),
            Resource::Blob(digest) => below(format_args!("blobs/{digest}")),
            Resource::Uploads => below(format_args!("blobs/uploads/")),
            Resource::Mount { digest, from } => {
                below(format_args!("blobs/uploads/?mount={digest}&from={from}"))
            }
        };
        let root = self.root();
        format!("{root}/v2/{path}").parse().map_err(|_| ResponseError::plain(format!("{root} is no URL")))
    }
}
