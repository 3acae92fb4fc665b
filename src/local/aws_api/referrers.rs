//! ListImageReferrers: what was pushed about an image, such as signatures and bills of materials.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::core::error::Error;
use crate::local::core::image::{COLUMNS, Image};
use crate::local::core::repository::Repository;
use crate::local::core::upstream::{UpstreamFetch, UpstreamItem};
use crate::local::core::upstream_rules;

/// Entries of a page where the caller does not say.
const DEFAULT: i64 = 20;

/// ListImageReferrers. A subject that is not there may still have referrers, so it is no error.
pub(in crate::local) fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::sized(call, "", DEFAULT)?;
    let filter = call.structure("filter");
    let types = filter.and_then(|filter| filter.get("artifactTypes")).and_then(Value::as_array);
    let types = types.filter(|types| !types.is_empty()).map(|types| json!(types).to_string());
    let status = call.text_within("filter", "artifactStatus").unwrap_or("ACTIVE");
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let told = match upstream_of(call, connection, &repository, &page)? {
            Some(need) if call.fetch_results.is_none() => return Err(need.into()),
            told => told,
        };
        let query = format!(
            "SELECT {COLUMNS}, length(manifest.content), CAST(manifest.content AS TEXT)
             FROM image JOIN manifest ON manifest.image = image.id
             WHERE repository = ?1 AND subject = ?2 AND image.id > ?3 AND (?4 = 'ANY' OR status = ?4)
                   AND (?5 IS NULL OR artifact_type IN (SELECT value FROM json_each(?5)))
             ORDER BY image.id LIMIT ?6"
        );
        let after = page.after.as_ref().and_then(Value::as_i64).unwrap_or_default();
        let subject = call.text_within("subjectId", "imageDigest");
        let mut statement = connection.prepare_cached(&query)?;
        let key = params![repository.id, subject, after, status, types, page.fetch()];
        let rows = statement.query_map(key, |row| {
            let manifest: String = row.get(12)?;
            Ok((Image::from_row(row)?, row.get::<_, i64>(11)?, manifest))
        })?;
        let mut entries = Vec::new();
        for row in rows {
            let (image, size, manifest) = row?;
            entries.push((json!(image.id), entry(&image, size, &manifest)));
        }
        // What is here is worth more than why there may be more elsewhere.
        match told.filter(|_| entries.is_empty()) {
            Some(failure) => Err(failure.into()),
            None => Ok(page.answer("referrers", entries)),
        }
    })
}

/// The refusal that upstream has to be asked first or, once that was tried, why it was in vain.
fn upstream_of(
    call: &Call<'_>,
    connection: &Connection,
    repository: &Repository,
    page: &Page,
) -> Result<Option<Error>, Error> {
    let subject = call.text_within("subjectId", "imageDigest").unwrap_or_default();
    let Ok(subject) = subject.parse() else { return Ok(None) };
    if call.is_public() || page.after.is_some() {
        return Ok(None);
    }
    let (scope, name) = (&repository.scope, &repository.name);
    if call.fetch_results.is_some() {
        let wanted = vec![UpstreamItem::Referrers(subject)];
        return upstream_rules::upstream_error_for(connection, scope, name, wanted, call.fetch_results);
    }
    let need = upstream_rules::referrers(call.local, connection, scope, name, &subject)?;
    Ok(need.map(UpstreamFetch::unmet))
}

fn entry(image: &Image, size: i64, manifest: &str) -> Value {
    let mut entry = json!({ "digest": image.digest, "mediaType": image.media_type });
    if let Some(kind) = &image.artifact_type {
        entry["artifactType"] = json!(kind);
    }
    entry["size"] = json!(size);
    let manifest: Value = serde_json::from_str(manifest).unwrap_or_default();
    if manifest["annotations"].is_object() {
        entry["annotations"] = manifest["annotations"].clone();
    }
    entry["artifactStatus"] = json!(image.status);
    entry
}
