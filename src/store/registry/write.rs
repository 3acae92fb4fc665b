//! Writing manifests to a registry.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use super::read::refused;
use super::token::Right;
use super::{Error, Remote};
use crate::image::Manifest;

impl Remote {
    pub(super) async fn put(&self, manifest: &Manifest, name: &str) -> Result<(), Error> {
        let path = format!("manifests/{name}");
        let put = async || {
            let response = self
                .reads
                .ask(Right::Push, &Method::PUT, &path, |request| {
                    request.header(CONTENT_TYPE, manifest.media_type()).body(manifest.bytes().clone())
                })
                .await?;
            if response.status().is_success() { Ok(()) } else { Err(refused(response).await) }
        };
        self.repeated("push a manifest to", put).await
    }
}
