//! Children of indexes, and the walks over the edges of a [`Graph`].

use std::num::NonZeroU16;

use super::{Graph, as_u32};
use crate::image::Digest;

/// Platform that buildkit writes for an attestation.
const NO_PLATFORM: &str = "unknown/unknown";

/// The manifests that an index lists.
#[derive(Debug, Clone, Default)]
pub struct Children {
    /// Positions of the listed manifests in the repository, with the number of their platform.
    pub(super) present: Vec<(u32, Option<NonZeroU16>)>,
    /// Listed manifests that the repository does not have.
    pub absent: Vec<Digest>,
}

/// One child of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child<'a> {
    /// Its position in the graph.
    pub position: usize,
    /// Platform in the index, such as `linux/arm64/v8`.
    pub platform: Option<&'a str>,
}

impl Graph {
    /// Entries of an index; `None` if its manifest is not known, and for images that are no index.
    pub fn listed(&self, position: usize) -> Option<&Children> {
        self.children.get(&as_u32(position))
    }

    /// The children of an index that are in the repository; none where its manifest is not known.
    pub fn children(&self, position: usize) -> impl Iterator<Item = Child<'_>> {
        let present = self.listed(position).map(|children| children.present.as_slice()).unwrap_or_default();
        present.iter().map(|(child, platform)| Child {
            position: *child as usize,
            platform: platform.map(|platform| &*self.platforms[usize::from(platform.get()) - 1]),
        })
    }

    /// The indexes that list an image, as far as their manifests are known.
    pub fn parents(&self, position: usize) -> impl Iterator<Item = usize> {
        targets(&self.parents, position)
    }

    /// The images that are about this one: signatures, bills of materials, attestations.
    pub fn companions(&self, position: usize) -> impl Iterator<Item = usize> {
        targets(&self.companions, position)
    }

    /// Returns whether an image is an attestation that an index lists beside its images.
    pub fn is_attestation_child(&self, position: usize) -> bool {
        self.parents(position).any(|parent| {
            self.children(parent)
                .any(|child| child.position == position && child.platform == Some(NO_PLATFORM))
        })
    }

    /// Returns whether an image is shown inside another one: an untagged child of a present index, or a companion of a
    /// present image.
    pub fn is_folded(&self, position: usize) -> bool {
        let image = self.image(position);
        let is_child = !image.is_tagged() && self.parents(position).next().is_some();
        is_child || (self.is_companion(position) && self.subjects_of(position).next().is_some())
    }

    /// The images that a companion is about and that are in the repository.
    pub fn subjects_of(&self, position: usize) -> impl Iterator<Item = usize> {
        let subjects = super::companion::subjects(self.image(position));
        subjects.into_iter().filter_map(|subject| self.position(&subject)).filter(move |at| *at != position)
    }

    /// An image with everything that hangs on it: children, companions, and theirs. Each once, the image first.
    pub fn with_descendants(&self, position: usize) -> Vec<usize> {
        let mut found = vec![position];
        let mut at = 0;
        while at < found.len() {
            let next = found[at];
            let below = self.children(next).map(|child| child.position).chain(self.companions(next));
            for position in below.collect::<Vec<_>>() {
                if !found.contains(&position) {
                    found.push(position);
                }
            }
            at += 1;
        }
        found
    }

    /// The bytes of an image with everything that hangs on it, where layers that several share count several times;
    /// `None` where a size or the children of an index are not known.
    pub fn bytes_with_descendants(&self, position: usize) -> Option<u64> {
        self.with_descendants(position).into_iter().try_fold(0u64, |sum, each| {
            if self.is_index(each) {
                self.listed(each).map(|_| sum)
            } else {
                Some(sum.saturating_add(self.image(each).size()?))
            }
        })
    }

    /// Returns the last pull of an image or of its children: which of them a pull by tag counts for is not documented.
    pub fn last_pull(&self, position: usize) -> Option<super::Time> {
        let of_children = self.children(position).map(|child| self.image(child.position).pulled());
        of_children.chain([self.image(position).pulled()]).max().flatten()
    }
}

/// The second halves of the pairs that begin with this position.
fn targets(edges: &[(u32, u32)], position: usize) -> impl Iterator<Item = usize> {
    let position = as_u32(position);
    let from = edges.partition_point(|(first, _)| *first < position);
    edges[from..].iter().take_while(move |(first, _)| *first == position).map(|(_, second)| *second as usize)
}
