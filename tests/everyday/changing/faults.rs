//! Failures in the middle of a change: the changes made are reported, and the next run goes on.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::super::valid;
use super::stage::Stage;

/// Many untagged images, 90 days old, and a tagged one.
fn stage(number: usize) -> Stage {
    let stage = Stage::new();
    stage.registry.repository("team/app");
    for name in 0..number {
        let digest = stage.registry.image("team/app", &name.to_string(), None);
        stage.registry.age(&digest, 90);
    }
    stage.registry.image("team/app", "new", Some("new"));
    stage
}

const PRUNE: [&str; 6] = ["prune", "team/app", "--untagged", "--yes", "--output", "json"];

#[test]
fn calls_take_a_hundred_images_at_most_and_no_more_calls_are_made_than_that_takes() {
    let stage = stage(250);
    let outcome = stage.machine.ecr(&PRUNE);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    assert_eq!(valid("prune", &outcome.stdout)["summary"]["deleted"], 250);
    assert_eq!(stage.registry.images("team/app").len(), 1);
    // A listing, three looks, three deletions, and the question about replication.
    let count = |operation: &str| stage.service.count(operation);
    assert_eq!((count("DescribeImages"), count("BatchDeleteImage"), count("DescribeRegistry")), (4, 3, 1));
    for (operation, input) in stage.service.calls() {
        if operation == "BatchDeleteImage" {
            let ids = input["imageIds"].as_array().unwrap();
            assert!(ids.len() <= 100 && ids.iter().all(|id| id.get("imageTag").is_none()), "{input}");
        }
    }
}

#[test]
fn failures_are_distinguished_and_the_next_run_continues() {
    let stage = stage(6);
    let digests: Vec<String> = stage
        .registry
        .images("team/app")
        .into_iter()
        .filter(|(_, tags)| tags.is_empty())
        .map(|(digest, _)| digest)
        .collect();
    let named = digests.clone();
    stage.before_each_call(move |registry, operation, input, _| {
        if operation != "BatchDeleteImage" {
            return None;
        }
        // One is gone, one is held by now, one fails; the others go.
        let failure = |digest: &str, code: &str| {
            json!({"imageId": {"imageDigest": digest}, "failureCode": code, "failureReason": format!("{code}!")})
        };
        let ids: Vec<Value> = input["imageIds"].as_array().unwrap().iter().filter(|id| named[3..].iter().any(|one| id["imageDigest"] == **one)).cloned().collect();
        let mut answer = registry.call("BatchDeleteImage", json!({"repositoryName": "team/app", "imageIds": ids})).unwrap();
        answer["failures"] = json!([
            failure(&named[0], "ImageNotFound"), failure(&named[1], "ImageReferencedByManifestList"),
            failure(&named[2], "KmsError")
        ]);
        Some(Ok(answer))
    });
    let outcome = stage.machine.ecr(&PRUNE);
    assert_eq!(outcome.code, 4, "{}", outcome.transcript());
    let value = valid("prune", &outcome.stdout);
    let repository = &value["repositories"][0];
    assert_eq!(
        repository["spared"],
        json!([{"imageId": {"imageDigest": digests[1]}, "reason": "ImageReferencedByManifestList!"}])
    );
    assert_eq!(
        repository["failures"],
        json!([{"imageId": {"imageDigest": digests[2]}, "failureCode": "KmsError", "failureReason": "KmsError!"}])
    );
    assert_eq!(outcome.stderr, format!("error: team/app@{}: KmsError: KmsError!\n", digests[2]));
    stage.before_each_call(|_, _, _, _| None);
    assert_eq!(stage.machine.ecr(&PRUNE).code, 0);
    assert_eq!(stage.registry.images("team/app").len(), 1);
}

#[test]
fn a_throttle_at_each_call_is_borne() {
    let stage = stage(3);
    let seen = std::sync::Mutex::new(std::collections::HashMap::<String, usize>::new());
    stage.before_each_call(move |_, operation, _, _| {
        let mut seen = seen.lock().unwrap();
        let count = seen.entry(operation.to_owned()).or_default();
        *count += 1;
        (*count % 2 == 1).then(|| Err((400, "ThrottlingException", "Rate exceeded".to_owned())))
    });
    let outcome = stage.machine.ecr(&PRUNE);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    assert_eq!(stage.registry.images("team/app").len(), 1);
}

#[test]
fn access_that_is_denied_in_the_middle_leaves_the_rest() {
    let stage = stage(250);
    let calls = AtomicUsize::new(0);
    stage.before_each_call(move |_, operation, _, _| {
        let is_second = operation == "BatchDeleteImage" && calls.fetch_add(1, Ordering::SeqCst) > 0;
        is_second.then(|| {
            Err((400, "AccessDeniedException", "not authorized to perform: ecr:BatchDeleteImage".to_owned()))
        })
    });
    let outcome = stage.machine.ecr(&PRUNE);
    assert_eq!(outcome.code, 4, "{}", outcome.transcript());
    let value = valid("prune", &outcome.stdout);
    let (deleted, failed) =
        (value["summary"]["deleted"].as_u64().unwrap(), value["summary"]["failed"].as_u64().unwrap());
    assert_eq!(deleted + failed, 250);
    assert_eq!(stage.registry.images("team/app").len(), 251 - usize::try_from(deleted).unwrap());
}

#[test]
fn access_that_is_denied_from_the_first_is_the_commands_own_failure() {
    let stage = stage(2);
    stage.before_each_call(|_, operation, _, _| {
        let denied = || Err((400, "AccessDeniedException", "not authorized".to_owned()));
        (operation == "BatchDeleteImage").then(denied)
    });
    assert_eq!(stage.machine.ecr(&PRUNE).code, 254);
    assert_eq!(stage.registry.images("team/app").len(), 3);
}

#[test]
fn a_reader_that_went_away_takes_neither_the_report_nor_the_failures_along() {
    let stage = stage(2);
    stage.before_each_call(|registry, operation, input, _| {
        let ids = input["imageIds"].as_array().filter(|_| operation == "BatchDeleteImage")?;
        let first = json!({"repositoryName": "team/app", "imageIds": [ids[0]]});
        let mut answer = registry.call("BatchDeleteImage", first).unwrap();
        answer["failures"] =
            json!([{"imageId": ids[1], "failureCode": "KmsError", "failureReason": "no key"}]);
        Some(Ok(answer))
    });
    let words: Vec<&str> = PRUNE.into_iter().chain(["--report", "json=report.json"]).collect();
    let mut command = stage.machine.command(env!("CARGO_BIN_EXE_ecr"), &words);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(4) && told.contains("KmsError: no key"),
        "{:?} {told}",
        output.status
    );
    let report = std::fs::read_to_string(stage.machine.path().join("report.json")).unwrap();
    assert_eq!(valid("prune", &report)["summary"]["deleted"], 1);
}

#[test]
fn a_page_that_comes_twice_changes_nothing() {
    let stage = stage(2);
    stage.before_each_call(|registry, operation, input, _| {
        (operation == "DescribeImages" && input.get("imageIds").is_none()).then(|| {
            let mut page = registry.call("DescribeImages", json!({"repositoryName": "team/app"})).unwrap();
            page["nextToken"] = json!("again");
            Ok(page)
        })
    });
    let outcome = stage.machine.ecr(&PRUNE);
    assert_eq!((outcome.code, stage.writes()), (255, 0), "{}", outcome.transcript());
    assert!(outcome.stderr.contains("the same page twice"), "{}", outcome.stderr);
}

#[test]
fn a_signal_lets_the_call_in_flight_end_and_reports_the_changes() {
    use std::io::{BufRead as _, Read as _};
    use std::process::Stdio;
    let stage = stage(450);
    let (reached, wait) = std::sync::mpsc::channel::<()>();
    let (go_on, going_on) = std::sync::mpsc::channel::<()>();
    let (reached, going_on) = (std::sync::Mutex::new(reached), std::sync::Mutex::new(going_on));
    let first = std::sync::atomic::AtomicBool::new(true);
    stage.before_each_call(move |_, operation, _, _| {
        if operation == "BatchDeleteImage" && first.swap(false, Ordering::SeqCst) {
            reached.lock().unwrap().send(()).unwrap();
            going_on.lock().unwrap().recv().unwrap();
        }
        None
    });
    let mut command = stage.machine.command(env!("CARGO_BIN_EXE_ecr"), &PRUNE);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait.recv().unwrap();
    let process = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    let mut told = String::new();
    std::io::BufReader::new(child.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert_eq!(told, "finishing the calls that are under way; another signal ends the program at once\n");
    go_on.send(()).unwrap();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stdout}");
    let value = valid("prune", &stdout);
    let deleted = value["summary"]["deleted"].as_u64().unwrap();
    assert!((100..450).contains(&deleted), "{deleted}");
    assert_eq!(stage.registry.images("team/app").len() as u64, 451 - deleted);
    assert_eq!(stage.machine.ecr(&PRUNE).code, 0);
    assert_eq!(stage.registry.images("team/app").len(), 1);
}

#[test]
fn an_answer_that_was_cut_off_deletes_nothing() {
    let stage = stage(2);
    let child = stage.registry.image("team/app", "amd64", None);
    let index = stage.registry.index("team/app", &[&child], Some("multi"));
    for digest in [&child, &index] {
        stage.registry.age(digest, 90);
    }
    let all = stage.registry.images("team/app").len();
    let prune =
        || stage.machine.ecr(&["prune", "team/app", "--untagged", "--orphans", "--yes", "--no-cache"]);
    // Of the images, of the second page of images, and of manifests.
    let image =
        stage.registry.call("DescribeImages", json!({"repositoryName": "team/app"})).unwrap()["imageDetails"]
            [0]
        .clone();
    stage.before_each_call(move |_, operation, input, _| {
        (operation == "DescribeImages").then(|| match input["nextToken"].as_str() {
            None => Ok(json!({"imageDetails": [image], "nextToken": "2"})),
            Some(_) => Ok(json!({})),
        })
    });
    let outcome = prune();
    assert_eq!(outcome.code, 255, "{}", outcome.transcript());
    stage.before_each_call(|_, operation, _, _| (operation == "DescribeImages").then(|| Ok(json!({}))));
    assert_eq!(prune().code, 255);
    stage.before_each_call(|_, operation, _, _| (operation == "BatchGetImage").then(|| Ok(json!({}))));
    let outcome = prune();
    assert_eq!((outcome.code, stage.registry.images("team/app").len()), (0, all), "{}", outcome.transcript());
}

#[test]
fn the_table_counts_the_changes() {
    let stage = stage(6);
    let ecr = |more: &str| {
        let line = format!("prune team/app --untagged --output table {more}");
        stage.machine.ecr(&line.split_whitespace().collect::<Vec<_>>())
    };
    let planned = ecr("--dry-run");
    assert_eq!(
        planned.stdout.lines().map(words).collect::<Vec<_>>(),
        ["REPOSITORY IMAGES DELETE KEEP FREES", "team/app 7 6 1 ≤ 42 B"]
    );
    // Another client tags four of the images between the plan and the deletion.
    let is_tagged = AtomicUsize::new(0);
    stage.before_each_call(move |registry, operation, input, _| {
        let is_look = operation == "DescribeImages" && input["imageIds"].is_array();
        if is_look && is_tagged.fetch_add(1, Ordering::SeqCst) == 0 {
            for (number, id) in input["imageIds"].as_array().unwrap().iter().take(4).enumerate() {
                let asked = json!({"repositoryName": "team/app", "imageIds": [id]});
                let found = registry.call("BatchGetImage", asked).unwrap();
                let (manifest, tag) = (&found["images"][0]["imageManifest"], format!("late-{number}"));
                let push = json!({"repositoryName": "team/app", "imageManifest": manifest, "imageTag": tag});
                registry.call("PutImage", push).unwrap();
            }
        }
        None
    });
    let done = ecr("--yes");
    let rows: Vec<String> = done.stdout.lines().map(words).collect();
    assert_eq!(
        rows,
        ["REPOSITORY IMAGES DELETED KEEP FREED SPARED", "team/app 7 2 5 ≤ 42 B 4"],
        "{}",
        done.transcript()
    );
    assert_eq!(stage.registry.images("team/app").len(), 5);
}

/// The words of a row.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
