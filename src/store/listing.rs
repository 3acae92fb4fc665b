//! Tag listings of stores. Names come from outside, and only valid ones become [`Tag`]s.

use crate::escape::escape;
use crate::image::{Digest, Tag};

/// All tags of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagListing {
    /// The tags.
    pub tags: Vec<Tag>,
    /// Listed names that are no tags.
    pub invalid: Vec<String>,
    /// The answer had a list; some registries answer `null` where there are no tags.
    pub is_list: bool,
}

/// Chosen tags of a repository with their digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageListing {
    /// The tags that can be read.
    pub images: Vec<(Tag, Digest)>,
    /// Listed tags that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// The answer had a list; some registries answer `null` where there are no tags.
    pub is_list: bool,
}

impl Default for TagListing {
    fn default() -> Self {
        Self { tags: Vec::new(), invalid: Vec::new(), is_list: true }
    }
}

impl Default for ImageListing {
    fn default() -> Self {
        Self { images: Vec::new(), unreadable: Vec::new(), is_list: true }
    }
}

/// A name that a repository lists and that leads to no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The name, as it is listed.
    pub name: String,
    /// Reason for which it cannot be read.
    pub reason: String,
}

impl TagListing {
    /// Sorts listed names into tags and others.
    pub fn of<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        let mut listing = Self::default();
        for name in names {
            match name.as_ref().parse() {
                Ok(tag) => listing.tags.push(tag),
                Err(_) => listing.invalid.push(name.as_ref().to_owned()),
            }
        }
        listing
    }

    /// Leaves the names that are chosen.
    pub fn retain(&mut self, chosen: impl Fn(&str) -> bool) {
        self.tags.retain(|tag| chosen(tag));
        self.invalid.retain(|name| chosen(name));
    }
}

impl Unreadable {
    /// A listed name that is no tag.
    pub fn invalid(name: String) -> Self {
        Self { name, reason: "it is no tag".to_owned() }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", escape(&self.name), escape(&self.reason))
    }
}
