//! Meaning of a scan's status for a gate.

use serde_json::Value;

/// Reaction to a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The findings can be read.
    Done,
    /// The findings may still come.
    Waiting,
    /// The findings cannot be read; the remedy.
    Unreadable(&'static str),
}

/// Reading of one answer of DescribeImageScanFindings.
pub(super) fn meaning(answer: &Value) -> Meaning {
    let findings = &answer["imageScanFindings"];
    let is_completed = findings.get("imageScanCompletedAt").is_some_and(|at| !at.is_null());
    let has_list = findings["findings"].is_array() || findings["enhancedFindings"].is_array();
    match answer["imageScanStatus"]["status"].as_str().unwrap_or_default() {
        "COMPLETE" if has_list => Meaning::Done,
        "COMPLETE" => Meaning::Unreadable(
            "the service says that the scan is complete and lists no findings: scan again",
        ),
        // Continuous scanning begins with this status, and it has been seen with an empty list before the first scan.
        "ACTIVE" if is_completed && has_list => Meaning::Done,
        "ACTIVE" if is_completed => {
            Meaning::Unreadable("the service lists no findings: check the rights for inspector2:ListFindings")
        }
        "ACTIVE" | "IN_PROGRESS" | "PENDING" => Meaning::Waiting,
        "FAILED" => Meaning::Unreadable("scan again with `ecr start-image-scan`, or push the image anew"),
        "UNSUPPORTED_IMAGE" => {
            Meaning::Unreadable("the scanner does not know this kind of image: scan it with another scanner")
        }
        "SCAN_ELIGIBILITY_EXPIRED" => Meaning::Unreadable(
            "the image is too old to be scanned again and its findings are closed: push it anew, or lengthen the \
             re-scan duration of Amazon Inspector",
        ),
        "FINDINGS_UNAVAILABLE" => Meaning::Unreadable("try again later, or start a scan"),
        "LIMIT_EXCEEDED" => Meaning::Unreadable("the quota of scans is used up: try again after 24 hours"),
        "IMAGE_ARCHIVED" => Meaning::Unreadable("restore the image with `ecr restore` first"),
        "IMAGE_SIZE_EXCEEDED" => Meaning::Unreadable(
            "the image is too large for the scanner: make it smaller, or use another scanner",
        ),
        _ => Meaning::Unreadable("the service answered a status that this program does not know"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_list_without_a_scan_is_no_answer() {
        let answer = |status: &str, findings: Value| {
            meaning(&json!({"imageScanStatus": {"status": status}, "imageScanFindings": findings}))
        };
        let empty = json!({"enhancedFindings": []});
        let scanned = json!({"enhancedFindings": [], "imageScanCompletedAt": 1_700_000_000});
        assert_eq!(answer("ACTIVE", empty), Meaning::Waiting);
        assert_eq!(answer("ACTIVE", json!({})), Meaning::Waiting);
        assert_eq!(answer("ACTIVE", scanned.clone()), Meaning::Done);
        assert_eq!(answer("COMPLETE", json!({"findings": []})), Meaning::Done);
        for (status, findings) in [
            ("COMPLETE", Value::Null),
            ("COMPLETE", json!({"findingSeverityCounts": {}})),
            ("ACTIVE", json!({"imageScanCompletedAt": 1_700_000_000})),
            ("FAILED", scanned.clone()),
            ("SOMETHING_NEW", scanned),
            ("", Value::Null),
        ] {
            assert!(matches!(answer(status, findings), Meaning::Unreadable(_)), "{status}");
        }
    }
}
