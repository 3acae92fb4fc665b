//! An image as the database has it, and BatchGetImage.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

use super::accounts;
use super::identifier::{ImageId, Unresolved};
use super::pull_through;
use super::repository::Repository;
use crate::image::{Digest, Name};
use crate::local::Fault;
use crate::local::call::Call;
use crate::local::upstream::{self, Trouble, Wanted};
use crate::local::verified::damage;

/// A row of the table `image`.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) id: i64,
    pub(super) digest: String,
    pub(super) media_type: String,
    pub(super) artifact_type: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) size: i64,
    pub(super) pushed_at: i64,
    pub(super) pulled_at: Option<i64>,
    pub(super) status: String,
    pub(super) archived_at: Option<i64>,
    pub(super) activated_at: Option<i64>,
}

/// The columns that `Image::from_row` reads.
pub(super) const COLUMNS: &str = "image.id, digest, media_type, artifact_type, subject, size, pushed_at, pulled_at, \
                                  status, archived_at, activated_at";

/// A pull is recorded at most once in so many milliseconds: a day.
const PULL_GRAIN: i64 = 24 * 60 * 60 * 1000;

impl Image {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            digest: row.get(1)?,
            media_type: row.get(2)?,
            artifact_type: row.get(3)?,
            subject: row.get(4)?,
            size: row.get(5)?,
            pushed_at: row.get(6)?,
            pulled_at: row.get(7)?,
            status: row.get(8)?,
            archived_at: row.get(9)?,
            activated_at: row.get(10)?,
        })
    }

    pub(super) fn of_id(connection: &Connection, id: i64) -> Result<Option<Self>, Fault> {
        let query = format!("SELECT {COLUMNS} FROM image WHERE id = ?1");
        Ok(connection.prepare_cached(&query)?.query_row([id], Self::from_row).optional()?)
    }

    pub(super) fn of_digest(
        connection: &Connection,
        repository: i64,
        digest: &str,
    ) -> Result<Option<Self>, Fault> {
        let query = format!("SELECT {COLUMNS} FROM image WHERE repository = ?1 AND digest = ?2");
        let mut statement = connection.prepare_cached(&query)?;
        Ok(statement.query_row(params![repository, digest], Self::from_row).optional()?)
    }

    /// The tags that point at this image, in alphabetical order.
    pub(super) fn tags(&self, connection: &Connection) -> Result<Vec<String>, Fault> {
        let query = "SELECT name FROM image_tag WHERE image = ?1 ORDER BY name";
        let mut statement = connection.prepare_cached(query)?;
        let tags = statement.query_map([self.id], |row| row.get(0))?;
        Ok(tags.collect::<Result<_, _>>()?)
    }

    /// The manifest, byte for byte as it was pushed.
    pub(super) fn manifest(&self, connection: &Connection) -> Result<String, Fault> {
        let query = "SELECT CAST(content AS TEXT) FROM manifest WHERE image = ?1";
        let text: String = connection.prepare_cached(query)?.query_row([self.id], |row| row.get(0))?;
        let digest: Digest = self.digest.parse().map_err(|_| Fault::server("an image has no digest"))?;
        match digest.algorithm().of(text.as_bytes()) {
            found if found == digest => Ok(text),
            found => Err(Fault::server(format!("the manifest {}", damage(&digest, &found)))),
        }
    }
}

/// BatchGetImage. Manifests are answered as they are stored: which conversions the service would make for
/// `acceptedMediaTypes` is not known well enough to imitate.
pub(crate) fn get(call: &Call<'_>) -> Result<Value, Fault> {
    let ids: Vec<ImageId> = call.list("imageIds").unwrap_or_default().iter().map(ImageId::of).collect();
    let mut pulled = Vec::new();
    let answer = call.read(|connection| {
        let repository = repository(call, connection, &ids)?;
        let (mut images, mut failures, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        let counts = !accounts::is_excluded(connection, &repository.scope, &call.caller.principal)?;
        for id in &ids {
            let found = id.resolve(connection, &repository)?;
            absent.extend(upstream_of(call, connection, &repository, id, &found)?);
            match found {
                Err(Unresolved::NotFound) => failures.push(not_found(call, id)),
                Err(unresolved) => failures.push(unresolved.failure(id)),
                Ok(image) if image.status != "ACTIVE" => {
                    failures.push(id.failure("ImageInaccessible", "Requested image is archived"));
                }
                Ok(image) => {
                    if counts && image.pulled_at.is_none_or(|pulled| call.now - pulled >= PULL_GRAIN) {
                        pulled.push(image.id);
                    }
                    let manifest = image.manifest(connection)?;
                    images.push(answer(&repository, image, id.tag.clone(), &manifest));
                }
            }
        }
        match upstream::instead(connection, &repository.scope, &repository.name, absent, call.settled)? {
            Some(need) if call.settled.is_none() => Err(need),
            _ => Ok(json!({ "images": images, "failures": failures })),
        }
    })?;
    call.local.record_pulls(&pulled, call.now)?;
    Ok(answer)
}

/// The repository; where it is missing, a pull may make it.
fn repository(call: &Call<'_>, connection: &Connection, ids: &[ImageId]) -> Result<Repository, Fault> {
    match Repository::of(call, connection) {
        Err(fault) if fault.code == "RepositoryNotFoundException" && !call.is_public() => {
            let name = call.required("repositoryName");
            let wanted = ids.iter().filter_map(wanted).collect();
            let instead = upstream::instead(connection, &call.scope(), name, wanted, call.settled)?;
            Err(instead.unwrap_or(fault))
        }
        found => found,
    }
}

/// What an identifier is called upstream; a digest counts before the tag beside it.
fn wanted(id: &ImageId) -> Option<Wanted> {
    let digest = id.digest.as_deref().map(str::parse);
    let name = match (digest, &id.tag) {
        (Some(digest), _) => Name::Digest(digest.ok()?),
        (None, Some(tag)) => Name::tag(tag).ok()?,
        (None, None) => return None,
    };
    Some(Wanted::Image(name))
}

/// What has to be looked up upstream: an image that is not here, or a tag that was looked up long ago.
fn upstream_of(
    call: &Call<'_>,
    connection: &Connection,
    repository: &Repository,
    id: &ImageId,
    found: &Result<Image, Unresolved>,
) -> Result<Option<Wanted>, Fault> {
    if call.settled.is_some() || call.is_public() {
        return Ok(None);
    }
    let is_wanted = match (found, &id.tag, &id.digest) {
        (Err(Unresolved::NotFound), ..) => true,
        (Ok(image), Some(tag), None) if image.status == "ACTIVE" => {
            let at = pull_through::looked_up_at(connection, repository, tag)?;
            upstream::is_due(call.local, connection, &repository.scope, &repository.name, at)?
        }
        _ => false,
    };
    Ok(is_wanted.then(|| wanted(id)).flatten())
}

/// The failure for an image that is neither here nor, where that was tried, could be fetched.
fn not_found(call: &Call<'_>, id: &ImageId) -> Value {
    let failure = wanted(id).and_then(|wanted| call.settled?.failure(&wanted));
    match failure.filter(|failure| failure.kind != Trouble::Missing) {
        Some(failure) => id.failure(failure.code(), &failure.reason),
        None => Unresolved::NotFound.failure(id),
    }
}

/// The structure `Image` of answers.
pub(super) fn answer(repository: &Repository, image: Image, tag: Option<String>, manifest: &str) -> Value {
    let id = ImageId { digest: Some(image.digest), tag };
    json!({
        "registryId": repository.scope.account,
        "repositoryName": repository.name,
        "imageId": id.value(),
        "imageManifest": manifest,
        "imageManifestMediaType": image.media_type,
    })
}
