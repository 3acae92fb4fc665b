//! Scans: their configuration, their states, and the findings that users give.

use super::*;
use crate::local::ScanOutcome;

fn image(tag: &str) -> Value {
    json!({ "repositoryName": "team/app", "imageId": { "imageTag": tag } })
}

/// Makes all scans some seconds older.
fn wait(store: &Store) {
    let connection = rusqlite::Connection::open(store.folder.path().join("ecr.db")).unwrap();
    connection.execute("UPDATE scan SET started_at = started_at - 5000", []).unwrap();
}

#[test]
fn a_scan_finds_what_was_given() {
    let store = Store::with_repository();
    let digest = store.image("content", Some("1"));
    assert_eq!(
        store.refusal("DescribeImageScanFindings", image("1")),
        "ScanNotFoundException: Image scan does not exist for the image with '{imageDigest:'null', imageTag:'1'}' in the \
         repository with name 'team/app' in the registry with id '111122223333'"
    );
    let finding = |name: &str| json!({ "name": name, "severity": "HIGH" });
    let findings = json!([finding("CVE-1"), finding("CVE-2")]);
    let outcome = ScanOutcome { findings: Some(findings), ..ScanOutcome::default() };
    assert_eq!(store.local.set_scan_outcome(&store.caller, "team/app:1", &outcome), Ok(digest.clone()));
    let id = json!({ "imageDigest": digest, "imageTag": "1" });
    let started = store.ask("StartImageScan", image("1"));
    assert_eq!(
        (&started["imageId"], &started["imageScanStatus"]),
        (&id, &json!({ "status": "IN_PROGRESS" }))
    );
    let running = store.ask("DescribeImageScanFindings", image("1"));
    assert_eq!(running["imageScanStatus"]["status"], "IN_PROGRESS");
    assert_eq!(running.get("imageScanFindings"), None);
    assert_eq!(
        store.refusal("StartImageScan", image("1")),
        "LimitExceededException: The scan quota per image has been exceeded. Wait and try again."
    );
    wait(&store);
    let mut input = image("1");
    input["maxResults"] = json!(1);
    let first = store.ask("DescribeImageScanFindings", input.clone());
    let done = json!({ "status": "COMPLETE", "description": "The scan was completed successfully." });
    assert_eq!(first["imageScanStatus"], done);
    assert_eq!(first["imageScanFindings"]["findingSeverityCounts"], json!({ "HIGH": 2 }));
    assert_eq!(first["imageScanFindings"]["findings"], json!([finding("CVE-1")]));
    input["nextToken"] = first["nextToken"].clone();
    let second = store.ask("DescribeImageScanFindings", input);
    assert_eq!(second["imageScanFindings"]["findings"], json!([finding("CVE-2")]));
    assert_eq!(second.get("nextToken"), None);
}

#[test]
fn an_image_without_findings_is_never_clean() {
    let store = Store::with_repository();
    let digest = store.image("content", Some("1"));
    store.ask("StartImageScan", image("1"));
    wait(&store);
    let answer = store.ask("DescribeImageScanFindings", image("1"));
    assert_eq!(
        answer,
        json!({
            "registryId": "111122223333",
            "repositoryName": "team/app",
            "imageId": { "imageDigest": digest, "imageTag": "1" },
            "imageScanStatus": {
                "status": "FAILED",
                "description": "UnsupportedImageError: The embedded ECR does not look into images, and no findings were \
                                given for this one; `ecr local findings` gives them.",
            },
        })
    );
    store.index(&[&digest], Some("index")).unwrap();
    assert!(store.refusal("StartImageScan", image("index")).starts_with("UnsupportedImageTypeException: "));
    let archive = json!({
        "repositoryName": "team/app", "imageId": { "imageTag": "index" }, "targetStorageClass": "ARCHIVE",
    });
    store.ask("UpdateImageStorageClass", archive);
    assert!(store.refusal("StartImageScan", image("index")).starts_with("ImageArchivedException: "));
}

#[test]
fn scanning_rules_choose_repositories() {
    let store = Store::with_repository();
    let empty = json!({ "scanType": "BASIC", "rules": [] });
    assert_eq!(
        store.ask("GetRegistryScanningConfiguration", json!({})),
        json!({ "registryId": "111122223333", "scanningConfiguration": empty })
    );
    let filter = json!({ "filter": "team/*", "filterType": "WILDCARD" });
    let rules = json!([{ "scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [filter] }]);
    let put = json!({ "scanType": "BASIC", "rules": rules });
    let answer = json!({ "registryScanningConfiguration": put });
    assert_eq!(store.ask("PutRegistryScanningConfiguration", put), answer);
    assert_eq!(
        store.ask(
            "BatchGetRepositoryScanningConfiguration",
            json!({ "repositoryNames": ["team/app", "none"] })
        ),
        json!({
            "scanningConfigurations": [{
                "repositoryArn": "arn:aws:ecr:eu-central-1:111122223333:repository/team/app",
                "repositoryName": "team/app",
                "scanOnPush": false,
                "scanFrequency": "SCAN_ON_PUSH",
                "appliedScanFilters": [filter],
            }],
            "failures": [{
                "repositoryName": "none",
                "failureCode": "REPOSITORY_NOT_FOUND",
                "failureReason": "REPOSITORY_NOT_FOUND",
            }],
        })
    );
    store.image("content", Some("1"));
    assert_eq!(
        store.ask("DescribeImageScanFindings", image("1"))["imageScanStatus"]["status"],
        "IN_PROGRESS"
    );
    let continuous = json!([{ "scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": [filter] }]);
    assert_eq!(
        store.refusal("PutRegistryScanningConfiguration", json!({ "rules": continuous })),
        "ValidationException: scanFrequency CONTINUOUS_SCAN cannot be used with scanType BASIC"
    );
    store.ask("PutRegistryScanningConfiguration", json!({ "scanType": "ENHANCED", "rules": continuous }));
    assert_eq!(store.refusal("StartImageScan", image("1")), "ValidationException: This feature is disabled");
    wait(&store);
    let status = store.ask("DescribeImageScanFindings", image("1"))["imageScanStatus"]["status"].clone();
    assert_eq!(status, "UNSUPPORTED_IMAGE");
}

#[test]
fn a_scan_ends_as_a_user_wants() {
    let store = Store::with_repository();
    store.image("content", Some("1"));
    let set = |status: Option<&str>, after: u64| {
        let outcome = ScanOutcome {
            findings: Some(json!([{ "name": "CVE-1", "severity": "HIGH" }])),
            status: status.map(str::to_owned),
            after: std::time::Duration::from_secs(after),
        };
        store.local.set_scan_outcome(&store.caller, "team/app:1", &outcome)
    };
    let status = || {
        wait(&store);
        let answer = store.ask("DescribeImageScanFindings", image("1"));
        let number = answer["imageScanFindings"]["findings"].as_array().map(Vec::len);
        (answer["imageScanStatus"]["status"].as_str().unwrap().to_owned(), number)
    };
    set(Some("SCAN_ELIGIBILITY_EXPIRED"), 0).unwrap();
    store.ask("StartImageScan", image("1"));
    assert_eq!(status(), ("SCAN_ELIGIBILITY_EXPIRED".to_owned(), None));
    assert!(
        set(Some("GONE"), 0)
            .unwrap_err()
            .message
            .starts_with("GONE is not a status of a scan; expected IN_PROGRESS")
    );
    // Complete, and nothing there for a while.
    set(None, 3600).unwrap();
    assert_eq!(status(), ("COMPLETE".to_owned(), Some(0)));
    set(None, 1).unwrap();
    assert_eq!(status(), ("COMPLETE".to_owned(), Some(1)));
    let enhanced = json!({ "scanType": "ENHANCED", "rules": [] });
    store.ask("PutRegistryScanningConfiguration", enhanced);
    set(None, 3600).unwrap();
    wait(&store);
    let answer = store.ask("DescribeImageScanFindings", image("1"));
    assert_eq!(answer["imageScanStatus"]["status"], "ACTIVE");
    assert_eq!(answer["imageScanFindings"], json!({ "findings": [], "findingSeverityCounts": {} }));
}
