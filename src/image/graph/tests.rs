use serde_json::{Value, json};

use super::*;
use crate::image::media_type;

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn detail(name: &str, members: impl Into<Value>) -> Value {
    let mut detail = json!({"imageDigest": digest(name), "imageManifestMediaType": media_type::OCI_MANIFEST});
    detail.as_object_mut().unwrap().extend(members.into().as_object().unwrap().clone());
    detail
}

fn graph(details: &[Value]) -> Graph {
    let mut graph = Graph::default();
    for detail in details {
        graph.add(Detail::read(detail).unwrap());
    }
    graph.link();
    graph
}

fn index(children: &[(&str, &str)]) -> Manifest {
    let children: Vec<Value> = children
        .iter()
        .map(|(name, platform)| {
            let (os, architecture) = platform.split_once('/').unwrap();
            json!({
                "mediaType": media_type::OCI_MANIFEST, "digest": digest(name), "size": 2,
                "platform": {"os": os, "architecture": architecture}
            })
        })
        .collect();
    let text = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children});
    Manifest::parse(text.to_string().into(), None).unwrap()
}

/// An index of two platforms with an attestation, a signature by tag, a bill of materials by subject, and the
/// signature of a deleted child.
fn sample() -> Graph {
    let hex = |name: &str| digest(name).hexadecimal().to_owned();
    let list = json!({"imageManifestMediaType": media_type::OCI_INDEX, "imageTags": ["1", "latest"], "imageSizeInBytes": 30});
    let mut graph = graph(&[
        detail("index", list),
        detail("amd", json!({"imageSizeInBytes": 30, "lastRecordedPullTime": 1_700_000_000.5})),
        detail("arm", json!({"imageSizeInBytes": 20})),
        detail("provenance", json!({"imageSizeInBytes": 1})),
        detail("sig", json!({"imageTags": [format!("sha256-{}.sig", hex("index"))], "imageSizeInBytes": 2})),
        detail(
            "sbom",
            json!({
                "subjectManifestDigest": digest("amd"), "artifactMediaType": "application/spdx+json",
                "imageSizeInBytes": 4
            }),
        ),
        detail("orphan", json!({"imageTags": [format!("sha256-{}.att", hex("gone"))]})),
    ]);
    let manifest = index(&[
        ("amd", "linux/amd64"),
        ("arm", "linux/arm64"),
        ("provenance", "unknown/unknown"),
        ("lost", "linux/s390x"),
    ]);
    graph.set_children(0, &manifest);
    graph.link();
    graph
}

#[test]
fn members_of_describe_images_are_kept() {
    let moved = json!({
        "imageTags": ["a", "b"], "imageSizeInBytes": 9_007_199_254_740_993_u64, "imagePushedAt": "2023-11-14T22:13:20.5Z",
        "lastRecordedPullTime": 1_700_000_000.5, "imageStatus": "ARCHIVED", "lastArchivedAt": 1.5,
        "subjectManifestDigest": digest("subject"), "artifactMediaType": "text/x"
    });
    let graph = graph(&[detail("x", moved), json!({"imageDigest": digest("bare")})]);
    let image = graph.image(0);
    assert_eq!(image.digest(), digest("x"));
    assert_eq!(image.tags().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(image.size(), Some(9_007_199_254_740_993));
    assert_eq!(image.pushed(), image.pulled());
    assert_eq!(image.pushed().unwrap().timestamp().to_string(), "2023-11-14T22:13:20.5Z");
    assert_eq!(
        (image.status(), image.archived().is_some(), image.activated()),
        (Status::Archived, true, None)
    );
    assert_eq!(image.subject(), Some(digest("subject")));
    assert_eq!(
        (graph.media_type(0), graph.artifact_type(0)),
        (Some(media_type::OCI_MANIFEST), Some("text/x"))
    );
    let bare = graph.image(1);
    assert_eq!((bare.size(), bare.pushed(), bare.pulled(), bare.is_tagged()), (None, None, None, false));
    assert_eq!((graph.media_type(1), graph.kind(1), bare.status()), (None, Kind::Image, Status::Active));
}

#[test]
fn wrong_digests_and_tags_are_refused() {
    for wrong in [
        json!({}),
        json!({"imageDigest": "sha256:12"}),
        json!({"imageDigest": digest("x"), "imageTags": ["a\u{1b}[2J"]}),
        json!({"imageDigest": digest("x"), "imageTags": [7]}),
        json!({"imageDigest": digest("x"), "subjectManifestDigest": "latest"}),
    ] {
        assert!(Detail::read(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn kinds() {
    let graph = sample();
    let kinds: Vec<&str> = (0..graph.len()).map(|position| graph.kind(position).name()).collect();
    assert_eq!(kinds, ["index", "image", "image", "attestation", "signature", "sbom", "attestation"]);
    for (artifact_type, kind) in [
        (media_type::OCI_CONFIGURATION, Kind::Image),
        (media_type::DOCKER_CONFIGURATION, Kind::Image),
        ("application/vnd.cncf.helm.config.v1+json", Kind::Artifact),
        ("application/vnd.cncf.notary.signature", Kind::Signature),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", Kind::Signature),
        ("application/vnd.in-toto+json", Kind::Attestation),
        ("application/vnd.cyclonedx+json", Kind::Sbom),
        ("application/vnd.amazon.soci.index.v1+json", Kind::Soci),
    ] {
        let graph = self::graph(&[detail("x", json!({"artifactMediaType": artifact_type}))]);
        assert_eq!(graph.kind(0), kind, "{artifact_type}");
    }
}

#[test]
fn edges() {
    let graph = sample();
    let children: Vec<_> = graph.children(0).map(|child| (child.position, child.platform.unwrap())).collect();
    assert_eq!(children, [(1, "linux/amd64"), (2, "linux/arm64"), (3, "unknown/unknown")]);
    assert_eq!(graph.listed(0).unwrap().absent, [digest("lost")]);
    assert_eq!(
        (1..7).map(|at| graph.parents(at).collect::<Vec<_>>()).collect::<Vec<_>>()[..3],
        [[0], [0], [0]]
    );
    assert_eq!(graph.companions(0).collect::<Vec<_>>(), [4]);
    assert_eq!(graph.companions(1).collect::<Vec<_>>(), [5]);
    assert_eq!(graph.subjects_of(6).count(), 0);
    let folded: Vec<bool> = (0..graph.len()).map(|position| graph.is_folded(position)).collect();
    assert_eq!(folded, [false, true, true, true, true, true, false]);
    let companions: Vec<bool> = (0..graph.len()).map(|position| graph.is_companion(position)).collect();
    assert_eq!(companions, [false, false, false, false, true, true, true]);
    assert_eq!(graph.with_descendants(0), [0, 1, 2, 3, 4, 5]);
    assert_eq!(graph.bytes_with_descendants(0), Some(57));
    assert_eq!(graph.bytes_with_descendants(6), None);
    assert_eq!(graph.last_pull(0), graph.image(1).pulled());
    assert_eq!(graph.position(&digest("arm")), Some(2));
    assert_eq!(graph.position(&digest("lost")), None);
    assert_eq!(graph.tagged("latest"), Some(0));
}

#[test]
fn an_index_that_lists_itself_and_two_that_list_each_other_end() {
    let list = json!({"imageManifestMediaType": media_type::OCI_INDEX});
    let mut graph = graph(&[detail("a", list.clone()), detail("b", list)]);
    graph.set_children(0, &index(&[("a", "linux/amd64"), ("b", "linux/amd64")]));
    graph.set_children(1, &index(&[("a", "linux/amd64")]));
    graph.link();
    assert_eq!(graph.with_descendants(0), [0, 1]);
    assert_eq!(graph.bytes_with_descendants(1), Some(0));
}

#[test]
fn an_image_listed_twice_is_kept_as_listed_last() {
    let graph = graph(&[
        detail("a", json!({"imageTags": ["old"]})),
        detail("b", json!({})),
        detail("a", json!({"imageTags": ["new"]})),
    ]);
    assert_eq!(graph.len(), 2);
    let a = graph.position(&digest("a")).unwrap();
    assert_eq!(graph.image(a).tags().collect::<Vec<_>>(), ["new"]);
    assert!(graph.position(&digest("b")).is_some());
}

#[test]
fn tags_of_companions() {
    let hex = "a".repeat(64);
    let read = |tag: String| CompanionTag::read(&tag).map(|(_, kind)| kind);
    assert_eq!(read(format!("sha256-{hex}")), Some(CompanionTag::Referrers));
    assert_eq!(read(format!("sha256-{hex}.sig")), Some(CompanionTag::Signature));
    assert_eq!(read(format!("sha256-{hex}.att")), Some(CompanionTag::Attestation));
    assert_eq!(read(format!("sha256-{hex}.sbom")), Some(CompanionTag::Sbom));
    for ordinary in [format!("sha256-{hex}.txt"), format!("sha256-{}", &hex[1..]), "sha256-".to_owned(), hex]
    {
        assert_eq!(read(ordinary.clone()), None, "{ordinary}");
    }
    // An image with an ordinary tag beside such a tag is no companion.
    let both = json!({"imageTags": [format!("sha256-{}.sig", "a".repeat(64)), "v1"]});
    assert!(!graph(&[detail("x", both)]).is_companion(0));
}

/// The bound is 200 bytes with a tag of usual length, the allocator's overhead and the order of the digests.
#[test]
fn an_image_is_small() {
    assert!(size_of::<Image>() <= 144, "{}", size_of::<Image>());
}
