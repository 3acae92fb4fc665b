//! Choice of the layers of a transfer that are compressed, and of the method.

use indexmap::IndexMap;
use serde::Deserialize;

use super::Layer;
use super::compression::{Compression, LayerEncoding, Method};
use crate::image::{Content, Descriptor, Digest, Manifest, media_type, null_is_default};
use crate::store::{Capabilities, Shared};
use crate::transfer::plan::{self, Plan};
use crate::transfer::{Error, Options};

/// Compression of a transfer, with the conditions that choose the layers.
pub(super) struct Choice {
    pub(super) compression: Compression,
    /// The user asked for compression.
    asked: bool,
    /// Capabilities of the destination; the least if there is none.
    to: Capabilities,
    /// The image's own digest is asked for.
    fixed: bool,
}

impl Choice {
    /// Decides on a compression; `None` where everything stays as it is.
    pub(super) fn of(
        source: &Shared,
        destination: Option<&Shared>,
        options: &Options,
        plan: &Plan,
    ) -> Result<Option<Self>, Error> {
        let to = destination.map(|destination| destination.capabilities()).unwrap_or_default();
        let asked = options.compression;
        if let Some(destination) = destination.filter(|_| to.is_docker_format)
            && asked.is_some_and(|asked| asked.method == Method::Zstd)
        {
            return Err(Error::NotForDocker {
                place: destination.name(),
                digest: plan.root.digest().clone(),
                reason: "older engines cannot load layers that zstd compressed; leave out --compress zstd",
            });
        }
        let compression = match asked {
            Some(asked) => asked,
            None if to.is_docker_format => Compression::UNCOMPRESSED,
            None if source.capabilities().is_docker_format => Compression::USUAL,
            None => return Ok(None),
        };
        let fixed = options.expected.as_ref() == Some(plan.root.digest());
        Ok(Some(Self { compression, asked: asked.is_some(), to, fixed }))
    }

    fn wants(&self, layer: &Descriptor) -> bool {
        match LayerEncoding::of(&layer.media_type) {
            None => false,
            Some(form) if self.asked => {
                Some(form) != self.compression.method.form() || self.compression.level.is_some()
            }
            Some(form) if self.to.is_docker_format => {
                matches!(form, LayerEncoding::Zstd | LayerEncoding::XzOrBzip2)
            }
            Some(LayerEncoding::Uncompressed) => self.to.is_remote && !self.fixed,
            Some(form) => form == LayerEncoding::XzOrBzip2,
        }
    }

    /// The layers to compress, by their digests.
    pub(super) async fn layers(
        &self,
        source: &Shared,
        plan: &Plan,
    ) -> Result<IndexMap<Digest, Layer>, Error> {
        let wanted = |layer: &Descriptor| self.wants(layer);
        let mut layers: IndexMap<Digest, Layer> = IndexMap::new();
        for image in plan.image() {
            let Content::Image { config, layers: listed } = image.content() else { continue };
            if !media_type::is_configuration(&config.media_type) || !listed.iter().any(wanted) {
                continue;
            }
            // What says nothing about a root file system only looks like an image, and stays as it is.
            let diff_ids = diff_ids(source, image, config, listed.len()).await?.unwrap_or_default();
            for (blob, identity) in listed.iter().zip(diff_ids).filter(|(blob, _)| wanted(blob)) {
                let new = || Layer { blob: blob.clone(), diff_ids: Vec::new() };
                layers.entry(blob.digest.clone()).or_insert_with(new).diff_ids.push(identity);
            }
        }
        Ok(layers)
    }
}

#[derive(Deserialize)]
struct Configuration {
    rootfs: Option<RootFileSystem>,
}

#[derive(Deserialize)]
struct RootFileSystem {
    #[serde(default, deserialize_with = "null_is_default")]
    diff_ids: Vec<Digest>,
}

/// Reads the `diff_ids` of an image, one for each layer; `None` if its configuration has none.
async fn diff_ids(
    source: &Shared,
    image: &Manifest,
    config: &Descriptor,
    layers: usize,
) -> Result<Option<Vec<Digest>>, Error> {
    let wrong = |reason: String| Error::Configuration {
        place: source.name(),
        digest: image.digest().clone(),
        reason,
    };
    let bytes = plan::configuration(source, config).await?;
    let bytes = bytes.ok_or_else(|| wrong(format!("it has {} bytes", config.size)))?;
    let configuration: Configuration =
        serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let Some(RootFileSystem { diff_ids }) = configuration.rootfs else { return Ok(None) };
    if diff_ids.len() == layers {
        Ok(Some(diff_ids))
    } else {
        Err(wrong(format!("it has {} layers, and the manifest {layers}", diff_ids.len())))
    }
}
