//! Amazon ECR's quotas, as its user guide lists them, in one place so that tests can reach them.

const MIB: i64 = 1024 * 1024;

/// Quotas of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Limits {
    /// Images of one repository.
    pub(in crate::local) images: i64,
    /// Tags of one image.
    pub(in crate::local) tags: i64,
    /// Parts of one layer.
    pub(in crate::local) parts: i64,
    /// Parts of one layer of a public repository.
    pub(in crate::local) public_parts: i64,
    /// Bytes of one layer.
    pub(in crate::local) layer: i64,
    /// Bytes of one layer of a public repository.
    pub(in crate::local) public_layer: i64,
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
