//! OCI nouns: digest, descriptor, manifest, reference, platform.

pub mod host;
