//! Pushes of manifests, which become images, and their tags.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::local::core::error::{Error, ErrorKind, invalid_parameter};
use crate::local::core::image::{Image, put_tag};
use crate::local::core::image_id::{TAG, image_of_tag};
use crate::local::core::manifest::Manifest;
use crate::local::core::registry_id::RepositoryRef;
use crate::local::core::replication::Replication;
use crate::local::core::repository::Repository;
use crate::local::core::request::{IfMissing, Request};
use crate::local::core::tag_mutability::is_immutable;
use crate::local::core::{image_signing, pattern, referrers, scans};

/// Digests that a refusal names.
const MAX_LISTED: usize = 1_000;

/// A manifest that is pushed.
#[derive(Debug, Clone, Copy)]
pub(in crate::local) struct ImagePush<'a> {
    pub(in crate::local) manifest: &'a str,
    /// The media type that came beside the manifest.
    pub(in crate::local) media_type: Option<&'a str>,
    /// The digest that it must have.
    pub(in crate::local) digest: Option<&'a str>,
    /// The tags to put on it.
    pub(in crate::local) tags: &'a [&'a str],
    pub(in crate::local) if_missing: IfMissing,
    /// Refuse a push that changes nothing: the image has all the tags already, or exists without a tag and gets
    /// none.
    pub(in crate::local) must_change: bool,
}

/// Result of a push.
pub(in crate::local) struct PushedImage {
    pub(in crate::local) repository: Repository,
    pub(in crate::local) image: Image,
}

/// Stores a manifest and puts tags on it, all or nothing.
pub(in crate::local) fn push_image(
    request: &Request<'_>,
    reference: &RepositoryRef,
    push: &ImagePush<'_>,
) -> Result<PushedImage, Error> {
    // Parsed before the database is locked; its errors are reported only after the repository was found.
    let parsed = Manifest::parse(push.manifest, push.media_type);
    request.local.write(|transaction| {
        let repository = request.repository(transaction, reference, push.if_missing)?;
        let mut manifest = parsed?;
        manifest.adopt(push.manifest, push.digest);
        for tag in push.tags {
            check_tag_name(tag)?;
        }
        check_digest(&manifest, push.digest)?;
        let size = check_references(transaction, &repository, &manifest)?;
        let mut image = None;
        if push.tags.is_empty() {
            image = put(request, transaction, &repository, (push, &manifest, size), None)?;
        }
        for tag in push.tags {
            image = put(request, transaction, &repository, (push, &manifest, size), Some(tag))?.or(image);
        }
        let image = match image {
            Some(id) => Image::of_id(transaction, id)?,
            None => Image::of_digest(transaction, repository.id, &manifest.digest)?,
        };
        let image = image.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(PushedImage { repository, image })
    })
}

/// Puts one tag, or none, on the image of a manifest; answers the image's row, or `None` if nothing had to change.
fn put(
    request: &Request<'_>,
    connection: &Connection,
    repository: &Repository,
    (push, manifest, size): (&ImagePush<'_>, &Manifest, i64),
    tag: Option<&str>,
) -> Result<Option<i64>, Error> {
    let limits = &request.local.limits;
    let existing = Image::of_digest(connection, repository.id, &manifest.digest)?;
    match check_tag(connection, repository, manifest, tag, existing.as_ref()) {
        Err(error) if error.kind == ErrorKind::ImageAlreadyExists && !push.must_change => return Ok(None),
        checked => checked?,
    }
    let id = if let Some(image) = &existing {
        restore(connection, image, request.now)?
    } else {
        check_images(connection, repository, limits.images)?;
        store(connection, repository, manifest, (push.manifest, size), request.now)?
    };
    if let Some(tag) = tag {
        put_tag(connection, repository, id, tag, request.now)?;
        check_tags(connection, repository, id, limits.tags)?;
    }
    if repository.scope.service != "ecr-public" {
        image_signing::on_push(connection, repository, id)?;
        scans::on_push(connection, repository, id, request.now)?;
        let replication =
            Replication { local: request.local, connection, source: repository, now: request.now };
        replication.on_push(id, tag)?;
    }
    Ok(Some(id))
}

fn check_tag_name(tag: &str) -> Result<(), Error> {
    if pattern::matches(TAG, tag) {
        return Ok(());
    }
    let constraint = format!("Member must satisfy regular expression '{TAG}'");
    Err(Error::new(
        ErrorKind::InvalidImageTag { tag: tag.to_owned() },
        invalid_parameter("imageTag", &constraint),
    ))
}

fn check_digest(manifest: &Manifest, given: Option<&str>) -> Result<(), Error> {
    match given {
        Some(given) if given != manifest.digest => Err(Error::new(
            ErrorKind::ImageDigestDoesNotMatch,
            format!("The image digest '{given}' does not match the calculated digest '{}'", manifest.digest),
        )),
        _ => Ok(()),
    }
}

/// Checks that all layers and children are in the repository, and answers the image's size: the sum of its blobs, or
/// of an index the greatest size of its children.
fn check_references(
    connection: &Connection,
    repository: &Repository,
    manifest: &Manifest,
) -> Result<i64, Error> {
    let needed = manifest.blobs.iter().filter(|blob| blob.is_needed);
    let layer_query =
        "SELECT blob.size FROM layer JOIN blob USING (digest) WHERE repository = ?1 AND digest = ?2";
    let layers = sizes(connection, layer_query, repository.id, needed.map(|blob| blob.digest.as_str()))?;
    let child_query = "SELECT size FROM image WHERE repository = ?1 AND digest = ?2";
    let children =
        sizes(connection, child_query, repository.id, manifest.children.iter().map(String::as_str))?;
    for (found, code, noun) in [
        (&layers, ErrorKind::LayersNotFound, "Layers"),
        (&children, ErrorKind::ReferencedImagesNotFound, "Images"),
    ] {
        if !found.missing.is_empty() {
            let text = format!(
                "{noun} with digests '[{}]' required for pushing image into {} do not exist",
                found.listed(),
                repository.place()
            );
            return Err(Error::new(code, text));
        }
    }
    check_sizes(manifest, &layers)?;
    let own = manifest.size.unwrap_or_else(|| layers.sizes.iter().sum());
    Ok(children.sizes.into_iter().max().unwrap_or_default().max(own))
}

/// Checks that each layer has the size in the manifest: clients rely on it, and fail on other images.
fn check_sizes(manifest: &Manifest, stored: &ReferencedSizes<'_>) -> Result<(), Error> {
    let needed = manifest.blobs.iter().filter(|blob| blob.is_needed);
    for (blob, stored) in needed.zip(&stored.sizes) {
        if let Some(size) = blob.size.filter(|size| size != stored) {
            let constraint = format!(
                "Layer with digest '{}' has {stored} bytes, and {size} according to the image manifest",
                blob.digest
            );
            return Err(Error::parameter("ImageManifest", &constraint));
        }
    }
    Ok(())
}

struct ReferencedSizes<'a> {
    /// In the order of the manifest; of all that were looked for only where none is missing.
    sizes: Vec<i64>,
    /// In the order of the manifest, each once.
    missing: Vec<&'a str>,
}

impl ReferencedSizes<'_> {
    /// Lists the missing blobs, up to [`MAX_LISTED`].
    fn listed(&self) -> String {
        let rest = if self.missing.len() > MAX_LISTED { ", …" } else { "" };
        self.missing[..self.missing.len().min(MAX_LISTED)].join(", ") + rest
    }
}

fn sizes<'a>(
    connection: &Connection,
    query: &str,
    repository: i64,
    digests: impl Iterator<Item = &'a str>,
) -> Result<ReferencedSizes<'a>, Error> {
    let mut statement = connection.prepare_cached(query)?;
    let mut found = ReferencedSizes { sizes: Vec::new(), missing: Vec::new() };
    let mut known = HashSet::new();
    for digest in digests {
        match statement.query_row(params![repository, digest], |row| row.get(0)).optional()? {
            Some(size) => found.sizes.push(size),
            None if known.insert(digest) => found.missing.push(digest),
            None => {}
        }
    }
    Ok(found)
}

fn check_tag(
    connection: &Connection,
    repository: &Repository,
    manifest: &Manifest,
    tag: Option<&str>,
    existing: Option<&Image>,
) -> Result<(), Error> {
    let holder = tag.map_or(Ok(None), |tag| image_of_tag(connection, repository.id, tag))?;
    let other = holder.as_ref().filter(|holder| holder.digest != manifest.digest);
    if let Some(tag) = tag.filter(|tag| other.is_some() && is_immutable(repository, tag)) {
        let text = format!(
            "The image tag '{tag}' already exists in the '{}' repository and cannot be overwritten because the tag is \
             immutable.",
            repository.name
        );
        return Err(Error::new(ErrorKind::ImageTagAlreadyExists, text));
    }
    let is_there = match tag {
        Some(_) => holder.is_some() && other.is_none(),
        None => existing.is_some(),
    };
    // Pushing an archived image again is how it is restored.
    if is_there && existing.is_some_and(|image| image.status == "ACTIVE") {
        let text = format!(
            "Image with digest '{}' and tag '{}' already exists in the repository with name '{}' in registry with id '{}'",
            manifest.digest,
            tag.unwrap_or("null"),
            repository.name,
            repository.scope.account
        );
        return Err(Error::new(ErrorKind::ImageAlreadyExists, text));
    }
    Ok(())
}

/// Restores an archived image that is pushed again. `imagePushedAt` stays the time of the first push, as in Amazon ECR
/// (aws/containers-roadmap#214, #2746): a lifecycle policy counts an image's age from there, however often it is
/// tagged.
fn restore(connection: &Connection, image: &Image, now: i64) -> Result<i64, Error> {
    if image.status != "ACTIVE" {
        let change = "UPDATE image SET status = 'ACTIVE', activated_at = ?2 WHERE id = ?1";
        connection.execute(change, params![image.id, now])?;
    }
    Ok(image.id)
}

fn store(
    connection: &Connection,
    repository: &Repository,
    manifest: &Manifest,
    (text, size): (&str, i64),
    now: i64,
) -> Result<i64, Error> {
    connection
        .prepare_cached(
            "INSERT INTO image (repository, digest, media_type, artifact_type, subject, size, pushed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            repository.id,
            manifest.digest,
            manifest.media_type,
            manifest.artifact_type,
            manifest.subject,
            size,
            now,
        ])?;
    let id = connection.last_insert_rowid();
    referrers::adopt(connection, repository.id, &manifest.digest)?;
    connection
        .prepare_cached("INSERT INTO manifest (image, content) VALUES (?1, ?2)")?
        .execute(params![id, text.as_bytes()])?;
    let mut layer = connection.prepare_cached(
        "INSERT OR IGNORE INTO image_layer (image, digest, repository, media_type) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for blob in &manifest.blobs {
        layer.execute(params![id, blob.digest, repository.id, blob.media_type])?;
    }
    let mut child = connection.prepare_cached(
        "INSERT OR IGNORE INTO image_child (image, digest, repository) VALUES (?1, ?2, ?3)",
    )?;
    for digest in &manifest.children {
        child.execute(params![id, digest, repository.id])?;
    }
    Ok(id)
}

/// Checks that a repository has room for one more image.
fn check_images(connection: &Connection, repository: &Repository, most: i64) -> Result<(), Error> {
    // There are no more images than rows between the first and the last one, and those need not be counted.
    let span = "SELECT (SELECT max(id) FROM image WHERE repository = ?1)
                       - (SELECT min(id) FROM image WHERE repository = ?1) + 1";
    let span: Option<i64> = connection.prepare_cached(span)?.query_row([repository.id], |row| row.get(0))?;
    if span.is_none_or(|span| span < most) {
        return Ok(());
    }
    let query = "SELECT count(*) FROM image WHERE repository = ?1";
    let count: i64 = connection.prepare_cached(query)?.query_row([repository.id], |row| row.get(0))?;
    if count < most {
        return Ok(());
    }
    let text = format!("The {} already has the maximum of {most} images", repository.place());
    Err(Error::new(ErrorKind::LimitExceeded, text))
}

/// Checks that an image that has just got a tag does not have too many.
fn check_tags(connection: &Connection, repository: &Repository, image: i64, most: i64) -> Result<(), Error> {
    let query = "SELECT count(*) FROM image_tag WHERE image = ?1";
    let count: i64 = connection.prepare_cached(query)?.query_row([image], |row| row.get(0))?;
    if count <= most {
        return Ok(());
    }
    let text = format!("The image in the {} already has the maximum of {most} tags", repository.place());
    Err(Error::new(ErrorKind::LimitExceeded, text))
}
