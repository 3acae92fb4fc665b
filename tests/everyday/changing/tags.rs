//! `ecr tag` and `ecr untag`.

use serde_json::json;

use super::super::{golden, valid};
use super::stage::Stage;

#[test]
fn tags_are_created_moved_kept_and_left() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    let old = stage.registry.image("team/app", "old", Some("prod"));
    let new = stage.registry.image("team/app", "new", Some("1.1"));
    let outcome = stage.machine.ecr(&["tag", "team/app:1.1", "prod", "1.1", "fresh"]);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    golden("tag.txt", &outcome.stdout);
    assert!(outcome.stderr.contains(&format!("prod: {new} (was {old})\n")), "{}", outcome.stderr);
    assert_eq!(stage.service.count("PutImage"), 2);
    // The bytes are those that were there.
    let put = stage.service.calls().into_iter().find(|(operation, _)| operation == "PutImage").unwrap().1;
    assert_eq!(crate::harness::registry::digest(put["imageManifest"].as_str().unwrap().as_bytes()), new);
    assert_eq!(
        (&put["imageDigest"], &put["imageManifestMediaType"]),
        (&json!(new), &json!(super::stage::MANIFEST))
    );
    // A second run changes nothing, and fetches nothing.
    let fetched = stage.service.count("BatchGetImage");
    assert_eq!(
        stage.machine.ok("tag team/app:1.1 prod --output text"),
        format!("prod\t{new}\tunchanged\t\n")
    );
    assert_eq!((stage.service.count("PutImage"), stage.service.count("BatchGetImage")), (2, fetched));
    // A tag that names another image stays with --if-absent.
    stage.registry.image("team/app", "old", Some("taken"));
    assert_eq!(
        stage.machine.ok("tag team/app:1.1 taken --if-absent --output text"),
        format!("taken\t{old}\tkept\t\n")
    );
    let value = valid("tag", &stage.machine.ok("tag team/app:1.1 taken --output json"));
    assert_eq!(
        value["tags"],
        json!([{
            "repositoryName": "team/app", "imageTag": "taken", "imageDigest": new, "previousDigest": old,
            "result": "moved"
        }])
    );
    for (format, name) in [("markdown", "tag.md"), ("text", "tag.tsv")] {
        golden(name, &stage.machine.ok(&format!("tag team/app:1.1 prod --output {format}")));
    }
    assert_eq!(stage.machine.ok("tag team/app:1.1 prod --query tags[].result --output text"), "unchanged\n");
    let _ = stage.machine.fails(1, "tag team/app:none prod");
    let _ = stage.machine.fails(254, "tag team/none:1 prod");
    for wrong in [
        "tag team/app:1.1 other/app",
        "tag team/app:1.1 app@sha256:12",
        "tag team/app:1.1 prod --if-absent --expect sha256:1",
    ] {
        let _ = stage.machine.fails(252, wrong);
    }
}

#[test]
fn conflicts_are_found_before_anything_is_sent() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    let old = stage.registry.image("team/app", "old", Some("1.0"));
    let new = stage.registry.image("team/app", "new", Some("next"));
    let mutability = json!({"repositoryName": "team/app", "imageTagMutability": "IMMUTABLE"});
    stage.registry.call("PutImageTagMutability", mutability).unwrap();
    let error = stage.machine.fails(5, "tag team/app:next fresh 1.0");
    assert!(error.contains(&format!(
        "error: 1.0 names {old} and cannot be moved, since the tag mutability of team/app is IMMUTABLE; --if-absent leaves \
         it there; nothing was changed\n"
    )), "{error}");
    assert_eq!(
        (stage.writes(), stage.registry.tags("team/app")),
        (0, vec!["1.0".to_owned(), "next".to_owned()])
    );
    // --expect: from this image and no other.
    let mutability = json!({"repositoryName": "team/app", "imageTagMutability": "MUTABLE"});
    stage.registry.call("PutImageTagMutability", mutability).unwrap();
    let error = stage.machine.fails(5, &format!("tag team/app:next 1.0 --expect {new}"));
    assert!(error.contains(&format!("1.0 names {old}, and not {new} as --expect says")), "{error}");
    let _ = stage.machine.fails(5, &format!("tag team/app:next absent --expect {old}"));
    assert_eq!(stage.writes(), 0);
    stage.machine.ok(&format!("tag team/app:next 1.0 --expect {old}"));
    // Without the right to read the mutability, the service refuses, with the same exit code.
    let mutability = json!({"repositoryName": "team/app", "imageTagMutability": "IMMUTABLE"});
    stage.registry.call("PutImageTagMutability", mutability).unwrap();
    stage.registry.image("team/app", "third", Some("third"));
    stage.before_each_call(|_, operation, _, _| {
        let denied = || Err((400, "AccessDeniedException", "not authorized".to_owned()));
        (operation == "DescribeRepositories").then(denied)
    });
    let error = stage.machine.fails(5, "tag team/app:third 1.0");
    assert!(error.contains("ImageTagAlreadyExistsException"), "{error}");
}

#[test]
fn an_image_is_tagged_in_other_repositories_and_for_one_platform() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    let amd = stage.registry.image("team/app", "amd", None);
    let arm = stage.registry.image("team/app", "arm", None);
    let app = stage.registry.index("team/app", &[&amd, &arm], Some("1"));
    stage.machine.ok("tag team/app:1 1-arm --platform linux/arm64");
    assert!(stage.registry.images("team/app").contains(&(arm, vec!["1-arm".to_owned()])));
    let _ = stage.machine.fails(1, "tag team/app:1 1-riscv --platform linux/riscv64");
    stage.registry.call("CreateRepository", json!({"repositoryName": "prod/app"})).unwrap();
    // Layers move through the download URLs of a real server.
    let machine = {
        let mut machine = crate::harness::Machine::new();
        machine.set("ECR_LOCAL", "1");
        machine
    };
    let sample = format!("{}/examples/sample-image", env!("CARGO_MANIFEST_DIR"));
    machine.ok("create-repository --repository-name team/app");
    machine.ok("create-repository --repository-name prod/app");
    let digest = machine.ok(&format!("push {sample} team/app:1.0"));
    let digest = digest.trim();
    let done = machine.ok("tag team/app:1.0 prod/app:1.0 prod/app:stable --output text");
    assert_eq!(done, format!("prod/app:1.0\t{digest}\tcreated\t\nprod/app:stable\t{digest}\tcreated\t\n"));
    assert_eq!(machine.ok("digest prod/app:stable").trim(), digest);
    assert_ne!(app, digest);
}

#[test]
fn a_failing_repository_leaves_the_changes_in_the_result() {
    let stage = Stage::new();
    for repository in ["team/app", "prod/app", "test/app"] {
        stage.registry.repository(repository);
    }
    let digest = stage.registry.image("team/app", "one", Some("1"));
    stage.registry.image("test/app", "one", Some("stable"));
    stage.before_each_call(|_, operation, input, _| {
        let denied = || Err((400, "AccessDeniedException", "not authorized".to_owned()));
        (operation == "BatchCheckLayerAvailability" && input["repositoryName"] == "prod/app").then(denied)
    });
    let words = ["tag", "team/app:1", "next", "prod/app:1", "test/app:stable", "--output", "json"];
    let outcome = stage.machine.ecr(&words);
    assert_eq!(outcome.code, 4, "{}", outcome.transcript());
    let value = valid("tag", &outcome.stdout);
    let results: Vec<_> = value["tags"].as_array().unwrap().iter().map(|tag| &tag["result"]).collect();
    assert_eq!(results, ["created", "failed", "unchanged"]);
    assert!(outcome.stderr.contains("not authorized"), "{}", outcome.stderr);
    assert!(stage.registry.images("team/app").contains(&(digest, vec!["1".to_owned(), "next".to_owned()])));
}

#[test]
fn an_archived_image_cannot_be_tagged_and_the_way_back_is_named() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    let digest = stage.registry.image("team/app", "cold", Some("cold"));
    let archive = json!({
        "repositoryName": "team/app", "imageId": {"imageDigest": digest}, "targetStorageClass": "ARCHIVE"
    });
    stage.registry.call("UpdateImageStorageClass", archive).unwrap();
    assert_eq!(
        stage.machine.fails(3, "tag team/app:cold warm"),
        "error: team/app:cold is archived: `ecr restore team/app:cold --wait` brings it back\n"
    );
    assert_eq!(stage.writes(), 0);
}

#[test]
fn tags_go_and_images_stay() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    let one = stage.registry.image("team/app", "one", Some("a"));
    for tag in ["b", "c"] {
        stage.registry.image("team/app", "one", Some(tag));
    }
    let other = stage.registry.image("team/app", "other", Some("only"));
    // An image's last tag, and all tags of an image, are refused and nothing is done.
    let error = stage.machine.fails(5, "untag team/app:a team/app:only --yes");
    assert_eq!(
        error,
        format!(
            "error: team/app:only is the only tag of {other}, and Amazon ECR deletes an image with its last tag: `ecr rm \
             team/app:only` deletes it, and `ecr tag team/app:only OTHER` gives it another tag first; nothing was changed\n"
        )
    );
    let error = stage.machine.fails(5, "untag team/app:a team/app:b team/app:c --yes");
    assert!(error.starts_with(&format!("error: these are all tags of team/app@{one}, and")), "{error}");
    let error = stage.machine.fails(5, &format!("untag team/app:a --expect {other} --yes"));
    assert!(error.contains("as --expect says"), "{error}");
    assert_eq!(stage.writes(), 0);
    // Shown, then done, and told in all formats.
    golden("untag-dry-run.txt", &stage.machine.ok("untag team/app:a team/app:b --dry-run --yes"));
    assert_eq!(stage.writes(), 0);
    let outcome = stage.machine.ecr(&["untag", "team/app:a", "team/app:none", "--yes", "--output", "json"]);
    assert_eq!(outcome.code, 1, "{}", outcome.transcript());
    let value = valid("untag", &outcome.stdout);
    assert_eq!(
        value["tags"],
        json!([
            {"repositoryName": "team/app", "imageTag": "a", "imageDigest": one, "result": "removed"},
            {"repositoryName": "team/app", "imageTag": "none", "result": "absent"},
        ])
    );
    let deleted: Vec<_> =
        stage.service.calls().into_iter().filter(|(operation, _)| operation == "BatchDeleteImage").collect();
    assert_eq!(deleted[0].1["imageIds"], json!([{"imageTag": "a"}]));
    golden("untag.txt", &stage.machine.ok("untag team/app:b --yes"));
    assert_eq!(stage.registry.tags("team/app"), ["c", "only"]);
    for wrong in ["untag team/app --yes", &format!("untag team/app@{one} --yes"), "untag --yes"] {
        let _ = stage.machine.fails(252, wrong);
    }
}

#[test]
fn a_tag_that_moves_between_two_calls_stays() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    for tag in ["prod", "1.0"] {
        stage.registry.image("team/app", "old", Some(tag));
    }
    // After the question: the second DescribeImages is the look just before.
    let seen = std::sync::atomic::AtomicUsize::new(0);
    stage.before_each_call(move |registry, operation, _, _| {
        if operation == "DescribeImages" && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            registry.image("team/app", "new", Some("prod"));
        }
        None
    });
    let outcome = stage.machine.ecr(&["untag", "team/app:prod", "--yes"]);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    assert!(
        outcome.stdout.contains("spared") && outcome.stdout.contains("moved or removed"),
        "{}",
        outcome.stdout
    );
    assert_eq!(
        (stage.writes(), stage.registry.tags("team/app")),
        (0, vec!["1.0".to_owned(), "prod".to_owned()])
    );
    // And where the other tags go in between, the last one stays with its image.
    let seen = std::sync::atomic::AtomicUsize::new(0);
    stage.registry.image("team/app", "new", Some("spare"));
    stage.before_each_call(move |registry, operation, _, _| {
        if operation == "DescribeImages" && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            let gone = json!({"repositoryName": "team/app", "imageIds": [{"imageTag": "spare"}]});
            registry.call("BatchDeleteImage", gone).unwrap();
        }
        None
    });
    let outcome = stage.machine.ecr(&["untag", "team/app:prod", "--yes"]);
    assert!(outcome.stdout.contains("it has become the last tag"), "{}", outcome.transcript());
    assert_eq!(stage.registry.tags("team/app"), ["1.0", "prod"]);
}

#[test]
fn a_moved_tag_that_is_removed_is_reported() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    for tag in ["pr-1", "1.0"] {
        let digest = stage.registry.image("team/app", "old", Some(tag));
        stage.registry.age(&digest, 90);
    }
    // Between the last look and the deletion, which no client can prevent.
    stage.before_each_call(|registry, operation, _, _| {
        if operation == "BatchDeleteImage" {
            registry.image("team/app", "new", Some("pr-1"));
        }
        None
    });
    for command in ["untag team/app:pr-1", "prune team/app --match pr-* --tags --grace 0s"] {
        stage.registry.image("team/app", "old", Some("pr-1"));
        stage.registry.image("team/app", "new", Some("2.0"));
        let words: Vec<&str> = command.split(' ').chain(["--yes", "--output", "json"]).collect();
        let outcome = stage.machine.ecr(&words);
        assert!(
            outcome.stdout.contains("between the last look and the call, and was removed there"),
            "{}",
            outcome.transcript()
        );
        assert_eq!(outcome.code, 254, "{}", outcome.transcript());
    }
}

#[test]
fn replicated_deletions_are_reported() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    for tag in ["a", "b"] {
        stage.registry.image("team/app", "one", Some(tag));
    }
    let rules = json!({"replicationConfiguration": {"rules": [{
        "destinations": [{"region": "eu-central-1", "registryId": "123456789012"}],
        "deleteReplication": {"enabled": true}
    }]}});
    stage.registry.call("PutReplicationConfiguration", rules).unwrap();
    let outcome = stage.machine.ecr(&["untag", "team/app:a", "--dry-run", "--output", "json"]);
    assert_eq!(
        outcome.stderr,
        "warning: what goes from team/app is also deleted in eu-central-1 of 123456789012\n"
    );
    let value = valid("untag", &outcome.stdout);
    assert_eq!(value["alsoDeletedIn"], json!([{"region": "eu-central-1", "registryId": "123456789012"}]));
}
