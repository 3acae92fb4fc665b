//! Images as rows of the database.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::image::Digest;
use crate::local::core::error::Error;
use crate::local::core::repository::Repository;
use crate::local::store::verified::damage;

/// A row of the table `image`.
#[derive(Debug, Clone)]
pub(in crate::local) struct Image {
    pub(in crate::local) id: i64,
    pub(in crate::local) digest: String,
    pub(in crate::local) media_type: String,
    pub(in crate::local) artifact_type: Option<String>,
    pub(in crate::local) subject: Option<String>,
    pub(in crate::local) size: i64,
    pub(in crate::local) pushed_at: i64,
    pub(in crate::local) pulled_at: Option<i64>,
    pub(in crate::local) status: String,
    pub(in crate::local) archived_at: Option<i64>,
    pub(in crate::local) activated_at: Option<i64>,
}

macro_rules! status {
    () => {
        "CASE WHEN image.status = 'ACTIVATING' AND image.activated_at <= unixepoch('subsec') * 1000
              THEN 'ACTIVE' ELSE image.status END"
    };
}

/// An image's status now, as SQL over the table `image`. The row of an image that is being restored says `ACTIVATING`
/// for good; the image is `ACTIVE` from `activated_at` on.
pub(in crate::local) const STATUS: &str = status!();

/// The columns that `Image::from_row` reads.
pub(in crate::local) const COLUMNS: &str = concat!(
    "image.id, digest, media_type, artifact_type, subject, size, pushed_at, pulled_at, ",
    status!(),
    ", archived_at, activated_at"
);

impl Image {
    pub(in crate::local) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
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

    pub(in crate::local) fn of_id(connection: &Connection, id: i64) -> Result<Option<Self>, Error> {
        let query = format!("SELECT {COLUMNS} FROM image WHERE id = ?1");
        Ok(connection.prepare_cached(&query)?.query_row([id], Self::from_row).optional()?)
    }

    pub(in crate::local) fn of_digest(
        connection: &Connection,
        repository: i64,
        digest: &str,
    ) -> Result<Option<Self>, Error> {
        let query = format!("SELECT {COLUMNS} FROM image WHERE repository = ?1 AND digest = ?2");
        let mut statement = connection.prepare_cached(&query)?;
        Ok(statement.query_row(params![repository, digest], Self::from_row).optional()?)
    }

    /// The images that refer to a digest, the oldest first.
    pub(in crate::local) fn of_subject(
        connection: &Connection,
        repository: i64,
        digest: &str,
    ) -> Result<Vec<Self>, Error> {
        let query = format!("SELECT {COLUMNS} FROM image WHERE repository = ?1 AND subject = ?2 ORDER BY id");
        let mut statement = connection.prepare_cached(&query)?;
        let images = statement.query_map(params![repository, digest], Self::from_row)?;
        Ok(images.collect::<Result<_, _>>()?)
    }

    /// All images of a repository, the oldest first.
    pub(in crate::local) fn of_repository(
        connection: &Connection,
        repository: i64,
    ) -> Result<Vec<Self>, Error> {
        let query = format!("SELECT {COLUMNS} FROM image WHERE repository = ?1 ORDER BY id");
        let mut statement = connection.prepare(&query)?;
        let images = statement.query_map([repository], Self::from_row)?;
        Ok(images.collect::<Result<_, _>>()?)
    }

    /// The tags that point at this image, in alphabetical order.
    pub(in crate::local) fn tags(&self, connection: &Connection) -> Result<Vec<String>, Error> {
        let query = "SELECT name FROM image_tag WHERE image = ?1 ORDER BY name";
        let mut statement = connection.prepare_cached(query)?;
        let tags = statement.query_map([self.id], |row| row.get(0))?;
        Ok(tags.collect::<Result<_, _>>()?)
    }

    /// The manifest, byte for byte as it was pushed.
    pub(in crate::local) fn manifest(&self, connection: &Connection) -> Result<String, Error> {
        let query = "SELECT CAST(content AS TEXT) FROM manifest WHERE image = ?1";
        let text: String = connection.prepare_cached(query)?.query_row([self.id], |row| row.get(0))?;
        let digest: Digest = self.digest.parse().map_err(|_| Error::storage("an image has no digest"))?;
        match digest.algorithm().of(text.as_bytes()) {
            found if found == digest => Ok(text),
            found => Err(Error::storage(format!("the manifest {}", damage(&digest, &found)))),
        }
    }
}

/// The digests of the indexes that list an image.
pub(in crate::local) fn lists_with(
    connection: &Connection,
    repository: &Repository,
    image: &Image,
) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT parent.digest FROM image_child AS child JOIN image AS parent ON parent.id = child.image
         WHERE child.repository = ?1 AND child.digest = ?2 ORDER BY parent.id",
    )?;
    let lists = statement.query_map(params![repository.id, image.digest], |row| row.get(0))?;
    Ok(lists.collect::<Result<_, _>>()?)
}

/// Moves an image into the archive at a time, or begins to restore it until then.
pub(in crate::local) fn set_archived(
    connection: &Connection,
    image: i64,
    archives: bool,
    at: i64,
) -> Result<(), Error> {
    let change = if archives {
        "UPDATE image SET status = 'ARCHIVED', archived_at = ?2 WHERE id = ?1"
    } else {
        "UPDATE image SET status = 'ACTIVATING', activated_at = ?2 WHERE id = ?1"
    };
    connection.execute(change, params![image, at])?;
    Ok(())
}

/// Returns the names of a repository's tags after one, in the order of their bytes.
pub(in crate::local) fn tag_names(
    connection: &Connection,
    repository: &Repository,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    let query = "SELECT name FROM image_tag WHERE repository = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    let mut statement = connection.prepare_cached(query)?;
    let names = statement.query_map(params![repository.id, after, limit], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Sets the time of a tag's last look-up upstream, if the tag is there.
pub(in crate::local) fn touch_tag(
    connection: &Connection,
    repository: &Repository,
    tag: &str,
    now: i64,
) -> Result<(), Error> {
    let change = "UPDATE image_tag SET tagged_at = ?3 WHERE repository = ?1 AND name = ?2";
    connection.execute(change, params![repository.id, tag, now])?;
    Ok(())
}

pub(in crate::local) fn put_tag(
    connection: &Connection,
    repository: &Repository,
    image: i64,
    tag: &str,
    now: i64,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO image_tag (repository, name, image, tagged_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![repository.id, tag, image, now])?;
    Ok(())
}
