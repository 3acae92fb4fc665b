//! `ecr lifecycle preview` and `apply`.

use serde_json::{Value, json};

use super::sample::registry;
use super::scripted::{Registry, Service};
use super::{golden, valid};
use crate::harness::Machine;

const POLICY: &str = r#"{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}}]}"#;
const OTHER: &str = r#"{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":5},"action":{"type":"expire"}}]}"#;

/// The calls that change something.
fn writes(service: &Service) -> usize {
    ["PutLifecyclePolicy", "DeleteLifecyclePolicy"].iter().map(|operation| service.count(operation)).sum()
}

/// A registry whose `team/app` has another policy than the file, while `team/odd` has the very same.
fn service() -> Service {
    let mut sample = Registry::default().with("team/same", vec![]).with("team/new", vec![]);
    sample.images.extend(registry().images);
    sample.repositories.push(json!({"repositoryName": "team/app"}));
    sample.manifests = registry().manifests;
    Service::start(move |operation, input, _| {
        let name = input["repositoryName"].as_str().unwrap_or_default();
        match operation {
            "GetLifecyclePolicy" if name == "team/app" => Ok(json!({"lifecyclePolicyText": OTHER})),
            // The same, written in another way.
            "GetLifecyclePolicy" if name == "team/same" => {
                Ok(json!({"lifecyclePolicyText": POLICY.replace(':', ": ")}))
            }
            "GetLifecyclePolicy" => Err((400, "LifecyclePolicyNotFoundException", "none".to_owned())),
            "PutLifecyclePolicy" | "DeleteLifecyclePolicy" => Ok(json!({"repositoryName": name})),
            _ => sample.answer(operation, input),
        }
    })
}

fn machine(service: &Service) -> Machine {
    let machine = service.machine();
    machine.write("policy.json", POLICY);
    machine
}

#[test]
fn a_policy_is_applied_after_it_was_shown() {
    let service = service();
    let machine = machine(&service);
    // Without a terminal and without --yes nothing is even asked of the service.
    let said = machine.fails(252, "lifecycle apply policy.json team/app");
    assert!(said.contains("--yes"), "{said}");
    assert_eq!(service.calls().len(), 0);
    let dry = machine.ok("lifecycle apply policy.json team/* --dry-run --yes --output text");
    assert_eq!(dry, "team/app\treplace\t\nteam/new\tcreate\t\nteam/same\tunchanged\t\n");
    let _ = machine.fails(1, "lifecycle apply policy.json team/* --check");
    let _ = machine.fails(0, "lifecycle apply policy.json team/same --check");
    assert_eq!(writes(&service), 0);
    let outcome = machine.ecr(&["lifecycle", "apply", "policy.json", "team/*", "--yes"]);
    golden("lifecycle-apply.txt", &outcome.transcript());
    assert_eq!((outcome.code, writes(&service)), (0, 2));
    let line = "lifecycle apply policy.json team/* --yes --output json";
    let value = valid("lifecycle-apply", &machine.ok(line));
    assert_eq!(
        (value["repositories"][0]["applied"].clone(), value["dryRun"].clone()),
        (json!(true), json!(false))
    );
    // What a query picks is picked from the result, not from the plan.
    let query = "--query repositories[].applied --output text";
    assert_eq!(machine.ok(&format!("lifecycle apply policy.json team/app --yes {query}")), "True\n");
    assert_eq!(
        machine.ok("lifecycle apply policy.json team/app --yes --query repositories[0].applied"),
        "True\n"
    );
    machine.ok("lifecycle apply --remove team/app team/new --yes");
    assert_eq!((service.count("PutLifecyclePolicy"), service.count("DeleteLifecyclePolicy")), (6, 1));
    for line in ["lifecycle apply", "lifecycle apply policy.json --yes", "lifecycle apply --remove --yes"] {
        let _ = machine.fails(252, line);
    }
    machine.write("wrong.json", "{}");
    let _ = machine.fails(252, "lifecycle apply wrong.json team/app --yes");
}

/// A mistyped glob must not look like a success.
#[test]
fn a_glob_that_matches_nothing_is_an_error() {
    let service = service();
    let machine = machine(&service);
    for line in [
        "lifecycle apply policy.json taem/* --yes",
        "lifecycle simulate taem/* -f policy.json",
        "lifecycle show taem/*",
        "prune taem/* --untagged --yes",
    ] {
        assert_eq!(machine.fails(255, line), "error: no repository matches 'taem/*'\n", "{line}");
    }
    assert_eq!(writes(&service), 0);
    // Matching repositories are changed, and the others are reported.
    let nothing = machine.ecr(&["images", "team/none"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (254, ""), "a head without rows is no answer");
    let said = machine.fails(4, "lifecycle show team/same taem/*");
    assert_eq!(said, "error: no repository matches 'taem/*'\n");
}

#[test]
fn a_preview_is_started_joined_or_waited_for() {
    let result = json!({
        "imageDigest": crate::harness::registry::digest(b"a"), "imageTags": ["1"], "imagePushedAt": 1_700_000_000,
        "action": {"type": "EXPIRE"}, "appliedRulePriority": 1, "storageClass": "STANDARD"
    });
    // What GetLifecyclePolicyPreview answers, look by look; a page a result at the end.
    let service = |looks: Vec<(&'static str, &'static str)>| {
        let result = result.clone();
        Service::start(move |operation, input, before| match operation {
            "GetLifecyclePolicyPreview" if input["maxResults"].is_number() => {
                let mut page = json!({"status": "COMPLETE", "previewResults": [result]});
                if input["nextToken"].is_null() {
                    page["nextToken"] = json!("next");
                }
                Ok(page)
            }
            "GetLifecyclePolicyPreview" => match looks.get(before) {
                Some(("NONE", _)) => Err((400, "LifecyclePolicyPreviewNotFoundException", "none".to_owned())),
                Some((status, text)) => Ok(json!({"status": status, "lifecyclePolicyText": text})),
                None => Ok(json!({"status": "COMPLETE", "lifecyclePolicyText": POLICY})),
            },
            "StartLifecyclePolicyPreview" => Ok(json!({"status": "IN_PROGRESS"})),
            _ => Ok(json!({"imageDetails": []})),
        })
    };
    let run = |service: &Service, options: &str| {
        let line = format!("lifecycle preview team/app -f policy.json {options}");
        machine(service).ecr(&line.split_whitespace().collect::<Vec<_>>())
    };
    let started = service(vec![("NONE", ""), ("IN_PROGRESS", POLICY)]);
    let outcome = run(&started, "--output json");
    assert_eq!(
        (outcome.code, started.count("StartLifecyclePolicyPreview")),
        (0, 1),
        "{}",
        outcome.transcript()
    );
    let value: Value = valid("lifecycle-preview", &outcome.stdout);
    assert_eq!(value["preview"]["images"].as_array().unwrap().len(), 2);
    let joined = service(vec![("IN_PROGRESS", POLICY)]);
    assert_eq!((run(&joined, "").code, joined.count("StartLifecyclePolicyPreview")), (0, 0));
    let other = service(vec![("IN_PROGRESS", OTHER), ("COMPLETE", OTHER)]);
    assert_eq!((run(&other, "").code, other.count("StartLifecyclePolicyPreview")), (0, 1));
    // An old result of the same policy is none of today's images.
    let old = service(vec![("COMPLETE", POLICY)]);
    assert_eq!((run(&old, "").code, old.count("StartLifecyclePolicyPreview")), (0, 1));
    for status in ["FAILED", "EXPIRED"] {
        let failed = service(vec![("NONE", ""), (status, POLICY)]);
        assert_eq!(run(&failed, "").code, 3, "{status}");
    }
    let slow = service(vec![("IN_PROGRESS", POLICY); 100]);
    assert_eq!(run(&slow, "--timeout 0s").code, 3);
    // The service would expire what the simulation does not know.
    let outcome = run(&service(vec![]), "--compare");
    assert_eq!(outcome.code, 1, "{}", outcome.transcript());
    assert!(outcome.stdout.contains("expire by rule 1  keep"), "{}", outcome.stdout);
    golden("lifecycle-preview.txt", &run(&service(vec![]), "").stdout);
}

/// The simulation says what the embedded ECR's preview says.
#[test]
fn the_simulation_agrees_with_the_preview_of_the_embedded_ecr() {
    let mut machine = Machine::new();
    machine.set("ECR_LOCAL", "1").set("AWS_REGION", "eu-west-1");
    machine.ok("create-repository --repository-name team/app");
    let sample = format!("{}/examples/sample-image", env!("CARGO_MANIFEST_DIR"));
    machine.ok(&format!("push {sample} team/app:1.0"));
    machine.ok(&format!("push {sample} team/app:single --platform linux/amd64"));
    let any = OTHER.replace("untagged", "any").replace(":5", ":1");
    for policy in [POLICY, OTHER, &any] {
        machine.write("policy.json", policy);
        machine.ok("lifecycle preview team/app -f policy.json --compare --output off");
    }
    machine.ok("lifecycle apply policy.json team/app --yes");
    assert_eq!(
        machine.ok("lifecycle apply policy.json team/app --yes --output text"),
        "team/app\tunchanged\t\n"
    );
    machine.ok("lifecycle preview team/app --compare");
    assert!(machine.ok("lifecycle show team/app").contains("keeps the newest of the images"), "show");
    machine.ok("lifecycle apply --remove team/app --yes");
    let _ = machine.fails(252, "lifecycle preview team/app");
}

/// A gate can be tried on the embedded ECR, with every status.
#[test]
fn scans_of_the_embedded_ecr_end_as_one_wants() {
    let mut machine = Machine::new();
    machine.set("ECR_LOCAL", "1").set("AWS_REGION", "eu-west-1");
    machine.ok("create-repository --repository-name team/app");
    let sample = format!("{}/examples/sample-image", env!("CARGO_MANIFEST_DIR"));
    machine.ok(&format!("push {sample} team/app:1.0 --platform linux/amd64"));
    machine.write("findings.json", r#"[{"name": "CVE-2026-1", "severity": "HIGH"}]"#);
    machine.ok("local findings team/app:1.0 findings.json");
    let _ = machine.fails(1, "scan team/app:1.0 --fail-on high --settle 0s");
    machine.ok("scan team/app:1.0 --fail-on critical --settle 0s");
    // No index says for which platform the image is.
    machine.ok("scan team/app:1.0 --platform linux/amd64 --settle 0s");
    let said = machine.fails(3, "scan team/app:1.0 --platform linux/arm64 --settle 0s");
    assert!(said.contains("it has no image for this platform"), "{said}");
    // What is said of an index is said of each of its platforms.
    machine.ok(&format!("push {sample} team/app:multi"));
    machine.ok("local findings team/app:multi findings.json");
    let _ = machine.fails(1, "scan team/app:multi --fail-on high --settle 0s");
    for status in [
        "FAILED",
        "SCAN_ELIGIBILITY_EXPIRED",
        "LIMIT_EXCEEDED",
        "IMAGE_SIZE_EXCEEDED",
        "FINDINGS_UNAVAILABLE",
    ] {
        machine.ok(&format!("local findings team/app:1.0 --status {status}"));
        let said = machine.fails(3, "scan team/app:1.0 --fail-on critical --timeout 5s");
        assert!(said.contains(status), "{said}");
    }
    let _ = machine.fails(252, "local findings team/app:1.0");
    // Complete with an empty list, and a finding half a second later: only a gate that settles sees it.
    machine.ok("local findings team/app:1.0 findings.json --after 1s");
    let _ = machine.fails(1, "scan team/app:1.0 --fail-on high --settle 3s");
}
