//! UpdateImageStorageClass: into the archive and back.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::responses::{about, given};
use crate::local::core::image::{Image, lists_with, set_archived};
use crate::local::core::image_id::ImageId;
use crate::local::core::repository::Repository;

/// UpdateImageStorageClass. An image is restored by the time the answer is read, unless the store was told to take its
/// time as the service does, for which the answer says `ACTIVATING`.
pub(in crate::local) fn update(call: &Call<'_>) -> Result<Value, ApiError> {
    let archives = call.required("targetStorageClass") == "ARCHIVE";
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let id = ImageId::of(&given(call, "imageId"));
        let image = id.must(transaction, &repository)?;
        check(transaction, &repository, &id, &image, archives)?;
        let at = if archives { call.now } else { call.now + call.local.restore_time };
        let mut waiting = vec![image.clone()];
        let mut known = vec![image.id];
        while let Some(each) = waiting.pop() {
            set_archived(transaction, each.id, archives, at)?;
            for referrer in Image::of_subject(transaction, repository.id, &each.digest)? {
                if !known.contains(&referrer.id) {
                    known.push(referrer.id);
                    waiting.push(referrer);
                }
            }
        }
        let mut answer = about(&repository, "imageId", id.completed(&image));
        answer["imageStatus"] = json!(if archives { "ARCHIVED" } else { "ACTIVATING" });
        Ok(answer)
    })
}

/// An image in an index goes only after the index, a referrer only with its subject.
fn check(
    connection: &Connection,
    repository: &Repository,
    id: &ImageId,
    image: &Image,
    archives: bool,
) -> Result<(), ApiError> {
    let refused = |reason: String| {
        let text = format!(
            "The storage class of the image with imageId {} in the {} cannot be changed: {reason}",
            id.value(),
            repository.place()
        );
        Err(ApiError::new("ImageStorageClassUpdateNotSupportedException", text))
    };
    if archives == (image.status == "ARCHIVED") {
        let class = if archives { "ARCHIVE" } else { "STANDARD" };
        return refused(format!("it is in the storage class {class} already"));
    }
    if let Some(subject) = &image.subject
        && Image::of_digest(connection, repository.id, subject)?.is_some()
    {
        return refused(format!("it follows the image {subject}, which it refers to"));
    }
    if archives {
        let mut active = Vec::new();
        for list in lists_with(connection, repository, image)? {
            let index = Image::of_digest(connection, repository.id, &list)?;
            if index.is_some_and(|index| index.status == "ACTIVE") {
                active.push(list);
            }
        }
        if !active.is_empty() {
            return refused(format!("it is referenced by manifest list: [{}]", active.join(", ")));
        }
    }
    Ok(())
}
