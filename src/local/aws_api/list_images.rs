//! ListImages, DescribeImages, and DescribeImageTags of public registries.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::responses::timestamp;
use crate::local::core::image::Image;
use crate::local::core::image_id::ImageId;
use crate::local::core::image_list::{
    ImageFilter, ImageStatus, TaggedImage, image_ids, images, tagged_images,
};
use crate::local::core::repository::Repository;

/// The filter of a request. A public registry has none, and no archive.
fn filter(call: &Call<'_>) -> ImageFilter {
    let tagged = match call.text_within("filter", "tagStatus") {
        Some("TAGGED") => Some(true),
        Some("UNTAGGED") => Some(false),
        _ => None,
    };
    let status = match call.text_within("filter", "imageStatus") {
        Some("ANY") => None,
        Some("ARCHIVED") => Some(ImageStatus::Archived),
        Some("ACTIVATING") => Some(ImageStatus::Activating),
        _ => Some(ImageStatus::Active),
    };
    ImageFilter { tagged, status }
}

/// ListImages: one entry for each tag, and one for each image without any.
pub(in crate::local) fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "")?;
    let (image, tag) = key(&page);
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let ids = image_ids(connection, &repository, filter(call), (image, &tag), page.fetch())?.into_iter();
        let entries =
            ids.map(|(image, id)| (json!([image, id.tag.as_deref().unwrap_or_default()]), id.value()));
        Ok(page.answer("imageIds", entries.collect()))
    })
}

/// DescribeImages
pub(in crate::local) fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "imageIds")?;
    let (after, _) = key(&page);
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        if let Some(ids) = call.list("imageIds") {
            let images = named(connection, &repository, ids)?;
            let details = images.iter().map(|image| detail(connection, &repository, image));
            return Ok(json!({ "imageDetails": details.collect::<Result<Vec<_>, _>>()? }));
        }
        let mut entries = Vec::new();
        for image in images(connection, &repository, filter(call), after, page.fetch())? {
            entries.push((json!([image.id, ""]), detail(connection, &repository, &image)?));
        }
        Ok(page.answer("imageDetails", entries))
    })
}

/// Returns the images requested by their identifiers, each once.
fn named(connection: &Connection, repository: &Repository, ids: &[Value]) -> Result<Vec<Image>, ApiError> {
    let mut images: Vec<Image> = Vec::new();
    for id in ids.iter().map(ImageId::of) {
        let Ok(image) = id.resolve(connection, repository)? else {
            return Err(id.not_found(repository).into());
        };
        if images.iter().all(|other| other.id != image.id) {
            images.push(image);
        }
    }
    Ok(images)
}

/// The structure `ImageDetail`.
fn detail(connection: &Connection, repository: &Repository, image: &Image) -> Result<Value, ApiError> {
    let tags = image.tags(connection)?;
    let mut members = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    put("registryId", Some(json!(repository.scope.account)));
    put("repositoryName", Some(json!(repository.name)));
    put("imageDigest", Some(json!(image.digest)));
    put("imageTags", (!tags.is_empty()).then(|| json!(tags)));
    put("imageSizeInBytes", Some(json!(image.size)));
    put("imagePushedAt", Some(timestamp(image.pushed_at)));
    put("imageManifestMediaType", Some(json!(image.media_type)));
    put("artifactMediaType", image.artifact_type.as_ref().map(|text| json!(text)));
    put("lastRecordedPullTime", image.pulled_at.map(timestamp));
    put("subjectManifestDigest", image.subject.as_ref().map(|text| json!(text)));
    put("imageStatus", Some(json!(image.status)));
    put("lastArchivedAt", image.archived_at.map(timestamp));
    let activated = image.activated_at.filter(|_| image.status != "ACTIVATING");
    put("lastActivatedAt", activated.map(timestamp));
    Ok(Value::Object(members))
}

/// DescribeImageTags of a public registry.
pub(in crate::local) fn describe_tags(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "")?;
    let after = page.after.as_ref().and_then(Value::as_str).unwrap_or_default();
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let mut entries = Vec::new();
        for tagged in tagged_images(connection, &repository, after, page.fetch())? {
            let TaggedImage { image, tag, tagged_at } = tagged;
            let image = detail(connection, &repository, &image)?;
            let entry = json!({ "imageTag": tag, "createdAt": timestamp(tagged_at), "imageDetail": image });
            entries.push((json!(tag), entry));
        }
        Ok(page.answer("imageTagDetails", entries))
    })
}

/// The image and tag after which a page begins.
fn key(page: &Page) -> (i64, String) {
    let of = |after: &Value| Some((after[0].as_i64()?, after[1].as_str()?.to_owned()));
    page.after.as_ref().and_then(of).unwrap_or_default()
}
