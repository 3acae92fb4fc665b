//! Manifests, tags, referrers and the catalog.

use std::sync::Arc;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::path::query;
use super::{Asked, JSON, content, empty, put};
use crate::local::registry::{Found, List, Page, Push, Refusal, Registry};
use crate::local::server::State;
use crate::local::server::reply::Body;

/// The largest manifest, as Amazon ECR has it.
const LARGEST: usize = 4 * 1024 * 1024;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(super) async fn manifest(
    state: &Arc<State>,
    asked: &mut Asked,
    name: &str,
    reference: &str,
) -> Result<Response<Body>, Refusal> {
    let (path, wanted) = (name.to_owned(), reference.to_owned());
    match asked.head.method {
        Method::PUT => put_manifest(state, asked, path, wanted).await,
        Method::DELETE => {
            asked.with(state, move |registry| registry.delete(&registry.place(&path)?, &wanted)).await?;
            Ok(empty(StatusCode::ACCEPTED))
        }
        _ => {
            let is_head = asked.is_head();
            let found = asked.through(state, move |registry| {
                let place = registry.place(&path)?;
                if is_head {
                    registry.manifest_head(&place, &wanted)
                } else {
                    registry.manifest(&place, &wanted)
                }
            });
            let Found { digest, media_type, length, content: text } = found.await?;
            let mut response = content(&media_type, text);
            put(&mut response, "content-length", &length.to_string());
            put(&mut response, "docker-content-digest", &digest);
            put(&mut response, "etag", &format!("\"{digest}\""));
            Ok(response)
        }
    }
}

async fn put_manifest(
    state: &Arc<State>,
    asked: &mut Asked,
    path: String,
    reference: String,
) -> Result<Response<Body>, Refusal> {
    // Who may not push need not send the manifest.
    let place = asked.with(state, move |registry| {
        let place = registry.place(&path)?;
        registry.authorize(&place, "PutImage")?;
        Ok(place)
    });
    let place = place.await?;
    let text = read(state, asked).await?;
    let media_type = asked.header(CONTENT_TYPE).and_then(|text| text.split(';').next()).map(str::trim);
    let push = Push {
        reference,
        tags: asked.query.all("tag"),
        media_type: media_type.filter(|text| text.starts_with("application/vnd.")).map(str::to_owned),
        content: text,
    };
    let path = place.path.clone();
    let tags = push.tags.clone();
    let pushed = asked.with(state, move |registry| registry.push(&place, &push)).await?;
    let mut response = empty(StatusCode::CREATED);
    put(&mut response, "location", &format!("/v2/{path}/manifests/{}", pushed.digest));
    put(&mut response, "docker-content-digest", &pushed.digest);
    if let Some(subject) = pushed.subject {
        put(&mut response, "oci-subject", &subject);
    }
    if !tags.is_empty() {
        put(&mut response, "oci-tag", &tags.join(", "));
    }
    Ok(response)
}

async fn read(state: &State, asked: &mut Asked) -> Result<String, Refusal> {
    let refuse = |status, code, text: &str| Err(Refusal::new(status, code, text));
    let limited = Limited::new(&mut asked.body, LARGEST).collect();
    let bytes = match timeout(state.patience.body, limited).await {
        Err(_) => return refuse(408, "MANIFEST_INVALID", "the manifest did not arrive in time"),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return refuse(413, "MANIFEST_INVALID", "a manifest has at most 4194304 bytes");
        }
        Ok(Err(_)) => return refuse(400, "MANIFEST_INVALID", "the manifest broke off"),
        Ok(Ok(bytes)) => bytes.to_bytes(),
    };
    match String::from_utf8(bytes.into()) {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => refuse(400, "MANIFEST_INVALID", "the manifest is not JSON text"),
    }
}

pub(super) async fn tags(state: &Arc<State>, asked: &Asked, name: &str) -> Result<Response<Body>, Refusal> {
    let (path, page) = (name.to_owned(), page(asked)?);
    let list = asked.with(state, move |registry| registry.tags(&registry.place(&path)?, &page)).await?;
    let body = json!({ "name": name, "tags": list.entries });
    Ok(listed(&format!("/v2/{name}/tags/list"), &list, &body))
}

pub(super) async fn catalog(state: &Arc<State>, asked: &Asked) -> Result<Response<Body>, Refusal> {
    let page = page(asked)?;
    let list = asked.with(state, move |registry| registry.catalog(&page)).await?;
    Ok(listed("/v2/_catalog", &list, &json!({ "repositories": list.entries })))
}

fn page(asked: &Asked) -> Result<Page, Refusal> {
    let count = asked.query.get("n").map(|text| {
        let wrong = |_| Refusal::new(400, "UNSUPPORTED", format!("n={text} is not a number of entries"));
        text.parse::<u32>().map(i64::from).map_err(wrong)
    });
    Ok(Page { count: count.transpose()?, last: asked.query.get("last").unwrap_or_default().to_owned() })
}

fn listed(path: &str, list: &List, body: &Value) -> Response<Body> {
    let mut response = content(JSON, body.to_string());
    if let (Some(count), Some(last)) = (list.more, list.entries.last()) {
        let next = query(&[("n", &count.to_string()), ("last", last)]);
        put(&mut response, "link", &format!("<{path}?{next}>; rel=\"next\""));
    }
    response
}

pub(super) async fn referrers(
    state: &Arc<State>,
    asked: &Asked,
    name: &str,
    digest: &str,
) -> Result<Response<Body>, Refusal> {
    let (path, subject) = (name.to_owned(), digest.to_owned());
    // Media types have no blanks: one is a plus that the client did not escape.
    let artifact_type = asked.query.get("artifactType").map(|text| text.replace(' ', "+"));
    let after = asked.query.get("after").and_then(|text| text.parse().ok()).unwrap_or_default();
    let wanted = artifact_type.clone();
    let found = asked.through(state, move |registry: &Registry<'_>| {
        registry.referrers(&registry.place(&path)?, &subject, wanted.as_deref(), after)
    });
    let (manifests, next) = found.await?;
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    let mut response = content(INDEX, index.to_string());
    if artifact_type.is_some() {
        put(&mut response, "oci-filters-applied", "artifactType");
    }
    if let Some(next) = next.map(|next| next.to_string()) {
        let mut pairs = vec![("after", next.as_str())];
        pairs.extend(artifact_type.as_deref().map(|wanted| ("artifactType", wanted)));
        let link = format!("</v2/{name}/referrers/{digest}?{}>; rel=\"next\"", query(&pairs));
        put(&mut response, "link", &link);
    }
    Ok(response)
}
