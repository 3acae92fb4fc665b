//! Pulls of images.

use rusqlite::{Connection, params};

use crate::image::Name;
use crate::local::core::error::Error;
use crate::local::core::image::Image;
use crate::local::core::image_id::{ImageId, Unresolved};
use crate::local::core::registry_id::RepositoryRef;
use crate::local::core::repository::Repository;
use crate::local::core::request::Request;
use crate::local::core::upstream::{UpstreamError, UpstreamErrorKind, UpstreamItem};
use crate::local::core::{account_settings, upstream_rules};

/// A pull is recorded at most once in so many milliseconds: a day.
const PULL_GRAIN: i64 = 24 * 60 * 60 * 1000;

/// Requested image, with its manifest, byte for byte as it was pushed; or the reason against it.
pub(in crate::local) type ImagePull = Result<(Image, String), NotPulled>;

/// Reason for which an image cannot be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum NotPulled {
    /// The identifier leads to none.
    Unresolved(Unresolved),
    /// The image is in the archive.
    Archived,
    /// The image is missing, and could not be fetched from upstream.
    Upstream(UpstreamError),
}

/// Finds images for a pull and records that they were pulled. What is missing here may have to be fetched first, which
/// the error then says.
pub(in crate::local) fn pull_images(
    request: &Request<'_>,
    reference: &RepositoryRef,
    ids: &[ImageId],
) -> Result<(Repository, Vec<ImagePull>), Error> {
    let mut pulled = Vec::new();
    let found = request.local.read(|connection| {
        let repository = repository(request, connection, reference, ids)?;
        let counts = is_counted(request, connection, reference)?;
        let (mut images, mut absent) = (Vec::new(), Vec::new());
        for id in ids {
            let found = id.resolve(connection, &repository)?;
            absent.extend(missing_here(request, connection, &repository, id, &found)?);
            images.push(match found {
                Err(Unresolved::NotFound) => Err(not_found(request, id)),
                Err(unresolved) => Err(NotPulled::Unresolved(unresolved)),
                Ok(image) if image.status != "ACTIVE" => Err(NotPulled::Archived),
                Ok(image) => {
                    if counts && image.pulled_at.is_none_or(|pulled| request.now - pulled >= PULL_GRAIN) {
                        pulled.push(image.id);
                    }
                    let manifest = image.manifest(connection)?;
                    Ok((image, manifest))
                }
            });
        }
        let RepositoryRef { scope, name } = reference;
        match upstream_rules::upstream_error_for(connection, scope, name, absent, request.fetch_results)? {
            Some(need) if request.fetch_results.is_none() => Err(need),
            _ => Ok((repository, images)),
        }
    })?;
    request.local.record_pulls(&pulled, request.now)?;
    Ok(found)
}

/// Finds an image without its manifest, which is no pull: the image and the length of its manifest. `None` if a pull
/// has to find out more, because it is not here or its tag has to be looked up upstream again.
pub(in crate::local) fn head(
    request: &Request<'_>,
    reference: &RepositoryRef,
    id: &ImageId,
) -> Result<Option<(Image, i64)>, Error> {
    request.local.read(|connection| {
        let Some(repository) = reference.look_up(connection)? else { return Ok(None) };
        let found = id.resolve(connection, &repository)?;
        let is_due = missing_here(request, connection, &repository, id, &found)?.is_some();
        let Some(image) = found.ok().filter(|image| image.status == "ACTIVE" && !is_due) else {
            return Ok(None);
        };
        let query = "SELECT length(content) FROM manifest WHERE image = ?1";
        let length = connection.prepare_cached(query)?.query_row(params![image.id], |row| row.get(0))?;
        Ok(Some((image, length)))
    })
}

/// Returns whether the pulls of this requester count.
fn is_counted(
    request: &Request<'_>,
    connection: &Connection,
    reference: &RepositoryRef,
) -> Result<bool, Error> {
    match request.requester {
        Some(requester) if !reference.is_public() => {
            Ok(!account_settings::is_excluded(connection, &reference.scope, requester.principal)?)
        }
        _ => Ok(false),
    }
}

/// The repository; where it is missing, a pull may make it.
fn repository(
    request: &Request<'_>,
    connection: &Connection,
    reference: &RepositoryRef,
    ids: &[ImageId],
) -> Result<Repository, Error> {
    let RepositoryRef { scope, name } = reference;
    if let Some(repository) = reference.look_up(connection)? {
        return Ok(repository);
    }
    let wanted = ids.iter().filter_map(wanted).collect();
    let instead = upstream_rules::upstream_error_for(connection, scope, name, wanted, request.fetch_results)?;
    instead.map_or_else(|| reference.find(connection), Err)
}

/// Name of an identifier's image upstream; a digest counts before the tag beside it.
fn wanted(id: &ImageId) -> Option<UpstreamItem> {
    let digest = id.digest.as_deref().map(str::parse);
    let name = match (digest, &id.tag) {
        (Some(digest), _) => Name::Digest(digest.ok()?),
        (None, Some(tag)) => Name::tag(tag).ok()?,
        (None, None) => return None,
    };
    Some(UpstreamItem::Image(name))
}

/// Returns the image to look up upstream: one that is missing, or a tag that was looked up long ago.
fn missing_here(
    request: &Request<'_>,
    connection: &Connection,
    repository: &Repository,
    id: &ImageId,
    found: &Result<Image, Unresolved>,
) -> Result<Option<UpstreamItem>, Error> {
    if request.fetch_results.is_some() || repository.scope.service == "ecr-public" {
        return Ok(None);
    }
    let is_wanted = match (found, &id.tag, &id.digest) {
        (Err(Unresolved::NotFound), ..) => true,
        (Ok(image), Some(tag), None) if image.status == "ACTIVE" => {
            let at = upstream_rules::looked_up_at(connection, repository, tag)?;
            upstream_rules::is_due(request.local, connection, &repository.scope, &repository.name, at)?
        }
        _ => false,
    };
    Ok(is_wanted.then(|| wanted(id)).flatten())
}

/// Returns why an image is missing: the error of fetching it, if that was tried, or that it was not found.
fn not_found(request: &Request<'_>, id: &ImageId) -> NotPulled {
    let failure = wanted(id).and_then(|wanted| request.fetch_results?.failure(&wanted));
    match failure.filter(|failure| failure.kind != UpstreamErrorKind::Missing) {
        Some(failure) => NotPulled::Upstream(failure.clone()),
        None => NotPulled::Unresolved(Unresolved::NotFound),
    }
}
