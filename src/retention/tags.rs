//! Removing tags instead of images.

use std::cmp::Reverse;

use super::protections::Protections;
use super::{Criteria, Repository};

/// The tags that go, by the image that they name. An image that an index holds, a companion, and one that has to stay
/// keep all of theirs.
pub(super) fn removed(
    repository: Repository<'_>,
    criteria: &Criteria,
    stays: &Protections,
) -> Vec<(usize, Vec<String>)> {
    let graph = repository.graph;
    let mut tags: Vec<(usize, &str)> = Vec::new();
    for position in (0..graph.len()).filter(|at| stays.is_candidate(*at) && !graph.is_companion(*at)) {
        let image = graph.image(position);
        tags.extend(image.ordinary_tags().filter(|tag| criteria.matches(tag)).map(|tag| (position, tag)));
    }
    if let Some(keep) = criteria.keep {
        // The newest are kept; an archived image and one of unknown age take nobody's place.
        let counts = |position: usize| {
            let image = graph.image(position);
            image.status() == crate::image::graph::Status::Active && image.pushed().is_some()
        };
        let (mut counted, others): (Vec<_>, Vec<_>) = tags.into_iter().partition(|(at, _)| counts(*at));
        counted.sort_by_key(|(position, tag)| (Reverse(graph.image(*position).pushed()), Reverse(*tag)));
        tags = counted.split_off(keep.min(counted.len()));
        tags.extend(others);
    }
    let goes = |(position, tag): &(usize, &str)| {
        stays.reason(*position).is_none()
            && !criteria.keeps_tag(tag)
            && repository.unmatched(criteria, *position).is_none()
    };
    tags.retain(goes);
    tags.sort_unstable();
    let of_image = |some: &[(usize, &str)]| {
        (some[0].0, some.iter().map(|(_, tag)| (*tag).to_owned()).collect::<Vec<String>>())
    };
    tags.chunk_by(|one, other| one.0 == other.0).map(of_image).collect()
}
