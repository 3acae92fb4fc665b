//! Writing manifests to a registry.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use super::read::refused;
use super::resource::Resource;
use super::token::Right;
use super::{Error, Remote};
use crate::image::Manifest;

impl Remote {
    pub(super) async fn put(&self, manifest: &Manifest, resource: Resource<'_>) -> Result<(), Error> {
        let put = async || {
            let response = self
                .reads
                .ask(Right::Push, &Method::PUT, resource, |request| {
                    request.header(CONTENT_TYPE, manifest.media_type()).body(manifest.bytes().clone())
                })
                .await?;
            if response.status().is_success() { Ok(()) } else { Err(refused(response).await) }
        };
        self.repeated("push a manifest to", put).await
    }
}
