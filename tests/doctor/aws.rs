//! A stand-in for AWS that answers every call that the doctor makes, and some of them as a test says.

use serde_json::{Value, json};

use crate::harness::http::{CLOSE, Reply, Request, Server, response};
use crate::harness::registry::digest;

pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const ARN: &str = "arn:aws:sts::123456789012:assumed-role/build/job";

/// Deviations from the usual answers.
#[derive(Default)]
pub(super) struct Answers {
    /// Operations that are refused: with this status, code and message.
    pub(super) refusals: Vec<(&'static str, u16, &'static str, String)>,
    /// Operations that are answered with something else.
    pub(super) replaced: Vec<(&'static str, Value)>,
    /// The header `Date`, of which there is none otherwise.
    pub(super) date: Option<String>,
    /// The status of a layer's download.
    pub(super) layer: Option<u16>,
}

impl Answers {
    pub(super) fn refusing(operation: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { refusals: vec![(operation, 400, code, message.into())], ..Self::default() }
    }

    /// Denied as IAM denies it; `reason` is what stands behind the resource.
    pub(super) fn denying(operation: &'static str, action: &str, reason: &str) -> Self {
        let message = format!(
            "User: {ARN} is not authorized to perform: {action} on resource: \
             arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/team/app {reason}"
        );
        Self::refusing(operation, "AccessDeniedException", message)
    }

    pub(super) fn answering(operation: &'static str, answer: Value) -> Self {
        Self { replaced: vec![(operation, answer)], ..Self::default() }
    }
}

/// The stand-in; it lives as long as the test.
pub(super) struct Aws {
    pub(super) address: String,
    _server: Server,
}

impl Aws {
    pub(super) fn start(answers: Answers) -> Self {
        let server = Server::start_at(|own| {
            let own = own.to_owned();
            move |request| answer(request, &answers, &own)
        });
        Self { address: server.address.clone(), _server: server }
    }
}

fn answer(request: &Request, answers: &Answers, address: &str) -> Reply {
    let (status, body) = match request.operation() {
        "" => plain(request.line(), &request.text(), answers),
        operation => call(operation, answers, address),
    };
    let date = answers.date.as_ref().map_or_else(String::new, |date| format!("Date: {date}\r\n"));
    Reply::Close(response(&format!("{status} X"), &(date + CLOSE), body.as_bytes()))
}

/// Answers requests that are no calls of ECR: STS, a layer, or a probe.
fn plain(first: &str, body: &str, answers: &Answers) -> (u16, String) {
    if body.contains("Action=GetCallerIdentity") {
        let refusal = answers.refusals.iter().find(|(operation, ..)| *operation == "GetCallerIdentity");
        return match refusal {
            Some((_, status, code, message)) => (
                *status,
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
                ),
            ),
            None => (
                200,
                format!(
                    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{ARN}</Arn><UserId>A</UserId>\
                     <Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
                ),
            ),
        };
    }
    // The metadata service of an instance, where it is asked as one.
    if first.starts_with("PUT /latest/api/token") {
        return (200, "token".to_owned());
    }
    if first.contains("placement/region") {
        return (200, "eu-west-1".to_owned());
    }
    if first.starts_with("GET /layer") {
        return (answers.layer.unwrap_or(206), "x".to_owned());
    }
    (404, String::new())
}

fn call(operation: &str, answers: &Answers, address: &str) -> (u16, String) {
    if let Some((_, status, code, message)) =
        answers.refusals.iter().find(|(refused, ..)| *refused == operation)
    {
        return (*status, json!({"__type": code, "message": message}).to_string());
    }
    let replaced = answers.replaced.iter().find(|(replaced, _)| *replaced == operation);
    let answer = replaced.map_or_else(|| usual(operation, address), |(_, answer)| answer.clone());
    (200, answer.to_string())
}

fn usual(operation: &str, address: &str) -> Value {
    let manifest = manifest();
    match operation {
        "GetAuthorizationToken" => {
            let token = base64_simd::STANDARD.encode_to_string("AWS:hush-of-the-authorization-token");
            let endpoint = format!("https://{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com");
            let end = jiff::Timestamp::now().as_second() + 12 * 60 * 60;
            json!({"authorizationData": [{"authorizationToken": token, "expiresAt": end, "proxyEndpoint": endpoint}]})
        }
        "DescribeRepositories" => json!({"repositories": [{
            "repositoryName": "team/app",
            "repositoryUri": format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/team/app"),
        }]}),
        "DescribeImages" => json!({"imageDetails": [{
            "imageDigest": digest(manifest.as_bytes()), "imageTags": ["1.0"], "imageStatus": "ACTIVE",
        }]}),
        "BatchGetImage" => json!({"images": [{
            "imageId": {"imageDigest": digest(manifest.as_bytes())}, "imageManifest": manifest,
        }], "failures": []}),
        "GetDownloadUrlForLayer" => json!({
            "downloadUrl": format!("http://{address}/layer?X-Amz-Signature=hush-of-the-signature"),
            "layerDigest": digest(b"layer"),
        }),
        "BatchCheckLayerAvailability" => json!({"layers": [], "failures": []}),
        "InitiateLayerUpload" => json!({"uploadId": "1", "partSize": 1}),
        "GetRegistryScanningConfiguration" => {
            json!({"registryId": ACCOUNT, "scanningConfiguration": {"scanType": "BASIC", "rules": []}})
        }
        "DescribeImageScanFindings" => json!({"imageScanStatus": {"status": "COMPLETE"}}),
        "ListPullTimeUpdateExclusions" => {
            json!({"pullTimeUpdateExclusions": [format!("arn:aws:iam::{ACCOUNT}:role/build")]})
        }
        other => json!({"unknown": other}),
    }
}

fn manifest() -> String {
    let descriptor = |media_type: &str, content: &[u8]| json!({"mediaType": media_type, "digest": digest(content), "size": content.len()});
    json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"configuration"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", b"layer")],
    })
    .to_string()
}

/// An index with one image, for another platform than any.
pub(super) fn index_for_plan9() -> Value {
    let text = manifest();
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(text.as_bytes()),
            "size": text.len(), "platform": {"os": "plan9", "architecture": "mips"},
        }],
    });
    json!({"images": [{"imageManifest": index.to_string()}], "failures": []})
}
