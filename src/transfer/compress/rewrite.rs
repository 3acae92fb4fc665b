//! Manifests whose layers were compressed: everything else in them stays, but their digests are others.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Method;
use crate::image::{Content, Descriptor, Digest, Error, Manifest, media_type};
use crate::transfer::plan::{ATTESTED, Plan};

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const OCI_FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Annotations that say where in a compressed layer its files are, which is no longer true.
const STALE: [&str; 2] = ["containerd.io/snapshot/stargz/", "io.github.containers.zstd-chunked."];

/// Returns the descriptor of a layer after compression.
pub(super) fn layer(old: &Descriptor, method: Method, digest: Digest, size: u64) -> Descriptor {
    let docker = old.media_type.starts_with(DOCKER_LAYER) && method != Method::Zstd;
    let media_type = match method {
        _ if docker => dockers(method),
        Method::Gzip => format!("{OCI_LAYER}+gzip"),
        Method::Zstd => format!("{OCI_LAYER}+zstd"),
        Method::Uncompressed => OCI_LAYER.to_owned(),
    };
    let mut new = Descriptor { media_type, digest, size, ..old.clone() };
    new.annotations.retain(|name, _| !STALE.iter().any(|stale| name.starts_with(stale)));
    new.urls.clear();
    new.other.remove("data");
    new
}

/// Docker's own media type of a layer, which there is none of for zstd.
fn dockers(method: Method) -> String {
    if method == Method::Uncompressed { DOCKER_LAYER.to_owned() } else { format!("{DOCKER_LAYER}.gzip") }
}

/// Returns the manifests below the root, and the root, with the new layers in place of the old ones.
pub(super) fn all(
    plan: &Plan,
    packed: &HashMap<Digest, Descriptor>,
    method: Method,
) -> Result<(Vec<Manifest>, Manifest), Error> {
    let mut changed: HashMap<Digest, Manifest> = HashMap::new();
    let mut manifests = Vec::new();
    for old in plan.image() {
        let new = match old.content() {
            Content::Image { config, layers } => image(old, config, layers, packed, method)?,
            Content::Index(entries) => index(old, entries, &changed)?,
        };
        let new = new.unwrap_or_else(|| old.clone());
        if new.digest() != old.digest() {
            changed.insert(old.digest().clone(), new.clone());
        }
        manifests.push(new);
    }
    let root = manifests.pop().unwrap_or_else(|| plan.root.clone());
    Ok((manifests, root))
}

fn image(
    old: &Manifest,
    config: &Descriptor,
    layers: &[Descriptor],
    packed: &HashMap<Digest, Descriptor>,
    method: Method,
) -> Result<Option<Manifest>, Error> {
    if !layers.iter().any(|layer| packed.contains_key(&layer.digest)) {
        return Ok(None);
    }
    // Docker's own manifest has no word for zstd.
    let convert = method == Method::Zstd && old.media_type() == media_type::DOCKER_MANIFEST;
    let rename = |entry: &Descriptor| match entry.media_type.as_str() {
        _ if !convert => entry.clone(),
        media_type::DOCKER_CONFIGURATION => with_type(entry, media_type::OCI_CONFIGURATION),
        DOCKER_FOREIGN => with_type(entry, OCI_FOREIGN),
        other => match other.strip_prefix(DOCKER_LAYER) {
            Some(suffix) => with_type(entry, &format!("{OCI_LAYER}{}", suffix.replace('.', "+"))),
            None => entry.clone(),
        },
    };
    // The same layer can be called by docker's name in one image and by OCI's in another.
    let docker = old.media_type() == media_type::DOCKER_MANIFEST && !convert;
    let replaced = |layer: &Descriptor| match packed.get(&layer.digest) {
        Some(new) => {
            let new = self::layer(layer, method, new.digest.clone(), new.size);
            if docker { with_type(&new, &dockers(method)) } else { new }
        }
        None => rename(layer),
    };
    let layers: Vec<Descriptor> = layers.iter().map(replaced).collect();
    let media_type = if convert { media_type::OCI_MANIFEST } else { old.media_type() };
    let config = convert.then(|| rename(config));
    edited(old, media_type, "layers", &layers, config.as_ref()).map(Some)
}

fn index(
    old: &Manifest,
    entries: &[Descriptor],
    changed: &HashMap<Digest, Manifest>,
) -> Result<Option<Manifest>, Error> {
    if !entries.iter().any(|entry| changed.contains_key(&entry.digest)) {
        return Ok(None);
    }
    let mut converted = false;
    let mut new: Vec<Descriptor> = Vec::new();
    for entry in entries {
        let mut entry = entry.clone();
        if let Some(child) = changed.get(&entry.digest) {
            converted |= entry.media_type != child.media_type();
            child.media_type().clone_into(&mut entry.media_type);
            entry.digest = child.digest().clone();
            entry.size = child.bytes().len() as u64;
            entry.other.remove("data");
        }
        // What buildkit attests about an image goes with it.
        let about = entry.annotation(ATTESTED).and_then(|digest| digest.parse::<Digest>().ok());
        if let Some(child) = about.and_then(|digest| changed.get(&digest)) {
            entry.annotations.insert(ATTESTED.to_owned(), child.digest().to_string().into());
        }
        new.push(entry);
    }
    let media_type = if converted { media_type::OCI_INDEX } else { old.media_type() };
    edited(old, media_type, "manifests", &new, None).map(Some)
}

fn with_type(entry: &Descriptor, media_type: &str) -> Descriptor {
    Descriptor { media_type: media_type.to_owned(), ..entry.clone() }
}

/// A manifest with another list, and everything else in it as it was.
fn edited(
    old: &Manifest,
    media_type: &str,
    member: &str,
    list: &[Descriptor],
    config: Option<&Descriptor>,
) -> Result<Manifest, Error> {
    let wrong = |error: serde_json::Error| Error::Manifest {
        digest: old.digest().clone(),
        reason: error.to_string(),
    };
    let mut members: Map<String, Value> = serde_json::from_slice(old.bytes()).map_err(wrong)?;
    members.insert(member.to_owned(), serde_json::to_value(list).map_err(wrong)?);
    if let Some(config) = config {
        members.insert("config".to_owned(), serde_json::to_value(config).map_err(wrong)?);
    }
    if members.contains_key("mediaType") {
        members.insert("mediaType".to_owned(), media_type.into());
    }
    let bytes = serde_json::to_vec(&members).map_err(wrong)?;
    Manifest::parse(bytes.into(), Some(media_type))
}
