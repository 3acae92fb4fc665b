//! BatchDeleteImage.

use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::delete::{NotDeleted, delete_images};
use crate::local::core::image_id::ImageId;

/// BatchDeleteImage
pub(in crate::local) fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    let ids: Vec<ImageId> = call.list("imageIds").unwrap_or_default().iter().map(ImageId::of).collect();
    let done = delete_images(&call.request(), &call.repository()?, &ids)?;
    let deleted: Vec<Value> = done.deleted.iter().map(ImageId::value).collect();
    let failures: Vec<Value> = done.failures.iter().map(|(id, failure)| failed(id, failure)).collect();
    Ok(json!({ "imageIds": deleted, "failures": failures }))
}

fn failed(id: &ImageId, failure: &NotDeleted) -> Value {
    match failure {
        NotDeleted::Unresolved(unresolved) => unresolved.failure(id),
        NotDeleted::Listed(lists) => {
            let reason = format!("Requested image referenced by manifest list: [{}]", lists.join(", "));
            id.failure("ImageReferencedByManifestList", &reason)
        }
    }
}
