//! `ecr scan`.

use std::process::Stdio;

use serde_json::{Value, json};

use super::sample::{image, index};
use super::scripted::{Refusal, Registry, Service};
use super::{golden, sarif, valid};
use crate::harness::registry::digest;

/// A basic finding.
fn basic(id: &str, severity: &str) -> Value {
    json!({
        "name": id, "severity": severity, "uri": format!("https://security-tracker.debian.org/tracker/{id}"),
        "description": format!("{id} is a fault in a library that is parsed from a text which somebody else wrote."),
        "attributes": [
            {"key": "package_name", "value": "openssl"}, {"key": "package_version", "value": "3.0.1-1"},
            {"key": "CVSS3_SCORE", "value": "7.5"}
        ]
    })
}

/// A finding of Amazon Inspector in these packages.
fn enhanced(id: &str, severity: &str, fix: &str, packages: &[(&str, &str)]) -> Value {
    let packages: Vec<Value> = packages
        .iter()
        .map(|(name, manager)| {
            json!({
                "name": name, "version": "1.2.3", "packageManager": manager, "filePath": format!("app/{name}"),
                "fixedInVersion": if fix == "NO" { "NotAvailable" } else { "1.2.4" }
            })
        })
        .collect();
    json!({
        "severity": severity, "title": format!("{id} - {}", packages[0]["name"].as_str().unwrap()), "description": "What it is",
        "fixAvailable": fix, "exploitAvailable": "NO", "score": 9.8, "status": "ACTIVE",
        "packageVulnerabilityDetails": {
            "vulnerabilityId": id, "sourceUrl": format!("https://nvd.nist.gov/vuln/detail/{id}"),
            "vulnerablePackages": packages
        }
    })
}

/// An answer of DescribeImageScanFindings.
fn scanned(status: &str, list: &str, findings: &[Value]) -> Value {
    let mut counts = serde_json::Map::new();
    for finding in findings {
        let severity = finding["severity"].as_str().unwrap();
        let number = counts.get(severity).and_then(Value::as_u64).unwrap_or_default();
        counts.insert(severity.to_owned(), json!(number + 1));
    }
    json!({
        "imageScanStatus": {"status": status, "description": "As the service has it."},
        "imageScanFindings": {
            "imageScanCompletedAt": 1_700_000_000, list: findings, "findingSeverityCounts": counts
        }
    })
}

fn complete(findings: &[Value]) -> Value {
    scanned("COMPLETE", "findings", findings)
}

fn active(findings: &[Value]) -> Value {
    scanned("ACTIVE", "enhancedFindings", findings)
}

/// An answer without findings.
fn only(status: &str) -> Value {
    json!({"imageScanStatus": {"status": status, "description": "As the service has it."}})
}

/// `team/app:1` is an index of two platforms and an attestation, `team/app:2` an image.
fn registry() -> Registry {
    let mut registry = Registry::default();
    let (amd, arm) = (digest(b"amd"), digest(b"arm"));
    let listed = [
        (amd.as_str(), "linux/amd64"),
        (arm.as_str(), "linux/arm64"),
        (&digest(b"provenance"), "unknown/unknown"),
    ];
    let list = registry.manifest(&index(&listed));
    let images = vec![
        json!({
            "imageDigest": list, "imageTags": ["1"], "imageStatus": "ACTIVE",
            "imageManifestMediaType": "application/vnd.oci.image.index.v1+json"
        }),
        image("amd", json!({})),
        image("arm", json!({})),
        image("provenance", json!({})),
        image("single", json!({"imageTags": ["2"]})),
    ];
    registry.with("team/app", images)
}

/// A service with these scans, by the name of the image. Basic scans can be started, and then find nothing new.
fn service(kind: &'static str, scans: &[(&str, Value)]) -> Service {
    let mut registry = registry();
    for (name, scan) in scans {
        registry.scans.insert(digest(name.as_bytes()), scan.clone());
    }
    Service::start(move |operation, input, _| match operation {
        "GetRegistryScanningConfiguration" => Ok(
            json!({"registryId": "123456789012", "scanningConfiguration": {"scanType": kind, "rules": []}}),
        ),
        "StartImageScan" => Ok(json!({"imageScanStatus": {"status": "IN_PROGRESS"}})),
        _ => registry.answer(operation, input),
    })
}

fn code(service: &Service, line: &str) -> i32 {
    let line = format!("scan {line} --output off");
    service.machine().ecr(&line.split(' ').collect::<Vec<_>>()).code
}

#[test]
fn every_format() {
    let service = service(
        "ENHANCED",
        &[
            (
                "amd",
                active(&[
                    enhanced("CVE-2026-1", "CRITICAL", "YES", &[("lodash", "NPM"), ("express", "NPM")]),
                    enhanced("CVE-2026-2", "MEDIUM", "NO", &[("bash", "OS")]),
                    enhanced("CVE-2026-3", "UNTRIAGED", "PARTIAL", &[("zlib", "OS")]),
                ]),
            ),
            ("arm", active(&[enhanced("CVE-2026-1", "CRITICAL", "YES", &[("lodash", "NPM")])])),
        ],
    );
    let machine = service.machine();
    machine.write(".trivyignore", "CVE-2026-2 exp:2099-01-01\nCVE-2026-3 exp:2020-01-01\n");
    for (format, name) in [
        ("table", "scan.txt"),
        ("text", "scan.tsv"),
        ("markdown", "scan.md"),
        ("json", "scan.json"),
        ("sarif", "scan.sarif"),
        ("junit", "scan.xml"),
        ("html", "scan.html"),
    ] {
        let line = format!(
            "scan team/app:1 --fail-on high --ignore-file .trivyignore --show-ignored --output {format}"
        );
        let outcome = machine.ecr(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(outcome.code, 1, "{}", outcome.transcript());
        golden(name, &if format == "table" { outcome.transcript() } else { outcome.stdout.clone() });
        match format {
            "json" => drop(valid("scan", &outcome.stdout)),
            "sarif" => drop(sarif(&outcome.stdout)),
            _ => {}
        }
    }
    let query = "scan team/app:1 --query images[].counts.CRITICAL --output text";
    assert_eq!(machine.ok(query), "2\t1\n");
    machine.ok("scan team/app:1 --output off --report sarif=a --report junit=b --report html=c --report markdown=d --report json=e");
    for report in ["a", "b", "c", "d", "e"] {
        assert!(machine.path().join(report).metadata().unwrap().len() > 300, "{report}");
    }
    assert_eq!(machine.ok("scan team/app:1 --severity medium --output text").lines().count(), 1);
    assert_eq!(code(&service, "team/app:1 --severity medium --fail-on critical"), 1);
}

/// Every status with every level, on an index of which one platform is clean: never 0 but where both were read.
#[test]
fn every_status_and_every_level() {
    let levels = ["critical", "high", "medium", "low", "informational", "any"];
    let bad = [
        ("FAILED", only("FAILED")),
        ("UNSUPPORTED_IMAGE", only("UNSUPPORTED_IMAGE")),
        ("SCAN_ELIGIBILITY_EXPIRED", active_closed()),
        ("FINDINGS_UNAVAILABLE", only("FINDINGS_UNAVAILABLE")),
        ("LIMIT_EXCEEDED", only("LIMIT_EXCEEDED")),
        ("IMAGE_ARCHIVED", only("IMAGE_ARCHIVED")),
        ("IMAGE_SIZE_EXCEEDED", only("IMAGE_SIZE_EXCEEDED")),
        ("IN_PROGRESS", only("IN_PROGRESS")),
        ("PENDING", only("PENDING")),
        ("ACTIVE", only("ACTIVE")),
        ("COMPLETE", only("COMPLETE")),
        ("TOMORROW", complete(&[]).tap("TOMORROW")),
        // Seen on an image that had findings: aws-cli#6759.
        (
            "ACTIVE",
            json!({"imageScanStatus": {"status": "ACTIVE"}, "imageScanFindings": {"enhancedFindings": []}}),
        ),
    ];
    for (status, answer) in bad {
        let service = service("ENHANCED", &[("amd", active(&[])), ("arm", answer)]);
        let machine = service.machine();
        let outcome = machine.ecr(&["scan", "team/app:1", "--timeout", "0s", "--output", "json"]);
        assert_eq!(outcome.code, 3, "{status}\n{}", outcome.transcript());
        let value = valid("scan", &outcome.stdout);
        assert_eq!((&value["verdict"], &value["images"][1]["status"]), (&json!("unknown"), &json!(status)));
        assert!(outcome.stderr.contains("cannot be told"), "{}", outcome.stderr);
        assert_eq!(code(&service, "team/app:1 --timeout 0s --fail-on any"), 3, "{status}");
    }
    let severities = ["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"];
    for (rank, severity) in severities.into_iter().enumerate() {
        let finding = [basic("CVE-2026-9", severity)];
        let read = service("BASIC", &[("amd", complete(&[])), ("arm", complete(&finding))]);
        let half = service("BASIC", &[("amd", only("FAILED")), ("arm", complete(&finding))]);
        for (level, name) in levels.into_iter().enumerate() {
            let fails = level >= rank;
            let line = format!("team/app:1 --fail-on {name}");
            assert_eq!(code(&read, &line), i32::from(fails), "{severity} {name}");
            // A finding counts more than a platform that cannot be told.
            assert_eq!(code(&half, &line), if fails { 1 } else { 3 }, "{severity} {name}");
        }
        // Scans on push of Amazon Inspector are complete, with findings of the enhanced form (theam/facility#127).
        let findings = [enhanced("CVE-2026-9", severity, "YES", &[("a", "NPM")])];
        let on_push = service(
            "ENHANCED",
            &[("amd", active(&[])), ("arm", scanned("COMPLETE", "enhancedFindings", &findings))],
        );
        assert_eq!(code(&on_push, "team/app:1 --fail-on any"), 1);
        assert_eq!(code(&read, "team/app:1"), 0);
        assert_eq!(code(&half, "team/app:1"), 3);
        assert_eq!(code(&half, "team/app:1 --platform linux/arm64"), 0);
        assert_eq!(code(&read, "team/app:1 --fail-on any --exit-code 2"), 2);
    }
}

/// Findings of an image that is too old to be scanned again are closed: it looks clean.
fn active_closed() -> Value {
    active(&[]).tap("SCAN_ELIGIBILITY_EXPIRED")
}

trait WithStatus {
    fn tap(self, status: &str) -> Self;
}

impl WithStatus for Value {
    fn tap(mut self, status: &str) -> Self {
        self["imageScanStatus"]["status"] = json!(status);
        self
    }
}

#[test]
fn scans_are_started_and_waited_for() {
    // Nothing is there until the second look after the start.
    let whole = registry();
    let service = Service::start(move |operation, input, before| match operation {
        "GetRegistryScanningConfiguration" => {
            Ok(json!({"registryId": "1", "scanningConfiguration": {"scanType": "BASIC"}}))
        }
        "StartImageScan" => Ok(json!({"imageScanStatus": {"status": "IN_PROGRESS"}})),
        "DescribeImageScanFindings" => match before {
            0 => Err((400, "ScanNotFoundException", "none".to_owned())),
            1 => Ok(only("IN_PROGRESS")),
            2 => Ok(only("PENDING")),
            _ => Ok(complete(&[basic("CVE-1", "HIGH")])),
        },
        _ => whole.answer(operation, input),
    });
    let outcome = service.machine().ecr(&["scan", "team/app:2", "--fail-on", "high"]);
    assert_eq!(outcome.code, 1, "{}", outcome.transcript());
    assert_eq!(service.count("StartImageScan"), 1);
    let waits = "waiting for the scan of team/app:2: NOT_SCANNED\nwaiting for the scan of team/app:2: IN_PROGRESS\n\
                 waiting for the scan of team/app:2: PENDING\n";
    assert_eq!(outcome.stderr, waits);
}

#[test]
fn a_scan_that_cannot_be_started_is_unknown() {
    let refused = |start: Refusal, kind: &'static str| {
        let whole = registry();
        Service::start(move |operation, input, _| match operation {
            "GetRegistryScanningConfiguration" => {
                Ok(json!({"registryId": "1", "scanningConfiguration": {"scanType": kind}}))
            }
            "StartImageScan" => Err(start.clone()),
            _ => whole.answer(operation, input),
        })
    };
    let limit = (400, "LimitExceededException", "The scan quota per image has been exceeded.".to_owned());
    let service = refused(limit.clone(), "BASIC");
    assert_eq!(code(&service, "team/app:2 --timeout 0s"), 3);
    assert_eq!(service.count("StartImageScan"), 1);
    assert_eq!(code(&service, "team/app:2 --start never"), 3);
    assert_eq!(service.count("StartImageScan"), 1);
    let unsupported = (400, "UnsupportedImageTypeException", "not supported".to_owned());
    assert_eq!(code(&refused(unsupported, "BASIC"), "team/app:2"), 3);
    let denied = (400, "AccessDeniedException", "not authorized to perform: ecr:StartImageScan".to_owned());
    assert_eq!(code(&refused(denied, "BASIC"), "team/app:2"), 254);
    // Continuous scanning cannot be started.
    let service = refused(limit, "ENHANCED");
    assert_eq!(code(&service, "team/app:2 --timeout 0s"), 3);
    assert_eq!(service.count("StartImageScan"), 0);
}

/// A missing right for Amazon Inspector: ecr-scan-image#19.
#[test]
fn a_missing_right_is_reported_with_the_action() {
    let whole = registry();
    let service = Service::start(move |operation, input, _| match operation {
        "GetRegistryScanningConfiguration" => Err((400, "AccessDeniedException", "no".to_owned())),
        "DescribeImageScanFindings" => Err((
            400,
            "AccessDeniedException",
            "User is not authorized to perform: inspector2:ListFindings".to_owned(),
        )),
        _ => whole.answer(operation, input),
    });
    let said = service.machine().fails(254, "scan team/app:2");
    assert!(said.contains("inspector2:ListFindings"), "{said}");
}

#[test]
fn findings_are_read_to_the_last_page() {
    let pages = |last: Value| {
        let whole = registry();
        Service::start(move |operation, input, _| match operation {
            "GetRegistryScanningConfiguration" => {
                Ok(json!({"registryId": "1", "scanningConfiguration": {"scanType": "BASIC"}}))
            }
            "DescribeImageScanFindings" => {
                assert_eq!(input["maxResults"], 1000);
                let mut answer = complete(&[basic("CVE-1", "LOW")]);
                answer["imageScanFindings"]["findingSeverityCounts"] = json!({"LOW": 1, "CRITICAL": 1});
                if input["nextToken"].is_null() {
                    answer["nextToken"] = json!("a");
                } else {
                    answer["imageScanFindings"]["findings"] = last.clone();
                    if last.is_null() {
                        answer["nextToken"] = json!("a");
                    }
                }
                Ok(answer)
            }
            _ => whole.answer(operation, input),
        })
    };
    let line = "team/app:2 --fail-on critical";
    assert_eq!(code(&pages(json!([basic("CVE-2", "CRITICAL")])), line), 1);
    // The service counts one more than it lists.
    assert_eq!(code(&pages(json!([])), line), 3);
    // The same page again and again.
    assert_eq!(code(&pages(Value::Null), line), 255);
}

/// A scan that has just ended may still get findings: aws-sdk#289. One that does not say when it ended may have ended now.
#[test]
fn a_fresh_scan_has_to_settle() {
    for completed in [json!(jiff::Timestamp::now().as_second() + 3600), Value::Null] {
        let whole = registry();
        let service = Service::start(move |operation, input, before| match operation {
            "GetRegistryScanningConfiguration" => {
                Ok(json!({"registryId": "1", "scanningConfiguration": {"scanType": "BASIC"}}))
            }
            "DescribeImageScanFindings" => {
                let findings = if before == 0 { vec![] } else { vec![basic("CVE-1", "HIGH")] };
                let mut answer = complete(&findings);
                answer["imageScanFindings"]["imageScanCompletedAt"] = completed.clone();
                Ok(answer)
            }
            _ => whole.answer(operation, input),
        });
        assert_eq!(code(&service, "team/app:2 --fail-on high --timeout 0s"), 3);
        assert_eq!(code(&service, "team/app:2 --fail-on high --settle 1s"), 1);
    }
}

#[test]
fn ignored_findings_do_not_fail() {
    let service = service(
        "ENHANCED",
        &[(
            "single",
            active(&[
                enhanced("CVE-1", "HIGH", "NO", &[("a", "NPM")]),
                enhanced("CVE-2", "HIGH", "YES", &[("b", "NPM"), ("c", "PIP")]),
            ]),
        )],
    );
    let mut machine = service.machine();
    let run = |machine: &mut crate::harness::Machine, rules: &str, options: &str| {
        machine.write("ignore.yaml", rules);
        let line = format!("scan team/app:2 --fail-on high --output off {options}");
        machine.ecr(&line.split_whitespace().collect::<Vec<_>>()).code
    };
    let with = "--ignore-file ignore.yaml";
    assert_eq!(run(&mut machine, "", ""), 1);
    assert_eq!(run(&mut machine, "", "--ignore-unfixed"), 1);
    let both = "vulnerabilities: [{id: CVE-2, purls: ['pkg:npm/b']}, {id: CVE-2, paths: ['app/c']}]";
    assert_eq!(run(&mut machine, both, with), 1);
    assert_eq!(run(&mut machine, both, &format!("{with} --ignore-unfixed")), 0);
    assert_eq!(run(&mut machine, both, &format!("{with} --only-fixed")), 0);
    let one = "vulnerabilities: [{id: CVE-2, purls: ['pkg:npm/b']}]";
    assert_eq!(run(&mut machine, one, &format!("{with} --ignore-unfixed")), 1);
    assert_eq!(run(&mut machine, "vulnerabilities: [{id: CVE-2, package: b}]", with), 252);
    assert_eq!(run(&mut machine, "", "--ignore-file none.yaml"), 255);
    // Cut within its last line it would ignore CVE-2 for ever.
    let rules = "CVE-1\nCVE-2 exp:2020-01-01\n";
    machine.write("large", format!("{}{rules}", "#".repeat((4 << 20) - 12) + "\n"));
    assert_eq!(run(&mut machine, "", "--ignore-file large"), 255);
    // An ignore file counts only where it is named.
    machine.write(".trivyignore", "CVE-1\nCVE-2\n");
    assert_eq!(run(&mut machine, "", ""), 1);
}

#[test]
fn several_references_and_wrong_use() {
    let scans =
        [("amd", complete(&[])), ("arm", complete(&[])), ("single", complete(&[basic("CVE-1", "LOW")]))];
    let service = service("BASIC", &scans);
    let machine = service.machine();
    let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), &["scan", "-", "--output", "text"]);
    machine.write("list", "# what runs\nteam/app:1\n\nteam/app:2\n");
    command.stdin(Stdio::from(std::fs::File::open(machine.path().join("list")).unwrap()));
    let outcome = crate::harness::outcome(&mut command);
    assert_eq!((outcome.code, outcome.stdout.lines().count()), (0, 1), "{}", outcome.transcript());
    assert_eq!(code(&service, "team/app:2 team/app:9"), 3);
    assert_eq!(code(&service, "team/app:9 --fail-on any"), 3);
    assert_eq!(code(&service, "team/app:2 team/none:1"), 4);
    assert_eq!(code(&service, "team/none:1"), 254);
    assert_eq!(code(&service, "team/app:1 --platform linux/s390x"), 3);
    assert_eq!(code(&service, "team/app:1 --platform linux/amd64 --platform linux/arm64"), 0);
    // One of two is not both.
    assert_eq!(code(&service, "team/app:1 --platform linux/amd64 --platform linux/s390x"), 3);
    assert_eq!(code(&service, "team/app:2 --fail-on LOW --severity High,LOW"), 1);
    let calls = service.calls().len();
    for line in [
        "team/app:2 --fail-on bad",
        "team/app:2 --severity hgih",
        "team/app:2 --timeout 6m",
        "team/app:2 --exit-code 0",
        // As in other scanners this would be a gate, and nothing would say at what it closes.
        "team/app:2 --severity critical --exit-code 1",
        "team/app:2 --report xml=x",
        "team/app:2 --start maybe",
        "team/app:2:3",
        "public.ecr.aws/a/b:1",
    ] {
        assert_eq!(code(&service, line), 252, "{line}");
    }
    assert_eq!(service.calls().len(), calls);
    let said = machine.fails(252, "scan team/app:2 --severity critical,hgih");
    assert!(said.contains("'high'"), "{said}");
}

/// A closed stdout changes nothing about the result.
#[test]
fn a_reader_that_is_gone_does_not_open_the_gate() {
    let service = service("BASIC", &[("single", complete(&[basic("CVE-1", "LOW")]))]);
    let machine = service.machine();
    machine.write("policy.json", "{}");
    let json = ["--output", "json"];
    let query = ["--query", "*"];
    for (line, expected) in [
        (vec!["scan", "team/app:2", "--fail-on", "low"], 1),
        (vec!["lifecycle", "lint", "policy.json"], 1),
        (vec!["images", "team/app", "team/none"], 4),
        (vec!["images", "team/app"], 0),
        (vec!["digest", "team/app:2"], 0),
    ] {
        for more in [[].as_slice(), &json, &query] {
            let line = [&line, more].concat();
            let mut command = machine.command(env!("CARGO_BIN_EXE_ecr"), &line);
            let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            drop(process.stdout.take());
            assert_eq!(process.wait().unwrap().code(), Some(expected), "{line:?}");
        }
    }
}

/// Tags are given by anybody: one of a signature's form takes no platform out of the gate.
#[test]
fn a_platform_with_the_tag_of_a_signature_is_read() {
    let mut registry = registry();
    let signature = format!("sha256-{}.sig", "a".repeat(64));
    for image in registry.images["team/app"].as_array_mut().unwrap() {
        if image["imageDigest"] == digest(b"arm") {
            image["imageTags"] = json!([signature]);
        }
    }
    registry.scans.insert(digest(b"amd"), complete(&[]));
    registry.scans.insert(digest(b"arm"), complete(&[basic("CVE-1", "CRITICAL")]));
    let service = Service::start(move |operation, input, _| match operation {
        "GetRegistryScanningConfiguration" => Ok(
            json!({"registryId": "123456789012", "scanningConfiguration": {"scanType": "BASIC", "rules": []}}),
        ),
        _ => registry.answer(operation, input),
    });
    assert_eq!(code(&service, "team/app:1 --fail-on critical"), 1);
}

/// Enhanced scans of another account refuse to be started, and their findings to be read.
#[test]
fn an_enhanced_scan_of_another_account_is_unknown() {
    let registry = registry();
    let service = Service::start(move |operation, input, _| match operation {
        "GetRegistryScanningConfiguration" => Ok(
            json!({"registryId": "999999999999", "scanningConfiguration": {"scanType": "BASIC", "rules": []}}),
        ),
        "StartImageScan" => Err((400, "ValidationException", "This feature is disabled".to_owned())),
        _ => registry.answer(operation, input),
    });
    let line = "scan 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:2 --fail-on critical";
    let outcome = service.machine().ecr(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(outcome.code, 3, "{}", outcome.transcript());
    assert!(outcome.transcript().contains("issues/2541"), "{}", outcome.transcript());
}

/// More images than are asked about at once are started together, so that none comes too late.
#[test]
fn every_scan_is_started_before_the_time_is_over() {
    let service = service("BASIC", &[("amd", only("IN_PROGRESS")), ("arm", only("IN_PROGRESS"))]);
    assert_eq!(code(&service, "team/app:1 team/app:2 --jobs 1 --timeout 2s"), 3);
    assert_eq!(service.count("StartImageScan"), 1);
}
