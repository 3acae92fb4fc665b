//! Graph of one repository's images: edges from an index to its children, from a referrer to its subject, from a
//! companion tag to the image that it names.
//!
//! DescribeImages says everything but the children of an index; those come from its manifest, where somebody has it
//! ([`Graph::set_children`]). An image takes about 170 bytes, so that a repository of 100,000 fits anywhere.

mod children;
mod companion;
mod image;
mod kind;

use std::collections::HashMap;

pub use children::{Child, Children};
pub use companion::CompanionTag;
pub use image::{Detail, Image, Status, Time};
pub use kind::Kind;

use self::companion::subjects;
use self::image::DigestKey;
use super::{Digest, Manifest};

/// The images of a repository with the edges between them. Images go by their position in the order of [`Graph::add`].
#[derive(Debug, Default)]
pub struct Graph {
    /// The account whose registry it is.
    account: Option<Box<str>>,
    images: Vec<Image>,
    /// Media types and artifact types, each once.
    types: Vec<Box<str>>,
    /// Platforms of children, each once.
    platforms: Vec<Box<str>>,
    /// Positions in the order of the digests; complete after [`Graph::link`].
    by_digest: Vec<u32>,
    children: HashMap<u32, Children>,
    /// Child and parent, sorted.
    parents: Vec<(u32, u32)>,
    /// Subject and companion, sorted.
    companions: Vec<(u32, u32)>,
}

impl Graph {
    /// Adds an image. [`Graph::link`] has to follow before anything is asked about edges or digests.
    pub fn add(&mut self, image: Detail) {
        let Detail { mut image, account, media_type, artifact_type } = image;
        self.account = self.account.take().or(account.map(String::into_boxed_str));
        image.media_type = self.intern(media_type.as_deref());
        image.artifact_type = self.intern(artifact_type.as_deref());
        self.images.push(image);
    }

    fn intern(&mut self, text: Option<&str>) -> Option<std::num::NonZeroU16> {
        intern(&mut self.types, text?)
    }

    /// Sorts the images and makes the edges. An image that a listing answered twice, because it changed meanwhile, is
    /// kept as it came last.
    pub fn link(&mut self) {
        self.images.shrink_to_fit();
        self.by_digest = (0..self.len_u32()).collect();
        let images = &self.images;
        self.by_digest.sort_by(|one, other| {
            let (one, other) = (*one as usize, *other as usize);
            images[one].key.cmp(&images[other].key).then(other.cmp(&one))
        });
        let twice = |one: &mut u32, kept: &mut u32| images[*one as usize].key == images[*kept as usize].key;
        self.by_digest.dedup_by(twice);
        if self.by_digest.len() < self.images.len() {
            self.drop_repeated();
        }
        self.draw_edges();
    }

    /// Removes images that were added twice, and all children; positions change, so children are set afterwards.
    fn drop_repeated(&mut self) {
        let mut kept = vec![false; self.images.len()];
        self.by_digest.iter().for_each(|position| kept[*position as usize] = true);
        let mut position = 0;
        self.images.retain(|_| {
            position += 1;
            kept[position - 1]
        });
        self.children.clear();
        let images = &self.images;
        self.by_digest = (0..self.len_u32()).collect();
        self.by_digest.sort_by(|one, other| images[*one as usize].key.cmp(&images[*other as usize].key));
    }

    fn draw_edges(&mut self) {
        let mut companions = Vec::new();
        for position in 0..self.len() {
            for subject in subjects(&self.images[position]) {
                if let Some(subject) = self.position(&subject).filter(|subject| *subject != position) {
                    companions.push((as_u32(subject), as_u32(position)));
                }
            }
        }
        companions.sort_unstable();
        companions.dedup();
        self.companions = companions;
        let of_parent = |(parent, children): (&u32, &Children)| {
            let parent = *parent;
            children.present.iter().map(move |(child, _)| (*child, parent)).collect::<Vec<_>>()
        };
        let mut parents: Vec<(u32, u32)> = self.children.iter().flat_map(of_parent).collect();
        parents.sort_unstable();
        parents.dedup();
        self.parents = parents;
    }

    /// Sets the children of an index. [`Graph::link`] has to come before and, when all children are set, after.
    pub fn set_children(&mut self, index: usize, manifest: &Manifest) {
        let listed = manifest.children().into_iter();
        let listed =
            listed.map(|child| (child.digest.clone(), child.platform().map(|platform| platform.to_string())));
        self.set_listed(index, listed.collect::<Vec<_>>());
    }

    /// Sets the children of an index, as [`Graph::set_children`] does, by digests and platforms.
    pub fn set_listed(&mut self, index: usize, listed: impl IntoIterator<Item = (Digest, Option<String>)>) {
        let mut children = Children::default();
        for (digest, platform) in listed {
            let platform = platform.and_then(|platform| intern(&mut self.platforms, &platform));
            match self.position(&digest).filter(|position| *position != index) {
                Some(position) => children.present.push((as_u32(position), platform)),
                None => children.absent.push(digest),
            }
        }
        self.children.insert(as_u32(index), children);
    }

    /// The account whose registry it is; not known while there is no image.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Returns whether the repository is empty.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The image at a position.
    pub fn image(&self, position: usize) -> &Image {
        &self.images[position]
    }

    /// The position of the image of this digest.
    pub fn position(&self, digest: &Digest) -> Option<usize> {
        let key = DigestKey::of(digest);
        let found = self.by_digest.binary_search_by(|position| self.images[*position as usize].key.cmp(&key));
        found.ok().map(|at| self.by_digest[at] as usize)
    }

    /// The position of the image that has this tag. Looks at every image.
    pub fn tagged(&self, tag: &str) -> Option<usize> {
        (0..self.len()).find(|position| self.images[*position].tags().any(|known| known == tag))
    }

    /// The media type of an image's manifest.
    pub fn media_type(&self, position: usize) -> Option<&str> {
        self.text(self.images[position].media_type)
    }

    /// The artifact type of an image, which for ordinary images is the media type of their configuration.
    pub fn artifact_type(&self, position: usize) -> Option<&str> {
        self.text(self.images[position].artifact_type)
    }

    fn text(&self, interned: Option<std::num::NonZeroU16>) -> Option<&str> {
        Some(&self.types[usize::from(interned?.get()) - 1])
    }

    /// Returns whether an image lists other manifests.
    pub fn is_index(&self, position: usize) -> bool {
        self.media_type(position).is_some_and(super::media_type::is_index)
    }

    fn len_u32(&self) -> u32 {
        as_u32(self.images.len())
    }
}

/// Positions fit into 32 bits: a repository has 100,000 images, or some more where its quota was raised.
fn as_u32(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// The number of a text in a list of texts, from 1; `None` where there are too many different ones.
fn intern(texts: &mut Vec<Box<str>>, text: &str) -> Option<std::num::NonZeroU16> {
    let at = texts.iter().position(|known| **known == *text).unwrap_or_else(|| {
        texts.push(text.into());
        texts.len() - 1
    });
    u16::try_from(at + 1).ok().and_then(std::num::NonZeroU16::new)
}

#[cfg(test)]
mod tests;
