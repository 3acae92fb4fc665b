//! BatchGetImage.

use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::image::Image;
use crate::local::core::image_id::ImageId;
use crate::local::core::pull::{NotPulled, pull_images};
use crate::local::core::repository::Repository;

/// BatchGetImage. Manifests are answered as they are stored: which conversions the service would make for
/// `acceptedMediaTypes` is not known well enough to imitate.
pub(in crate::local) fn get(call: &Call<'_>) -> Result<Value, ApiError> {
    let ids: Vec<ImageId> = call.list("imageIds").unwrap_or_default().iter().map(ImageId::of).collect();
    let (repository, pulls) = pull_images(&call.request(), &call.repository()?, &ids)?;
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for (id, pull) in ids.iter().zip(pulls) {
        match pull {
            Ok((image, manifest)) => images.push(answer(&repository, image, id.tag.clone(), &manifest)),
            Err(NotPulled::Unresolved(unresolved)) => failures.push(unresolved.failure(id)),
            Err(NotPulled::Archived) => {
                failures.push(id.failure("ImageInaccessible", "Requested image is archived"));
            }
            Err(NotPulled::Upstream(failure)) => failures.push(id.failure(failure.code(), &failure.reason)),
        }
    }
    Ok(json!({ "images": images, "failures": failures }))
}

/// The structure `Image` of answers.
pub(in crate::local) fn answer(
    repository: &Repository,
    image: Image,
    tag: Option<String>,
    manifest: &str,
) -> Value {
    let id = ImageId { digest: Some(image.digest), tag };
    json!({
        "registryId": repository.scope.account,
        "repositoryName": repository.name,
        "imageId": id.value(),
        "imageManifest": manifest,
        "imageManifestMediaType": image.media_type,
    })
}
