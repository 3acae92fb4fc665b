//! Docker's registry API on the same store, to the OCI distribution specification 1.1: HTTP to the core and back.

pub(in crate::local) mod blob_requests;
pub(in crate::local) mod blobs;
pub(in crate::local) mod error;
pub(in crate::local) mod identity;
pub(in crate::local) mod listing;
pub(in crate::local) mod manifest_requests;
pub(in crate::local) mod manifests;
pub(in crate::local) mod path;
pub(in crate::local) mod receive;
pub(in crate::local) mod registry;
pub(in crate::local) mod repository;
pub(in crate::local) mod requests;
pub(in crate::local) mod sessions;
pub(in crate::local) mod token;
pub(in crate::local) mod upload_requests;
