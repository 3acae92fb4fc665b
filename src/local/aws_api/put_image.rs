//! PutImage.

use serde_json::{Value, json};

use crate::local::aws_api::batch_get_image::answer;
use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::push::{ImagePush, push_image};
use crate::local::core::request::IfMissing;

/// PutImage
pub(in crate::local) fn put(call: &Call<'_>) -> Result<Value, ApiError> {
    let (manifest, tag) = (call.required("imageManifest"), call.text("imageTag"));
    let push = ImagePush {
        manifest,
        media_type: call.text("imageManifestMediaType"),
        digest: call.text("imageDigest"),
        tags: tag.as_slice(),
        if_missing: IfMissing::Fail,
        must_change: true,
    };
    let pushed = push_image(&call.request(), &call.repository()?, &push)?;
    let tag = tag.map(str::to_owned);
    Ok(json!({ "image": answer(&pushed.repository, pushed.image, tag, manifest) }))
}
