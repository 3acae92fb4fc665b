//! Readability of a scan's findings, by its status.

use serde_json::Value;

/// Readability of findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readability {
    /// The findings can be read.
    Done,
    /// The findings may still come.
    Waiting,
    /// The findings cannot be read; the remedy.
    Unreadable(&'static str),
}

/// Reads the status in one answer of DescribeImageScanFindings.
pub(super) fn readability(answer: &Value) -> Readability {
    let findings = &answer["imageScanFindings"];
    let is_completed = findings.get("imageScanCompletedAt").is_some_and(|at| !at.is_null());
    let has_list = findings["findings"].is_array() || findings["enhancedFindings"].is_array();
    match answer["imageScanStatus"]["status"].as_str().unwrap_or_default() {
        "COMPLETE" if has_list => Readability::Done,
        "COMPLETE" => Readability::Unreadable(
            "the service says that the scan is complete and lists no findings: scan again",
        ),
        // Continuous scanning begins with this status, and it has been seen with an empty list before the first scan.
        "ACTIVE" if is_completed && has_list => Readability::Done,
        "ACTIVE" if is_completed => Readability::Unreadable(
            "the service lists no findings: check the rights for inspector2:ListFindings",
        ),
        "ACTIVE" | "IN_PROGRESS" | "PENDING" => Readability::Waiting,
        "FAILED" => Readability::Unreadable("scan again with `ecr start-image-scan`, or push the image anew"),
        "UNSUPPORTED_IMAGE" => Readability::Unreadable(
            "the scanner does not know this kind of image: scan it with another scanner",
        ),
        "SCAN_ELIGIBILITY_EXPIRED" => Readability::Unreadable(
            "the image is too old to be scanned again and its findings are closed: push it anew, or lengthen the \
             re-scan duration of Amazon Inspector",
        ),
        "FINDINGS_UNAVAILABLE" => Readability::Unreadable("try again later, or start a scan"),
        "LIMIT_EXCEEDED" => {
            Readability::Unreadable("the quota of scans is used up: try again after 24 hours")
        }
        "IMAGE_ARCHIVED" => Readability::Unreadable("restore the image with `ecr restore` first"),
        "IMAGE_SIZE_EXCEEDED" => Readability::Unreadable(
            "the image is too large for the scanner: make it smaller, or use another scanner",
        ),
        _ => Readability::Unreadable("the service answered a status that this program does not know"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_list_without_a_scan_is_no_answer() {
        let answer = |status: &str, findings: Value| {
            readability(&json!({"imageScanStatus": {"status": status}, "imageScanFindings": findings}))
        };
        let empty = json!({"enhancedFindings": []});
        let scanned = json!({"enhancedFindings": [], "imageScanCompletedAt": 1_700_000_000});
        assert_eq!(answer("ACTIVE", empty), Readability::Waiting);
        assert_eq!(answer("ACTIVE", json!({})), Readability::Waiting);
        assert_eq!(answer("ACTIVE", scanned.clone()), Readability::Done);
        assert_eq!(answer("COMPLETE", json!({"findings": []})), Readability::Done);
        for (status, findings) in [
            ("COMPLETE", Value::Null),
            ("COMPLETE", json!({"findingSeverityCounts": {}})),
            ("ACTIVE", json!({"imageScanCompletedAt": 1_700_000_000})),
            ("FAILED", scanned.clone()),
            ("SOMETHING_NEW", scanned),
            ("", Value::Null),
        ] {
            assert!(matches!(answer(status, findings), Readability::Unreadable(_)), "{status}");
        }
    }
}
