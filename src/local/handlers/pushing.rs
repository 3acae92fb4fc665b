//! PutImage.

use serde_json::{Value, json};

use super::images::answer;
use crate::local::Fault;
use crate::local::call::Call;
use crate::local::core::{IfMissing, ImagePush, push_image};

/// PutImage
pub(crate) fn put(call: &Call<'_>) -> Result<Value, Fault> {
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
