//! Referrers: the images that name another one as their subject, listed, and deleted after it.

use indexmap::IndexMap;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::local::core::error::Error;
use crate::local::core::image::{COLUMNS, Image, STATUS};
use crate::local::core::repository::Repository;

/// Filter of referrers, with the size of the page.
pub(in crate::local) struct ReferrerQuery<'a> {
    /// The digest that they refer to.
    pub(in crate::local) subject: Option<&'a str>,
    /// The row before the first one.
    pub(in crate::local) after: i64,
    /// Their status, or `ANY`.
    pub(in crate::local) status: &'a str,
    /// Their artifact types; `None` for every one.
    pub(in crate::local) artifact_types: Option<&'a [&'a str]>,
    /// The most of them that are answered.
    pub(in crate::local) limit: usize,
    /// No further manifest is read once more bytes than these were.
    pub(in crate::local) max_bytes: usize,
}

/// Referrer of an image, with the data of its descriptor.
pub(in crate::local) struct Referrer {
    pub(in crate::local) image: Image,
    /// The bytes of its manifest.
    pub(in crate::local) length: usize,
    /// The annotations of its manifest, which are texts (OCI image-spec, annotations.md).
    pub(in crate::local) annotations: Option<IndexMap<String, String>>,
}

#[derive(Deserialize)]
struct Annotated {
    annotations: Option<IndexMap<String, Annotation>>,
}

/// Value of an annotation. A push takes manifests with others than texts, which are not listed.
#[derive(Deserialize)]
#[serde(untagged)]
enum Annotation {
    Text(String),
    Other(IgnoredAny),
}

/// Reads the annotations of a manifest.
fn annotations(manifest: &[u8]) -> Option<IndexMap<String, String>> {
    let annotated: Annotated = serde_json::from_slice(manifest).ok()?;
    let texts = annotated.annotations?.into_iter().filter_map(|(key, value)| match value {
        Annotation::Text(text) => Some((key, text)),
        Annotation::Other(_) => None,
    });
    Some(texts.collect())
}

/// One page of referrers in the order of their rows, and whether there are more.
pub(in crate::local) fn list(
    connection: &Connection,
    repository: i64,
    query: &ReferrerQuery<'_>,
) -> Result<(Vec<Referrer>, bool), Error> {
    // Rows are read one by one, and no further than they are wanted.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, content FROM image JOIN manifest ON manifest.image = image.id
         WHERE repository = ?1 AND subject = ?2 AND image.id > ?3 AND (?4 = 'ANY' OR {STATUS} = ?4)
               AND (?5 IS NULL OR artifact_type IN (SELECT value FROM json_each(?5)))
         ORDER BY image.id"
    ))?;
    let types = query.artifact_types.map(|types| serde_json::to_string(types).expect("texts are JSON"));
    let mut rows = statement.query(params![repository, query.subject, query.after, query.status, types])?;
    let (mut referrers, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if referrers.len() == query.limit || bytes > query.max_bytes {
            return Ok((referrers, true));
        }
        let content: Vec<u8> = row.get(11)?;
        bytes += content.len();
        let annotations = annotations(&content);
        referrers.push(Referrer { image: Image::from_row(row)?, length: content.len(), annotations });
    }
    Ok((referrers, false))
}

/// Marks the referrers of a deleted image.
pub(in crate::local) fn orphan(connection: &Connection, repository: i64, subject: &str) -> Result<(), Error> {
    let change = "INSERT OR IGNORE INTO orphan SELECT id FROM image WHERE repository = ?1 AND subject = ?2";
    connection.prepare_cached(change)?.execute(params![repository, subject])?;
    Ok(())
}

/// Unmarks the referrers of an image that was pushed again.
pub(in crate::local) fn adopt(connection: &Connection, repository: i64, subject: &str) -> Result<(), Error> {
    let change =
        "DELETE FROM orphan WHERE image IN (SELECT id FROM image WHERE repository = ?1 AND subject = ?2)";
    connection.prepare_cached(change)?.execute(params![repository, subject])?;
    Ok(())
}

/// Deletes the referrers of deleted images, and their own referrers; returns the digests. One that an index holds
/// stays. A trial answers the first of each chain, and deletes nothing.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_that_are_no_texts_are_left_out() {
        let manifest = br#"{"annotations": {"a": "ok", "b": 1, "c": null, "d": {"e": []}}, "layers": []}"#;
        let texts = IndexMap::from([("a".to_owned(), "ok".to_owned())]);
        assert_eq!(annotations(manifest), Some(texts));
        assert_eq!(annotations(b"{}"), None);
    }
}
