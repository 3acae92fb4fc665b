//! Whole requests over a store in a temporary folder.

use crate::local::aws_api::validate;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::local::aws_api::error::ApiError;
use crate::local::core::caller::Caller;
use crate::local::core::local::Local;
use crate::model;

const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MIB: usize = 1024 * 1024;

/// A store in a temporary folder, and a caller of it.
struct Store {
    local: Local,
    caller: Caller,
    folder: TempDir,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Local::open(folder.path()).unwrap();
        let address = Some("127.0.0.1:5700".to_owned());
        let caller = Caller { address, ..Caller::of_account("111122223333", "eu-central-1") };
        Self { local, caller, folder }
    }

    /// A store with the repository `team/app`.
    fn with_repository() -> Self {
        let store = Self::new();
        store.ask("CreateRepository", json!({ "repositoryName": "team/app" }));
        store
    }

    fn answer(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let answer = self.local.answer(&self.caller, model::ecr(), operation, input, None)?;
        check_answer(model::ecr(), operation, &answer);
        Ok(answer)
    }

    fn ask(&self, operation: &str, input: Value) -> Value {
        self.answer(operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// Returns the code and message of an error.
    fn refusal(&self, operation: &str, input: Value) -> String {
        match self.answer(operation, input) {
            Ok(answer) => panic!("{operation} answered {answer}"),
            Err(error) => format!("{}: {}", error.code, error.message),
        }
    }

    fn public(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let answer = self.local.answer(&self.caller, model::ecr_public(), operation, input, None)?;
        check_answer(model::ecr_public(), operation, &answer);
        Ok(answer)
    }

    fn begin(&self) -> String {
        let answer = self.ask("InitiateLayerUpload", json!({ "repositoryName": "team/app" }));
        answer["uploadId"].as_str().unwrap().to_owned()
    }

    fn part(&self, upload: &str, first: usize, bytes: &[u8]) -> Result<Value, ApiError> {
        let input = json!({
            "repositoryName": "team/app", "uploadId": upload,
            "partFirstByte": first, "partLastByte": first + bytes.len() - 1,
        });
        let blob = Some(bytes::Bytes::copy_from_slice(bytes));
        self.local.answer(&self.caller, model::ecr(), "UploadLayerPart", input, blob)
    }

    fn complete(&self, upload: &str, digest: &str) -> Result<Value, ApiError> {
        let input = json!({ "repositoryName": "team/app", "uploadId": upload, "layerDigests": [digest] });
        self.answer("CompleteLayerUpload", input)
    }

    /// Uploads a layer.
    fn layer(&self, content: &[u8]) {
        let upload = self.begin();
        self.part(&upload, 0, content).unwrap();
        self.complete(&upload, &digest(content)).unwrap();
    }

    /// Pushes an image whose content is this text; answers its digest.
    fn image(&self, content: &str, tag: Option<&str>) -> String {
        self.put(&self.manifest(content), OCI_IMAGE, tag).unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn manifest(&self, content: &str) -> String {
        if !self.has(content) {
            self.layer(content.as_bytes());
        }
        let layer = descriptor(content.as_bytes());
        json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE, "config": layer, "layers": [layer] }).to_string()
    }

    fn has(&self, content: &str) -> bool {
        let digests = [digest(content.as_bytes())];
        let input = json!({ "repositoryName": "team/app", "layerDigests": digests });
        self.ask("BatchCheckLayerAvailability", input)["layers"][0]["layerAvailability"] == "AVAILABLE"
    }

    fn put(&self, manifest: &str, media_type: &str, tag: Option<&str>) -> Result<String, ApiError> {
        let input = json!({
            "repositoryName": "team/app", "imageManifest": manifest,
            "imageManifestMediaType": media_type, "imageTag": tag,
        });
        let answer = self.answer("PutImage", input)?;
        Ok(answer["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned())
    }

    fn index(&self, children: &[&str], tag: Option<&str>) -> Result<String, ApiError> {
        let children: Vec<Value> = children
            .iter()
            .map(|digest| json!({ "digest": digest, "size": 1, "mediaType": OCI_IMAGE }))
            .collect();
        self.put(&json!({ "schemaVersion": 2, "manifests": children }).to_string(), OCI_INDEX, tag)
    }

    /// The identifiers of all images, as `TAG DIGEST`.
    fn images(&self) -> Vec<String> {
        let answer = self.ask("ListImages", json!({ "repositoryName": "team/app" }));
        let text = |id: &Value, member: &str| id[member].as_str().unwrap_or("-").to_owned();
        let ids = answer["imageIds"].as_array().unwrap().iter();
        ids.map(|id| format!("{} {}", text(id, "imageTag"), text(id, "imageDigest"))).collect()
    }
}

/// Checks that an answer satisfies the model: no member is missing, none is of the wrong kind or outside its bounds,
/// and none is unknown to the model.
fn check_answer(service: &'static model::Service, operation: &str, answer: &Value) {
    let shape = service.output(service.operation(operation).unwrap()).unwrap();
    // Some lists have a least length that only requests keep to.
    let may_be_empty = |error: &ApiError| error.message.contains("greater than or equal to 1'");
    if let Err(error) = validate::check_shape(service, shape, answer, operation)
        && !may_be_empty(&error)
    {
        panic!("{operation}: {error:?}");
    }
    assert_eq!(validate::project(service, shape, answer.clone()), *answer, "{operation}");
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

fn descriptor(content: &[u8]) -> Value {
    json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(content), "size": content.len() })
}

/// Replaces every point in time in an answer, after checking that it is one.
fn timeless(mut answer: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(members) => members.iter_mut().for_each(|(name, value)| match name.as_str() {
                "createdAt"
                | "updatedAt"
                | "imagePushedAt"
                | "expiresAt"
                | "lastRecordedPullTime"
                | "startedAt"
                | "endedAt" => {
                    assert!(value.as_f64().unwrap() > 1_600_000_000.0, "{name}");
                    *value = json!("TIME");
                }
                _ => walk(value),
            }),
            Value::Array(elements) => elements.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut answer);
    answer
}

mod authorization;
mod images;
mod lifecycle;
mod limits;
mod lint;
mod replication;
mod repositories;
mod scans;
mod settings;
mod shared;
mod uploads;
