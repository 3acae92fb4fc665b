//! Database access of a pull through cache: repositories created for it, images kept, tags looked up.

use rusqlite::Connection;

use crate::image::{Digest, Name};
use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::image::{Image, put_tag, touch_tag};
use crate::local::core::image_id::image_of_tag;
use crate::local::core::local::Local;
use crate::local::core::push::{ImagePush, push_image};
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::replication::{copy_image, make_repository};
use crate::local::core::repository::Repository;
use crate::local::core::request::{IfMissing, Request};
use crate::local::core::tag_mutability::is_immutable;
use crate::local::core::upstream::is_recent;
use crate::local::core::upstream_rules::looked_up_at;
use crate::local::store::time;

/// Occasion that a creation template must be for.
const OCCASION: &str = "PULL_THROUGH_CACHE";

/// Image being stored.
pub(in crate::local) struct FetchedImage<'a> {
    pub(in crate::local) media_type: &'a str,
    pub(in crate::local) bytes: &'a [u8],
    /// Digest by which it is requested, of whatever algorithm.
    pub(in crate::local) digest: &'a Digest,
}

/// Makes the repository, where it is missing: from the template for that, else with the usual settings.
pub(in crate::local) fn prepare(local: &Local, scope: &Scope, name: &str) -> Result<(), Error> {
    local.write(|transaction| ensure(transaction, scope, name).map(drop))
}

fn ensure(connection: &Connection, scope: &Scope, name: &str) -> Result<Repository, Error> {
    match Repository::look_up(connection, scope, name)? {
        Some(repository) => Ok(repository),
        None => make_repository(connection, scope, name, OCCASION, time::now()),
    }
}

/// Returns whether a repository has an image.
pub(in crate::local) fn has(local: &Local, scope: &Scope, name: &str, digest: &str) -> Result<bool, Error> {
    local.read(|connection| {
        let Some(repository) = Repository::look_up(connection, scope, name)? else { return Ok(false) };
        Ok(Image::of_digest(connection, repository.id, digest)?.is_some())
    })
}

/// Keeps an image whose blobs and children are here, as a push would, and puts its tag on it. A tag that is immutable
/// stays where it is.
pub(in crate::local) fn put(
    local: &Local,
    scope: &Scope,
    name: &str,
    image: &FetchedImage<'_>,
    tag: Option<&str>,
) -> Result<(), Error> {
    let not_text = |_| Error::storage(format!("the manifest {} is not text", image.digest));
    let digest = image.digest.to_string();
    let push = ImagePush {
        manifest: std::str::from_utf8(image.bytes).map_err(not_text)?,
        media_type: Some(image.media_type),
        digest: Some(&digest),
        tags: tag.as_slice(),
        if_missing: IfMissing::Fail,
        must_change: false,
    };
    let reference = RepositoryRef { scope: scope.clone(), name: name.to_owned() };
    match push_image(&Request::of_service(local), &reference, &push) {
        Err(error) if error.kind != ErrorKind::ImageTagAlreadyExists => Err(error),
        _ => tag.map_or(Ok(()), |tag| looked_up(local, scope, name, tag)),
    }
}

/// Records the look-up of a tag, if it is present.
pub(in crate::local) fn looked_up(local: &Local, scope: &Scope, name: &str, tag: &str) -> Result<(), Error> {
    local.write(|transaction| mark(transaction, scope, name, tag))
}

fn mark(connection: &Connection, scope: &Scope, name: &str, tag: &str) -> Result<(), Error> {
    let Some(repository) = Repository::look_up(connection, scope, name)? else { return Ok(()) };
    touch_tag(connection, &repository, tag, time::now())
}

/// Returns whether an image is present and, if a tag names it, recently looked up.
pub(in crate::local) fn is_fresh(
    local: &Local,
    scope: &Scope,
    name: &str,
    image: &Name,
) -> Result<bool, Error> {
    local.read(|connection| {
        let Some(repository) = Repository::look_up(connection, scope, name)? else { return Ok(false) };
        let found = named(connection, &repository, image)?;
        match (found.filter(|found| found.status == "ACTIVE"), image) {
            (None, _) => Ok(false),
            (Some(_), Name::Tag(tag)) => Ok(is_recent(looked_up_at(connection, &repository, tag)?)),
            (Some(_), _) => Ok(true),
        }
    })
}

/// The image of a repository that goes by a name.
fn named(connection: &Connection, repository: &Repository, image: &Name) -> Result<Option<Image>, Error> {
    match image {
        Name::Tag(tag) => image_of_tag(connection, repository.id, tag),
        Name::Digest(digest) => Image::of_digest(connection, repository.id, &digest.to_string()),
        Name::Unnamed => Ok(None),
    }
}

/// Copies an image from another registry of the store, whose blobs are present; returns whether it exists.
pub(in crate::local) fn take_over(
    local: &Local,
    source: &RepositoryRef,
    image: &Name,
    target: &RepositoryRef,
) -> Result<bool, Error> {
    let (scope, name) = (&target.scope, target.name.as_str());
    local.write(|transaction| {
        let source = Repository::look_up(transaction, &source.scope, &source.name)?;
        let found = match &source {
            Some(source) => named(transaction, source, image)?,
            None => None,
        };
        if let Name::Tag(tag) = image {
            mark(transaction, scope, name, tag)?;
        }
        let (Some(source), Some(found)) = (source, found.filter(|image| image.status == "ACTIVE")) else {
            return Ok(false);
        };
        let target = ensure(transaction, scope, name)?;
        let id = copy_image(transaction, &source, &found, &target, time::now())?;
        if let Name::Tag(tag) = image {
            let holder = image_of_tag(transaction, target.id, tag)?;
            let is_fixed = holder.is_some() && is_immutable(&target, tag);
            if !is_fixed {
                put_tag(transaction, &target, id, tag, time::now())?;
            }
        }
        Ok(true)
    })
}

/// Returns the digests of an image's referrers.
pub(in crate::local) fn about(
    local: &Local,
    scope: &Scope,
    name: &str,
    subject: &str,
) -> Result<Vec<String>, Error> {
    local.read(|connection| {
        let Some(repository) = Repository::look_up(connection, scope, name)? else { return Ok(Vec::new()) };
        let images = Image::of_subject(connection, repository.id, subject)?;
        Ok(images.into_iter().map(|image| image.digest).collect())
    })
}

/// Returns whether a registry of the store has any repository.
pub(in crate::local) fn is_in_use(local: &Local, scope: &Scope) -> Result<bool, Error> {
    local.read(|connection| Ok(!Repository::list(connection, scope, "", 1)?.is_empty()))
}
