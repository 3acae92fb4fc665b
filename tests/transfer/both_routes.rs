//! Push, pull and copy over both routes, ECR's API and `/v2/`, from and to a server that fails by rules: every transfer ends
//! well, and what moves again is reported and has a limit.

use super::commands::remote;
use super::fake::MEBIBYTE;
use super::*;
use crate::harness::Machine;
use crate::harness::registry::Serve;

const KIBIBYTE: usize = 1024;

/// Layers of one size.
fn layers(count: u64, size: usize) -> Vec<Vec<u8>> {
    (0..count).map(|seed| noise(size, seed)).collect()
}

/// Pushes an image to a server that has these rules, pulls it and, if `copies` says so, copies it, over both routes.
fn survives(rules: &[&str], layers: &[Vec<u8>], copies: bool) {
    let mut machine = Machine::new();
    let digest = lay_out(&machine.path().join("image"), "1", layers);
    // The account and the region of the server's repositories.
    machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_REGION", "eu-west-1");
    for repository in ["api", "v2", "api-copy", "v2-copy"] {
        machine.ok(&format!("--local create-repository --repository-name {repository}"));
    }
    let faults = rules.iter().flat_map(|rule| ["--fault", rule]);
    let server = Serve::start(&machine, &["--anonymous"].into_iter().chain(faults).collect::<Vec<_>>());
    remote(&mut machine, &server);
    let registry = format!("docker://{}", server.address);
    let mut lines = vec![
        "push ./image api:1".to_owned(),
        "pull api:1 api".to_owned(),
        format!("push ./image {registry}/v2:1"),
        format!("pull {registry}/v2:1 v2"),
    ];
    if copies {
        lines.push(format!("copy api:1 {registry}/v2-copy:1"));
        lines.push(format!("copy {registry}/v2:1 api-copy:1"));
    }
    let all: u64 = layers.iter().map(|layer| layer.len() as u64).sum();
    for line in lines {
        let arguments: Vec<&str> = line.split(' ').chain(["--progress", "json"]).collect();
        let outcome = machine.ecr(&arguments);
        let said = || format!("{rules:?} {}", outcome.transcript());
        assert_eq!((outcome.code, outcome.stdout.contains(&digest)), (0, true), "{}", said());
        let events = outcome.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let again: u64 = events
            .filter(|event| event["event"] == "again")
            .filter_map(|event| event["bytes"].as_u64())
            .sum();
        assert!(again <= 2 * all, "{again} of {all} again: {}", said());
    }
    for folder in ["api", "v2"] {
        for blob in std::fs::read_dir(machine.path().join("image/blobs/sha256")).unwrap() {
            let blob = blob.unwrap();
            let arrived = machine.path().join(folder).join("blobs/sha256").join(blob.file_name());
            assert!(
                std::fs::read(blob.path()).unwrap() == std::fs::read(arrived).unwrap(),
                "{rules:?} {folder}"
            );
        }
    }
}

#[test]
fn half_of_the_requests_are_answered_after_two_seconds() {
    survives(&["*,delay=2000,every=2"], &layers(4, 20 * KIBIBYTE), false);
}

#[test]
fn one_of_a_hundred_connections_is_reset() {
    survives(&["*,drop=0,every=100"], &layers(60, 20 * KIBIBYTE), false);
}

#[test]
fn one_of_four_downloads_stalls_for_ever() {
    let rules = ["GET /_blob/,stall=300000,every=4", "GET /v2/v2/blobs/,stall=300000,every=4"];
    survives(&rules, &layers(7, MEBIBYTE), false);
}

#[test]
fn every_third_call_is_throttled() {
    survives(&["*,throttle,every=3"], &layers(7, 20 * KIBIBYTE), true);
}

#[test]
fn every_answer_ends_after_one_mebibyte() {
    survives(&["*,drop=1048576"], &layers(2, 5 * MEBIBYTE), true);
}
