//! Images as data.

use serde_json::{Map, Value, json};

use super::selection::Repository;
use crate::image::Digest;
use crate::image::graph::{Graph, Time};

/// Facts about an image, under AWS's names.
pub(in crate::commands) fn image_members(
    repository: &Repository,
    graph: &Graph,
    position: usize,
) -> Map<String, Value> {
    let image = graph.image(position);
    let mut members = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    let time = |time: Option<Time>| time.map(|time| json!(time.timestamp().to_string()));
    put("registryId", graph.account().map(|account| json!(account)));
    put("region", repository.connection.region().map(|region| json!(region)));
    put("repositoryName", Some(json!(repository.name)));
    put("imageDigest", Some(json!(image.digest())));
    put("imageTags", Some(image.tags().map(|tag| json!(tag)).collect()));
    put("type", Some(json!(graph.kind(position).name())));
    put("imageManifestMediaType", graph.media_type(position).map(|media_type| json!(media_type)));
    put("artifactMediaType", graph.artifact_type(position).map(|artifact_type| json!(artifact_type)));
    put("imageSizeInBytes", image.size().map(|size| json!(size)));
    put("imagePushedAt", time(image.pushed()));
    put("lastRecordedPullTime", time(image.pulled()));
    put("imageStatus", Some(json!(image.status().name())));
    put("lastArchivedAt", time(image.archived()));
    put("lastActivatedAt", time(image.activated()));
    put("subjectManifestDigest", image.subject().map(|subject| json!(subject)));
    let digests = |positions: Vec<usize>| -> Option<Value> {
        let digests = positions.iter().map(|at| json!(graph.image(*at).digest()));
        (!positions.is_empty()).then(|| digests.collect())
    };
    if let Some(listed) = graph.listed(position) {
        let present = graph.children(position).map(|child| json!(graph.image(child.position).digest()));
        put("children", Some(present.chain(listed.absent.iter().map(|digest| json!(digest))).collect()));
        let platforms = graph.children(position).filter_map(|child| child.platform);
        let platforms = platforms.filter(|platform| !platform.starts_with("unknown/"));
        put("platforms", Some(platforms.map(|platform| json!(platform)).collect()));
    }
    put("parents", digests(graph.parents(position).collect()));
    put("companions", digests(graph.companions(position).collect()));
    members
}

/// One image that was chosen: the object of `digest` and `latest`.
pub(in crate::commands) fn image_object(
    repository: &Repository,
    graph: &Graph,
    digest: &Digest,
    host: Option<&str>,
    tag: Option<&str>,
) -> Value {
    let tags = graph.position(digest).map(|position| graph.image(position).tags().collect::<Vec<_>>());
    let mut image = json!({"repositoryName": repository.name, "imageDigest": digest});
    if let Some(host) = host {
        image["imageUri"] = json!(format!("{host}/{}@{digest}", repository.name));
    }
    image["imageTags"] = json!(tags.unwrap_or_default());
    if let Some(tag) = tag {
        image["tag"] = json!(tag);
    }
    json!({"image": image})
}
