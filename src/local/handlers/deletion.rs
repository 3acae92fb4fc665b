//! BatchDeleteImage.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::identifier::ImageId;
use super::images::Image;

use super::repository::Repository;
use super::{referrers, replication};
use crate::local::Fault;
use crate::local::call::Call;

/// BatchDeleteImage. A tag alone takes the tag, and with the last tag the image; a digest takes the image.
pub(crate) fn delete(call: &Call<'_>) -> Result<Value, Fault> {
    let mut ids: Vec<ImageId> = Vec::new();
    for id in call.list("imageIds").unwrap_or_default().iter().map(ImageId::of) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    call.free(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let (mut deleted, mut failures) = (Vec::new(), Vec::new());
        let mut waiting = ids.clone();
        // An index may be named after its children: what a manifest list still holds is tried again after each round
        // that deleted something.
        loop {
            let before = deleted.len();
            let mut held = Vec::new();
            for id in std::mem::take(&mut waiting) {
                match delete_one(transaction, &repository, &id)? {
                    Outcome::Deleted(mut entries) => deleted.append(&mut entries),
                    Outcome::Failed(failure) => failures.push(failure),
                    Outcome::Held(failure) => held.push((id, failure)),
                }
            }
            if held.is_empty() || deleted.len() == before {
                failures.extend(held.into_iter().map(|(_, failure)| failure));
                break;
            }
            waiting = held.into_iter().map(|(id, _)| id).collect();
        }
        if !call.is_public() {
            replication::on_delete(call.local, transaction, &repository, &deleted)?;
        }
        Ok(json!({ "imageIds": deleted, "failures": failures }))
    })
}

enum Outcome {
    Deleted(Vec<Value>),
    Failed(Value),
    /// A manifest list refers to the image.
    Held(Value),
}

fn delete_one(connection: &Connection, repository: &Repository, id: &ImageId) -> Result<Outcome, Fault> {
    let image = match id.resolve(connection, repository)? {
        Ok(image) => image,
        Err(unresolved) => return Ok(Outcome::Failed(unresolved.failure(id))),
    };
    let tags = image.tags(connection)?;
    let identified =
        |tag: Option<&String>| ImageId { digest: Some(image.digest.clone()), tag: tag.cloned() }.value();
    if id.digest.is_none() && tags.len() > 1 {
        connection.execute(
            "DELETE FROM image_tag WHERE repository = ?1 AND name = ?2",
            params![repository.id, id.tag],
        )?;
        return Ok(Outcome::Deleted(vec![identified(id.tag.as_ref())]));
    }
    let lists = lists_with(connection, repository, &image)?;
    if !lists.is_empty() {
        let reason = format!("Requested image referenced by manifest list: [{}]", lists.join(", "));
        return Ok(Outcome::Held(id.failure("ImageReferencedByManifestList", &reason)));
    }
    remove(connection, repository, &image)?;
    let each = || tags.iter().map(|tag| identified(Some(tag))).collect();
    Ok(Outcome::Deleted(if tags.is_empty() { vec![identified(None)] } else { each() }))
}

/// Deletes an image. What refers to it stays until the lifecycle policy is next carried out, which on AWS is within a
/// day; without a policy it stays for good.
pub(super) fn remove(connection: &Connection, repository: &Repository, image: &Image) -> Result<(), Fault> {
    connection.execute("DELETE FROM image WHERE id = ?1", [image.id])?;
    referrers::orphan(connection, repository.id, &image.digest)
}

/// The digests of the indexes that hold an image.
pub(super) fn lists_with(
    connection: &Connection,
    repository: &Repository,
    image: &Image,
) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT parent.digest FROM image_child AS child JOIN image AS parent ON parent.id = child.image
         WHERE child.repository = ?1 AND child.digest = ?2 ORDER BY parent.id",
    )?;
    let lists = statement.query_map(params![repository.id, image.digest], |row| row.get(0))?;
    Ok(lists.collect::<Result<_, _>>()?)
}
