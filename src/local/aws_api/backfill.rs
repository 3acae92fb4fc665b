//! Replication backfills: copies of images that were pushed before there was a rule for them.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::replication::backfill_destination;
use crate::local::aws_api::responses::timestamp;
use crate::local::core::backfill::{Backfill, fill};
use crate::local::core::replication::Replication;
use crate::local::core::repository::Repository;
use crate::local::store::time;

/// Backfills of a page where the caller does not say.
const DEFAULT: i64 = 50;

impl Backfill {
    /// The backfill that the request names.
    fn of(call: &Call<'_>, connection: &Connection) -> Result<Self, ApiError> {
        let (scope, id) = (call.scope(), call.required("replicationBackfillId"));
        Self::find(connection, &scope, id)?.ok_or_else(|| {
            let text = format!(
                "The replication backfill with id '{id}' does not exist in the registry with id '{}'",
                scope.account
            );
            ApiError::new("ReplicationBackfillNotFoundException", text)
        })
    }

    fn describe(&self, call: &Call<'_>, connection: &Connection) -> Result<Value, ApiError> {
        let counts = self.counts(connection)?;
        Ok(json!({
            "registryId": call.scope().account,
            "replicationBackfillId": self.id,
            "destination": serde_json::from_str::<Value>(&self.destination).unwrap_or_default(),
            "status": "COMPLETE",
            "progress": {
                "totalReplicationCount": counts.total,
                "completedReplicationCount": counts.total - counts.failed,
                "failedReplicationCount": counts.failed,
                "failureCodes": counts.failures,
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
        let number = Backfill::begin(transaction, &scope, (&id, &shown.to_string()), call.now)?;
        let mut position = 0;
        for repository in Repository::list(transaction, &scope, "", i64::MAX)? {
            let replication = Replication {
                local: call.local,
                connection: transaction,
                source: &repository,
                now: call.now,
            };
            position = fill(&replication, &destination, number, position)?;
        }
        Backfill::end(transaction, number, time::now())?;
        Ok(json!({
            "replicationBackfillId": id,
            "registryId": scope.account,
            "destination": shown,
            "status": "PREPARING",
            "startedAt": timestamp(call.now),
        }))
    })
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
        let before = page.after.as_ref().and_then(Value::as_i64).unwrap_or(i64::MAX);
        let mut entries = Vec::new();
        for backfill in Backfill::list(connection, &scope, before, page.fetch())? {
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
        let failed = call.text("resultStatusFilter").map(|status| status != "COMPLETE");
        let after = page.after.as_ref().and_then(Value::as_i64).unwrap_or(-1);
        let results = backfill.results(connection, failed, after, page.fetch())?.into_iter();
        let entries = results.map(|result| {
            let mut entry = json!({
                "repositoryName": result.repository,
                "imageId": { "imageDigest": result.digest },
                "status": if result.failure.is_some() { "FAILED" } else { "COMPLETE" },
            });
            if let Some(failure) = result.failure {
                entry["failureCode"] = json!(failure);
            }
            (json!(result.position), entry)
        });
        let mut answer = backfill.describe(call, connection)?;
        let page = page.answer("results", entries.collect());
        for member in ["results", "nextToken"] {
            if let Some(value) = page.get(member) {
                answer[member] = value.clone();
            }
        }
        Ok(answer)
    })
}
