//! Behaviour common to all commands that only read: pull times, many repositories, several profiles, interruption.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::sample::{image, registry};
use super::scripted::{Registry, Service};
use super::valid;
use crate::harness::Machine;
use crate::harness::registry::digest;

/// Commands that make no BatchGetImage.
const READING: &[&str] = &[
    "images team/app",
    "repos --usage",
    "digest team/app:1.0",
    "latest team/app",
    "find 1.0",
    "du",
    "du --by age",
];

#[test]
fn pull_times_of_the_embedded_ecr_stay() {
    let mut machine = Machine::new();
    machine.set("TZ", "UTC").set("ECR_LOCAL", "1").set("AWS_REGION", "eu-west-1");
    machine.ok("create-repository --repository-name team/app");
    let sample = format!("{}/examples/sample-image", env!("CARGO_MANIFEST_DIR"));
    machine.ok(&format!("push {sample} team/app:1.0"));
    let times = || {
        machine.ok("describe-images --repository-name team/app --output json \
                    --query sort_by(imageDetails,&imageDigest)[].[imageDigest,lastRecordedPullTime]")
    };
    let never = times();
    for command in READING {
        machine.ok(command);
        assert_eq!(times(), never, "{command}");
    }
    // What is compared does change with a pull.
    machine.ok("pull team/app:1.0 ./pulled");
    let pulled = times();
    assert_ne!(pulled, never);
    for command in READING {
        machine.ok(command);
        assert_eq!(times(), pulled, "{command}");
    }
}

#[test]
fn listings_fetch_no_manifest() {
    let whole = registry();
    let service = Service::start(move |operation, input, _| match operation {
        "GetRegistryScanningConfiguration" => Ok(json!({"scanningConfiguration": {"scanType": "BASIC"}})),
        _ => whole.answer(operation, input),
    });
    let machine = service.machine();
    for command in READING {
        machine.ok(&command.replace("1.0", "1.2.3"));
        assert_eq!(service.count("BatchGetImage"), 0, "{command}");
    }
    for (operation, _) in service.calls() {
        assert!(operation.starts_with("Describe") || operation.starts_with("Get"), "{operation}");
    }
}

#[test]
fn five_thousand_repositories() {
    let mut many = Registry::default();
    for number in 0..5000 {
        many = many.with(&format!("team/app-{number:04}"), vec![]);
    }
    let one = json!({"imageTags": ["wanted"], "imagePushedAt": 1_700_000_000});
    many = many.with("team/last", vec![image("one", one)]);
    let service = Service::start(move |operation, input, _| match operation {
        "GetRegistryScanningConfiguration" => Ok(json!({"scanningConfiguration": {"scanType": "BASIC"}})),
        _ => many.answer(operation, input),
    });
    let machine = service.machine();
    assert_eq!(machine.ok("repos --output text").lines().count(), 5001);
    // Pages of 1,000, and nothing else of each repository.
    assert_eq!((service.count("DescribeRepositories"), service.count("DescribeImages")), (6, 0));
    let found = machine.ok("find wanted --output text");
    assert_eq!(found, format!("{}/team/last:wanted\n", service.address()));
    assert_eq!(service.count("DescribeImages"), 5001);
}

#[test]
fn five_profiles_at_once() {
    let whole = registry();
    let service = Service::start(move |operation, input, _| whole.answer(operation, input));
    let mut machine = service.machine();
    let profiles: Vec<String> = (1..=5).map(|number| format!("account{number}")).collect();
    let profile = |name: &String| {
        format!(
            "[profile {name}]\nregion = eu-west-1\naws_access_key_id = {name}\naws_secret_access_key = x\n"
        )
    };
    machine.write("home/.aws/config", profiles.iter().map(profile).collect::<String>());
    machine.unset("AWS_ACCESS_KEY_ID").unset("AWS_SECRET_ACCESS_KEY");
    let given = profiles.join(",");
    let text = machine.ok(&format!("images team/app --tag latest --output text --profiles {given}"));
    assert_eq!(text.lines().count(), 5, "{text}");
    assert_eq!(service.count("DescribeImages"), 5);
    // A missing profile is reported, and the four others are shown.
    let others = given.replace("account3", "nobody");
    let options = ["images", "team/app", "--tag", "latest", "--output", "json", "--profiles", &others];
    let outcome = machine.ecr(&options);
    assert_eq!(outcome.code, 4, "{}", outcome.transcript());
    let value = valid("images", &outcome.stdout);
    assert_eq!(value["images"].as_array().map(Vec::len), Some(4));
    assert!(outcome.stderr.contains("nobody"), "{}", outcome.stderr);
}

#[test]
fn scans_with_findings_and_without() {
    let mut whole = registry();
    let old = digest(b"old");
    whole.scans.insert(
        old,
        json!({
            "imageScanStatus": {"status": "COMPLETE"},
            "imageScanFindings": {"imageScanCompletedAt": 1_700_000_000, "findingSeverityCounts": {"CRITICAL": 1, "HIGH": 4, "MEDIUM": 12}}
        }),
    );
    let service = Service::of(whole);
    let machine = service.machine();
    let value: Value = valid("images", &machine.ok("images team/app --scan --tag build-7 --output json"));
    assert_eq!(value["images"].as_array().map(Vec::len), Some(1), "{value}");
    let table = machine.ok("images team/app --scan --tag build-7");
    assert!(table.contains("1C 4H 12M"), "{table}");
    // No scan is no clean scan.
    let table = machine.ok("images team/app --scan --tag latest");
    assert!(table.lines().nth(1).is_some_and(|line| line.contains(" ?")), "{table}");
}

/// An interruption ends with 130, at once, and leaves neither data nor an escape sequence behind: stdout has the newline
/// with which the AWS CLI ends the line of ^C.
#[test]
fn an_interruption_leaves_nothing_behind() {
    let (asked, hears) = std::sync::mpsc::channel();
    let asked = std::sync::Mutex::new(asked);
    let service = Service::start(move |_, _, _| {
        let _ = asked.lock().unwrap().send(());
        std::thread::park_timeout(Duration::from_mins(1));
        Ok(json!({}))
    });
    let machine = service.machine();
    for command in [["images", "team/app"], ["latest", "team/app"], ["du", "team/app"], ["find", "x"]] {
        let mut process = machine.command(env!("CARGO_BIN_EXE_ecr"), &command);
        let child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        hears.recv_timeout(Duration::from_mins(1)).unwrap();
        let begun = Instant::now();
        let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(130),
            "{command:?} {:?} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(begun.elapsed() < Duration::from_secs(30), "{command:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "\n", "{command:?}");
        assert!(!output.stderr.contains(&0x1b), "{command:?}");
    }
}
