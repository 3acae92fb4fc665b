//! Referrers of images that are deleted.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::local::core::error::Error;
use crate::local::core::image::{COLUMNS, Image};
use crate::local::core::repository::Repository;

/// Remembers of those that refer to an image that it was deleted.
pub(in crate::local) fn orphan(connection: &Connection, repository: i64, subject: &str) -> Result<(), Error> {
    let change = "INSERT OR IGNORE INTO orphan SELECT id FROM image WHERE repository = ?1 AND subject = ?2";
    connection.prepare_cached(change)?.execute(params![repository, subject])?;
    Ok(())
}

/// Forgets that an image was deleted, as it is there again.
pub(in crate::local) fn adopt(connection: &Connection, repository: i64, subject: &str) -> Result<(), Error> {
    let change =
        "DELETE FROM orphan WHERE image IN (SELECT id FROM image WHERE repository = ?1 AND subject = ?2)";
    connection.prepare_cached(change)?.execute(params![repository, subject])?;
    Ok(())
}

/// Deletes those whose subject was deleted, and those that refer to them; answers their digests. One that an index
/// holds stays. A trial answers the first of each chain, and deletes nothing.
pub(in crate::local) fn expire_orphans(
    connection: &Connection,
    repository: &Repository,
    is_trial: bool,
) -> Result<Vec<String>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM orphan JOIN image ON image.id = orphan.image
         WHERE repository = ?1 AND NOT EXISTS (
             SELECT 1 FROM image_child AS child WHERE child.repository = ?1 AND child.digest = image.digest)
         ORDER BY image.id"
    );
    let mut statement = connection.prepare_cached(&query)?;
    if is_trial {
        let rows = statement.query_map([repository.id], |row| Ok(Image::from_row(row)?.digest))?;
        return Ok(rows.collect::<Result<_, _>>()?);
    }
    let mut expired = Vec::new();
    // Each one that goes may leave others behind.
    while let Some(image) = statement.query_row([repository.id], Image::from_row).optional()? {
        remove(connection, repository, &image)?;
        expired.push(image.digest);
    }
    Ok(expired)
}

/// Deletes an image. What refers to it stays until the lifecycle policy is next carried out, which on AWS is within a
/// day; without a policy it stays for good.
pub(in crate::local) fn remove(
    connection: &Connection,
    repository: &Repository,
    image: &Image,
) -> Result<(), Error> {
    connection.execute("DELETE FROM image WHERE id = ?1", [image.id])?;
    orphan(connection, repository.id, &image.digest)
}
