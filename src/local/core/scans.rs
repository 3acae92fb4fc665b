//! Scans of images: begun by a request or a push, and the findings that were given for them.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::local::core::error::Error;
use crate::local::core::image::Image;
use crate::local::core::repository::Repository;
use crate::local::core::scanning::ScanningConfiguration;

/// A row of the table `scan`.
pub(in crate::local) struct Scan {
    /// Findings of the scan, in ECR's own JSON: a document that is answered and never looked into.
    pub(in crate::local) findings: Option<String>,
    pub(in crate::local) started_at: Option<i64>,
}

impl Scan {
    pub(in crate::local) fn of(connection: &Connection, image: i64) -> Result<Option<Self>, Error> {
        let query = "SELECT findings, started_at FROM scan WHERE image = ?1";
        let mut statement = connection.prepare_cached(query)?;
        let scan =
            statement.query_row([image], |row| Ok(Self { findings: row.get(0)?, started_at: row.get(1)? }));
        Ok(scan.optional()?)
    }
}

/// Begins a scan of an image, in the place of an earlier one.
pub(in crate::local) fn begin(connection: &Connection, image: i64, now: i64) -> Result<(), Error> {
    connection.execute(
        "INSERT INTO scan (image, started_at) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET started_at = excluded.started_at",
        params![image, now],
    )?;
    Ok(())
}

/// Stores the findings of an image and of all that it lists. A scan that has been made is made anew; where scanning is
/// continuous (`is_enhanced`), one begins.
pub(in crate::local) fn store_findings(
    connection: &Connection,
    image: &Image,
    findings: &str,
    is_enhanced: bool,
    now: i64,
) -> Result<(), Error> {
    for (id, is_index) in with_listed(connection, image)? {
        connection.execute(
            "INSERT INTO scan (image, findings) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET findings = excluded.findings",
            params![id, findings],
        )?;
        if is_enhanced && !is_index {
            begin(connection, id, now)?;
        } else {
            let change = "UPDATE scan SET started_at = ?2 WHERE image = ?1 AND started_at IS NOT NULL";
            connection.execute(change, params![id, now])?;
        }
    }
    Ok(())
}

/// The identifiers of an image and of all that it lists, directly or through further indexes, and which are indexes.
fn with_listed(connection: &Connection, image: &Image) -> Result<Vec<(i64, bool)>, Error> {
    let query = "WITH RECURSIVE listed (id) AS (
                     VALUES (?1)
                     UNION
                     SELECT child.id FROM listed
                     JOIN image_child ON image_child.image = listed.id
                     JOIN image AS child ON child.repository = image_child.repository AND child.digest = image_child.digest
                 )
                 SELECT id FROM listed";
    let mut statement = connection.prepare_cached(query)?;
    let ids = statement.query_map([image.id], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let mut all = Vec::new();
    for id in ids {
        all.extend(Image::of_id(connection, id)?.map(|image| (id, is_index(&image))));
    }
    Ok(all)
}

pub(in crate::local) fn is_index(image: &Image) -> bool {
    image.media_type.ends_with("manifest.list.v2+json") || image.media_type.ends_with("image.index.v1+json")
}

/// Begins the scan of a pushed image where the registry or the repository asks for it.
pub(in crate::local) fn on_push(
    connection: &Connection,
    repository: &Repository,
    image: i64,
    now: i64,
) -> Result<(), Error> {
    let (frequency, _) = ScanningConfiguration::of(connection, &repository.scope)?.frequency(repository);
    let Some(image) = Image::of_id(connection, image)? else { return Ok(()) };
    let is_scanned = Scan::of(connection, image.id)?.is_some_and(|scan| scan.started_at.is_some());
    if frequency == "MANUAL" || is_index(&image) || is_scanned {
        return Ok(());
    }
    begin(connection, image.id, now)
}
