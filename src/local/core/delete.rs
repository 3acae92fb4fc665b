//! Images deleted, by tag or digest.

use rusqlite::{Connection, params};

use crate::local::core::error::Error;
use crate::local::core::image::lists_with;
use crate::local::core::image_id::{ImageId, Unresolved};
use crate::local::core::referrers::remove;
use crate::local::core::registry_id::RepositoryRef;
use crate::local::core::replication;
use crate::local::core::repository::Repository;
use crate::local::core::request::Request;

/// Result of a deletion: the deleted identifiers, each with its digest, and the others, with the reason.
#[derive(Debug, Default)]
pub(in crate::local) struct DeletedImages {
    pub(in crate::local) deleted: Vec<ImageId>,
    pub(in crate::local) failures: Vec<(ImageId, NotDeleted)>,
}

/// Reason for which an image was not deleted.
#[derive(Debug)]
pub(in crate::local) enum NotDeleted {
    Unresolved(Unresolved),
    /// The indexes with these digests list it.
    Listed(Vec<String>),
}

/// Deletes images. A tag alone takes the tag, and with the last tag the image; a digest takes the image.
pub(in crate::local) fn delete_images(
    request: &Request<'_>,
    reference: &RepositoryRef,
    ids: &[ImageId],
) -> Result<DeletedImages, Error> {
    let mut unique: Vec<&ImageId> = Vec::new();
    for id in ids {
        if !unique.contains(&id) {
            unique.push(id);
        }
    }
    request.local.free(|transaction| {
        let repository = reference.find(transaction)?;
        let mut done = DeletedImages::default();
        let mut waiting = unique.clone();
        // An index may be named after its children: what a manifest list still holds is tried again after each round
        // that deleted something.
        loop {
            let before = done.deleted.len();
            let mut listed = Vec::new();
            for id in std::mem::take(&mut waiting) {
                match delete_one(transaction, &repository, id)? {
                    Ok(mut entries) => done.deleted.append(&mut entries),
                    Err(failure @ NotDeleted::Unresolved(_)) => done.failures.push((id.clone(), failure)),
                    Err(failure) => listed.push((id, failure)),
                }
            }
            if listed.is_empty() || done.deleted.len() == before || request.local.deletes_in_order {
                done.failures.extend(listed.into_iter().map(|(id, failure)| (id.clone(), failure)));
                break;
            }
            waiting = listed.into_iter().map(|(id, _)| id).collect();
        }
        if !reference.is_public() {
            replication::on_delete(request.local, transaction, &repository, &done.deleted)?;
        }
        Ok(done)
    })
}

/// Removes a tag from its image, which stays; false if there is no such tag.
pub(in crate::local) fn delete_tag(
    request: &Request<'_>,
    reference: &RepositoryRef,
    tag: &str,
) -> Result<bool, Error> {
    request.local.free(|transaction| {
        let repository = reference.find(transaction)?;
        let query = "DELETE FROM image_tag WHERE repository = ?1 AND name = ?2";
        Ok(transaction.execute(query, params![repository.id, tag])? == 1)
    })
}

fn delete_one(
    connection: &Connection,
    repository: &Repository,
    id: &ImageId,
) -> Result<Result<Vec<ImageId>, NotDeleted>, Error> {
    let image = match id.resolve(connection, repository)? {
        Ok(image) => image,
        Err(unresolved) => return Ok(Err(NotDeleted::Unresolved(unresolved))),
    };
    let tags = image.tags(connection)?;
    let identified = |tag: Option<&String>| ImageId { digest: Some(image.digest.clone()), tag: tag.cloned() };
    if id.digest.is_none() && tags.len() > 1 {
        connection.execute(
            "DELETE FROM image_tag WHERE repository = ?1 AND name = ?2",
            params![repository.id, id.tag],
        )?;
        return Ok(Ok(vec![identified(id.tag.as_ref())]));
    }
    let lists = lists_with(connection, repository, &image)?;
    if !lists.is_empty() {
        return Ok(Err(NotDeleted::Listed(lists)));
    }
    remove(connection, repository, &image)?;
    let each = || tags.iter().map(|tag| identified(Some(tag))).collect();
    Ok(Ok(if tags.is_empty() { vec![identified(None)] } else { each() }))
}
