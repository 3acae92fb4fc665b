//! Lists of images, page by page.

use rusqlite::{Connection, params};

use crate::local::core::error::Error;
use crate::local::core::image::{COLUMNS, Image, STATUS};
use crate::local::core::image_id::ImageId;
use crate::local::core::repository::Repository;

/// The images that a list has.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::local) struct ImageFilter {
    /// Only images with tags, or only those without.
    pub(in crate::local) tagged: Option<bool>,
    /// Only images of this status.
    pub(in crate::local) status: Option<ImageStatus>,
}

/// Status of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum ImageStatus {
    Active,
    Activating,
    Archived,
}

impl ImageFilter {
    /// The conditions for SQL over the table `image`.
    fn conditions(self) -> String {
        let exists = "EXISTS (SELECT 1 FROM image_tag AS tag WHERE tag.image = image.id)";
        let tagged = match self.tagged {
            Some(true) => format!("AND {exists}"),
            Some(false) => format!("AND NOT {exists}"),
            None => String::new(),
        };
        match self.status {
            None => tagged,
            Some(ImageStatus::Active) => format!("{tagged} AND {STATUS} = 'ACTIVE'"),
            Some(ImageStatus::Activating) => format!("{tagged} AND {STATUS} = 'ACTIVATING'"),
            Some(ImageStatus::Archived) => format!("{tagged} AND {STATUS} = 'ARCHIVED'"),
        }
    }
}

/// Lists an identifier for each tag, and one for each image without any, each with the row of its image; those after
/// an image and a tag.
pub(in crate::local) fn image_ids(
    connection: &Connection,
    repository: &Repository,
    filter: ImageFilter,
    (image, tag): (i64, &str),
    limit: i64,
) -> Result<Vec<(i64, ImageId)>, Error> {
    let query = format!(
        "SELECT image.id, image.digest, tag.name FROM image LEFT JOIN image_tag AS tag ON tag.image = image.id
         WHERE image.repository = ?1 AND image.id >= ?2
               AND (image.id > ?2 OR coalesce(tag.name, '') > ?3) {}
         ORDER BY image.id, tag.name LIMIT ?4",
        filter.conditions()
    );
    let mut statement = connection.prepare_cached(&query)?;
    let ids = statement.query_map(params![repository.id, image, tag, limit], |row| {
        Ok((row.get(0)?, ImageId { digest: Some(row.get(1)?), tag: row.get(2)? }))
    })?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Lists images whose rows come after one.
pub(in crate::local) fn images(
    connection: &Connection,
    repository: &Repository,
    filter: ImageFilter,
    after: i64,
    limit: i64,
) -> Result<Vec<Image>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM image WHERE repository = ?1 AND id > ?2 {} ORDER BY id LIMIT ?3",
        filter.conditions()
    );
    let mut statement = connection.prepare_cached(&query)?;
    let images = statement.query_map(params![repository.id, after, limit], Image::from_row)?;
    Ok(images.collect::<Result<_, _>>()?)
}

/// A tag with its image.
pub(in crate::local) struct TaggedImage {
    pub(in crate::local) image: Image,
    pub(in crate::local) tag: String,
    pub(in crate::local) tagged_at: i64,
}

/// Lists tags after one, in the order of their bytes, each with its image.
pub(in crate::local) fn tagged_images(
    connection: &Connection,
    repository: &Repository,
    after: &str,
    limit: i64,
) -> Result<Vec<TaggedImage>, Error> {
    let query = format!(
        "SELECT {COLUMNS}, tag.name, tag.tagged_at FROM image_tag AS tag JOIN image ON image.id = tag.image
         WHERE tag.repository = ?1 AND tag.name > ?2 ORDER BY tag.name LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let rows = statement.query_map(params![repository.id, after, limit], |row| {
        Ok(TaggedImage { image: Image::from_row(row)?, tag: row.get(11)?, tagged_at: row.get(12)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
