//! Previews of lifecycle policies as the database keeps them: the last one of each repository.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::local::core::error::Error;
use crate::local::core::image_id::ImageId;
use crate::local::core::repository::{Repository, to_json};

/// A row of the table `preview`.
pub(in crate::local) struct Preview {
    /// The policy's document.
    pub(in crate::local) policy: String,
    /// Images that would expire.
    pub(in crate::local) expiring: i64,
    /// Images that would be archived.
    pub(in crate::local) archiving: i64,
    pub(in crate::local) started_at: i64,
}

/// Result for one image.
pub(in crate::local) struct PreviewResult {
    pub(in crate::local) digest: String,
    pub(in crate::local) tags: Vec<String>,
    /// The result as the API answers it, in JSON.
    pub(in crate::local) entry: String,
}

impl Preview {
    /// The last preview of a repository.
    pub(in crate::local) fn of(
        connection: &Connection,
        repository: &Repository,
    ) -> Result<Option<Self>, Error> {
        let query = "SELECT policy, expiring, archiving, started_at FROM preview WHERE repository = ?1";
        let preview = connection.query_row(query, [repository.id], |row| {
            Ok(Self {
                policy: row.get(0)?,
                expiring: row.get(1)?,
                archiving: row.get(2)?,
                started_at: row.get(3)?,
            })
        });
        Ok(preview.optional()?)
    }

    /// Stores a preview in the place of an earlier one.
    pub(in crate::local) fn store(
        &self,
        connection: &Connection,
        repository: &Repository,
        results: impl Iterator<Item = PreviewResult>,
    ) -> Result<(), Error> {
        connection.execute("DELETE FROM preview WHERE repository = ?1", [repository.id])?;
        connection.execute(
            "INSERT INTO preview (repository, policy, expiring, archiving, started_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![repository.id, self.policy, self.expiring, self.archiving, self.started_at],
        )?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO preview_result (repository, position, digest, tags, entry) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (position, PreviewResult { digest, tags, entry }) in (0_i64..).zip(results) {
            insert.execute(params![repository.id, position, digest, to_json(&tags), entry])?;
        }
        Ok(())
    }
}

/// Lists results after a position, each with its own: of all images, or only of tagged or untagged ones.
pub(in crate::local) fn results(
    connection: &Connection,
    repository: &Repository,
    tagged: Option<bool>,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, String)>, Error> {
    let filter = match tagged {
        Some(true) => "AND tags <> '[]'",
        Some(false) => "AND tags = '[]'",
        None => "",
    };
    let query = format!(
        "SELECT position, entry FROM preview_result WHERE repository = ?1 AND position > ?2 {filter}
         ORDER BY position LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let rows =
        statement.query_map(params![repository.id, after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the results for some images, in the order of their identifiers.
pub(in crate::local) fn results_of(
    connection: &Connection,
    repository: &Repository,
    ids: &[ImageId],
) -> Result<Vec<String>, Error> {
    let has_tags = ids.iter().any(|id| id.tag.is_some());
    // Once over all results, however many identifiers there are.
    let query = "SELECT digest, tags, position FROM preview_result WHERE repository = ?1 ORDER BY position";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([repository.id])?;
    let mut found: Vec<(usize, i64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let digest = row.get_ref(0)?.as_str().unwrap_or_default();
        let text = row.get_ref(1)?.as_str().unwrap_or_default();
        let tags: Vec<String> =
            if has_tags { serde_json::from_str(text).unwrap_or_default() } else { Vec::new() };
        let is_meant = |id: &ImageId| {
            id.digest.as_deref().is_none_or(|wanted| wanted == digest)
                && id.tag.as_ref().is_none_or(|wanted| tags.contains(wanted))
        };
        if let Some(index) = ids.iter().position(is_meant) {
            found.push((index, row.get(2)?));
        }
    }
    found.sort_unstable();
    let query = "SELECT entry FROM preview_result WHERE repository = ?1 AND position = ?2";
    let mut statement = connection.prepare_cached(query)?;
    let entries = found
        .into_iter()
        .map(|(_, position)| Ok(statement.query_row(params![repository.id, position], |row| row.get(0))?));
    entries.collect()
}
