//! Replication backfills: copies of images that were pushed before there was a rule for them.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::replication::backfill_destination;
use crate::local::aws_api::responses::timestamp;
use crate::local::core::image::{COLUMNS, Image};
use crate::local::core::registry_id::Scope;
use crate::local::core::replication::{Replication, destinations_of};
use crate::local::core::repository::Repository;
use crate::local::store::time;

/// Backfills of a page where the caller does not say.
const DEFAULT: i64 = 50;

/// A row of the table `backfill`.
struct Backfill {
    number: i64,
    id: String,
    destination: Value,
    started_at: i64,
    ended_at: i64,
}

const BACKFILL: &str = "number, id, destination, started_at, ended_at";

impl Backfill {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            id: row.get(1)?,
            destination: serde_json::from_str(&row.get::<_, String>(2)?).unwrap_or_default(),
            started_at: row.get(3)?,
            ended_at: row.get(4)?,
        })
    }

    /// The backfill that the request names.
    fn of(call: &Call<'_>, connection: &Connection) -> Result<Self, ApiError> {
        let (scope, id) = (call.scope(), call.required("replicationBackfillId"));
        let query = format!("SELECT {BACKFILL} FROM backfill WHERE id = ?1 AND account = ?2 AND region = ?3");
        let key = params![id, scope.account, scope.region];
        let found = connection.query_row(&query, key, Self::from_row).optional()?;
        found.ok_or_else(|| {
            let text = format!(
                "The replication backfill with id '{id}' does not exist in the registry with id '{}'",
                scope.account
            );
            ApiError::new("ReplicationBackfillNotFoundException", text)
        })
    }

    fn describe(&self, call: &Call<'_>, connection: &Connection) -> Result<Value, ApiError> {
        let query = "SELECT count(*), count(failure) FROM backfill_result WHERE backfill = ?1";
        let (total, failed): (i64, i64) =
            connection.query_row(query, [self.number], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut statement = connection.prepare(
            "SELECT DISTINCT failure FROM backfill_result WHERE backfill = ?1 AND failure IS NOT NULL ORDER BY 1",
        )?;
        let codes = statement.query_map([self.number], |row| row.get::<_, String>(0))?;
        Ok(json!({
            "registryId": call.scope().account,
            "replicationBackfillId": self.id,
            "destination": self.destination,
            "status": "COMPLETE",
            "progress": {
                "totalReplicationCount": total,
                "completedReplicationCount": total - failed,
                "failedReplicationCount": failed,
                "failureCodes": codes.collect::<Result<Vec<_>, _>>()?,
            },
            "startedAt": timestamp(self.started_at),
            "endedAt": timestamp(self.ended_at),
        }))
    }
}

/// StartReplicationBackfill. All is copied by the time the start is answered, so no other one is ever in progress.
pub(in crate::local) fn start(call: &Call<'_>) -> Result<Value, ApiError> {
    let scope = call.scope();
    call.write(|transaction| {
        let destination = backfill_destination(call, transaction)?;
        let shown = json!({ "region": destination.region, "registryId": destination.account });
        let id = uuid::Uuid::new_v4().to_string();
        transaction.execute(
            "INSERT INTO backfill (id, account, region, destination, started_at, ended_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
            params![id, scope.account, scope.region, shown.to_string(), call.now],
        )?;
        let number = transaction.last_insert_rowid();
        let mut position = 0;
        for repository in Repository::list(transaction, &scope, "", i64::MAX)? {
            let destinations = destinations_of(transaction, &repository)?;
            if destinations.iter().any(|each| each.scope == destination) {
                let replication = Replication {
                    local: call.local,
                    connection: transaction,
                    source: &repository,
                    now: call.now,
                };
                fill(&replication, &destination, number, &mut position)?;
            }
        }
        let change = "UPDATE backfill SET ended_at = ?2 WHERE number = ?1";
        transaction.execute(change, params![number, time::now()])?;
        Ok(json!({
            "replicationBackfillId": id,
            "registryId": scope.account,
            "destination": shown,
            "status": "PREPARING",
            "startedAt": timestamp(call.now),
        }))
    })
}

/// Copies the images of one repository, with their tags; archived ones cannot be copied.
fn fill(
    replication: &Replication<'_>,
    destination: &Scope,
    backfill: i64,
    position: &mut i64,
) -> Result<(), ApiError> {
    let (connection, repository) = (replication.connection, replication.source);
    let query = format!("SELECT {COLUMNS} FROM image WHERE repository = ?1 ORDER BY id");
    let mut statement = connection.prepare(&query)?;
    let images = statement.query_map([repository.id], Image::from_row)?.collect::<Result<Vec<_>, _>>()?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO backfill_result (backfill, position, repository, digest, failure)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for image in images {
        let failure = if image.status == "ACTIVE" {
            let tags = image.tags(connection)?;
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            replication.copy(&image, &tags, destination)?
        } else {
            Some("ImageArchived")
        };
        insert.execute(params![backfill, *position, repository.name, image.digest, failure])?;
        *position += 1;
    }
    Ok(())
}

/// StopReplicationBackfill. Every backfill has ended, and what has ended cannot be stopped.
pub(in crate::local) fn stop(call: &Call<'_>) -> Result<Value, ApiError> {
    let backfill = call.read(|connection| Backfill::of(call, connection))?;
    let text = format!(
        "The replication backfill with id '{}' cannot be stopped because its status is COMPLETE",
        backfill.id
    );
    Err(ApiError::new("ReplicationBackfillInvalidStatusException", text))
}

/// ListReplicationBackfills, the newest first.
pub(in crate::local) fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::sized(call, "", DEFAULT)?;
    let scope = call.scope();
    call.read(|connection| {
        let query = format!(
            "SELECT {BACKFILL} FROM backfill WHERE account = ?1 AND region = ?2 AND number < ?3
             ORDER BY number DESC LIMIT ?4"
        );
        let before = page.after.as_ref().and_then(Value::as_i64).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached(&query)?;
        let key = params![scope.account, scope.region, before, page.fetch()];
        let mut entries = Vec::new();
        for backfill in statement.query_map(key, Backfill::from_row)? {
            let backfill = backfill?;
            entries.push((json!(backfill.number), backfill.describe(call, connection)?));
        }
        let mut answer = page.answer("backfills", entries);
        answer["registryId"] = json!(scope.account);
        Ok(answer)
    })
}

/// DescribeReplicationBackfillResults
pub(in crate::local) fn results(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "")?;
    call.read(|connection| {
        let backfill = Backfill::of(call, connection)?;
        let filter = match call.text("resultStatusFilter") {
            Some("COMPLETE") => "AND failure IS NULL",
            Some(_) => "AND failure IS NOT NULL",
            None => "",
        };
        let query = format!(
            "SELECT position, repository, digest, failure FROM backfill_result
             WHERE backfill = ?1 AND position > ?2 {filter} ORDER BY position LIMIT ?3"
        );
        let after = page.after.as_ref().and_then(Value::as_i64).unwrap_or(-1);
        let mut statement = connection.prepare_cached(&query)?;
        let rows = statement.query_map(params![backfill.number, after, page.fetch()], |row| {
            let failure: Option<String> = row.get(3)?;
            let mut entry = json!({
                "repositoryName": row.get::<_, String>(1)?,
                "imageId": { "imageDigest": row.get::<_, String>(2)? },
                "status": if failure.is_some() { "FAILED" } else { "COMPLETE" },
            });
            if let Some(failure) = failure {
                entry["failureCode"] = json!(failure);
            }
            Ok((json!(row.get::<_, i64>(0)?), entry))
        })?;
        let mut answer = backfill.describe(call, connection)?;
        let page = page.answer("results", rows.collect::<Result<_, _>>()?);
        for member in ["results", "nextToken"] {
            if let Some(value) = page.get(member) {
                answer[member] = value.clone();
            }
        }
        Ok(answer)
    })
}
