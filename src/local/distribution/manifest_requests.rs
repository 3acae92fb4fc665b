//! Manifests, tags, referrers and the catalog.

use std::sync::Arc;

use hyper::header::CONTENT_TYPE;
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::local::distribution::error::OciError;
use crate::local::distribution::listing::{List, Page};
use crate::local::distribution::manifests::{Push, StoredManifest};
use crate::local::distribution::path::query;
use crate::local::distribution::registry::Registry;
use crate::local::distribution::requests::{JSON, RegistryRequest, content, empty, put};
use crate::local::http::body::{self, Buffer, Reading};
use crate::local::http::response::{self, Body, SMALL};
use crate::local::http::state::State;

/// The largest manifest, as Amazon ECR has it.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(in crate::local) async fn manifest(
    state: &Arc<State>,
    asked: &mut RegistryRequest,
    name: &str,
    reference: &str,
) -> Result<Response<Body>, OciError> {
    let (path, wanted) = (name.to_owned(), reference.to_owned());
    match asked.head.method {
        Method::PUT => put_manifest(state, asked, path, wanted).await,
        Method::DELETE => {
            asked.with(state, move |registry| registry.delete(&registry.repository(&path)?, &wanted)).await?;
            Ok(empty(StatusCode::ACCEPTED))
        }
        _ => {
            if asked.is_head() {
                let found = asked.through(state, move |registry| {
                    registry.manifest_head(&registry.repository(&path)?, &wanted)
                });
                return Ok(described(found.await?, response::whole("")));
            }
            get(state, asked, path, wanted).await
        }
    }
}

/// Answers with a manifest. A large one stays in memory until the client has taken it: room for it is found before it
/// is loaded, and one is loaded at a time.
async fn get(
    state: &Arc<State>,
    asked: &RegistryRequest,
    path: String,
    wanted: String,
) -> Result<Response<Body>, OciError> {
    let load = {
        let (path, wanted) = (path.clone(), wanted.clone());
        move |registry: &Registry<'_>| registry.manifest(&registry.repository(&path)?, &wanted)
    };
    let small = load.clone();
    let found = asked.through(state, move |registry| {
        let found = registry.manifest_head(&registry.repository(&path)?, &wanted)?;
        let is_large = usize::try_from(found.length).unwrap_or(usize::MAX) > SMALL;
        // The images needed from upstream are fetched already.
        if is_large || !found.content.is_empty() { Ok(found) } else { small(registry) }
    });
    let mut found = found.await?;
    if !found.content.is_empty() || found.length == 0 {
        let content = std::mem::take(&mut found.content);
        return Ok(described(found, response::whole(content)));
    }
    let no_room = || OciError::new(503, "TOOMANYREQUESTS", "too many clients take their answers too slowly");
    let length = usize::try_from(found.length).unwrap_or(usize::MAX);
    let share = response::room(state, &asked.head, length).await.ok_or_else(no_room)?;
    let mut found = asked.with_memory(state, load).await?;
    let content = std::mem::take(&mut found.content);
    Ok(described(found, response::shared(content.into(), share)))
}

fn described(found: StoredManifest, body: Body) -> Response<Body> {
    let StoredManifest { digest, media_type, length, .. } = found;
    let mut response = Response::new(body);
    put(&mut response, CONTENT_TYPE.as_str(), &media_type);
    put(&mut response, "content-length", &length.to_string());
    put(&mut response, "docker-content-digest", &digest);
    put(&mut response, "etag", &format!("\"{digest}\""));
    response
}

async fn put_manifest(
    state: &Arc<State>,
    asked: &mut RegistryRequest,
    path: String,
    reference: String,
) -> Result<Response<Body>, OciError> {
    // Who may not push need not send the manifest.
    let name = path.clone();
    let repository = asked.with(state, move |registry| {
        let repository = registry.repository(&name)?;
        registry.authorize(&repository, "PutImage")?;
        Ok(repository)
    });
    let repository = repository.await?;
    let (text, buffer) = read(state, asked).await?;
    let media_type = asked.header(CONTENT_TYPE).and_then(|text| text.split(';').next()).map(str::trim);
    let push = Push {
        reference,
        tags: asked.query.all("tag"),
        media_type: media_type.filter(|text| text.starts_with("application/vnd.")).map(str::to_owned),
        content: text,
    };
    let tags = push.tags.clone();
    // Parsed, a large manifest takes several times its size.
    let is_large = push.content.len() > SMALL;
    let store = move |registry: &Registry<'_>| registry.push(&repository, &push);
    let pushed =
        if is_large { asked.with_memory(state, store).await } else { asked.with(state, store).await };
    drop(buffer);
    let pushed = pushed?;
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

/// Reads a manifest. Its memory is counted until the buffer is dropped.
async fn read(state: &State, asked: &mut RegistryRequest) -> Result<(String, Buffer), OciError> {
    let refuse = |status, text: &str| OciError::new(status, "MANIFEST_INVALID", text);
    let told = |error: body::Error| match error.status() {
        408 => refuse(408, "the manifest did not arrive in time"),
        413 => refuse(413, "a manifest has at most 4194304 bytes"),
        503 => refuse(503, &error.to_string()),
        _ => refuse(400, "the manifest broke off"),
    };
    let reading = Reading::begin(&state.manifests, &mut asked.body, MAX_BYTES, (1, 1), state.timeouts);
    let mut reading = reading.await.map_err(told)?;
    while let Some(data) = reading.next().await.map_err(told)? {
        reading.buffer.bytes.extend_from_slice(&data);
    }
    let mut buffer = reading.buffer;
    match String::from_utf8(std::mem::take(&mut buffer.bytes)) {
        Ok(text) if !text.is_empty() => Ok((text, buffer)),
        _ => Err(refuse(400, "the manifest is not JSON text")),
    }
}

pub(in crate::local) async fn tags(
    state: &Arc<State>,
    asked: &RegistryRequest,
    name: &str,
) -> Result<Response<Body>, OciError> {
    let (path, page) = (name.to_owned(), page(asked)?);
    let list = asked.with(state, move |registry| registry.tags(&registry.repository(&path)?, &page)).await?;
    let body = json!({ "name": name, "tags": list.entries });
    Ok(listed(&format!("/v2/{name}/tags/list"), &list, &body))
}

pub(in crate::local) async fn catalog(
    state: &Arc<State>,
    asked: &RegistryRequest,
) -> Result<Response<Body>, OciError> {
    let page = page(asked)?;
    let list = asked.with(state, move |registry| registry.catalog(&page)).await?;
    Ok(listed("/v2/_catalog", &list, &json!({ "repositories": list.entries })))
}

fn page(asked: &RegistryRequest) -> Result<Page, OciError> {
    let count = asked.query.get("n").map(|text| {
        let wrong = |_| OciError::new(400, "UNSUPPORTED", format!("n={text} is not a number of entries"));
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

pub(in crate::local) async fn referrers(
    state: &Arc<State>,
    asked: &RegistryRequest,
    name: &str,
    digest: &str,
) -> Result<Response<Body>, OciError> {
    let (path, subject) = (name.to_owned(), digest.to_owned());
    // Media types have no blanks: one is a plus that the client did not escape.
    let artifact_type = asked.query.get("artifactType").map(|text| text.replace(' ', "+"));
    let after = asked.query.get("after").and_then(|text| text.parse().ok()).unwrap_or_default();
    let wanted = artifact_type.clone();
    let found = asked.through(state, move |registry: &Registry<'_>| {
        registry.referrers(&registry.repository(&path)?, &subject, wanted.as_deref(), after)
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
