//! The images of a repository, as DescribeImages describes them.

use serde_json::{Value, json};

use super::pages::Pages;
use super::progress;
use super::selection::Repository;
use crate::image::graph::{Detail, Graph};
use crate::image::{Digest, Name};

/// The most that DescribeImages answers at once.
const PAGE: u32 = 1000;
/// The most images that DescribeImages takes by name.
const NAMES: usize = 100;

/// Images of a repository that a listing contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Images {
    /// All images, also archived ones: a graph needs them.
    Any,
    /// Images that can be pulled.
    Active,
    /// Images that can be pulled and have a tag.
    Tagged,
}

/// Describes the images of a repository, page by page.
pub(in crate::commands) async fn describe(
    repository: &Repository,
    images: Images,
    mut take: impl FnMut(Detail) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let filter = match images {
        Images::Any => json!({"imageStatus": "ANY"}),
        Images::Active => json!({"imageStatus": "ACTIVE"}),
        Images::Tagged => json!({"tagStatus": "TAGGED", "imageStatus": "ACTIVE"}),
    };
    let input = json!({"repositoryName": repository.name, "maxResults": PAGE, "filter": filter});
    let mut pages = Pages::new(&repository.connection, "DescribeImages", input);
    while let Some(page) = pages.next().await? {
        details(&page, |detail| {
            // The API of Amazon ECR Public has no filter.
            let is_wanted = images != Images::Tagged || detail.image().is_tagged();
            if is_wanted { take(detail) } else { Ok(()) }
        })?;
    }
    Ok(())
}

/// The images of a repository with their edges; children of indexes are not among these yet.
pub(in crate::commands) async fn graph(repository: &Repository, images: Images) -> anyhow::Result<Graph> {
    let mut graph = Graph::default();
    describe(repository, images, |detail| {
        graph.add(detail);
        Ok(())
    })
    .await?;
    graph.link();
    Ok(graph)
}

/// Describes images by name, at most 100 in a call, as a graph without the children of indexes. Absent images are left
/// out.
pub(in crate::commands) async fn lookup_graph(
    repository: &Repository,
    names: &[Name],
) -> anyhow::Result<Graph> {
    let mut graph = Graph::default();
    for some in names.chunks(NAMES) {
        describe_by_name(repository, some).await?.into_iter().for_each(|detail| graph.add(detail));
    }
    graph.link();
    Ok(graph)
}

/// Describes single images; absent ones are left out. Up to 100 names in one call.
pub(in crate::commands) async fn describe_by_name(
    repository: &Repository,
    names: &[Name],
) -> anyhow::Result<Vec<Detail>> {
    let ids: Vec<Value> = names.iter().map(identifier).collect();
    let input = json!({"repositoryName": repository.name, "imageIds": ids});
    let answer = match repository.connection.call("DescribeImages", input).await {
        // Of several names the service refuses all where it has not one of them.
        Err(error) if error.code() == Some("ImageNotFoundException") => {
            if names.len() < 2 {
                return Ok(Vec::new());
            }
            let (first, second) = names.split_at(names.len() / 2);
            let mut found = Box::pin(describe_by_name(repository, first)).await?;
            found.extend(Box::pin(describe_by_name(repository, second)).await?);
            return Ok(found);
        }
        answer => answer?,
    };
    let mut found = Vec::new();
    details(&answer, |detail| {
        found.push(detail);
        Ok(())
    })?;
    Ok(found)
}

fn details(page: &Value, mut take: impl FnMut(Detail) -> anyhow::Result<()>) -> anyhow::Result<()> {
    progress::images_read(page["imageDetails"].as_array().map_or(0, Vec::len));
    for detail in page["imageDetails"].as_array().into_iter().flatten() {
        take(
            Detail::read(detail)
                .map_err(|error| anyhow::anyhow!("DescribeImages answered nonsense: {error}"))?,
        )?;
    }
    Ok(())
}

/// An `imageId` of the API.
pub(in crate::commands) fn identifier(name: &Name) -> Value {
    match name {
        Name::Unnamed => json!({"imageTag": "latest"}),
        Name::Tag(tag) => json!({"imageTag": tag}),
        Name::Digest(digest) => identifier_of(digest),
    }
}

/// An `imageId` of the API, by digest.
pub(in crate::commands) fn identifier_of(digest: &Digest) -> Value {
    json!({"imageDigest": digest})
}
