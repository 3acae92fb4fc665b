//! The media types that manifests and layers carry.

/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A docker image manifest, schema 1: known so that it can be refused by name.
pub const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";

/// Prefix of the media types of schema 1, signed ones too.
const DOCKER_SCHEMA_1_FAMILY: &str = "application/vnd.docker.distribution.manifest.v1+";
/// A manifest of artifacts that OCI drafted and withdrew: known so that it is not taken for a blob.
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// The configuration of an OCI image.
pub const OCI_CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
/// The configuration of a docker image.
pub const DOCKER_CONFIGURATION: &str = "application/vnd.docker.container.image.v1+json";

/// Media types in the `Accept` header of requests for manifests. ECR converts what is missing from the list into what
/// is on it (an index into one platform's manifest), and a converted manifest has another digest.
pub const MANIFESTS: [&str; 5] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, DOCKER_SCHEMA_1];

/// Returns whether a manifest of this media type lists other manifests.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

/// Returns whether a manifest of this media type lists layers.
pub fn is_image(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Returns whether an entry of an index is a manifest. Indexes may list other content too, as the caches of buildkit
/// do, and registries keep that as blobs.
pub fn is_manifest(media_type: &str) -> bool {
    media_type.is_empty()
        || media_type == OCI_ARTIFACT
        || is_index(media_type)
        || is_image(media_type)
        || media_type.starts_with(DOCKER_SCHEMA_1_FAMILY)
}

/// Returns whether this is the configuration of an image that can be run, and not another blob that a registry keeps.
pub fn is_configuration(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIGURATION | DOCKER_CONFIGURATION)
}

/// Returns whether registries do not keep layers of this media type: their content lies elsewhere, at the descriptor's
/// `urls`.
pub fn is_foreign(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
        || media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
}

/// Returns whether a layer of this media type is encrypted (ocicrypt).
pub fn is_encrypted(media_type: &str) -> bool {
    media_type.ends_with("+encrypted")
}
