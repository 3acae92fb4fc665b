//! Amazon ECR's quotas (`research/engines.md` 1.1), in one place so that tests can reach them.

use super::call::Call;

const MIB: i64 = 1024 * 1024;

/// How many of each there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limits {
    /// Images of one repository.
    pub(super) images: i64,
    /// Tags of one image.
    pub(super) tags: i64,
    /// Parts of one layer.
    pub(super) parts: i64,
    /// Parts of one layer of a public repository.
    pub(super) public_parts: i64,
    /// Bytes of one layer.
    pub(super) layer: i64,
    /// Bytes of one layer of a public repository.
    pub(super) public_layer: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            images: 100_000,
            tags: 1_000,
            parts: 4_200,
            public_parts: 1_000,
            layer: 52_000 * MIB,
            public_layer: 10_000 * MIB,
        }
    }
}

impl Limits {
    /// The most parts and bytes of the layer that a request is about.
    pub(super) fn of_layer(&self, call: &Call<'_>) -> (i64, i64) {
        if call.is_public() { (self.public_parts, self.public_layer) } else { (self.parts, self.layer) }
    }
}
