//! Difference between a mirror and its source.

use std::collections::{HashMap, HashSet};

use super::options::SyncOptions;
use crate::image::{Digest, Tag};
use crate::store::{ImageListing, Unreadable};

/// Difference between a mirror and its source.
#[derive(Default)]
pub(super) struct Difference {
    /// Images to copy, with the tags that they lack.
    pub(super) images: Vec<(Digest, Vec<Tag>)>,
    /// Tags that name another image at the mirror, with the source's image.
    pub(super) moved: Vec<(Tag, Digest)>,
    /// Tags that the mirror has and its source does not list.
    pub(super) extra: Vec<Tag>,
    /// Tags that are the same.
    pub(super) same: usize,
    /// Listed tags of the source that cannot be read.
    pub(super) unreadable: Vec<Unreadable>,
    /// Number of the chosen tags that the mirror has.
    pub(super) at_mirror: usize,
    /// The source lists a tag.
    pub(super) source_has_tags: bool,
    /// The source answered a list.
    pub(super) source_is_list: bool,
}

/// Compares the tags of both sides.
pub(super) fn differ(source: ImageListing, mirror: &ImageListing, wanted: &SyncOptions<'_>) -> Difference {
    let there: HashMap<&Tag, &Digest> = mirror.images.iter().map(|(tag, digest)| (tag, digest)).collect();
    let mut difference = Difference {
        at_mirror: mirror.images.len() + mirror.unreadable.len(),
        source_has_tags: !source.images.is_empty() || !source.unreadable.is_empty(),
        source_is_list: source.is_list,
        ..Difference::default()
    };
    let mut places: HashMap<&Digest, usize> = HashMap::new();
    for (tag, digest) in &source.images {
        let same = there.get(tag) == Some(&digest);
        if !same && there.contains_key(tag) {
            difference.moved.push((tag.clone(), digest.clone()));
        }
        difference.same += usize::from(same);
        // What is about an image may be newer than its tag.
        if same && !wanted.referrers {
            continue;
        }
        let images = &mut difference.images;
        let place = *places.entry(digest).or_insert_with(|| {
            images.push((digest.clone(), Vec::new()));
            images.len() - 1
        });
        if !same {
            images[place].1.push(tag.clone());
        }
    }
    let listed = source.images.iter().map(|(tag, _)| tag.as_str());
    let listed: HashSet<&str> =
        listed.chain(source.unreadable.iter().map(|unreadable| unreadable.name.as_str())).collect();
    let goes = |tag: &&&Tag| !listed.contains(tag.as_str()) && !is_digest_tag(tag);
    if wanted.deletion.wanted {
        difference.extra = there.keys().filter(goes).map(|tag| (*tag).clone()).collect();
    }
    difference.extra.sort();
    difference.unreadable = source.unreadable;
    difference
}

/// Returns whether a tag has a digest in it. It names a referrer of the image with that digest. A registry that lists
/// referrers itself needs no such tag, so its absence at the source proves nothing.
fn is_digest_tag(tag: &str) -> bool {
    const DIGITS: usize = 64;
    let digits = tag.strip_prefix("sha256-").or_else(|| tag.strip_prefix("sha512-"));
    digits
        .and_then(|digits| digits.get(..DIGITS))
        .is_some_and(|digits| digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests;
