//! `ecr digest`, `ecr latest` and `ecr find`.

use serde_json::json;

use super::sample::{image, registry};
use super::scripted::{Registry, Service};
use super::{golden, valid};
use crate::harness::registry::digest;

#[test]
fn digest_tells_absence_from_every_other_failure() {
    let service = Service::of(registry());
    let mut machine = service.machine();
    let digest = machine.ok("digest team/app:1.2.3");
    assert!(digest.starts_with("sha256:") && digest.len() == 72, "{digest}");
    assert_eq!(machine.ok("digest team/app"), digest);
    assert_eq!(machine.ok("digest team/app:1.2.3 --uri"), format!("{}/team/app@{digest}", service.address()));
    for absent in ["digest team/app:9", "digest team/none:1"] {
        let outcome = machine.ecr(&absent.split(' ').collect::<Vec<_>>());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{}", outcome.transcript());
        assert!(outcome.stderr.ends_with("does not exist\n"), "{}", outcome.transcript());
    }
    valid("digest", &machine.ok("digest team/app:1.2.3 --output json"));
    golden("digest.json", &machine.ok("digest team/app:build-7 --output json --query image.imageDigest"));
    machine.set("AWS_ENDPOINT_URL", "http://127.0.0.1:1").set("AWS_MAX_ATTEMPTS", "1");
    let _ = machine.fails(255, "digest team/app:9");
    machine.unset("AWS_ACCESS_KEY_ID").unset("AWS_SECRET_ACCESS_KEY");
    let _ = machine.fails(253, "digest team/app:9");
    let _ = machine.fails(252, "digest team/app:9:9");
}

#[test]
fn digest_of_who_may_pull_but_not_describe() {
    let whole = registry();
    let digest = whole.images["team/app"][0]["imageDigest"].as_str().unwrap().to_owned();
    let known = digest.clone();
    let service = Service::start(move |operation, input, _| match operation {
        "DescribeImages" => Err((400, "AccessDeniedException", "not authorized".to_owned())),
        _ if input["imageIds"][0]["imageTag"] == "1.2.3" => Ok(json!({"images": [{
            "registryId": "123456789012", "imageId": {"imageDigest": known, "imageTag": "1.2.3"},
            "imageManifest": "{}"
        }]})),
        _ => Ok(
            json!({"failures": [{"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}]}),
        ),
    });
    let machine = service.machine();
    let outcome = machine.ecr(&["digest", "team/app:1.2.3"]);
    assert_eq!((outcome.code, outcome.stdout), (0, format!("{digest}\n")));
    assert!(outcome.stderr.contains("fetched, which count"), "{}", outcome.stderr);
    let _ = machine.fails(1, "digest team/app:2");
    // A throttle is no absence.
    let service = Service::start(|_, _, _| Err((400, "ThrottlingException", "Rate exceeded".to_owned())));
    let mut machine = service.machine();
    machine.set("AWS_MAX_ATTEMPTS", "3");
    let _ = machine.fails(254, "digest team/app:2");
    assert_eq!(service.count("DescribeImages"), 3);
}

#[test]
fn digest_of_archived_images_and_of_platforms() {
    let service = Service::of(registry());
    let machine = service.machine();
    let odd = format!("team/{}", "o".repeat(251));
    let archived = machine.ecr(&["digest", &format!("{odd}:0.9")]);
    assert_eq!((archived.code, archived.stdout), (0, format!("{}\n", digest(b"archived"))));
    assert!(archived.stderr.contains("is archived"), "{}", archived.stderr);
    let _ = machine.fails(3, &format!("digest {odd}:0.9 --archived fail"));
    let arm = format!("{}\n", digest(b"arm"));
    assert_eq!(machine.ok("digest team/app:1.2.3 --platform linux/arm64"), arm);
    assert_eq!(service.count("BatchGetImage"), 1);
    assert_eq!(machine.ok("digest team/app:1.2.3 --platform linux/arm64"), arm);
    assert_eq!(service.count("BatchGetImage"), 1);
    let _ = machine.fails(1, "digest team/app:1.2.3 --platform linux/s390x");
}

#[test]
fn latest() {
    let service = Service::of(registry());
    let machine = service.machine();
    assert_eq!(machine.ok("latest team/app"), "latest\n");
    assert_eq!(machine.ok("latest team/app --semver *"), "1.2.3\n");
    assert_eq!(machine.ok("latest team/app --match build-*"), "build-100\n");
    assert_eq!(machine.ok("latest team/app --exclude latest --digest"), machine.ok("digest team/app:1.2"));
    let found = machine.ok("latest team/app --platform linux/arm64 --uri");
    assert!(found.ends_with(&format!("/team/app@{}\n", digest(b"arm"))), "{found}");
    let _ = machine.fails(1, "latest team/app --match nothing-*");
    let _ = machine.fails(254, "latest team/none");
    let _ = machine.fails(252, "latest team/app --semver x.y");
    let _ = machine.fails(252, "latest team/app:1");
    let value = valid("latest", &machine.ok("latest team/app --output json"));
    assert_eq!(value["image"]["tag"], "latest");
    // Neither archived images nor such as are there for another one.
    let odd = format!("team/{}", "o".repeat(251));
    assert_eq!(machine.ok(&format!("latest {odd}")), "nested\n");
    assert_eq!(machine.ok(&format!("latest {odd} --exclude nested")), "chart-1.0.0-rc.1\n");
}

/// An unreadable image is not absent: an older image is no answer then.
#[test]
fn a_manifest_that_cannot_be_read_is_no_other_platform() {
    let whole = registry();
    let service = Service::start(move |operation, input, _| match operation {
        "BatchGetImage" => Ok(json!({
            "images": [],
            "failures": [{"imageId": input["imageIds"][0], "failureCode": "KmsError", "failureReason": "no key"}]
        })),
        _ => whole.answer(operation, input),
    });
    let machine = service.machine();
    for line in ["latest team/app --platform linux/arm64", "digest team/app:1.2.3 --platform linux/arm64"] {
        let outcome = machine.ecr(&line.split(' ').collect::<Vec<_>>());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (255, ""), "{line} {}", outcome.stderr);
        assert!(outcome.stderr.contains("KmsError: no key"), "{}", outcome.stderr);
    }
}

/// An image that is deleted between the listing and the look at its manifest: nobody knows for which platform it was.
#[test]
fn a_manifest_that_is_gone_leaves_the_platform_unknown() {
    let whole = registry();
    let service = Service::start(move |operation, input, _| match operation {
        "BatchGetImage" => Ok(json!({
            "images": [],
            "failures": [{"imageId": input["imageIds"][0], "failureCode": "ImageNotFound", "failureReason": "gone"}]
        })),
        _ => whole.answer(operation, input),
    });
    let machine = service.machine();
    let reason = "its manifest cannot be read: it is archived, or was deleted meanwhile";
    for (line, image) in [("latest team/app", "team/app:latest"), ("digest team/app:1.2.3", "team/app:1.2.3")]
    {
        let said = machine.fails(3, &format!("{line} --platform linux/arm64"));
        assert!(said.ends_with(&format!("error: {image}: {reason}\n")), "{line}: {said}");
    }
}

#[test]
fn of_two_that_were_pushed_at_once_the_digest_decides() {
    let at = json!({"imagePushedAt": 1_700_000_000.25, "imageTags": ["a"]});
    let other = json!({"imagePushedAt": 1_700_000_000.25, "imageTags": ["b"]});
    let newest = if digest(b"a") > digest(b"b") { "a\n" } else { "b\n" };
    for images in [vec![("a", &at), ("b", &other)], vec![("b", &other), ("a", &at)]] {
        let images = images.into_iter().map(|(name, members)| image(name, members.clone())).collect();
        let service = Service::of(Registry::default().with("team/app", images));
        assert_eq!(service.machine().ok("latest team/app"), newest);
    }
}

#[test]
fn find() {
    let service = Service::of(registry());
    let machine = service.machine();
    golden("find.txt", &machine.ok("find 1.2.3"));
    golden("find.md", &machine.ok("find 1.2.3 --output markdown"));
    golden("find-glob.txt", &machine.ok("find *.* --output text").replace(service.address(), "HOST"));
    let by_digest = machine.ok(&format!("find {} team/* --output text", digest(b"arm")));
    assert_eq!(by_digest, format!("{}/team/app@{}\n", service.address(), digest(b"arm")));
    let outcome = machine.ecr(&["find", "9.9.9", "--output", "json"]);
    assert_eq!(outcome.code, 1, "{}", outcome.transcript());
    valid("find", &outcome.stdout);
    valid("find", &machine.ok("find * --output json"));
    // A repository that is gone has nothing; a word that is neither tag nor digest is wrong.
    let _ = machine.fails(1, "find 1.2.3 team/none");
    let _ = machine.fails(252, "find sha256:12");
    let _ = machine.fails(252, "find -- -x");
}

/// One call for each repository, however many images they have.
#[test]
fn find_of_a_tag_lists_nothing() {
    let service = Service::of(registry());
    service.machine().ok("find 1.2.3");
    assert_eq!(service.count("DescribeRepositories"), 1);
    assert_eq!(service.count("DescribeImages"), 2);
    for (_, input) in service.calls().iter().filter(|(operation, _)| operation == "DescribeImages") {
        assert_eq!(input["imageIds"], json!([{"imageTag": "1.2.3"}]));
    }
}
