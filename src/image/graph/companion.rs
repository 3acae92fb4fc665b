//! Companions: images that exist for the sake of another one.

use super::{Graph, Image};
use crate::image::Digest;

/// Kind of a companion by its tag: cosign's endings, and the tag of the referrers tag schema (OCI
/// distribution specification 1.1), which GitHub uses for attestations too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompanionTag {
    /// `sha256-<hex>`
    Referrers,
    /// `sha256-<hex>.sig`
    Signature,
    /// `sha256-<hex>.att`
    Attestation,
    /// `sha256-<hex>.sbom`
    Sbom,
}

impl CompanionTag {
    /// Reads a tag that names another image by its digest; `None` for ordinary tags.
    pub fn read(tag: &str) -> Option<(Digest, Self)> {
        let (digits, ending) = tag.strip_prefix("sha256-")?.split_at_checked(64)?;
        let kind = match ending {
            "" => Self::Referrers,
            ".sig" => Self::Signature,
            ".att" => Self::Attestation,
            ".sbom" => Self::Sbom,
            _ => return None,
        };
        Some((format!("sha256:{digits}").parse().ok()?, kind))
    }
}

impl Image {
    /// Returns the tags that are not companions': all but those that name another image by its digest.
    pub fn ordinary_tags(&self) -> impl Iterator<Item = &str> {
        self.tags().filter(|tag| CompanionTag::read(tag).is_none())
    }

    /// Returns whether the image is a companion: it has a subject, or only tags that name another image by its digest.
    pub fn is_companion(&self) -> bool {
        self.subject().is_some() || (self.is_tagged() && self.ordinary_tags().next().is_none())
    }
}

impl Graph {
    /// Returns whether an image is a companion, even of an image that the repository does not have.
    pub fn is_companion(&self, position: usize) -> bool {
        self.image(position).is_companion()
    }
}

/// The digests that a companion is about; none for other images.
pub(super) fn subjects(image: &Image) -> Vec<Digest> {
    let mut subjects: Vec<Digest> = image.subject().into_iter().collect();
    if image.is_companion() {
        subjects.extend(image.tags().filter_map(CompanionTag::read).map(|(digest, _)| digest));
    }
    subjects
}
