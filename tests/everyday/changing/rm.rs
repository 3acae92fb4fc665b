//! `ecr rm`.

use serde_json::json;

use super::super::{golden, valid};
use super::stage::{Stage, referrer};

/// An index of two platforms, one of which another index lists too, signed in both ways.
fn stage() -> (Stage, [String; 6]) {
    let stage = Stage::new();
    let registry = &stage.registry;
    registry.repository("team/app");
    let amd = registry.image("team/app", "amd", None);
    let shared = registry.image("team/app", "shared", None);
    let app = registry.index("team/app", &[&amd, &shared], Some("1.0"));
    let other = registry.index("team/app", &[&shared], Some("2.0"));
    let signature = registry.image("team/app", "signature", Some(&format!("sha256-{}.sig", &app[7..])));
    let report = registry.put("team/app", &referrer("report", &amd), None);
    (stage, [amd, shared, app, other, signature, report])
}

#[test]
fn an_image_goes_with_its_children_and_companions_in_order() {
    let (stage, [amd, shared, app, other, signature, report]) = stage();
    golden("rm-dry-run.txt", &stage.machine.ok("rm team/app:1.0 --dry-run"));
    assert_eq!(stage.writes(), 0);
    for (format, name) in [("text", "rm.tsv"), ("markdown", "rm.md")] {
        golden(name, &stage.machine.ok(&format!("rm team/app:1.0 --dry-run --output {format}")));
    }
    let outcome = stage.machine.ecr(&["rm", "team/app:1.0", "--yes", "--output", "json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    let value = valid("rm", &outcome.stdout);
    assert_eq!(value["summary"]["deleted"], 4);
    let left: Vec<String> = stage.registry.images("team/app").into_iter().map(|(digest, _)| digest).collect();
    let mut expected = vec![shared, other];
    expected.sort();
    assert_eq!(left, expected);
    // The index first, then its child and its signature, then what is about the child; by digest.
    let calls = stage.service.calls();
    let deleted: Vec<_> = calls
        .iter()
        .filter(|(operation, _)| operation == "BatchDeleteImage")
        .map(|(_, input)| input["imageIds"].clone())
        .collect();
    let mut second = [amd, signature];
    second.sort_by_key(|digest| deleted[1].to_string().find(digest.as_str()));
    assert_eq!(
        deleted,
        [
            json!([{"imageDigest": app}]),
            second.iter().map(|digest| json!({"imageDigest": digest})).collect(),
            json!([{"imageDigest": report}])
        ]
    );
}

#[test]
fn children_of_indexes_are_refused_and_absent_images_reported() {
    let (stage, [amd, _, app, other, ..]) = stage();
    let error = stage.machine.fails(5, &format!("rm team/app:2.0 team/app@{amd} --yes"));
    assert!(
        error.ends_with(&format!(
            "error: team/app@{amd} is listed by the index {app}, which stays: `ecr rm team/app@{app}` takes both; nothing \
             was changed\n"
        )),
        "{error}"
    );
    assert_eq!(stage.writes(), 0);
    // With the index in the set it is no conflict.
    stage.machine.ok(&format!("rm team/app@{app} team/app@{amd} --dry-run"));
    let error = stage.machine.fails(1, "rm team/app:none team/app:2.0 --yes");
    assert_eq!(error, "error: team/app:none does not exist\n");
    assert!(!stage.registry.has("team/app", &other));
    for wrong in ["rm team/app --yes", "rm --yes", "rm app:1 --children=no --yes"] {
        let _ = stage.machine.fails(252, wrong);
    }
    let _ = stage.machine.fails(254, "rm team/none:1 --yes");
}

#[test]
fn children_and_companions_stay_where_that_is_asked_for() {
    let (stage, [_, _, app, ..]) = stage();
    stage.machine.ok("rm team/app:1.0 --keep-children --keep-companions --yes");
    assert!(!stage.registry.has("team/app", &app));
    assert_eq!(stage.registry.images("team/app").len(), 5);
}

#[test]
fn references_come_from_standard_input() {
    use std::io::Write as _;
    let (stage, _) = stage();
    let mut command =
        stage.machine.command(env!("CARGO_BIN_EXE_ecr"), &["rm", "-", "--yes", "--output", "off"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"# what goes\nteam/app:1.0\n\nteam/app:2.0\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(stage.registry.images("team/app"), []);
}

#[test]
fn replicated_deletions_are_announced() {
    let stage = Stage::new();
    let rules = json!({"replicationConfiguration": {"rules": [{
        "destinations": [{"region": "eu-central-1", "registryId": "123456789012"}],
        "deleteReplication": {"enabled": true}
    }]}});
    stage.registry.call("PutReplicationConfiguration", rules).unwrap();
    stage.registry.repository("team/app");
    for name in ["one", "two"] {
        let digest = stage.registry.image("team/app", name, Some(name));
        stage.registry.age(&digest, 90);
    }
    assert_eq!(stage.registry.images_in("eu-central-1", "team/app").len(), 2);
    let outcome = stage.machine.ecr(&["rm", "team/app:one", "--yes", "--output", "json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    assert_eq!(
        outcome.stderr,
        "warning: what goes from team/app is also deleted in eu-central-1 of 123456789012\n"
    );
    assert_eq!(stage.registry.images_in("eu-central-1", "team/app").len(), 1);
    // A prune needs a word for it.
    let error = stage.machine.fails(5, "prune team/app --tagged --allow-empty --yes");
    assert!(error.contains("--allow-replicated allows that; nothing was changed"), "{error}");
    assert_eq!(stage.registry.images_in("eu-central-1", "team/app").len(), 1);
    let outcome = stage.machine.ecr(&[
        "prune",
        "team/app",
        "--tagged",
        "--allow-empty",
        "--dry-run",
        "--output",
        "json",
    ]);
    assert_eq!(outcome.code, 1, "{}", outcome.transcript());
    let value = valid("prune", &outcome.stdout);
    assert!(value["brake"][0].as_str().unwrap().contains("eu-central-1"), "{value}");
    assert_eq!(value["repositories"][0]["alsoDeletedIn"][0]["region"], "eu-central-1");
    stage.machine.ok("prune team/app --tagged --allow-empty --allow-replicated --yes");
    assert_eq!(stage.registry.images_in("eu-central-1", "team/app"), []);
    // Where it cannot be told, it is not assumed.
    stage.registry.image("team/app", "three", Some("three"));
    stage.before_each_call(|_, operation, _, _| {
        let denied = || Err((400, "AccessDeniedException", "not authorized".to_owned()));
        (operation == "DescribeRegistry").then(denied)
    });
    let error = stage.machine.fails(5, "prune team/app --tagged --grace 0s --allow-empty --yes");
    assert!(error.contains("ecr:DescribeRegistry is denied; --allow-replicated"), "{error}");
}
