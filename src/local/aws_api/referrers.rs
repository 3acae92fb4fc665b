//! ListImageReferrers: referrers of an image, such as signatures and bills of materials.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::core::error::Error;
use crate::local::core::referrers::{self, Referrer, ReferrerQuery};
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
    let types = types.filter(|types| !types.is_empty());
    let types: Option<Vec<&str>> = types.map(|types| types.iter().filter_map(Value::as_str).collect());
    let status = call.text_within("filter", "artifactStatus").unwrap_or("ACTIVE");
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let told = match upstream_of(call, connection, &repository, &page)? {
            Some(need) if call.fetch_results.is_none() => return Err(need.into()),
            told => told,
        };
        let query = ReferrerQuery {
            subject: call.text_within("subjectId", "imageDigest"),
            after: page.after.as_ref().and_then(Value::as_i64).unwrap_or_default(),
            status,
            artifact_types: types.as_deref(),
            limit: page.limit.saturating_add(1),
            max_bytes: usize::MAX,
        };
        let (found, _) = referrers::list(connection, repository.id, &query)?;
        let entries: Vec<_> = found.into_iter().map(|each| (json!(each.image.id), entry(each))).collect();
        // What is here is worth more than why there may be more elsewhere.
        match told.filter(|_| entries.is_empty()) {
            Some(failure) => Err(failure.into()),
            None => Ok(page.answer("referrers", entries)),
        }
    })
}

/// Returns the error that upstream has to be asked first or, once that was tried, why it failed.
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

fn entry(referrer: Referrer) -> Value {
    let Referrer { image, length, annotations } = referrer;
    let mut entry = json!({ "digest": image.digest, "mediaType": image.media_type });
    if let Some(kind) = image.artifact_type {
        entry["artifactType"] = kind.into();
    }
    entry["size"] = json!(length);
    if let Some(annotations) = annotations {
        entry["annotations"] = json!(annotations);
    }
    entry["artifactStatus"] = image.status.into();
    entry
}
