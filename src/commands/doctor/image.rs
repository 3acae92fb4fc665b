//! Checks of the calls that a pull makes, one at a time, and with `--push` of those with which a push begins.

use std::sync::Arc;

use serde_json::{Value, json};

use super::finding::Finding;
use super::{Examination, access, layer, scanning};
use crate::commands::images::connection::{Connection, RegistryAddress};
use crate::commands::images::describe::identifier;
use crate::image::{Digest, Manifest, Name, Reference};
use crate::service::Error;

/// Examined registry, with the repository that the reference names.
pub(super) struct ExaminedRegistry {
    pub(super) connection: Arc<Connection>,
    pub(super) reference: Option<Reference>,
}

/// An image that can be pulled, and its manifest where that was fetched to find it.
struct PullableImage {
    digest: Digest,
    manifest: Option<Manifest>,
}

/// Outcome of a call.
pub(super) enum Outcome {
    Answer(Value),
    /// The service denied permission: the message, and the remedy.
    Denied(String, String),
    /// The service refused as expected, with this message.
    Refused(String),
    /// There was no answer, or an unusable one.
    Failed,
}

impl ExaminedRegistry {
    /// Calls an operation. What is neither an answer, nor denied, nor one of the `expected` codes is reported here.
    pub(super) async fn call(
        &self,
        examination: &mut Examination<'_>,
        operation: &'static str,
        input: Value,
        expected: &[&str],
    ) -> Outcome {
        let error = match self.connection.call(operation, input).await {
            Ok(answer) => return Outcome::Answer(answer),
            Err(error) => error,
        };
        let message = error.refusal().map(|refusal| refusal.message.clone()).unwrap_or_default();
        match error.code() {
            Some("AccessDeniedException" | "AccessDenied") => {
                let registry = self.reference.as_ref().and_then(|reference| reference.registry.as_ref());
                let own = examination.caller.as_ref().map(|caller| caller.account.clone());
                let account = access::account(registry).map(str::to_owned).or(own);
                let (detail, hint) =
                    access::explained(&message, &format!("ecr:{operation}"), account.as_deref());
                Outcome::Denied(detail, hint)
            }
            Some(code) if expected.contains(&code) => Outcome::Refused(message),
            _ => {
                failed(examination, operation, &error);
                Outcome::Failed
            }
        }
    }

    /// The name of the repository.
    pub(super) fn repository(&self) -> String {
        self.reference.as_ref().map(|reference| reference.repository.to_string()).unwrap_or_default()
    }
}

fn failed(examination: &mut Examination<'_>, operation: &str, error: &Error) {
    let text = error.to_string();
    let detail = if text.contains(operation) { text } else { format!("{operation}: {text}") };
    examination.report.add(Finding::CallFailed, detail, "try again; `--debug` shows the request");
}

/// Examines the calls.
pub(super) async fn examine(examination: &mut Examination<'_>, push: bool) {
    let reference = examination.reference.clone();
    let registry = reference.as_ref().and_then(|reference| reference.registry.clone());
    let address = RegistryAddress::of(registry);
    let connection = match Connection::open(&examination.settings, &address) {
        Ok(connection) => connection,
        Err(error) => {
            super::identity::invalid(examination, &format!("{error:#}"));
            return;
        }
    };
    let asked = ExaminedRegistry { connection, reference };
    if !authorization(examination, &asked).await {
        return;
    }
    if asked.reference.is_some() {
        if !repository(examination, &asked).await {
            return;
        }
        if let Some(PullableImage { digest, manifest }) = image(examination, &asked).await {
            layer::examine(examination, &asked, &digest, manifest).await;
            scanning::findings(examination, &asked, &digest).await;
        }
        if push {
            self::push(examination, &asked).await;
        }
    }
    scanning::registry(examination, &asked).await;
}

async fn authorization(examination: &mut Examination<'_>, asked: &ExaminedRegistry) -> bool {
    match asked.call(examination, "GetAuthorizationToken", json!({}), &[]).await {
        Outcome::Answer(answer) => {
            let data = &answer["authorizationData"][0];
            if let Some(token) = data["authorizationToken"].as_str() {
                examination.report.hide(token);
            }
            let endpoint = data["proxyEndpoint"].as_str().unwrap_or("the registry");
            examination.report.ok(Finding::Authorization, format!("a password for {endpoint} is given"));
            true
        }
        Outcome::Denied(detail, hint) => {
            let hint =
                format!("{hint}; this action is for the resource *, and no repository policy can give it");
            examination.report.add(Finding::AuthorizationDenied, detail, hint);
            true
        }
        Outcome::Refused(_) | Outcome::Failed => false,
    }
}

async fn repository(examination: &mut Examination<'_>, asked: &ExaminedRegistry) -> bool {
    const MISSING: &str = "RepositoryNotFoundException";
    let name = asked.repository();
    let input = json!({"repositoryNames": [name]});
    match asked.call(examination, "DescribeRepositories", input, &[MISSING]).await {
        Outcome::Answer(answer) => {
            let uri = answer["repositories"][0]["repositoryUri"].as_str().unwrap_or(&name).to_owned();
            examination.report.ok(Finding::Repository, uri);
            true
        }
        Outcome::Denied(detail, _) => {
            let hint = "a pull does not need it; this program's listings do";
            examination.report.add(Finding::RepositoryDenied, detail, hint);
            true
        }
        Outcome::Refused(message) => {
            let hint = "is it the right account and region? `ecr repos` lists those that are there, `ecr push \
                        --create` makes one";
            examination.report.add(Finding::RepositoryMissing, message, hint);
            false
        }
        Outcome::Failed => false,
    }
}

/// The image, where there is one that can be pulled.
async fn image(examination: &mut Examination<'_>, asked: &ExaminedRegistry) -> Option<PullableImage> {
    const MISSING: [&str; 2] = ["ImageNotFoundException", "RepositoryNotFoundException"];
    let name = asked.reference.as_ref().map(|reference| reference.name.clone())?;
    let input = match &name {
        Name::Unnamed => json!({"repositoryName": asked.repository(), "maxResults": 1}),
        name => json!({"repositoryName": asked.repository(), "imageIds": [identifier(name)]}),
    };
    match asked.call(examination, "DescribeImages", input, &MISSING).await {
        Outcome::Answer(answer) => {
            let digest = described(examination, &answer["imageDetails"][0])?;
            Some(PullableImage { digest, manifest: None })
        }
        Outcome::Denied(detail, _) => {
            let hint = "a pull does not need it; this program's listings do";
            examination.report.add(Finding::ImageDenied, detail, hint);
            by_manifest(examination, asked, &name).await
        }
        Outcome::Refused(message) => {
            let repository = asked.repository();
            let hint = format!(
                "`ecr images {repository}` lists those that are there, `ecr find` looks in other repositories"
            );
            examination.report.add(Finding::ImageMissing, message, hint);
            None
        }
        Outcome::Failed => None,
    }
}

fn described(examination: &mut Examination<'_>, image: &Value) -> Option<Digest> {
    let Some(digest) = image["imageDigest"].as_str() else {
        examination.report.ok(Finding::Image, "the repository has no image yet");
        return None;
    };
    let status = image["imageStatus"].as_str().unwrap_or("ACTIVE");
    if status != "ACTIVE" {
        examination.report.add(
            Finding::ImageArchived,
            format!("{digest} is {status}: it cannot be pulled"),
            "restore it and wait up to 20 minutes: `ecr restore`, or update-image-storage-class \
             --target-storage-class STANDARD",
        );
        return None;
    }
    examination.report.ok(Finding::Image, digest);
    digest.parse().ok()
}

/// The image by its manifest, for principals that may pull but not describe.
async fn by_manifest(
    examination: &mut Examination<'_>,
    asked: &ExaminedRegistry,
    name: &Name,
) -> Option<PullableImage> {
    let manifest = layer::manifest(examination, asked, identifier(name)).await?;
    Some(PullableImage { digest: manifest.digest().clone(), manifest: Some(manifest) })
}

async fn push(examination: &mut Examination<'_>, asked: &ExaminedRegistry) {
    // The digest of nothing at all: no layer has it.
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let input = json!({"repositoryName": asked.repository(), "layerDigests": [digest]});
    match asked.call(examination, "BatchCheckLayerAvailability", input, &[]).await {
        Outcome::Answer(_) => {
            examination.report.ok(Finding::PushLayers, "a push may ask which layers are there");
        }
        Outcome::Denied(detail, hint) => examination.report.add(Finding::PushLayersDenied, detail, hint),
        Outcome::Refused(_) | Outcome::Failed => {}
    }
    let input = json!({"repositoryName": asked.repository()});
    match asked.call(examination, "InitiateLayerUpload", input, &[]).await {
        Outcome::Answer(_) => {
            let detail = "a push may begin an upload; this one is left, and the registry drops it";
            examination.report.ok(Finding::PushUpload, detail);
        }
        Outcome::Denied(detail, hint) => examination.report.add(Finding::PushUploadDenied, detail, hint),
        Outcome::Refused(_) | Outcome::Failed => {}
    }
}
