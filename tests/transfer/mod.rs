//! The engine against a scripted ECR, layouts, archives and memory.

#![allow(
    clippy::unwrap_used,
    reason = "clippy takes only the tests themselves for tests, not what they call"
)]

mod attempts;
mod bad_networks;
mod both_routes;
mod commands;
mod compress;
mod docker;
mod early;
mod engine;
mod fake;
mod faults;
mod halting;
mod interrupts;
mod limiter;
mod listings;
mod mirrors;
mod nearby;
mod others;
mod pairs;
mod places;
mod prepared;
mod pull;
mod push;
mod referrers;
mod refusals;
mod registry;
mod sequences;
mod server;
mod slow;
mod stages;
mod streams;
mod sync;

use std::path::Path;
use std::sync::Arc;

use ecr::image::{Descriptor, Digest, Manifest, Name, media_type};
use ecr::store::{ArchivePath, Memory, Shared, Store, TagListing, scheme};
use ecr::transfer::progress::{Progress, Silent};
use ecr::transfer::{Error, Options, Outcome, copy};
use serde_json::{Value, json};

use crate::harness::random::Random;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A path as it is written on the command line, with a scheme or without.
fn archive_path(text: &str) -> ArchivePath {
    match scheme::parse(text).unwrap() {
        Some(scheme::Place::Path(path)) => path,
        None => ArchivePath::parse(None, text).unwrap(),
        Some(other) => panic!("{text} is no path but {other:?}"),
    }
}

/// Bytes that do not repeat.
fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// All of the only image there is, under these tags.
fn options(tags: &[&str]) -> Options {
    Options {
        image: Name::Unnamed,
        expected: None,
        platforms: Vec::new(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        referrers: false,
        jobs: 4,
        buffers: ecr::store::Buffers::within(ecr::store::DEFAULT_MEMORY),
        verify: false,
        compression: None,
        cache: None,
    }
}

fn silent() -> Arc<dyn Progress> {
    Arc::new(Silent)
}

async fn run(source: &Shared, destination: &Shared, options: &Options) -> Result<Outcome, Error> {
    copy(source, destination, options, &silent()).await
}

/// An image of these layers for a platform.
async fn image(store: &Memory, architecture: &str, layers: &[Descriptor]) -> Manifest {
    let config = json!({"architecture": architecture, "os": "linux"}).to_string();
    let config = store.add_blob(CONFIG, config);
    manifest(&json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": config,
        "layers": layers,
    }))
}

fn manifest(value: &Value) -> Manifest {
    Manifest::parse(value.to_string().into(), None).unwrap()
}

/// A store with one image of these layers, tagged `1`.
async fn single(layers: &[Vec<u8>]) -> (Arc<Memory>, Manifest) {
    let store = Arc::new(Memory::new());
    let layers: Vec<Descriptor> = layers.iter().map(|layer| store.add_blob(LAYER, layer.clone())).collect();
    let image = image(&store, "amd64", &layers).await;
    store.put_image(&image, &["1".to_owned()]).await.unwrap();
    (store, image)
}

/// Adds an image of these layers to a layout, for commands to read; answers its digest.
fn lay_out(path: &Path, tag: &str, layers: &[Vec<u8>]) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (memory, image) = single(layers).await;
        let layout: Shared = Arc::new(ecr::store::Layout::new(path));
        run(&(memory as Shared), &layout, &options(&[tag])).await.unwrap();
        image.digest().to_string()
    })
}

/// A store with an index of two images that share a layer, tagged `1`.
async fn index() -> (Arc<Memory>, Manifest, Vec<Manifest>) {
    let store = Arc::new(Memory::new());
    let shared = store.add_blob(LAYER, noise(1000, 1));
    let mut children = Vec::new();
    let mut entries = Vec::new();
    for (architecture, seed) in [("amd64", 2), ("arm64", 3)] {
        let own = store.add_blob(LAYER, noise(2000, seed));
        let image = image(&store, architecture, &[shared.clone(), own]).await;
        store.put_manifest(&image).await.unwrap();
        let mut entry = image.descriptor();
        entry.platform = Some(json!({"architecture": architecture, "os": "linux"}));
        entries.push(entry);
        children.push(image);
    }
    let index = manifest(&json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries, "annotations": {"a": "b"}
    }));
    store.put_image(&index, &["1".to_owned()]).await.unwrap();
    (store, index, children)
}

/// A manifest about another one, with a blob of its own; `kind` is its artifact type.
fn about(store: &Memory, subject: &Manifest, kind: &str) -> Manifest {
    let config = store.add_blob("application/vnd.oci.empty.v1+json", "{}");
    let layer = store.add_blob("a/text", format!("{kind} of {}", subject.digest()));
    manifest(&json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "artifactType": kind,
        "config": config, "layers": [layer], "subject": subject.descriptor(), "annotations": {"kind": kind}
    }))
}

fn digests<'a>(blobs: impl Iterator<Item = &'a Descriptor>) -> Vec<Digest> {
    blobs.map(|blob| blob.digest.clone()).collect()
}
