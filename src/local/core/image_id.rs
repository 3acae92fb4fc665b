//! `imageIds`: identifiers of images in requests, and their errors.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::image::Image;
use crate::local::core::pattern;
use crate::local::core::repository::Repository;

/// Pattern of a digest, as the service writes it.
pub(in crate::local) const DIGEST: &str = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+";

/// Pattern of a tag, as the service writes it; its length is in the model.
pub(in crate::local) const TAG: &str = "[a-zA-Z0-9_][a-zA-Z0-9-_.]*";

/// A digest, a tag, or both, as a request has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct ImageId {
    pub(in crate::local) digest: Option<String>,
    pub(in crate::local) tag: Option<String>,
}

/// Reason for which an identifier leads to no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum Unresolved {
    Missing,
    BadDigest,
    BadTag,
    Mismatch,
    NotFound,
}

impl ImageId {
    /// Finds the image of an identifier.
    pub(in crate::local) fn resolve(
        &self,
        connection: &Connection,
        repository: &Repository,
    ) -> Result<Result<Image, Unresolved>, Error> {
        if self.digest.as_deref().is_some_and(|digest| !pattern::matches(DIGEST, digest)) {
            return Ok(Err(Unresolved::BadDigest));
        }
        if self.tag.as_deref().is_some_and(|tag| !pattern::matches(TAG, tag)) {
            return Ok(Err(Unresolved::BadTag));
        }
        let tagged = match &self.tag {
            Some(tag) => image_of_tag(connection, repository.id, tag)?,
            None => None,
        };
        Ok(match (&self.digest, &self.tag) {
            (None, None) => Err(Unresolved::Missing),
            (None, Some(_)) => tagged.ok_or(Unresolved::NotFound),
            (Some(digest), tag) => match (Image::of_digest(connection, repository.id, digest)?, tagged) {
                (Some(image), None) if tag.is_none() => Ok(image),
                (Some(image), Some(tagged)) if tagged.id == image.id => Ok(image),
                (Some(_), Some(_)) => Err(Unresolved::Mismatch),
                (_, _) => Err(Unresolved::NotFound),
            },
        })
    }

    /// Finds the image of an identifier, or fails with the service's error.
    pub(in crate::local) fn must(
        &self,
        connection: &Connection,
        repository: &Repository,
    ) -> Result<Image, Error> {
        match self.resolve(connection, repository)? {
            Ok(image) => Ok(image),
            Err(Unresolved::Missing) => {
                Err(Error::parameter("imageId", "both tag and digest cannot be null"))
            }
            Err(_) => Err(self.not_found(repository)),
        }
    }

    /// The error of an operation that takes only images which exist.
    pub(in crate::local) fn not_found(&self, repository: &Repository) -> Error {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
        Error::new(
            ErrorKind::ImageNotFound,
            format!(
                "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with \
                 name '{}' in the registry with id '{}'",
                shown(&self.digest),
                shown(&self.tag),
                repository.name,
                repository.scope.account
            ),
        )
    }
}

/// The image that a tag points at.
pub(in crate::local) fn image_of_tag(
    connection: &Connection,
    repository: i64,
    tag: &str,
) -> Result<Option<Image>, Error> {
    let query = "SELECT image FROM image_tag WHERE repository = ?1 AND name = ?2";
    let mut statement = connection.prepare_cached(query)?;
    let image: Option<i64> = statement.query_row(params![repository, tag], |row| row.get(0)).optional()?;
    image.map_or(Ok(None), |id| Image::of_id(connection, id))
}
