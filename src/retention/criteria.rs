//! Criteria by which images are chosen, and by which they stay all the same.

use crate::image::glob;
use crate::image::graph::{Image, Time};

/// Criteria for choosing images, and for keeping them all the same. An image is chosen if all criteria that are given
/// hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria {
    /// Only images with tags, or only images without.
    pub tags: Option<TagState>,
    /// Only images with a tag that matches one of these globs; all where there are none.
    pub matching: Vec<String>,
    /// Only images pushed before this.
    pub pushed_before: Option<Time>,
    /// Only images that nobody has pushed or pulled since this, nor any of their children.
    pub unused_since: Option<Time>,
    /// Only companions without a subject and indexes without any of their children.
    pub orphans: bool,
    /// The number of newest tagged images that stay; with [`Criteria::by_tag`] of tags.
    pub keep: Option<usize>,
    /// Images with a tag that matches one of these globs stay.
    pub keep_tags: Vec<String>,
    /// Start of the grace period: images pushed after it stay, since pushes that are under way write children before their index.
    pub young_since: Time,
    /// Tags are removed, and images only with their last one.
    pub by_tag: bool,
    /// Images are archived and not deleted, so that archived ones are none of its business.
    pub archives: bool,
}

/// Presence of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagState {
    /// The image has tags.
    Tagged,
    /// The image has no tags.
    Untagged,
}

impl Criteria {
    /// Returns criteria that choose nothing but named images, and keep everything pushed after `young_since`.
    pub fn none(young_since: Time) -> Self {
        Self {
            tags: None,
            matching: Vec::new(),
            pushed_before: None,
            unused_since: None,
            orphans: false,
            keep: None,
            keep_tags: Vec::new(),
            young_since,
            by_tag: false,
            archives: false,
        }
    }

    /// Returns whether some criterion chooses images: `--keep` and other keeping ones alone choose nothing.
    pub fn choose(&self) -> bool {
        self.tags.is_some()
            || !self.matching.is_empty()
            || self.pushed_before.is_some()
            || self.unused_since.is_some()
            || self.orphans
    }

    /// Returns whether a tag matches `--matching`.
    pub(super) fn matches(&self, tag: &str) -> bool {
        self.matching.is_empty() || self.matching.iter().any(|pattern| glob::matches(pattern, tag))
    }

    /// Returns whether an ordinary tag of an image matches `--matching`.
    pub(super) fn matches_any(&self, image: &Image) -> bool {
        self.matching.is_empty() || image.ordinary_tags().any(|tag| self.matches(tag))
    }

    /// Returns whether a tag is protected by `--keep-tag`.
    pub(super) fn keeps_tag(&self, tag: &str) -> bool {
        self.keep_tags.iter().any(|pattern| glob::matches(pattern, tag))
    }

    /// Returns whether an image has a tag that is protected by `--keep-tag`.
    pub(super) fn keeps_by_tag(&self, image: &Image) -> bool {
        !self.keep_tags.is_empty() && image.tags().any(|tag| self.keeps_tag(tag))
    }
}
