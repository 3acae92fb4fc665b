//! An image's manifest and one of its layers: the two rights and the second host that a pull needs.

use serde_json::{Value, json};

use super::Examination;
use super::finding::Finding;
use super::image::{ExaminedRegistry, Outcome};
use crate::commands::images::children::tell_fetched;
use crate::commands::images::describe::identifier_of;
use crate::image::{Content, Descriptor, Digest, Manifest, Platform, media_type};
use crate::service::diagnosis::Diagnosis;

/// Examines them. `known` is the manifest where it was fetched already.
pub(super) async fn examine(
    examination: &mut Examination<'_>,
    asked: &ExaminedRegistry,
    digest: &Digest,
    known: Option<Manifest>,
) {
    let manifest = match known {
        Some(manifest) => Some(manifest),
        None => manifest(examination, asked, identifier_of(digest)).await,
    };
    let Some(manifest) = manifest else { return };
    let (manifest, fetched) = match manifest.content() {
        Content::Image { .. } => (Some(manifest), 1),
        Content::Index(_) => match child(examination, &manifest) {
            Some(child) => (self::manifest(examination, asked, identifier_of(&child)).await, 2),
            None => (None, 1),
        },
    };
    tell_fetched(examination.context, fetched);
    let Some(manifest) = manifest else { return };
    examination.report.ok(Finding::Manifest, format!("{} ({})", manifest.digest(), manifest.media_type()));
    if let Some(blob) = manifest.blobs().min_by_key(|blob| blob.size).cloned() {
        layer(examination, asked, &blob).await;
    }
}

/// Fetches a manifest; where there is none, that is reported.
pub(super) async fn manifest(
    examination: &mut Examination<'_>,
    asked: &ExaminedRegistry,
    id: Value,
) -> Option<Manifest> {
    let input = json!({
        "repositoryName": asked.repository(), "imageIds": [id], "acceptedMediaTypes": media_type::MANIFESTS,
    });
    let answer = match asked.call(examination, "BatchGetImage", input, &[]).await {
        Outcome::Answer(answer) => answer,
        Outcome::Denied(detail, hint) => {
            examination.report.add(Finding::ManifestDenied, detail, hint);
            return None;
        }
        Outcome::Refused(_) | Outcome::Failed => return None,
    };
    let image = &answer["images"][0];
    if let Some(text) = image["imageManifest"].as_str() {
        let manifest = Manifest::parse(text.to_owned().into(), image["imageManifestMediaType"].as_str());
        // The image is there, and has a manifest of a form whose layers cannot be told, as docker's first schema.
        return manifest.ok();
    }
    let failure = &answer["failures"][0];
    let reason = failure["failureReason"].as_str().or_else(|| failure["failureCode"].as_str());
    unusable(examination, &id, reason.unwrap_or("the registry answers with no manifest"));
    None
}

fn unusable(examination: &mut Examination<'_>, id: &Value, reason: &str) {
    let name = id["imageDigest"].as_str().or_else(|| id["imageTag"].as_str()).unwrap_or_default();
    let hint = "is the tag right? What an index lists may have been deleted: push the image again";
    examination.report.add(Finding::ImageMissing, format!("{name}: {reason}"), hint);
}

/// The image of an index that containers on this machine would run; the first where there is none.
fn child(examination: &mut Examination<'_>, index: &Manifest) -> Option<Digest> {
    let here = Platform::container_default();
    let children = index.children();
    let fits = |child: &&&Descriptor| child.platform().is_some_and(|offered| here.accepts(&offered));
    if let Some(child) = children.iter().find(fits) {
        return Some(child.digest.clone());
    }
    let offered: Vec<String> =
        children.iter().filter_map(|child| child.platform()).map(|offered| offered.to_string()).collect();
    examination.report.add(
        Finding::PlatformMissing,
        format!("it has no image for {here}, only for {}", offered.join(", ")),
        format!("build for it too: `docker buildx build --platform {here}`"),
    );
    children.first().map(|child| child.digest.clone())
}

async fn layer(examination: &mut Examination<'_>, asked: &ExaminedRegistry, blob: &Descriptor) {
    let input = json!({"repositoryName": asked.repository(), "layerDigest": blob.digest});
    let url = match asked.call(examination, "GetDownloadUrlForLayer", input, &[]).await {
        Outcome::Answer(answer) => answer["downloadUrl"].as_str().unwrap_or_default().to_owned(),
        Outcome::Denied(detail, hint) => {
            examination.report.add(Finding::LayerDenied, detail, hint);
            return;
        }
        Outcome::Refused(_) | Outcome::Failed => return,
    };
    // The URL is signed: anyone with it can read the layer.
    examination.report.hide(&url);
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
    if examination.settings.local() {
        examination.report.ok(Finding::Layer, format!("{} may be read", blob.digest));
        return;
    }
    let Ok(diagnosis) = Diagnosis::new(&examination.settings) else { return };
    match diagnosis.reach(&url).await {
        Ok(reply) if reply.status < 400 => {
            examination.report.ok(Finding::Layer, format!("{} comes from {host}", blob.digest));
        }
        Ok(reply) => examination.report.add(
            Finding::LayerUnreachable,
            format!("{host} answers HTTP {} instead of the layer {}", reply.status, blob.digest),
            "in a VPC, the policy of the s3 endpoint has to allow arn:aws:s3:::prod-REGION-starport-layer-bucket/*",
        ),
        Err(error) => examination.report.add(
            Finding::LayerUnreachable,
            format!("layers come from {host}, which cannot be reached: {error}"),
            "in a VPC without way out, ECR also needs a gateway endpoint for s3; a proxy or firewall has to let it \
             through",
        ),
    }
}
