//! Replication backfills as the database keeps them.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::local::core::error::Error;
use crate::local::core::image::Image;
use crate::local::core::registry_id::Scope;
use crate::local::core::replication::{Replication, destinations_of};

/// A row of the table `backfill`.
pub(in crate::local) struct Backfill {
    pub(in crate::local) number: i64,
    pub(in crate::local) id: String,
    /// The destination as the API shows it, in JSON.
    pub(in crate::local) destination: String,
    pub(in crate::local) started_at: i64,
    pub(in crate::local) ended_at: i64,
}

/// Images of a backfill, and why some were not copied.
pub(in crate::local) struct BackfillCounts {
    pub(in crate::local) total: i64,
    pub(in crate::local) failed: i64,
    /// The codes of the failures, each once.
    pub(in crate::local) failures: Vec<String>,
}

/// Result of a backfill for one image.
pub(in crate::local) struct BackfillResult {
    pub(in crate::local) position: i64,
    pub(in crate::local) repository: String,
    pub(in crate::local) digest: String,
    pub(in crate::local) failure: Option<String>,
}

const COLUMNS: &str = "number, id, destination, started_at, ended_at";

impl Backfill {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            id: row.get(1)?,
            destination: row.get(2)?,
            started_at: row.get(3)?,
            ended_at: row.get(4)?,
        })
    }

    /// Finds a backfill of a registry by its identifier.
    pub(in crate::local) fn find(
        connection: &Connection,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Self>, Error> {
        let query = format!("SELECT {COLUMNS} FROM backfill WHERE id = ?1 AND account = ?2 AND region = ?3");
        let key = params![id, scope.account, scope.region];
        Ok(connection.query_row(&query, key, Self::from_row).optional()?)
    }

    /// Lists the backfills of a registry with lower numbers than `before`, the newest first.
    pub(in crate::local) fn list(
        connection: &Connection,
        scope: &Scope,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Self>, Error> {
        let query = format!(
            "SELECT {COLUMNS} FROM backfill WHERE account = ?1 AND region = ?2 AND number < ?3
             ORDER BY number DESC LIMIT ?4"
        );
        let mut statement = connection.prepare_cached(&query)?;
        let key = params![scope.account, scope.region, before, limit];
        let backfills = statement.query_map(key, Self::from_row)?;
        Ok(backfills.collect::<Result<_, _>>()?)
    }

    /// Begins a backfill, and returns its number.
    pub(in crate::local) fn begin(
        connection: &Connection,
        scope: &Scope,
        (id, destination): (&str, &str),
        now: i64,
    ) -> Result<i64, Error> {
        connection.execute(
            "INSERT INTO backfill (id, account, region, destination, started_at, ended_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
            params![id, scope.account, scope.region, destination, now],
        )?;
        Ok(connection.last_insert_rowid())
    }

    /// Records the end of a backfill.
    pub(in crate::local) fn end(connection: &Connection, number: i64, now: i64) -> Result<(), Error> {
        connection.execute("UPDATE backfill SET ended_at = ?2 WHERE number = ?1", params![number, now])?;
        Ok(())
    }

    pub(in crate::local) fn counts(&self, connection: &Connection) -> Result<BackfillCounts, Error> {
        let query = "SELECT count(*), count(failure) FROM backfill_result WHERE backfill = ?1";
        let (total, failed) =
            connection.query_row(query, [self.number], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut statement = connection.prepare(
            "SELECT DISTINCT failure FROM backfill_result WHERE backfill = ?1 AND failure IS NOT NULL ORDER BY 1",
        )?;
        let failures = statement.query_map([self.number], |row| row.get(0))?;
        Ok(BackfillCounts { total, failed, failures: failures.collect::<Result<_, _>>()? })
    }

    /// Lists the results after a position: all, or only those that failed or did not.
    pub(in crate::local) fn results(
        &self,
        connection: &Connection,
        failed: Option<bool>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<BackfillResult>, Error> {
        let filter = match failed {
            Some(false) => "AND failure IS NULL",
            Some(true) => "AND failure IS NOT NULL",
            None => "",
        };
        let query = format!(
            "SELECT position, repository, digest, failure FROM backfill_result
             WHERE backfill = ?1 AND position > ?2 {filter} ORDER BY position LIMIT ?3"
        );
        let mut statement = connection.prepare_cached(&query)?;
        let results = statement.query_map(params![self.number, after, limit], |row| {
            Ok(BackfillResult {
                position: row.get(0)?,
                repository: row.get(1)?,
                digest: row.get(2)?,
                failure: row.get(3)?,
            })
        })?;
        Ok(results.collect::<Result<_, _>>()?)
    }
}

/// Copies the images of one repository to a destination, if a rule names it, and records the results from `position`
/// on; returns the next position. Archived images cannot be copied.
pub(in crate::local) fn fill(
    replication: &Replication<'_>,
    destination: &Scope,
    backfill: i64,
    mut position: i64,
) -> Result<i64, Error> {
    let (connection, repository) = (replication.connection, replication.source);
    let destinations = destinations_of(connection, repository)?;
    if destinations.iter().all(|each| each.scope != *destination) {
        return Ok(position);
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO backfill_result (backfill, position, repository, digest, failure)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for image in Image::of_repository(connection, repository.id)? {
        let failure = if image.status == "ACTIVE" {
            let tags = image.tags(connection)?;
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            replication.copy(&image, &tags, destination)?
        } else {
            Some("ImageArchived")
        };
        insert.execute(params![backfill, position, repository.name, image.digest, failure])?;
        position += 1;
    }
    Ok(position)
}
