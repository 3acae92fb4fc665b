//! Writing manifests to a registry.

use reqwest::header::HeaderValue;

use super::error::Trouble;
use super::{Error, Remote};
use crate::image::Manifest;

impl Remote {
    pub(super) async fn put(&self, manifest: &Manifest, name: &str) -> Result<(), Error> {
        let reference = self.reference(name);
        let put = async || {
            let media_type = HeaderValue::from_str(manifest.media_type())
                .map_err(|error| Trouble::plain(error.to_string()))?;
            let answer =
                self.client.push_manifest_raw(&reference, manifest.bytes().clone(), media_type).await;
            answer.map(|_| ()).map_err(Trouble::of)
        };
        self.repeated("push a manifest to", put).await
    }
}
