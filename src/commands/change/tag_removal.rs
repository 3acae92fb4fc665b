//! Tags taken from images that stay: in calls of at most 100, after another look at their images.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::images::describe::lookup_graph;
use super::super::images::selection::Repository;
use super::executor::{BATCH, answered, no_answer};
use super::result::ItemResult;
use crate::image::graph::Image;
use crate::image::{Digest, Name};

/// A tag that is to go, and the image that it names.
#[derive(Debug, Clone)]
pub(super) struct TagOf<'a> {
    pub(super) tag: &'a str,
    pub(super) digest: Digest,
}

/// Removes up to 100 tags. `must_stay` says why a tag, by its place in the list, has to stay on its image as that is now.
pub(super) async fn remove_tags(
    repository: &Repository,
    tags: &[TagOf<'_>],
    must_stay: impl Fn(usize, &Image) -> Option<String>,
) -> Vec<ItemResult> {
    debug_assert!(tags.len() <= BATCH);
    let mut seen = HashSet::new();
    let digests = tags.iter().filter(|tag| seen.insert(&tag.digest));
    let digests: Vec<Name> = digests.map(|tag| Name::Digest(tag.digest.clone())).collect();
    let found = match lookup_graph(repository, &digests).await {
        Ok(found) => found,
        Err(error) => return vec![ItemResult::of(&error); tags.len()],
    };
    let look = |(number, wanted): (usize, &TagOf<'_>)| {
        let Some(image) = found.position(&wanted.digest).map(|at| found.image(at)) else {
            return Some(ItemResult::Absent);
        };
        // It may be the only tag of the image that it names now, which would go with it.
        if !image.tags().any(|tag| tag == wanted.tag) {
            let reason = format!("the tag was moved or removed from {} in the meantime", wanted.digest);
            return Some(ItemResult::Spared(reason));
        }
        must_stay(number, image).map(ItemResult::Spared)
    };
    let mut done: Vec<Option<ItemResult>> = tags.iter().enumerate().map(look).collect();
    let going = tags.iter().zip(&done).filter(|(_, done)| done.is_none());
    let ids: Vec<Value> = going.map(|(wanted, _)| json!({"imageTag": wanted.tag})).collect();
    if !ids.is_empty() {
        let input = json!({"repositoryName": repository.name, "imageIds": ids});
        let answer = repository.connection.call("BatchDeleteImage", input).await;
        for (wanted, done) in tags.iter().zip(&mut done).filter(|(_, done)| done.is_none()) {
            *done = Some(match &answer {
                Ok(answer) => removed(wanted, answer),
                Err(error) => ItemResult::of_error(error),
            });
        }
    }
    done.into_iter().flatten().collect()
}

/// Outcome for a tag, by the service's answer.
fn removed(wanted: &TagOf<'_>, answer: &Value) -> ItemResult {
    let is_it = |id: &Value| id["imageTag"].as_str() == Some(wanted.tag);
    if let Some(failure) = answered(answer, "failures").find(|failure| is_it(&failure["imageId"])) {
        return match failure["failureCode"].as_str() {
            Some("ImageNotFound") => ItemResult::Absent,
            _ => ItemResult::failed(failure),
        };
    }
    match answered(answer, "imageIds").find(|id| is_it(id)) {
        None => no_answer(),
        Some(id) if id["imageDigest"] != json!(wanted.digest) => ItemResult::Failed {
            code: "Moved".to_owned(),
            reason: format!(
                "it had moved to {} between the last look and the call, and was removed there",
                id["imageDigest"].as_str().unwrap_or("another image")
            ),
        },
        Some(_) => ItemResult::Changed("removed"),
    }
}
