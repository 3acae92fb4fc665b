//! Lifecycle policies: kept, shown, previewed, and carried out.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use super::identifier::ImageId;
use super::paging::Page;
use super::repository::Repository;
use super::settings::{about, put_repository_text, remove_repository_text, repository_text};
use super::{referrers, replication};
use crate::lifecycle::{Action, Image, Plan, Policy, StorageClass, evaluate};
use crate::local::call::{Call, Scope};
use crate::local::{Fault, Local, time};

const KIND: &str = "lifecycle-policy";

/// A policy in the form in which the service keeps it: without white space, its members in the order they came in.
pub(in crate::local) fn checked(text: &str) -> Result<(String, Policy), Fault> {
    let refused = |told: String| {
        Fault::parameter("LifecyclePolicyText", &format!("Lifecycle policy validation failure: {told}"))
    };
    let policy = Policy::parse(text).map_err(refused)?;
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    Ok((document.to_string(), policy))
}

/// Gives a repository its policy.
pub(in crate::local) fn store(
    connection: &Connection,
    repository: &Repository,
    compact: &str,
) -> Result<(), Fault> {
    put_repository_text(connection, repository, KIND, compact)
}

fn kept(connection: &Connection, repository: &Repository) -> Result<(String, i64), Fault> {
    repository_text(connection, repository, KIND)?.ok_or_else(|| {
        let text = format!("Lifecycle policy does not exist for the {}", repository.place());
        Fault::new("LifecyclePolicyNotFoundException", text)
    })
}

fn described(repository: &Repository, (text, evaluated_at): (String, i64)) -> Value {
    let mut answer = about(repository, "lifecyclePolicyText", text);
    answer["lastEvaluatedAt"] = time::number(evaluated_at);
    answer
}

/// PutLifecyclePolicy
pub(crate) fn put(call: &Call<'_>) -> Result<Value, Fault> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let (compact, _) = checked(call.required("lifecyclePolicyText"))?;
        store(transaction, &repository, &compact)?;
        Ok(about(&repository, "lifecyclePolicyText", compact))
    })
}

/// GetLifecyclePolicy
pub(crate) fn get(call: &Call<'_>) -> Result<Value, Fault> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let kept = kept(connection, &repository)?;
        Ok(described(&repository, kept))
    })
}

/// DeleteLifecyclePolicy
pub(crate) fn delete(call: &Call<'_>) -> Result<Value, Fault> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let kept = kept(transaction, &repository)?;
        remove_repository_text(transaction, &repository, KIND)?;
        Ok(described(&repository, kept))
    })
}

/// StartLifecyclePolicyPreview. The preview is complete by the time its start is answered, so none is ever found in
/// progress.
pub(crate) fn start_preview(call: &Call<'_>) -> Result<Value, Fault> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let text = match call.text("lifecyclePolicyText") {
            Some(text) => text.to_owned(),
            None => kept(transaction, &repository)?.0,
        };
        let (compact, policy) = checked(&text)?;
        let (facts, _) = facts(transaction, repository.id)?;
        let plan = evaluate(&policy, &facts, call.now);
        store_preview(transaction, &repository, &compact, &facts, &plan)?;
        let mut answer = about(&repository, "lifecyclePolicyText", compact);
        answer["status"] = json!("IN_PROGRESS");
        Ok(answer)
    })
}

fn store_preview(
    connection: &Connection,
    repository: &Repository,
    policy: &str,
    facts: &[Image],
    plan: &Plan,
) -> Result<(), Fault> {
    let count = |action| plan.decisions.iter().filter(|decision| decision.action == action).count();
    connection.execute("DELETE FROM preview WHERE repository = ?1", [repository.id])?;
    connection.execute(
        "INSERT INTO preview (repository, policy, expiring, archiving) VALUES (?1, ?2, ?3, ?4)",
        params![repository.id, policy, number(count(Action::Expire)), number(count(Action::Archive))],
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
            ("imagePushedAt", time::number(image.pushed_at)),
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
pub(crate) fn get_preview(call: &Call<'_>) -> Result<Value, Fault> {
    let page = Page::of(call, "imageIds")?;
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let query = "SELECT policy, expiring, archiving FROM preview WHERE repository = ?1";
        let preview: Option<(String, i64, i64)> = connection
            .query_row(query, [repository.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((policy, expiring, archiving)) = preview else {
            let text = format!("Lifecycle policy preview does not exist for the {}", repository.place());
            return Err(Fault::new("LifecyclePolicyPreviewNotFoundException", text));
        };
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
) -> Result<Vec<(Value, Value)>, Fault> {
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

/// The results for images that are asked for by their identifiers, as far as there are any.
fn named_results(
    connection: &Connection,
    repository: &Repository,
    ids: &[Value],
) -> Result<Vec<Value>, Fault> {
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

/// What the evaluation must know about the images of a repository, and their rows.
fn facts(connection: &Connection, repository: i64) -> Result<(Vec<Image>, Vec<i64>), Fault> {
    let mut statement = connection.prepare(
        "SELECT id, digest, pushed_at, pulled_at, archived_at, activated_at, status, subject FROM image
         WHERE repository = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([repository], |row| {
        let facts = Image {
            digest: row.get(1)?,
            pushed_at: row.get(2)?,
            pulled_at: row.get(3)?,
            archived_at: row.get(4)?,
            activated_at: row.get(5)?,
            status: row.get(6)?,
            subject: row.get(7)?,
            tags: Vec::new(),
            children: Vec::new(),
        };
        Ok((row.get::<_, i64>(0)?, facts))
    })?;
    let (mut ids, mut facts) = (Vec::new(), Vec::new());
    for row in rows {
        let (id, of_image) = row?;
        ids.push(id);
        facts.push(of_image);
    }
    let places: HashMap<i64, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let tags = "SELECT image, name FROM image_tag WHERE repository = ?1 ORDER BY image, name";
    let children = "SELECT image, digest FROM image_child WHERE repository = ?1";
    for (query, is_tag) in [(tags, true), (children, false)] {
        let mut statement = connection.prepare(query)?;
        let mut rows = statement.query([repository])?;
        while let Some(row) = rows.next()? {
            let Some(place) = places.get(&row.get(0)?) else { continue };
            let facts = &mut facts[*place];
            let list = if is_tag { &mut facts.tags } else { &mut facts.children };
            list.push(row.get(1)?);
        }
    }
    Ok((facts, ids))
}

/// What one run of a repository's policy did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRun {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The repository.
    pub repository: String,
    /// The digests of the images that were deleted.
    pub expired: Vec<String>,
    /// The digests of the images that were moved to the archive.
    pub archived: Vec<String>,
    /// The digests of the images that would have been, each with the reason why it was not.
    pub held: Vec<(String, String)>,
}

/// Carries out the policy of one repository, if it has one. A trial only tells what would be done.
pub(in crate::local) fn run(
    local: &Local,
    connection: &Connection,
    scope: &Scope,
    name: &str,
    now: i64,
    is_trial: bool,
) -> Result<Option<LifecycleRun>, Fault> {
    let repository = Repository::find(connection, scope, name)?;
    let Some((text, _)) = repository_text(connection, &repository, KIND)? else { return Ok(None) };
    let (_, policy) = checked(&text)?;
    let (facts, ids) = facts(connection, repository.id)?;
    let plan = evaluate(&policy, &facts, now);
    let mut done = LifecycleRun {
        account: scope.account.clone(),
        region: scope.region.clone(),
        repository: repository.name.clone(),
        expired: Vec::new(),
        archived: Vec::new(),
        held: Vec::new(),
    };
    for decision in &plan.decisions {
        let digest = facts[decision.image].digest.clone();
        let list = if decision.action == Action::Expire { &mut done.expired } else { &mut done.archived };
        list.push(digest);
        if is_trial {
            continue;
        }
        if decision.action == Action::Expire {
            connection.execute("DELETE FROM image WHERE id = ?1", [ids[decision.image]])?;
        } else {
            let change = "UPDATE image SET status = 'ARCHIVED', archived_at = ?2 WHERE id = ?1";
            connection.execute(change, params![ids[decision.image], now])?;
        }
    }
    done.expired.extend(referrers::expire_orphans(connection, &repository, is_trial)?);
    for (place, lists) in plan.held {
        let reason = format!("Requested image referenced by manifest list: [{}]", lists.join(", "));
        done.held.push((facts[place].digest.clone(), reason));
    }
    if is_trial {
        return Ok(Some(done));
    }
    let identified = |digest: &String| ImageId { digest: Some(digest.clone()), tag: None };
    let deleted: Vec<ImageId> = done.expired.iter().map(identified).collect();
    replication::on_delete(local, connection, &repository, &deleted)?;
    let change = "UPDATE repository_setting SET acted_at = ?3 WHERE repository = ?1 AND kind = ?2";
    connection.execute(change, params![repository.id, KIND, now])?;
    Ok(Some(done))
}

/// The repositories that have a policy, as their registries and names.
pub(in crate::local) fn with_policies(connection: &Connection) -> Result<Vec<(Scope, String)>, Fault> {
    let mut statement = connection.prepare(
        "SELECT account, region, name FROM repository JOIN repository_setting ON repository = repository.id
         WHERE kind = ?1 ORDER BY account, region, name",
    )?;
    let rows = statement.query_map([KIND], |row| {
        let scope = Scope { service: "ecr", account: row.get(0)?, region: row.get(1)? };
        Ok((scope, row.get(2)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
