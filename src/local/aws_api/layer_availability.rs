//! Availability of layers, and their download URLs.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::blobs::{is_layer_used, layer_owner, layer_size};
use crate::local::core::image_id::DIGEST;
use crate::local::core::repository::Repository;
use crate::local::core::upstream::UpstreamItem;
use crate::local::core::{download_url, pattern, upstream_rules};

/// Life of a download URL, in seconds.
const DOWNLOAD_SECONDS: i64 = 3600;

/// Media type of a blob that no manifest lists.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// BatchCheckLayerAvailability. A layer that is missing is unavailable, not a failure: AWS's own client relies on it.
pub(in crate::local) fn check(call: &Call<'_>) -> Result<Value, ApiError> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let (mut layers, mut failures) = (Vec::new(), Vec::new());
        for digest in call.texts("layerDigests") {
            let failure = |code: &str, reason: &str| {
                json!({ "layerDigest": digest, "failureCode": code, "failureReason": reason })
            };
            if digest.is_empty() {
                let reason = "Invalid request parameters: layer digest cannot be null";
                failures.push(failure("MissingLayerDigest", reason));
            } else if !pattern::matches(DIGEST, digest) {
                let reason =
                    format!("Invalid request parameters: layer digest should satisfy the regex '{DIGEST}'");
                failures.push(failure("InvalidLayerDigest", &reason));
            } else {
                layers.push(availability(connection, &repository, digest)?);
            }
        }
        Ok(json!({ "layers": layers, "failures": failures }))
    })
}

fn availability(connection: &Connection, repository: &Repository, digest: &str) -> Result<Value, ApiError> {
    let Some(size) = layer_size(connection, repository.id, digest)? else {
        return Ok(json!({ "layerDigest": digest, "layerAvailability": "UNAVAILABLE" }));
    };
    let (media_type, status) = layer_owner(connection, repository.id, digest)?.unwrap_or_default();
    Ok(json!({
        "layerDigest": digest,
        "layerAvailability": if status == "ARCHIVED" { "ARCHIVED" } else { "AVAILABLE" },
        "layerSize": size,
        "mediaType": media_type.as_deref().unwrap_or(UNKNOWN_TYPE),
    }))
}

/// GetDownloadUrlForLayer. Only layers of an image can be fetched; one that was uploaded and never used cannot.
///
/// The URL leads to a server: the one that was asked, or one that runs on this folder without TLS. Where there is none,
/// as with `--local` alone, it is a `file:` URL of the blob.
pub(in crate::local) fn download_url(call: &Call<'_>) -> Result<Value, ApiError> {
    let digest = call.required("layerDigest");
    let secret = call.read(|connection| {
        let repository = match Repository::of(call, connection) {
            Err(error) if error.code == "RepositoryNotFoundException" => {
                return Err(upstream_of(call, connection, error)?);
            }
            found => found?,
        };
        let with = |code: &str, start: &str, end: &str| {
            let (name, account) = (&repository.name, &repository.scope.account);
            let within =
                format!("within the repository with name '{name}' in the registry with id '{account}'");
            ApiError::new(code, format!("The layer with digest '{digest}' {start}{within}{end}"))
        };
        if layer_size(connection, repository.id, digest)?.is_none() {
            let missing = with("LayersNotFoundException", "does not exist ", "");
            return Err(upstream_of(call, connection, missing)?);
        }
        let is_used = is_layer_used(connection, repository.id, digest)?;
        if !is_used && call.fetch_results.is_none() {
            return Err(with("LayerInaccessibleException", "is not accessible ", ": no image refers to it"));
        }
        Ok(download_url::secret(connection)?)
    })?;
    let address = call.caller.address.clone().or_else(|| call.local.plain_server_address());
    let url = match address {
        Some(address) => {
            let expires = call.now / 1000 + DOWNLOAD_SECONDS;
            format!(
                "{}://{address}{}",
                call.local.scheme(),
                download_url::download_path(&secret, digest, expires)
            )
        }
        None => file_url(call, digest)?,
    };
    Ok(json!({ "downloadUrl": url, "layerDigest": digest }))
}

/// The refusal for a layer that is not here: that it has to be fetched, or why it was not, before the given one.
fn upstream_of(call: &Call<'_>, connection: &Connection, missing: ApiError) -> Result<ApiError, ApiError> {
    let Ok(digest) = call.required("layerDigest").parse() else { return Ok(missing) };
    let (scope, wanted) = (call.scope(), vec![UpstreamItem::Layer(digest)]);
    let instead = upstream_rules::upstream_error_for(
        connection,
        &scope,
        call.required("repositoryName"),
        wanted,
        call.fetch_results,
    )?;
    Ok(instead.map_or(missing, ApiError::from))
}

fn file_url(call: &Call<'_>, digest: &str) -> Result<String, ApiError> {
    let path = call.local.store.blobs.path(digest);
    let url = path.and_then(|path| url::Url::from_file_path(path).ok());
    url.map(String::from).ok_or_else(|| ApiError::server(format!("{digest} has no file in this store")))
}
