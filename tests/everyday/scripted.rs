//! A service that answers in the shapes of AWS, from a table, and remembers what it was asked. Its author read the API
//! reference and not the embedded ECR, so that the two check each other.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use crate::harness::Machine;
use crate::harness::http::{Reply, Server, response};

/// Refusal of the service: status, code and message.
pub(super) type Refusal = (u16, &'static str, String);

/// A registry: its repositories, their images in the order of the service, and manifests by digest.
#[derive(Default)]
pub(super) struct Registry {
    pub(super) repositories: Vec<Value>,
    pub(super) images: Map<String, Value>,
    pub(super) manifests: Map<String, Value>,
    pub(super) scans: Map<String, Value>,
    /// Limit of the items of a page, whatever is asked for.
    pub(super) page: usize,
}

/// A running service.
pub(super) struct Service {
    server: Server,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
}

const ACCOUNT: &str = "123456789012";

impl Registry {
    /// Adds a repository with these images, whose digests and common members are filled in.
    pub(super) fn with(mut self, name: &str, images: Vec<Value>) -> Self {
        self.repositories.push(json!({
            "repositoryArn": format!("arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/{name}"), "registryId": ACCOUNT,
            "repositoryName": name, "repositoryUri": format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/{name}"),
            "createdAt": 1_690_000_000.0, "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": false}, "encryptionConfiguration": {"encryptionType": "AES256"}
        }));
        let images = images.into_iter().map(|mut image| {
            image["registryId"] = json!(ACCOUNT);
            image["repositoryName"] = json!(name);
            image
        });
        self.images.insert(name.to_owned(), images.collect());
        self
    }

    /// Adds a manifest and answers its digest.
    pub(super) fn manifest(&mut self, manifest: &Value) -> String {
        let text = manifest.to_string();
        let digest = crate::harness::registry::digest(text.as_bytes());
        self.manifests.insert(digest.clone(), json!(text));
        digest
    }

    /// The answer to a call.
    pub(super) fn answer(&self, operation: &str, input: &Value) -> Result<Value, Refusal> {
        match operation {
            "DescribeRepositories" => Ok(self.paged("repositories", &self.repositories, input)),
            "DescribeImages" => self.describe_images(input),
            "BatchGetImage" => Ok(self.get_images(input)),
            "DescribeImageScanFindings" => {
                let digest = input["imageId"]["imageDigest"].as_str().unwrap();
                let missing =
                    || (400, "ScanNotFoundException", format!("Image scan does not exist for {digest}"));
                self.scans.get(digest).cloned().ok_or_else(missing)
            }
            other => Err((400, "InvalidAction", format!("{other} is not scripted"))),
        }
    }

    fn paged(&self, list: &str, items: &[Value], input: &Value) -> Value {
        let asked = input["maxResults"].as_u64().map_or(100, |most| usize::try_from(most).unwrap());
        let most = if self.page == 0 { asked } else { asked.min(self.page) };
        let from: usize = input["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let to = items.len().min(from + most);
        let mut page = json!({list: items[from..to]});
        if to < items.len() {
            page["nextToken"] = json!(to.to_string());
        }
        page
    }

    fn describe_images(&self, input: &Value) -> Result<Value, Refusal> {
        let name = input["repositoryName"].as_str().unwrap();
        let Some(images) = self.images.get(name).and_then(Value::as_array) else {
            let text = format!(
                "The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"
            );
            return Err((400, "RepositoryNotFoundException", text));
        };
        if let Some(ids) = input["imageIds"].as_array() {
            let found: Option<Vec<Value>> = ids
                .iter()
                .map(|id| {
                    images.iter().find(|image| {
                        let tags = image["imageTags"].as_array();
                        image["imageDigest"] == id["imageDigest"]
                            || tags.is_some_and(|tags| tags.contains(&id["imageTag"]))
                    })
                })
                .map(Option::<&Value>::cloned)
                .collect();
            return match found {
                Some(found) => Ok(json!({"imageDetails": found})),
                None => {
                    Err((400, "ImageNotFoundException", "The image with imageId does not exist".to_owned()))
                }
            };
        }
        // Only active images are shown, unless all are asked for.
        let wanted = input["filter"]["imageStatus"].as_str().unwrap_or("ACTIVE");
        let shown = |image: &&Value| {
            let status = image["imageStatus"].as_str().unwrap_or("ACTIVE");
            let tagged = image["imageTags"].is_array();
            (wanted == "ANY" || status == wanted) && (input["filter"]["tagStatus"] != "TAGGED" || tagged)
        };
        let images: Vec<Value> = images.iter().filter(shown).cloned().collect();
        Ok(self.paged("imageDetails", &images, input))
    }

    fn get_images(&self, input: &Value) -> Value {
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in input["imageIds"].as_array().unwrap() {
            match id["imageDigest"].as_str().and_then(|digest| self.manifests.get(digest)) {
                Some(manifest) => images.push(json!({
                    "registryId": ACCOUNT, "repositoryName": input["repositoryName"], "imageId": id,
                    "imageManifest": manifest
                })),
                None => failures.push(json!({
                    "imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"
                })),
            }
        }
        json!({"images": images, "failures": failures})
    }
}

impl Service {
    /// Serves a registry.
    pub(super) fn of(registry: Registry) -> Self {
        Self::start(move |operation, input, _| registry.answer(operation, input))
    }

    /// Serves answers; the last argument says how often the operation was called before.
    pub(super) fn start(
        answer: impl Fn(&str, &Value, usize) -> Result<Value, Refusal> + Send + Sync + 'static,
    ) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&calls);
        let server = Server::start(move |request| {
            let (operation, input) = (request.operation(), serde_json::from_slice(&request.body).unwrap());
            let before = {
                let mut log = log.lock().unwrap();
                let before = log.iter().filter(|(called, _)| called == operation).count();
                log.push((operation.to_owned(), Value::clone(&input)));
                before
            };
            let (status, body) = match answer(operation, &input, before) {
                Ok(value) => (200, value),
                Err((status, code, message)) => (status, json!({"__type": code, "message": message})),
            };
            let media_type = "Content-Type: application/x-amz-json-1.1\r\n";
            Reply::KeepAlive(response(&format!("{status} X"), media_type, body.to_string().as_bytes()))
        });
        Self { server, calls }
    }

    /// A machine whose commands go to this service.
    pub(super) fn machine(&self) -> Machine {
        let mut machine = Machine::new();
        machine.set("AWS_ENDPOINT_URL", self.server.url());
        machine.set("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").set("AWS_SECRET_ACCESS_KEY", "secret");
        machine.set("AWS_REGION", "eu-west-1").set("AWS_NEW_RETRIES_2026", "true");
        machine
    }

    /// Returns the server's address.
    pub(super) fn address(&self) -> &str {
        &self.server.address
    }

    /// Returns the calls, in order.
    pub(super) fn calls(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap().clone()
    }

    /// Counts the calls of an operation.
    pub(super) fn count(&self, operation: &str) -> usize {
        self.calls().iter().filter(|(called, _)| called == operation).count()
    }
}
