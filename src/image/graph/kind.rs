//! Kinds of images.

use std::fmt;

use super::{CompanionTag, Graph};
use crate::image::media_type;

/// Kind of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A list of manifests, as a rule for several platforms.
    Index,
    /// An image that can be run.
    Image,
    /// A statement about an image, such as its provenance.
    Attestation,
    /// A signature.
    Signature,
    /// A bill of materials.
    Sbom,
    /// An index of files for lazy loading with SOCI.
    Soci,
    /// Anything else that a registry keeps.
    Artifact,
}

/// Artifact types, or their beginnings, with the kinds.
const ARTIFACT_TYPES: &[(&str, Kind)] = &[
    ("application/vnd.dev.cosign.artifact.sig.", Kind::Signature),
    ("application/vnd.dev.cosign.artifact.att.", Kind::Attestation),
    ("application/vnd.dev.cosign.artifact.sbom.", Kind::Sbom),
    ("application/vnd.cncf.notary.signature", Kind::Signature),
    ("application/vnd.dev.sigstore.bundle", Kind::Signature),
    ("application/vnd.in-toto", Kind::Attestation),
    ("application/vnd.dsse.envelope", Kind::Attestation),
    ("application/spdx", Kind::Sbom),
    ("text/spdx", Kind::Sbom),
    ("application/vnd.cyclonedx", Kind::Sbom),
    ("application/vnd.syft", Kind::Sbom),
    ("application/vnd.amazon.soci.index", Kind::Soci),
];

impl Kind {
    /// Returns the name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Image => "image",
            Self::Attestation => "attestation",
            Self::Signature => "signature",
            Self::Sbom => "sbom",
            Self::Soci => "soci",
            Self::Artifact => "artifact",
        }
    }

    /// The kind that an artifact type names; `None` for configurations of images.
    fn of_artifact_type(artifact_type: &str) -> Option<Self> {
        if media_type::is_configuration(artifact_type) {
            return None;
        }
        let known = ARTIFACT_TYPES.iter().find(|(start, _)| artifact_type.starts_with(start));
        Some(known.map_or(Self::Artifact, |(_, kind)| *kind))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl Graph {
    /// Kind of an image. An attestation that an index lists looks like an image until the manifest of the index is
    /// known.
    pub fn kind(&self, position: usize) -> Kind {
        let by_type = self.artifact_type(position).and_then(Kind::of_artifact_type);
        if let Some(kind) = by_type.filter(|kind| *kind != Kind::Artifact) {
            return kind;
        }
        let image = self.image(position);
        let tags = image.is_companion().then(|| image.tags().find_map(CompanionTag::read)).flatten();
        match tags {
            Some((_, CompanionTag::Signature)) => return Kind::Signature,
            Some((_, CompanionTag::Attestation)) => return Kind::Attestation,
            Some((_, CompanionTag::Sbom)) => return Kind::Sbom,
            Some((_, CompanionTag::Referrers)) | None => {}
        }
        if self.is_index(position) {
            Kind::Index
        } else if self.is_attestation_child(position) {
            Kind::Attestation
        } else {
            by_type.unwrap_or(Kind::Image)
        }
    }
}
