//! Archives of docker before 1.10: no `manifest.json`, but a folder for each layer with `json`, `layer.tar` and
//! `VERSION`, and `repositories` with the top layer of each tag's image.
//!
//! Their layers have no digests and their images no configuration. Both are made as docker makes them when it loads
//! such an archive: layers are hashed, and the top layer's `json` becomes the configuration.

use std::collections::HashSet;

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::save::REPOSITORIES;
use crate::image::Digest;
use crate::store::archive::ArchiveReader;
use crate::store::{Error, files};

/// docker never had images of more layers.
const MAX_LAYERS: usize = 512;
/// Members of a layer's `json` that an image's configuration does not have.
const NOT_CONFIGURATION: [&str; 7] = ["id", "parent", "Size", "size", "parent_id", "layer_id", "throwaway"];

/// An image as it was found.
pub(super) struct LegacyImage {
    /// The configuration that was made for it.
    pub(super) configuration: Bytes,
    /// Its layers' paths, the lowest first.
    pub(super) layers: Vec<String>,
    /// Its names.
    pub(super) names: Vec<String>,
}

/// Everything that goes wrong here: which file, and how.
pub(super) type FileError<'a> = &'a dyn Fn(&str, &dyn std::fmt::Display) -> Error;

/// The images of an archive without `manifest.json`. `identify` answers the digest of a layer's file.
pub(super) fn images(
    archive: &ArchiveReader,
    wrong: FileError<'_>,
    identify: &dyn Fn(&str) -> Result<Digest, Error>,
) -> Result<Vec<LegacyImage>, Error> {
    let bytes = files::small(archive, REPOSITORIES)?.ok_or_else(|| wrong(super::LIST, &"it is missing"))?;
    let repositories: IndexMap<String, IndexMap<String, String>> =
        serde_json::from_slice(&bytes).map_err(|error| wrong(REPOSITORIES, &error))?;
    let mut tops: IndexMap<String, Vec<String>> = IndexMap::new();
    for (repository, tags) in repositories {
        for (tag, top) in tags {
            tops.entry(top).or_default().push(format!("{repository}:{tag}"));
        }
    }
    tops.into_iter().map(|(top, names)| image(archive, &top, names, wrong, identify)).collect()
}

fn image(
    archive: &ArchiveReader,
    top: &str,
    names: Vec<String>,
    wrong: FileError<'_>,
    identify: &dyn Fn(&str) -> Result<Digest, Error>,
) -> Result<LegacyImage, Error> {
    let mut chain: Vec<(String, Map<String, Value>)> = Vec::new();
    let mut seen = HashSet::new();
    let mut next = Some(top.to_owned());
    while let Some(layer) = next {
        let path = format!("{layer}/json");
        if chain.len() == MAX_LAYERS || !seen.insert(layer.clone()) {
            return Err(wrong(&path, &"its layers have no end"));
        }
        let bytes = files::small(archive, &path)?.ok_or_else(|| wrong(&path, &"it is missing"))?;
        let members: Map<String, Value> =
            serde_json::from_slice(&bytes).map_err(|error| wrong(&path, &error))?;
        next = members.get("parent").and_then(Value::as_str).map(ToOwned::to_owned);
        chain.push((layer, members));
    }
    chain.reverse();
    let layers: Vec<String> = chain.iter().map(|(layer, _)| format!("{layer}/layer.tar")).collect();
    let identities: Vec<Digest> = layers.iter().map(|path| identify(path)).collect::<Result<_, _>>()?;
    let history: Vec<Value> = chain.iter().map(|(_, members)| step(members)).collect();
    let mut configuration = chain.pop().map(|(_, members)| members).unwrap_or_default();
    configuration.retain(|name, _| !NOT_CONFIGURATION.contains(&name.as_str()));
    configuration.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": identities}));
    configuration.insert("history".to_owned(), Value::Array(history));
    let configuration = Value::Object(configuration).to_string().into();
    Ok(LegacyImage { configuration, layers, names })
}

/// A layer in the history of its image.
fn step(layer: &Map<String, Value>) -> Value {
    let mut step = Map::new();
    for name in ["created", "author", "comment"] {
        if let Some(text) = layer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()) {
            step.insert(name.to_owned(), text.into());
        }
    }
    let words = layer.get("container_config").and_then(|config| config.get("Cmd")).and_then(Value::as_array);
    let words: Vec<&str> = words.into_iter().flatten().filter_map(Value::as_str).collect();
    if !words.is_empty() {
        step.insert("created_by".to_owned(), words.join(" ").into());
    }
    Value::Object(step)
}
