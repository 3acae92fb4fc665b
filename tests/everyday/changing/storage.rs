//! `ecr archive`, `ecr restore`, and the pull of an archived image.

use serde_json::json;

use super::super::valid;
use super::stage::{Registry, Stage, referrer};
use crate::harness::Machine;

fn statuses(registry: &Registry, repository: &str) -> Vec<(String, String)> {
    let input = json!({"repositoryName": repository, "filter": {"imageStatus": "ANY"}});
    let answer = registry.call("DescribeImages", input).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut all: Vec<(String, String)> = answer["imageDetails"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| (text(&image["imageDigest"]), text(&image["imageStatus"])))
        .collect();
    all.sort();
    all
}

#[test]
fn an_index_is_archived_and_comes_back_with_what_it_lists() {
    let stage = Stage::restoring_within(std::time::Duration::from_millis(400));
    let registry = &stage.registry;
    registry.repository("team/app");
    let amd = registry.image("team/app", "amd", None);
    let shared = registry.image("team/app", "shared", None);
    let app = registry.index("team/app", &[&amd, &shared], Some("1.0"));
    registry.index("team/app", &[&shared], Some("2.0"));
    let report = registry.put("team/app", &referrer("report", &app), None);
    let value = valid("archive", &stage.machine.ok("archive team/app:1.0 --dry-run --output json"));
    assert_eq!((&value["summary"]["delete"], stage.writes()), (&json!(3), 0));
    let value = valid("archive", &stage.machine.ok("archive team/app:1.0 --yes --output json"));
    assert_eq!(value["summary"]["deleted"], 3);
    let archived = |wanted: &[&String]| {
        let mut wanted: Vec<String> = wanted.iter().map(|digest| (*digest).clone()).collect();
        wanted.sort();
        let found: Vec<String> = statuses(registry, "team/app")
            .into_iter()
            .filter(|(_, status)| status == "ARCHIVED")
            .map(|(digest, _)| digest)
            .collect();
        assert_eq!(found, wanted);
    };
    archived(&[&amd, &app, &report]);
    // The referrer follows its subject, and has no call of its own.
    let calls = stage.service.calls();
    let changed: Vec<_> = calls
        .iter()
        .filter(|(operation, _)| operation == "UpdateImageStorageClass")
        .map(|(_, input)| input["imageId"]["imageDigest"].clone())
        .collect();
    assert_eq!(changed, [json!(app), json!(amd)]);
    stage.machine.ok("archive team/app:1.0 --yes");
    let error = stage.machine.fails(5, &format!("archive team/app@{shared} --yes"));
    assert!(error.contains("is listed by the index"), "{error}");
    let _ = stage.machine.fails(1, "archive team/app:none --yes");
    // What it lists is known from the cache; without it, once the index is back.
    let value = valid("restore", &stage.machine.ok("restore team/app:1.0 --wait --no-cache --output json"));
    let results: Vec<_> =
        value["images"].as_array().unwrap().iter().map(|image| image["result"].clone()).collect();
    assert_eq!(results, [json!("restored"), json!("restored"), json!("unchanged")]);
    archived(&[]);
    let value = valid("restore", &stage.machine.ok("restore team/app:1.0 --output json"));
    assert_eq!(value["images"][0]["result"], "unchanged");
}

#[test]
fn what_takes_too_long_cannot_be_told() {
    let stage = Stage::restoring_within(std::time::Duration::from_hours(1));
    stage.registry.repository("team/app");
    stage.registry.image("team/app", "one", Some("1.0"));
    stage.machine.ok("archive team/app:1.0 --yes");
    let outcome =
        stage.machine.ecr(&["restore", "team/app:1.0", "--wait", "--timeout", "0s", "--output", "json"]);
    assert_eq!(outcome.code, 3, "{}", outcome.transcript());
    assert_eq!(valid("restore", &outcome.stdout)["images"][0]["result"], "activating");
    assert_eq!(
        outcome.stderr,
        "error: not all images are back after 0s; run the same again to go on waiting\n"
    );
    // On its way back it is neither pruned nor archived again.
    stage.machine.ok("prune team/app --tagged --grace 0s --yes");
    assert_eq!(statuses(&stage.registry, "team/app")[0].1, "ACTIVATING");
    let outcome = stage.machine.ecr(&["restore", "team/app:1.0", "team/app:none", "--output", "json"]);
    assert_eq!(outcome.code, 1, "{}", outcome.transcript());
    valid("restore", &outcome.stdout);
}

#[test]
fn the_pull_of_an_archived_image_names_the_way_back() {
    let mut machine = Machine::new();
    machine.set("ECR_LOCAL", "1");
    let sample = format!("{}/examples/sample-image", env!("CARGO_MANIFEST_DIR"));
    machine.ok("create-repository --repository-name team/app");
    let digest = machine.ok(&format!("push {sample} team/app:1.0"));
    machine.ok("archive team/app:1.0 --yes");
    for (image, named) in [
        ("team/app:1.0", ":1.0".to_owned()),
        (&format!("team/app@{}", digest.trim()), format!("@{}", digest.trim())),
    ] {
        let error = machine.fails(3, &format!("pull {image} ./copy"));
        assert!(
            error.contains(&format!("`ecr restore team/app{named} --wait` brings an archived image back")),
            "{error}"
        );
    }
    machine.ok("restore team/app:1.0 --wait");
    machine.ok("pull team/app:1.0 ./copy");
}
