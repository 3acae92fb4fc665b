//! A scripted ECR: it answers the calls of the engine from memory, and fails where a test says so.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ecr::image::Digest;
use ecr::model;
use ecr::service::{Backend, Client, Request, ServiceError};
use ecr::store::Ecr;
use ecr::store::ecr::{Network, Repository};
use serde_json::{Map, Value, json};

/// Answers a request instead of the fake, or leaves it to it with `None`.
type Fault = Box<dyn Fn(&Request, &mut State) -> Option<Result<Value, ServiceError>> + Send>;

pub(super) const MEBIBYTE: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct State {
    pub(super) blobs: HashMap<String, Vec<u8>>,
    pub(super) uploads: HashMap<String, Vec<u8>>,
    pub(super) manifests: HashMap<String, (String, String)>,
    pub(super) tags: HashMap<String, String>,
    /// Every call: the operation, and what tells it from others.
    pub(super) log: Vec<String>,
    /// Answer to DescribeRepositories.
    pub(super) repository: Value,
    pub(super) part_size: usize,
    /// Base URL of layers: the digest's digits are appended.
    pub(super) downloads: String,
    begun: usize,
    faults: HashMap<&'static str, VecDeque<Fault>>,
}

#[derive(Clone)]
pub(super) struct Fake(Arc<Mutex<State>>);

impl Fake {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { part_size: 5 * MEBIBYTE, ..State::default() })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The next call of this operation that has no fault yet gets this one.
    pub(super) fn fail(
        &self,
        operation: &'static str,
        fault: impl Fn(&Request, &mut State) -> Option<Result<Value, ServiceError>> + Send + 'static,
    ) {
        self.state().faults.entry(operation).or_default().push_back(Box::new(fault));
    }

    pub(super) fn forget_faults(&self) {
        self.state().faults.clear();
    }

    pub(super) fn store(&self) -> Arc<Ecr> {
        Arc::new(self.repository())
    }

    pub(super) fn repository(&self) -> Ecr {
        let client = Client::in_process(model::ecr(), Arc::new(self.clone()));
        let repository = Repository { registry: None, name: "team/app".parse().unwrap() };
        Ecr::new(client, repository, Network { first_wait: Duration::ZERO, ..Network::default() })
    }

    /// Counts the calls of an operation.
    pub(super) fn count(&self, operation: &str) -> usize {
        self.state().log.iter().filter(|line| line.split(' ').next() == Some(operation)).count()
    }

    /// The calls of an operation.
    pub(super) fn calls(&self, operation: &str) -> Vec<String> {
        let state = self.state();
        let calls = state.log.iter().filter(|line| line.split(' ').next() == Some(operation));
        calls.map(|line| line[operation.len()..].trim_start().to_owned()).collect()
    }
}

pub(super) fn refusal(code: &str, status: u16) -> ServiceError {
    ServiceError { code: code.to_owned(), message: "as scripted".to_owned(), members: Map::new(), status }
}

/// The refusal of a part, with the last byte that the service has.
pub(super) fn out_of_order(last: i64) -> ServiceError {
    let mut refusal = refusal("InvalidLayerPartException", 400);
    refusal.members.insert("lastValidByteReceived".to_owned(), json!(last));
    refusal
}

fn text(request: &Request, member: &str) -> String {
    request.input[member].as_str().unwrap_or_default().to_owned()
}

fn describe(request: &Request) -> String {
    let detail = match request.operation.as_str() {
        "UploadLayerPart" => format!("{}-{}", request.input["partFirstByte"], request.input["partLastByte"]),
        "PutImage" => format!("{} {}", &text(request, "imageDigest")[..13], text(request, "imageTag")),
        _ => String::new(),
    };
    format!("{} {detail}", request.operation).trim_end().to_owned()
}

impl Backend for Fake {
    fn answer(&self, request: Request) -> Result<Value, ServiceError> {
        let name = match request.operation.as_str() {
            "DescribeRepositories" => &request.input["repositoryNames"][0],
            _ => &request.input["repositoryName"],
        };
        assert_eq!(*name, json!("team/app"));
        let mut state = self.state();
        state.log.push(describe(&request));
        let fault = state.faults.get_mut(request.operation.as_str()).and_then(VecDeque::pop_front);
        if let Some(answer) = fault.and_then(|fault| fault(&request, &mut state)) {
            return answer;
        }
        state.answer(&request)
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Result<Value, ServiceError> {
        match request.operation.as_str() {
            "BatchCheckLayerAvailability" => Ok(self.availability(request)),
            "InitiateLayerUpload" => {
                self.begun += 1;
                let identifier = format!("upload-{}", self.begun);
                self.uploads.insert(identifier.clone(), Vec::new());
                Ok(json!({"uploadId": identifier, "partSize": self.part_size}))
            }
            "UploadLayerPart" => self.part(request),
            "CompleteLayerUpload" => self.complete(request),
            "PutImage" => self.put(request),
            "BatchGetImage" => Ok(self.get(request)),
            "DescribeImages" => self.describe(request),
            "GetDownloadUrlForLayer" => {
                let digest = text(request, "layerDigest");
                let digits = digest.split_once(':').unwrap().1;
                Ok(json!({"downloadUrl": format!("{}{digits}", self.downloads), "layerDigest": digest}))
            }
            "DescribeRepositories" => Ok(json!({"repositories": [self.repository]})),
            "ListImageReferrers" => Ok(self.referrers(request)),
            other => panic!("the engine does not call {other}"),
        }
    }

    fn availability(&self, request: &Request) -> Value {
        let digests = request.input["layerDigests"].as_array().unwrap();
        assert!(digests.len() <= 100);
        let layers: Vec<Value> = digests
            .iter()
            .map(|digest| {
                let here = self.blobs.contains_key(digest.as_str().unwrap());
                json!({"layerDigest": digest, "layerAvailability": if here { "AVAILABLE" } else { "UNAVAILABLE" }})
            })
            .collect();
        json!({"layers": layers, "failures": []})
    }

    fn part(&mut self, request: &Request) -> Result<Value, ServiceError> {
        let number = |member: &str| request.input[member].as_u64().unwrap();
        let upload = self.uploads.get_mut(&text(request, "uploadId"));
        let upload = upload.ok_or_else(|| refusal("UploadNotFoundException", 400))?;
        let (first, last) = (number("partFirstByte"), number("partLastByte"));
        let (member, bytes) = request.blob.as_ref().unwrap();
        assert_eq!((*member, bytes.len() as u64), ("layerPartBlob", last - first + 1));
        if first != upload.len() as u64 {
            return Err(out_of_order(i64::try_from(upload.len()).unwrap() - 1));
        }
        upload.extend_from_slice(bytes);
        Ok(json!({"lastByteReceived": last}))
    }

    fn complete(&mut self, request: &Request) -> Result<Value, ServiceError> {
        let upload = self.uploads.remove(&text(request, "uploadId"));
        let bytes = upload.ok_or_else(|| refusal("UploadNotFoundException", 400))?;
        let digest = Digest::of(&bytes).to_string();
        if request.input["layerDigests"] != json!([digest]) {
            return Err(refusal("InvalidLayerException", 400));
        }
        self.blobs.insert(digest.clone(), bytes);
        Ok(json!({"layerDigest": digest}))
    }

    fn put(&mut self, request: &Request) -> Result<Value, ServiceError> {
        let (manifest, tag) = (text(request, "imageManifest"), text(request, "imageTag"));
        let digest = Digest::of(manifest.as_bytes()).to_string();
        let value: Value = serde_json::from_str(&manifest).unwrap();
        let members = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        for layer in members("layers").iter().chain(value.get("config")) {
            let here = self.blobs.contains_key(layer["digest"].as_str().unwrap());
            here.then_some(()).ok_or_else(|| refusal("LayersNotFoundException", 400))?;
        }
        for child in members("manifests") {
            let here = self.manifests.contains_key(child["digest"].as_str().unwrap());
            here.then_some(()).ok_or_else(|| refusal("ReferencedImagesNotFoundException", 400))?;
        }
        let known =
            self.manifests.insert(digest.clone(), (text(request, "imageManifestMediaType"), manifest));
        let same_tag = tag.is_empty() || self.tags.get(&tag) == Some(&digest);
        if known.is_some() && same_tag {
            return Err(refusal("ImageAlreadyExistsException", 400));
        }
        if !tag.is_empty() {
            self.tags.insert(tag, digest.clone());
        }
        Ok(json!({"image": {"imageId": {"imageDigest": digest}}}))
    }

    fn get(&self, request: &Request) -> Value {
        assert_eq!(request.input["acceptedMediaTypes"].as_array().unwrap().len(), 5);
        let identifier = &request.input["imageIds"][0];
        let by_tag = identifier["imageTag"].as_str().and_then(|tag| self.tags.get(tag));
        let digest = identifier["imageDigest"].as_str().or(by_tag.map(String::as_str));
        match digest.and_then(|digest| self.manifests.get(digest)) {
            Some((media_type, manifest)) => json!({"images": [{
                "imageId": {"imageDigest": digest},
                "imageManifest": manifest,
                "imageManifestMediaType": media_type,
            }], "failures": []}),
            None => json!({"images": [], "failures": [{
                "imageId": identifier,
                "failureCode": "ImageNotFound",
                "failureReason": "Requested image not found",
            }]}),
        }
    }

    /// One to a page, in the order of their digests.
    fn referrers(&self, request: &Request) -> Value {
        let subject = request.input["subjectId"]["imageDigest"].as_str().unwrap();
        let mut found: Vec<Value> = Vec::new();
        for (digest, (media_type, manifest)) in &self.manifests {
            let value: Value = serde_json::from_str(manifest).unwrap();
            if value["subject"]["digest"] == subject {
                found.push(json!({"digest": digest, "mediaType": media_type, "size": manifest.len()}));
            }
        }
        found.sort_by_key(|referrer| referrer["digest"].to_string());
        let from: usize = request.input["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let next = (from + 1 < found.len()).then(|| (from + 1).to_string());
        json!({"referrers": found.get(from..=from).unwrap_or_default(), "nextToken": next})
    }

    fn describe(&self, request: &Request) -> Result<Value, ServiceError> {
        let identifier = &request.input["imageIds"][0];
        let by_tag = identifier["imageTag"].as_str().and_then(|tag| self.tags.get(tag));
        let digest = identifier["imageDigest"].as_str().or(by_tag.map(String::as_str));
        let digest = digest.filter(|digest| self.manifests.contains_key(*digest));
        let digest = digest.ok_or_else(|| refusal("ImageNotFoundException", 400))?;
        let tags: Vec<&String> =
            self.tags.iter().filter(|(_, named)| *named == digest).map(|(tag, _)| tag).collect();
        Ok(json!({"imageDetails": [{"imageDigest": digest, "imageTags": tags, "imageStatus": "ACTIVE"}]}))
    }
}
