//! ListImages, DescribeImages, and DescribeImageTags of public registries.

use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::responses::timestamp;
use crate::local::core::image::{COLUMNS, Image, STATUS};
use crate::local::core::image_id::ImageId;
use crate::local::core::repository::Repository;

/// The conditions of `filter`, for SQL over the table `image`. A public registry has no filter and no archive.
fn conditions(call: &Call<'_>) -> String {
    let exists = "EXISTS (SELECT 1 FROM image_tag AS tag WHERE tag.image = image.id)";
    let tagged = match call.text_within("filter", "tagStatus") {
        Some("TAGGED") => format!("AND {exists}"),
        Some("UNTAGGED") => format!("AND NOT {exists}"),
        _ => String::new(),
    };
    match call.text_within("filter", "imageStatus") {
        Some("ANY") => tagged,
        Some("ARCHIVED") => format!("{tagged} AND {STATUS} = 'ARCHIVED'"),
        Some("ACTIVATING") => format!("{tagged} AND {STATUS} = 'ACTIVATING'"),
        _ => format!("{tagged} AND {STATUS} = 'ACTIVE'"),
    }
}

/// ListImages: one entry for each tag, and one for each image without any.
pub(in crate::local) fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "")?;
    let (image, tag) = key(&page);
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let query = format!(
            "SELECT image.id, image.digest, tag.name FROM image LEFT JOIN image_tag AS tag ON tag.image = image.id
             WHERE image.repository = ?1 AND image.id >= ?2
                   AND (image.id > ?2 OR coalesce(tag.name, '') > ?3) {}
             ORDER BY image.id, tag.name LIMIT ?4",
            conditions(call)
        );
        let mut statement = connection.prepare_cached(&query)?;
        let rows = statement.query_map(params![repository.id, image, tag, page.fetch()], |row| {
            let (image, digest, tag): (i64, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let key = json!([image, tag.as_deref().unwrap_or_default()]);
            Ok((key, ImageId { digest: Some(digest), tag }.value()))
        })?;
        Ok(page.answer("imageIds", rows.collect::<Result<_, _>>()?))
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
        let query = format!(
            "SELECT {COLUMNS} FROM image WHERE repository = ?1 AND id > ?2 {} ORDER BY id LIMIT ?3",
            conditions(call)
        );
        let mut statement = connection.prepare_cached(&query)?;
        let images = statement.query_map(params![repository.id, after, page.fetch()], Image::from_row)?;
        let mut entries = Vec::new();
        for image in images {
            let image = image?;
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
        let query = format!(
            "SELECT {COLUMNS}, tag.name, tag.tagged_at FROM image_tag AS tag JOIN image ON image.id = tag.image
             WHERE tag.repository = ?1 AND tag.name > ?2 ORDER BY tag.name LIMIT ?3"
        );
        let mut statement = connection.prepare_cached(&query)?;
        let rows = statement.query_map(params![repository.id, after, page.fetch()], |row| {
            Ok((Image::from_row(row)?, row.get::<_, String>(11)?, row.get::<_, i64>(12)?))
        })?;
        let mut entries = Vec::new();
        for row in rows {
            let (image, tag, tagged_at) = row?;
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
