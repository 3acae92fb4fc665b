//! OCI nouns: digest, descriptor, manifest, reference, platform.
