//! An embedded ECR behind a server that remembers every call and can do something between two of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ecr::local::{Caller, Local};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::scripted::{Refusal, Service};
use super::WRITING;
use crate::harness::Machine;
use crate::harness::registry::digest;

pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const ACCOUNT: &str = "123456789012";

/// Called before a call is answered: with the registry, the operation, its input, and the number of calls before. An
/// answer of its own takes the place of the registry's.
pub(super) type Hook = dyn Fn(&Registry, &str, &Value, usize) -> Option<Result<Value, Refusal>> + Send + Sync;

/// An embedded ECR that is called in this process.
pub(super) struct Registry {
    local: Local,
    caller: Caller,
    folder: PathBuf,
}

/// A registry that is served, and a machine whose commands go there.
pub(super) struct Stage {
    pub(super) registry: Arc<Registry>,
    pub(super) machine: Machine,
    pub(super) service: Service,
    hook: Arc<Mutex<Option<Box<Hook>>>>,
    /// Removed with the stage: the registry lives as long as a connection to its server.
    _folder: TempDir,
}

impl Registry {
    /// The registry of a folder, which other processes may use at the same time.
    pub(super) fn at(folder: &Path) -> Self {
        let mut local = Local::open(folder).unwrap();
        // A child that is named before its index, or in the same call, must not go unnoticed.
        local.delete_in_order();
        Self { local, caller: Caller::of_account(ACCOUNT, "eu-west-1"), folder: folder.to_path_buf() }
    }

    pub(super) fn call(&self, operation: &str, input: Value) -> Result<Value, Refusal> {
        self.call_in("eu-west-1", operation, input)
    }

    /// Calls the registry of another region.
    pub(super) fn call_in(&self, region: &str, operation: &str, input: Value) -> Result<Value, Refusal> {
        let caller = Caller { region: region.to_owned(), ..self.caller.clone() };
        let answer = self.local.answer(&caller, ecr::model::ecr(), operation, input, None);
        answer.map_err(|error| (error.status, &*Box::leak(error.code.into_boxed_str()), error.message))
    }

    /// Creates a repository with an image configuration and a layer in it, which every image of a test may use.
    pub(super) fn repository(&self, name: &str) {
        self.call("CreateRepository", json!({"repositoryName": name})).unwrap();
        for blob in ["{}", "layer"] {
            self.blob(name, blob);
        }
    }

    pub(super) fn blob(&self, repository: &str, bytes: &str) {
        let begun = self.call("InitiateLayerUpload", json!({"repositoryName": repository})).unwrap();
        let upload = &begun["uploadId"];
        let base64 = base64_simd::STANDARD.encode_to_string(bytes);
        self.call(
            "UploadLayerPart",
            json!({
                "repositoryName": repository, "uploadId": upload, "partFirstByte": 0,
                "partLastByte": bytes.len() - 1, "layerPartBlob": base64
            }),
        )
        .unwrap();
        self.call(
            "CompleteLayerUpload",
            json!({
                "repositoryName": repository, "uploadId": upload, "layerDigests": [digest(bytes.as_bytes())]
            }),
        )
        .unwrap();
    }

    /// Puts a manifest, with a tag or without, and answers its digest.
    pub(super) fn put(&self, repository: &str, manifest: &Value, tag: Option<&str>) -> String {
        let text = manifest.to_string();
        self.put_text(repository, &text, manifest, tag);
        digest(text.as_bytes())
    }

    /// Puts the very bytes of a manifest.
    pub(super) fn put_text(&self, repository: &str, text: &str, manifest: &Value, tag: Option<&str>) {
        let mut input = json!({
            "repositoryName": repository, "imageManifest": text, "imageManifestMediaType": manifest["mediaType"]
        });
        if let Some(tag) = tag {
            input["imageTag"] = json!(tag);
        }
        match self.call("PutImage", input) {
            Ok(_) => {}
            Err((_, code, _)) => assert_eq!(code, "ImageAlreadyExistsException"),
        }
    }

    /// Puts an image that a name tells from all others.
    pub(super) fn image(&self, repository: &str, name: &str, tag: Option<&str>) -> String {
        self.put(repository, &image(name), tag)
    }

    /// Puts an index of images that are there.
    pub(super) fn index(&self, repository: &str, children: &[&str], tag: Option<&str>) -> String {
        self.put(repository, &index(children), tag)
    }

    /// Makes an image so many days older, and answers nothing.
    pub(super) fn age(&self, digest: &str, days: i64) {
        let milliseconds = days * 86_400_000;
        self.change("UPDATE image SET pushed_at = pushed_at - ?2 WHERE digest = ?1", digest, milliseconds);
    }

    /// Gives an image another size.
    pub(super) fn resize(&self, digest: &str, bytes: i64) {
        self.change("UPDATE image SET size = ?2 WHERE digest = ?1", digest, bytes);
    }

    fn change(&self, statement: &str, digest: &str, value: i64) {
        let database = rusqlite::Connection::open(self.folder.join("ecr.db")).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        database.execute(statement, rusqlite::params![digest, value]).unwrap();
    }

    /// Returns the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The digests and tags that a repository has, archived ones too, in the order of the digests.
    pub(super) fn images(&self, repository: &str) -> Vec<(String, Vec<String>)> {
        self.images_in("eu-west-1", repository)
    }

    pub(super) fn images_in(&self, region: &str, repository: &str) -> Vec<(String, Vec<String>)> {
        let input = json!({
            "repositoryName": repository, "maxResults": 1000, "filter": {"imageStatus": "ANY"}
        });
        let answer = self.call_in(region, "DescribeImages", input).unwrap();
        let mut images: Vec<(String, Vec<String>)> = answer["imageDetails"]
            .as_array()
            .unwrap()
            .iter()
            .map(|image| {
                let tags = image["imageTags"].as_array().into_iter().flatten();
                let mut tags: Vec<String> = tags.map(|tag| tag.as_str().unwrap().to_owned()).collect();
                tags.sort();
                (image["imageDigest"].as_str().unwrap().to_owned(), tags)
            })
            .collect();
        images.sort();
        images
    }

    /// The tags that a repository has, in order.
    pub(super) fn tags(&self, repository: &str) -> Vec<String> {
        let mut tags: Vec<String> = self.images(repository).into_iter().flat_map(|(_, tags)| tags).collect();
        tags.sort();
        tags
    }

    /// Returns whether a repository has an image.
    pub(super) fn has(&self, repository: &str, digest: &str) -> bool {
        self.images(repository).iter().any(|(found, _)| found == digest)
    }
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::restoring_within(Duration::ZERO)
    }

    /// A registry in which an archived image takes so long to come back.
    pub(super) fn restoring_within(time: Duration) -> Self {
        let folder = TempDir::new().unwrap();
        let mut registry = Registry::at(folder.path());
        registry.local.restore_within(time);
        let registry = Arc::new(registry);
        let hook: Arc<Mutex<Option<Box<Hook>>>> = Arc::default();
        let (served, intervening) = (Arc::clone(&registry), Arc::clone(&hook));
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let service = Service::start(move |operation, input, _| {
            let before = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let hook = intervening.lock().unwrap();
            let own = hook.as_ref().and_then(|hook| hook(&served, operation, input, before));
            own.unwrap_or_else(|| served.call(operation, input.clone()))
        });
        let mut machine = service.machine();
        machine.unset("AWS_NEW_RETRIES_2026");
        Self { registry, machine, service, hook, _folder: folder }
    }

    /// Calls `hook` before each call from now on.
    pub(super) fn before_each_call(
        &self,
        hook: impl Fn(&Registry, &str, &Value, usize) -> Option<Result<Value, Refusal>> + Send + Sync + 'static,
    ) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// Counts the calls that changed something.
    pub(super) fn writes(&self) -> usize {
        WRITING.iter().map(|operation| self.service.count(operation)).sum()
    }
}

/// An image that a name tells from all others.
pub(super) fn image(name: &str) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": CONFIGURATION, "digest": digest(b"{}"), "size": 2},
        "layers": [{"mediaType": LAYER, "digest": digest(b"layer"), "size": 5}],
        "annotations": {"name": name}
    })
}

/// An index of images.
pub(super) fn index(children: &[&str]) -> Value {
    let platforms = ["amd64", "arm64", "s390x", "ppc64le"];
    let children: Vec<Value> = children
        .iter()
        .zip(platforms.into_iter().cycle())
        .map(|(child, architecture)| {
            json!({
                "mediaType": MANIFEST, "digest": child, "size": 500,
                "platform": {"os": "linux", "architecture": architecture}
            })
        })
        .collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
}

/// A signature of an image, as a referrer.
pub(super) fn referrer(name: &str, subject: &str) -> Value {
    let mut referrer = image(name);
    referrer["artifactType"] = json!("application/vnd.dev.sigstore.bundle.v0.3+json");
    referrer["subject"] = json!({"mediaType": MANIFEST, "digest": subject, "size": 500});
    referrer
}
