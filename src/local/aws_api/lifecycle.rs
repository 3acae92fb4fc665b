//! Lifecycle policies: kept, shown, previewed, and carried out.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use crate::lifecycle::{Action, Decision, Image, evaluate};
use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::responses::{about, timestamp};
use crate::local::core::image_id::ImageId;
use crate::local::core::lifecycle::facts;
use crate::local::core::lifecycle_policy::{KIND, checked, store};
use crate::local::core::lifecycle_preview::{Preview, PreviewResult, results, results_of};
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
        let before = Preview::of(transaction, &repository)?;
        if before.is_some_and(|before| is_in_progress(call, before.started_at)) {
            let text = "The previous lifecycle policy preview request has not completed. Wait and try again.";
            return Err(ApiError::new("LifecyclePolicyPreviewInProgressException", text));
        }
        let (facts, _) = facts(transaction, repository.id)?;
        let plan = evaluate(&policy, &facts, call.now);
        let count = |action| plan.decisions.iter().filter(|decision| decision.action == action).count();
        let preview = Preview {
            policy: compact.clone(),
            expiring: number(count(Action::Expire)),
            archiving: number(count(Action::Archive)),
            started_at: call.now,
        };
        let results = plan.decisions.iter().map(|decision| result(&facts[decision.image], decision));
        preview.store(transaction, &repository, results)?;
        let mut answer = about(&repository, "lifecyclePolicyText", compact);
        answer["status"] = json!("IN_PROGRESS");
        Ok(answer)
    })
}

/// The result of a preview for one image.
fn result(image: &Image, decision: &Decision) -> PreviewResult {
    let action = match decision.action {
        Action::Expire => json!({ "type": "EXPIRE" }),
        Action::Archive => json!({ "type": "TRANSITION", "targetStorageClass": "ARCHIVE" }),
    };
    let mut entry = Map::new();
    if !image.tags.is_empty() {
        entry.insert("imageTags".to_owned(), json!(image.tags));
    }
    let class = if image.status == "ARCHIVED" { "ARCHIVE" } else { "STANDARD" };
    let rest = [
        ("imageDigest", json!(image.digest)),
        ("imagePushedAt", timestamp(image.pushed_at)),
        ("action", action),
        ("appliedRulePriority", json!(decision.priority)),
        ("storageClass", json!(class)),
    ];
    entry.extend(rest.map(|(name, value)| (name.to_owned(), value)));
    let (digest, tags) = (image.digest.clone(), image.tags.clone());
    PreviewResult { digest, tags, entry: Value::Object(entry).to_string() }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// GetLifecyclePolicyPreview
pub(in crate::local) fn get_preview(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "imageIds")?;
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let Some(preview) = Preview::of(connection, &repository)? else {
            let text = format!("Lifecycle policy preview does not exist for the {}", repository.place());
            return Err(ApiError::new("LifecyclePolicyPreviewNotFoundException", text));
        };
        let Preview { policy, expiring, archiving, started_at } = preview;
        if is_in_progress(call, started_at) {
            let mut answer = about(&repository, "lifecyclePolicyText", policy);
            answer["status"] = json!("IN_PROGRESS");
            return Ok(answer);
        }
        let mut answer = match call.list("imageIds") {
            Some(ids) => json!({ "previewResults": named_results(connection, &repository, ids)? }),
            None => page.answer("previewResults", some_results(call, connection, &repository, &page)?),
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

fn some_results(
    call: &Call<'_>,
    connection: &Connection,
    repository: &Repository,
    page: &Page,
) -> Result<Vec<(Value, Value)>, ApiError> {
    let tagged = match call.text_within("filter", "tagStatus") {
        Some("TAGGED") => Some(true),
        Some("UNTAGGED") => Some(false),
        _ => None,
    };
    let after = page.after.as_ref().and_then(Value::as_i64).unwrap_or(-1);
    let results = results(connection, repository, tagged, after, page.fetch())?.into_iter();
    Ok(results.map(|(position, entry)| (json!(position), value(&entry))).collect())
}

/// Returns the results for images requested by their identifiers.
fn named_results(
    connection: &Connection,
    repository: &Repository,
    ids: &[Value],
) -> Result<Vec<Value>, ApiError> {
    let ids: Vec<ImageId> =
        ids.iter().map(ImageId::of).filter(|id| id.digest.is_some() || id.tag.is_some()).collect();
    Ok(results_of(connection, repository, &ids)?.iter().map(|entry| value(entry)).collect())
}

fn value(entry: &str) -> Value {
    serde_json::from_str(entry).unwrap_or_default()
}
