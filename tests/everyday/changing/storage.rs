//! `ecr archive`, `ecr restore`, and the pull of an archived image.

use serde_json::json;

use super::super::{golden, valid};
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
fn what_they_print() {
    let mut stage = Stage::restoring_within(std::time::Duration::from_hours(1));
    let registry = &stage.registry;
    registry.repository("team/app");
    let amd = registry.image("team/app", "amd", None);
    let app = registry.index("team/app", &[&amd], Some("1.0"));
    registry.image("team/app", "other", Some("2.0"));
    registry.put("team/app", &referrer("report", &app), None);
    let commands = [
        ("archive", "archive team/app:1.0 team/app:2.0", "--dry-run"),
        ("restore", "restore team/app:1.0 team/app:2.0", "--no-cache"),
    ];
    for (name, command, option) in commands {
        for width in [40, 80, 200] {
            stage.machine.set("COLUMNS", width.to_string());
            golden(&format!("{name}-{width}.txt"), &stage.machine.ok(&format!("{command} {option}")));
        }
        stage.machine.unset("COLUMNS");
        for (format, ending) in [("text", "tsv"), ("markdown", "md"), ("json", "json")] {
            let output = stage.machine.ok(&format!("{command} {option} --output {format}"));
            golden(&format!("{name}.{ending}"), &timeless(&output));
        }
        if name == "archive" {
            golden("archive-done.txt", &stage.machine.ok(&format!("{command} --yes")));
        }
    }
    assert_eq!(stage.service.count("UpdateImageStorageClass"), 5);
}

/// JSON with each time written as `TIME`.
fn timeless(text: &str) -> String {
    let parts = text.split('"').map(|part| match part.parse::<jiff::Timestamp>() {
        Ok(_) => "TIME",
        Err(_) => part,
    });
    parts.collect::<Vec<_>>().join("\"")
}

#[test]
fn a_referrer_is_archived_with_its_subject_only() {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    let app = stage.registry.image("team/app", "app", Some("1.0"));
    let report = stage.registry.put("team/app", &referrer("report", &app), None);
    let error = stage.machine.fails(5, &format!("archive team/app@{report} --yes"));
    assert_eq!(
        error,
        format!(
            "error: team/app@{report} is archived only with {app}, which it is about: `ecr archive team/app@{app}` takes \
             both; nothing was changed\n"
        )
    );
    assert_eq!(stage.writes(), 0);
    stage.machine.ok(&format!("archive team/app@{report} team/app@{app} --yes"));
    assert_eq!(stage.service.count("UpdateImageStorageClass"), 1);
    assert!(statuses(&stage.registry, "team/app").iter().all(|(_, status)| status == "ARCHIVED"));
}

#[test]
fn a_signal_ends_archiving_between_two_calls() {
    use std::io::Read as _;
    use std::process::Stdio;
    let stage = Stage::new();
    stage.registry.repository("team/app");
    for name in 0..40 {
        stage.registry.image("team/app", &name.to_string(), Some(&name.to_string()));
    }
    let (reached, wait) = std::sync::mpsc::channel::<()>();
    let (go_on, going_on) = std::sync::mpsc::channel::<()>();
    let (reached, going_on) = (std::sync::Mutex::new(reached), std::sync::Mutex::new(going_on));
    let first = std::sync::atomic::AtomicBool::new(true);
    stage.before_each_call(move |_, operation, _, _| {
        let is_archiving = operation == "UpdateImageStorageClass";
        if is_archiving && first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            reached.lock().unwrap().send(()).unwrap();
            going_on.lock().unwrap().recv().unwrap();
        }
        None
    });
    let words = ["prune", "team/app", "--tagged", "--archive", "--grace", "0s", "--allow-empty", "--yes"];
    let words: Vec<&str> = words.into_iter().chain(["--output", "json"]).collect();
    let mut command = stage.machine.command(env!("CARGO_BIN_EXE_ecr"), &words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait.recv().unwrap();
    let process = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    let mut told = [0; 9];
    child.stderr.take().unwrap().read_exact(&mut told).unwrap();
    assert_eq!(&told, b"finishing");
    go_on.send(()).unwrap();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{stdout}");
    let archived = statuses(&stage.registry, "team/app").iter().filter(|(_, s)| s == "ARCHIVED").count();
    // Those that were under way, and none that was not.
    assert!((1..=4).contains(&archived), "{archived}");
    assert_eq!(valid("prune", &stdout)["summary"]["deleted"], archived);
}

#[test]
fn a_missing_repository_leaves_the_restored_images_in_the_result() {
    let stage = Stage::restoring_within(std::time::Duration::from_hours(1));
    stage.registry.repository("team/app");
    stage.registry.image("team/app", "one", Some("1.0"));
    stage.machine.ok("archive team/app:1.0 --yes");
    let outcome = stage.machine.ecr(&["restore", "team/app:1.0", "team/none:1.0", "--output", "json"]);
    assert_eq!(outcome.code, 4, "{}", outcome.transcript());
    let value = valid("restore", &outcome.stdout);
    assert_eq!(
        (&value["images"][0]["result"], &value["images"][1]["result"], &value["images"][1]["reference"]),
        (&json!("activating"), &json!("failed"), &json!("team/none:1.0"))
    );
    assert!(outcome.stderr.contains("RepositoryNotFoundException"), "{}", outcome.stderr);
    let _ = stage.machine.fails(254, "restore team/none:1.0");
}

#[test]
fn a_timeout_makes_the_result_unknown() {
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
