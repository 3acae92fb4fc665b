//! InitiateLayerUpload, UploadLayerPart and CompleteLayerUpload.

use std::fs::File;

use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::repository::Repository;
use crate::local::core::request::IfMissing;
use crate::local::core::uploads::{begin_upload, check_parts};
use crate::local::store::uploads::Upload;

/// The size of parts that the service suggests: 10 MiB.
const PART_SIZE: i64 = 10 * 1024 * 1024;

const MIB: i64 = 1024 * 1024;

/// InitiateLayerUpload
pub(in crate::local) fn initiate(call: &Call<'_>) -> Result<Value, ApiError> {
    let id = begin_upload(&call.request(), &call.repository()?, IfMissing::Fail)?;
    Ok(json!({ "uploadId": id, "partSize": PART_SIZE }))
}

/// The repository and the session that a request names.
fn session(call: &Call<'_>) -> Result<(Repository, Upload), ApiError> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        // Identifiers are answered in lower case and accepted in either case.
        let id = call.required("uploadId").to_ascii_lowercase();
        match Upload::find(connection, repository.id, &id)? {
            Some(upload) => Ok((repository, upload)),
            None => Err(not_found(call, &repository)),
        }
    })
}

/// Like [`session`], with the session's file, locked until it is closed.
fn locked_session(call: &Call<'_>) -> Result<(Repository, Upload, File), ApiError> {
    let (_, upload) = session(call)?;
    let file = call.local.store.blobs.lock_upload(&upload.id)?;
    // The session may have changed, or ended, while this request waited for the file.
    match session(call) {
        Ok((repository, upload)) => {
            upload.check_bytes(&file)?;
            Ok((repository, upload, file))
        }
        Err(error) => {
            call.local.forget_upload(&upload.id);
            Err(error)
        }
    }
}

fn not_found(call: &Call<'_>, repository: &Repository) -> ApiError {
    let id = call.required("uploadId");
    let text = format!("The upload with id '{id}' in the {} does not exist", repository.place());
    ApiError::new("UploadNotFoundException", text)
}

/// UploadLayerPart
pub(in crate::local) fn upload_part(call: &Call<'_>) -> Result<Value, ApiError> {
    let part = call.blob.clone().unwrap_or_default();
    let (first, last) = (bound(call, "partFirstByte"), bound(call, "partLastByte"));
    let (repository, upload, file) = locked_session(call)?;
    let refuse = |text: String| {
        Err(ApiError::new("InvalidLayerPartException", text)
            .with("registryId", repository.scope.account.as_str())
            .with("repositoryName", repository.name.as_str())
            .with("uploadId", upload.id.as_str())
            .with("lastValidByteReceived", upload.size - 1))
    };
    if first != upload.size {
        return refuse(format!("First byte of the layer part is {first} instead of {}", upload.size));
    }
    let length = i64::try_from(part.len()).unwrap_or(i64::MAX);
    if length == 0 || last.checked_sub(first).and_then(|span| span.checked_add(1)) != Some(length) {
        let told = format!("bytes {first} to {last}");
        return refuse(format!("The layer part has {length} bytes, which {told} do not describe"));
    }
    let (most_parts, most_bytes) = call.local.limits.of_layer(call);
    if upload.parts >= most_parts || upload.size.saturating_add(length) > most_bytes {
        let text = format!("A layer has at most {most_parts} parts and {} MiB", most_bytes / MIB);
        return Err(ApiError::new("LimitExceededException", text));
    }
    if !upload.append(&call.local.store, &file, &part, call.now)? {
        call.local.forget_upload(&upload.id);
        return Err(not_found(call, &repository));
    }
    Ok(json!({
        "registryId": repository.scope.account,
        "repositoryName": repository.name,
        "uploadId": upload.id,
        "lastByteReceived": last,
    }))
}

fn bound(call: &Call<'_>, member: &str) -> i64 {
    call.integer(member).unwrap_or_default()
}

/// CompleteLayerUpload
pub(in crate::local) fn complete(call: &Call<'_>) -> Result<Value, ApiError> {
    let (repository, upload, file) = locked_session(call)?;
    check_parts(&repository.scope, &repository.name, &upload)?;
    let digest = upload.digest(&call.local.store, &file)?;
    if !call.texts("layerDigests").into_iter().any(|given| agrees(given, &digest)) {
        let text = "None of the provided layer digests match the calculated layer digest";
        return Err(ApiError::new("InvalidLayerException", text));
    }
    call.local.store.blobs.settle(&file)?;
    let stored = upload.become_layer(&call.local.store, &digest, |_| Ok::<_, ApiError>(repository.id))?;
    let is_new = stored.ok_or_else(|| not_found(call, &repository))?;
    call.local.forget_upload(&upload.id);
    if !is_new {
        let text = format!("The layer with digest '{digest}' already exists in the {}", repository.place());
        return Err(ApiError::new("LayerAlreadyExistsException", text));
    }
    Ok(json!({
        "registryId": repository.scope.account,
        "repositoryName": repository.name,
        "uploadId": upload.id,
        "layerDigest": digest,
    }))
}

/// Returns whether a digest given by the client is consistent with ours. The service does not check algorithms but
/// SHA-256.
fn agrees(given: &str, digest: &str) -> bool {
    match given.split_once(':') {
        Some(("sha256", _)) => given.eq_ignore_ascii_case(digest),
        _ => true,
    }
}
