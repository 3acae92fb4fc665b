//! Lifecycle policies: kept, shown, previewed, and carried out.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use crate::lifecycle::{Action, Image, Plan, StorageClass, evaluate};
use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::responses::{about, timestamp};
use crate::local::core::image_id::ImageId;
use crate::local::core::lifecycle::facts;
use crate::local::core::lifecycle_policy::{KIND, checked, store};
use crate::local::core::repository::Repository;
use crate::local::core::settings::{remove_repository_text, repository_text};

fn kept(connection: &Connection, repository: &Repository) -> Result<(String, i64), ApiError> {
    repository_text(connection, repository, KIND)?.ok_or_else(|| {
        let text = format!("Lifecycle policy does not exist for the {}", repository.place());
        ApiError::new("LifecyclePolicyNotFoundException", text)
    })
}

fn described(repository: &Repository, (text, evaluated_at): (String, i64)) -> Value {
    let mut answer = about(repository, "lifecyclePolicyText", text);
    answer["lastEvaluatedAt"] = timestamp(evaluated_at);
    answer
}

/// PutLifecyclePolicy
pub(in crate::local) fn put(call: &Call<'_>) -> Result<Value, ApiError> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let (compact, _) = checked(call.required("lifecyclePolicyText"))?;
        store(transaction, &repository, &compact)?;
        Ok(about(&repository, "lifecyclePolicyText", compact))
    })
}

/// GetLifecyclePolicy
pub(in crate::local) fn get(call: &Call<'_>) -> Result<Value, ApiError> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let kept = kept(connection, &repository)?;
        Ok(described(&repository, kept))
    })
}

/// DeleteLifecyclePolicy
pub(in crate::local) fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let kept = kept(transaction, &repository)?;
        remove_repository_text(transaction, &repository, KIND)?;
        Ok(described(&repository, kept))
    })
}

/// Duration of a preview, in milliseconds: as long as a scan.
const DURATION: i64 = 1000;

fn is_in_progress(call: &Call<'_>, started_at: i64) -> bool {
    (0..DURATION).contains(&(call.now - started_at))
}

/// StartLifecyclePolicyPreview
pub(in crate::local) fn start_preview(call: &Call<'_>) -> Result<Value, ApiError> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let text = match call.text("lifecyclePolicyText") {
            Some(text) => text.to_owned(),
            None => kept(transaction, &repository)?.0,
        };
        let (compact, policy) = checked(&text)?;
        let query = "SELECT started_at FROM preview WHERE repository = ?1";
        let before = transaction.query_row(query, [repository.id], |row| row.get(0)).optional()?;
        if before.is_some_and(|before| is_in_progress(call, before)) {
            let text = "The previous lifecycle policy preview request has not completed. Wait and try again.";
            return Err(ApiError::new("LifecyclePolicyPreviewInProgressException", text));
        }
        let (facts, _) = facts(transaction, repository.id)?;
        let plan = evaluate(&policy, &facts, call.now);
        store_preview(transaction, &repository, (&compact, call.now), &facts, &plan)?;
        let mut answer = about(&repository, "lifecyclePolicyText", compact);
        answer["status"] = json!("IN_PROGRESS");
        Ok(answer)
    })
}

fn store_preview(
    connection: &Connection,
    repository: &Repository,
    (policy, started_at): (&str, i64),
    facts: &[Image],
    plan: &Plan,
) -> Result<(), ApiError> {
    let count = |action| plan.decisions.iter().filter(|decision| decision.action == action).count();
    connection.execute("DELETE FROM preview WHERE repository = ?1", [repository.id])?;
    connection.execute(
        "INSERT INTO preview (repository, policy, expiring, archiving, started_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            repository.id,
            policy,
            number(count(Action::Expire)),
            number(count(Action::Archive)),
            started_at
        ],
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO preview_result (repository, position, digest, tags, entry) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (position, decision) in plan.decisions.iter().enumerate() {
        let image = &facts[decision.image];
        let action = match decision.action {
            Action::Expire => json!({ "type": "EXPIRE" }),
            Action::Archive => json!({ "type": "TRANSITION", "targetStorageClass": "ARCHIVE" }),
        };
        let mut entry = Map::new();
        if !image.tags.is_empty() {
            entry.insert("imageTags".to_owned(), json!(image.tags));
        }
        let class = if image.status == "ARCHIVED" { StorageClass::Archive } else { StorageClass::Standard };
        let rest = [
            ("imageDigest", json!(image.digest)),
            ("imagePushedAt", timestamp(image.pushed_at)),
            ("action", action),
            ("appliedRulePriority", json!(decision.priority)),
            ("storageClass", json!(if class == StorageClass::Archive { "ARCHIVE" } else { "STANDARD" })),
        ];
        entry.extend(rest.map(|(name, value)| (name.to_owned(), value)));
        let (tags, entry) = (json!(image.tags).to_string(), Value::Object(entry).to_string());
        insert.execute(params![repository.id, number(position), image.digest, tags, entry])?;
    }
    Ok(())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// GetLifecyclePolicyPreview
pub(in crate::local) fn get_preview(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "imageIds")?;
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let query = "SELECT policy, expiring, archiving, started_at FROM preview WHERE repository = ?1";
        let preview: Option<(String, i64, i64, i64)> = connection
            .query_row(query, [repository.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        let Some((policy, expiring, archiving, started_at)) = preview else {
            let text = format!("Lifecycle policy preview does not exist for the {}", repository.place());
            return Err(ApiError::new("LifecyclePolicyPreviewNotFoundException", text));
        };
        if is_in_progress(call, started_at) {
            let mut answer = about(&repository, "lifecyclePolicyText", policy);
            answer["status"] = json!("IN_PROGRESS");
            return Ok(answer);
        }
        let mut answer = match call.list("imageIds") {
            Some(ids) => json!({ "previewResults": named_results(connection, &repository, ids)? }),
            None => page.answer("previewResults", results(call, connection, &repository, &page)?),
        };
        let mut summary = json!({ "expiringImageTotalCount": expiring });
        if archiving > 0 {
            let count = json!({ "targetStorageClass": "ARCHIVE", "imageTotalCount": archiving });
            summary["transitioningImageTotalCounts"] = json!([count]);
        }
        answer["registryId"] = json!(repository.scope.account);
        answer["repositoryName"] = json!(repository.name);
        answer["lifecyclePolicyText"] = json!(policy);
        answer["status"] = json!("COMPLETE");
        answer["summary"] = summary;
        Ok(answer)
    })
}

fn results(
    call: &Call<'_>,
    connection: &Connection,
    repository: &Repository,
    page: &Page,
) -> Result<Vec<(Value, Value)>, ApiError> {
    let filter = match call.text_within("filter", "tagStatus") {
        Some("TAGGED") => "AND tags <> '[]'",
        Some("UNTAGGED") => "AND tags = '[]'",
        _ => "",
    };
    let query = format!(
        "SELECT position, entry FROM preview_result WHERE repository = ?1 AND position > ?2 {filter}
         ORDER BY position LIMIT ?3"
    );
    let after = page.after.as_ref().and_then(Value::as_i64).unwrap_or(-1);
    let mut statement = connection.prepare_cached(&query)?;
    let rows = statement.query_map(params![repository.id, after, page.fetch()], |row| {
        let entry: String = row.get(1)?;
        Ok((json!(row.get::<_, i64>(0)?), serde_json::from_str(&entry).unwrap_or_default()))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the results for images requested by their identifiers.
fn named_results(
    connection: &Connection,
    repository: &Repository,
    ids: &[Value],
) -> Result<Vec<Value>, ApiError> {
    let ids: Vec<ImageId> =
        ids.iter().map(ImageId::of).filter(|id| id.digest.is_some() || id.tag.is_some()).collect();
    let has_tags = ids.iter().any(|id| id.tag.is_some());
    // Once over all results, however many identifiers there are.
    let query = "SELECT digest, tags, position FROM preview_result WHERE repository = ?1 ORDER BY position";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([repository.id])?;
    let mut places: Vec<(usize, i64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let digest = row.get_ref(0)?.as_str().unwrap_or_default();
        let text = row.get_ref(1)?.as_str().unwrap_or_default();
        let tags: Vec<String> =
            if has_tags { serde_json::from_str(text).unwrap_or_default() } else { Vec::new() };
        let is_meant = |id: &ImageId| {
            id.digest.as_deref().is_none_or(|wanted| wanted == digest)
                && id.tag.as_ref().is_none_or(|wanted| tags.contains(wanted))
        };
        if let Some(place) = ids.iter().position(is_meant) {
            places.push((place, row.get(2)?));
        }
    }
    places.sort_unstable();
    let query = "SELECT entry FROM preview_result WHERE repository = ?1 AND position = ?2";
    let mut statement = connection.prepare_cached(query)?;
    let entries = places.into_iter().map(|(_, position)| {
        let entry: String = statement.query_row(params![repository.id, position], |row| row.get(0))?;
        Ok(serde_json::from_str(&entry).unwrap_or_default())
    });
    entries.collect()
}
