//! A service whose listings have no end: every command says so in one sentence, after a bounded number of calls.

use serde_json::{Value, json};

use super::sample::image;
use super::scripted::Service;

/// The most calls of a listing that does not go on.
const MOST: usize = 1010;

/// Content of the pages after the first.
#[derive(Clone, Copy)]
enum Pages {
    /// The same token on each page.
    SameToken,
    /// A new token, and no item.
    Empty,
    /// A new token, and the items of the page before.
    Again,
}

impl Pages {
    fn page(self, list: &str, items: &Value, number: usize) -> Value {
        let token = if matches!(self, Self::SameToken) {
            "a".to_owned()
        } else {
            format!("{number}{}", "x".repeat(10_000))
        };
        let shown = if matches!(self, Self::Empty) && number > 0 { json!([]) } else { items.clone() };
        json!({ list: shown, "nextToken": token })
    }

    /// A service of which one operation has no end.
    fn service(self, endless: &'static str) -> Service {
        let images = json!([image("one", json!({"imageTags": ["1"]}))]);
        let repositories = json!([{"repositoryName": "app", "registryId": "123456789012"}]);
        let finding = json!([{"name": "CVE-1", "severity": "LOW"}]);
        Service::start(move |operation, input, before| {
            let (list, items) = match operation {
                "DescribeImages" if input["imageIds"].is_array() => ("", &images),
                "DescribeImages" => ("imageDetails", &images),
                "DescribeRepositories" => ("repositories", &repositories),
                "DescribeImageScanFindings" => ("findings", &finding),
                "GetRegistryScanningConfiguration" | "DescribeRegistry" => {
                    return Ok(
                        json!({"registryId": "123456789012", "scanningConfiguration": {"scanType": "BASIC"}}),
                    );
                }
                "GetLifecyclePolicy" => {
                    return Err((400, "LifecyclePolicyNotFoundException", "none".to_owned()));
                }
                other => return Err((400, "InvalidAction", other.to_owned())),
            };
            let mut page = if operation == endless && !list.is_empty() {
                self.page(list, items, before)
            } else {
                json!({ if list.is_empty() { "imageDetails" } else { list }: items })
            };
            if operation == "DescribeImageScanFindings" {
                page["imageScanStatus"] = json!({"status": "COMPLETE"});
                let findings = json!({"findings": page["findings"], "imageScanCompletedAt": 1_700_000_000});
                page["imageScanFindings"] = findings;
            }
            Ok(page)
        })
    }
}

#[test]
fn a_listing_without_end_is_one_sentence() {
    for (operation, lines) in [
        (
            "DescribeImages",
            [
                "images app",
                "repos --usage",
                "find 1* app",
                "latest app",
                "du app",
                "prune app --untagged --dry-run",
                "lifecycle simulate app",
            ]
            .as_slice(),
        ),
        ("DescribeRepositories", ["images --all", "repos", "find 1 *"].as_slice()),
        ("DescribeImageScanFindings", ["scan app:1", "images app --scan"].as_slice()),
    ] {
        for line in lines {
            for pages in [Pages::SameToken, Pages::Empty, Pages::Again] {
                let service = pages.service(operation);
                let arguments: Vec<&str> = line.split(' ').collect();
                let outcome = service.machine().ecr(&arguments);
                // Of the findings the first page says how bad they are.
                if *line == "images app --scan" {
                    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
                    continue;
                }
                let is_told = outcome.stderr.lines().filter(|told| told.contains("has no end")).count();
                assert!(outcome.code == 255 || outcome.code == 4, "{line}: {}", outcome.transcript());
                assert_eq!(is_told, 1, "{line}: {}", outcome.transcript());
                assert!(service.count(operation) <= MOST, "{line}: {}", service.count(operation));
            }
        }
    }
}
