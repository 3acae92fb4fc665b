//! A registry with everything that DescribeImages can return.

use serde_json::{Value, json};

use super::scripted::Registry;
use crate::harness::registry::digest;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";

/// An image whose digest is made of a name.
pub(super) fn image(name: &str, members: impl Into<Value>) -> Value {
    let mut image = json!({
        "imageDigest": digest(name.as_bytes()), "imageManifestMediaType": MANIFEST,
        "artifactMediaType": CONFIGURATION, "imageStatus": "ACTIVE"
    });
    image.as_object_mut().unwrap().extend(members.into().as_object().unwrap().clone());
    image
}

/// Makes an index of these digests with their platforms.
pub(super) fn index(children: &[(&str, &str)]) -> Value {
    let children: Vec<Value> = children
        .iter()
        .map(|(child, platform)| {
            let (os, architecture) = platform.split_once('/').unwrap();
            json!({
                "mediaType": MANIFEST, "digest": child, "size": 500,
                "platform": {"os": os, "architecture": architecture}
            })
        })
        .collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
}

fn list(members: Value) -> Value {
    let mut image = image("", members);
    image["imageManifestMediaType"] = json!(INDEX);
    image.as_object_mut().unwrap().remove("artifactMediaType");
    image
}

/// `team/app`: an index with two platforms and an attestation, signed, and an old image with many tags; `team/odd`:
/// an archived image, an artifact, an index of indexes, and an image of which next to nothing is known.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::default();
    let (amd, arm, provenance) = (digest(b"amd"), digest(b"arm"), digest(b"provenance"));
    let app = registry.manifest(&index(&[
        (&amd, "linux/amd64"),
        (&arm, "linux/arm64"),
        (&provenance, "unknown/unknown"),
    ]));
    let outer = registry.manifest(&index(&[(&app, "linux/amd64")]));
    let odd = format!("team/{}", "o".repeat(251));
    registry.with("team/app", team_app(&app, &amd)).with(&odd, team_odd(&outer))
}

/// The images of `team/app`, by the digests of its index and of the index's first image.
fn team_app(app: &str, amd: &str) -> Vec<Value> {
    let signature = format!("sha256-{}.sig", &app[7..]);
    let many: Vec<String> = (0..1000).map(|number| format!("build-{number}")).collect();
    vec![
        list(json!({
            "imageDigest": app, "imageTags": ["1.2.3", "1.2", "latest"], "imageSizeInBytes": 31_457_280,
            "imagePushedAt": 1_700_000_000.5, "lastRecordedPullTime": 1_700_100_000.0
        })),
        image("amd", json!({"imageSizeInBytes": 31_457_280, "imagePushedAt": 1_700_000_000.5})),
        image("arm", json!({"imageSizeInBytes": 20_971_520, "imagePushedAt": 1_700_000_000.5})),
        image("provenance", json!({"imageSizeInBytes": 4096, "imagePushedAt": 1_700_000_000.5})),
        image(
            "signature",
            json!({
                "imageTags": [signature], "imageSizeInBytes": 512, "imagePushedAt": 1_700_000_010.0,
                "artifactMediaType": "application/vnd.dev.cosign.artifact.sig.v1+json"
            }),
        ),
        image(
            "sbom",
            json!({
                "subjectManifestDigest": amd, "imageSizeInBytes": 2048, "imagePushedAt": 1_700_000_020.0,
                "artifactMediaType": "application/spdx+json"
            }),
        ),
        image(
            "old",
            json!({
                "imageTags": many, "imageSizeInBytes": 9_007_199_254_740_993_u64, "imagePushedAt": 1_600_000_000.0,
                "lastRecordedPullTime": 1_690_000_000.0
            }),
        ),
    ]
}

/// The images of `team/odd`, by the digest of its index.
fn team_odd(outer: &str) -> Vec<Value> {
    vec![
        image(
            "archived",
            json!({
                "imageTags": ["0.9"], "imageSizeInBytes": 1_048_576, "imagePushedAt": 1_650_000_000.0,
                "imageStatus": "ARCHIVED", "lastArchivedAt": 1_680_000_000.0, "lastActivatedAt": 1_670_000_000.0
            }),
        ),
        image(
            "chart",
            json!({
                "imageTags": ["chart-1.0.0-rc.1"], "imageSizeInBytes": 1024, "imagePushedAt": 1_660_000_000.0,
                "artifactMediaType": "application/vnd.cncf.helm.config.v1+json"
            }),
        ),
        list(json!({"imageDigest": outer, "imageTags": ["nested"], "imagePushedAt": 1_670_000_000.0})),
        json!({"imageDigest": digest(b"bare")}),
    ]
}
