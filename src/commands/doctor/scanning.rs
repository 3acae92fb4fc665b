//! Checks of scanning: the registry's scan type, the right to read findings, and whether our own pulls count as
//! use.

use serde_json::json;

use super::Examination;
use super::finding::Finding;
use super::image::{ExaminedRegistry, Outcome};
use crate::image::Digest;

/// Examines the registry's settings for scanning and pull times.
pub(super) async fn registry(examination: &mut Examination<'_>, asked: &ExaminedRegistry) {
    match asked.call(examination, "GetRegistryScanningConfiguration", json!({}), &[]).await {
        Outcome::Answer(answer) => {
            let kind = answer["scanningConfiguration"]["scanType"].as_str().unwrap_or("BASIC").to_owned();
            examination.report.ok(Finding::Scanning, format!("the registry scans {kind}"));
        }
        Outcome::Denied(detail, _) => {
            let hint = "a pull does not need it; `ecr scan` does";
            examination.report.add(Finding::ScanningDenied, detail, hint);
        }
        Outcome::Refused(_) | Outcome::Failed => {}
    }
    pull_time(examination, asked).await;
}

/// Examines whether an image's findings can be read. Those of Amazon Inspector need a right of its own.
pub(super) async fn findings(examination: &mut Examination<'_>, asked: &ExaminedRegistry, digest: &Digest) {
    const NONE: [&str; 2] = ["ScanNotFoundException", "ImageNotFoundException"];
    let input = json!({
        "repositoryName": asked.repository(), "imageId": {"imageDigest": digest}, "maxResults": 1,
    });
    let (detail, hint) = match asked.call(examination, "DescribeImageScanFindings", input, &NONE).await {
        Outcome::Denied(detail, hint) => (detail, hint),
        Outcome::Answer(_) | Outcome::Refused(_) | Outcome::Failed => return,
    };
    if detail.contains("inspector2:") {
        let hint = "the registry scans with Amazon Inspector: `ecr scan` also needs inspector2:ListFindings";
        examination.report.add(Finding::InspectorDenied, detail, hint);
    } else {
        examination.report.add(Finding::ScanningDenied, detail, hint);
    }
}

async fn pull_time(examination: &mut Examination<'_>, asked: &ExaminedRegistry) {
    let answer = match asked.call(examination, "ListPullTimeUpdateExclusions", json!({}), &[]).await {
        Outcome::Answer(answer) => answer,
        Outcome::Denied(detail, _) => {
            let hint = "a pull does not need it; whether it counts as one in pull times is not known";
            examination.report.add(Finding::PullTimeDenied, detail, hint);
            return;
        }
        Outcome::Refused(_) | Outcome::Failed => return,
    };
    let Some(principal) = examination.caller.as_ref().map(|caller| principal(&caller.arn)) else { return };
    let excluded = answer["pullTimeUpdateExclusions"].as_array().into_iter().flatten();
    let is_excluded = excluded.filter_map(serde_json::Value::as_str).any(|arn| arn == principal);
    let what = if is_excluded { "do not count" } else { "count" };
    examination.report.ok(Finding::PullTime, format!("pulls of {principal} {what} in pull times"));
}

/// The user or role behind an ARN: a session of a role counts as the role.
fn principal(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let session = parts.get(5).and_then(|resource| resource.strip_prefix("assumed-role/"));
    match (session.and_then(|rest| rest.split('/').next()), parts.as_slice()) {
        (Some(role), [_, partition, _, _, account, _]) => {
            format!("arn:{partition}:iam::{account}:role/{role}")
        }
        _ => arn.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_counts_as_its_role() {
        let session = "arn:aws-cn:sts::111122223333:assumed-role/build/job-1";
        assert_eq!(principal(session), "arn:aws-cn:iam::111122223333:role/build");
        let user = "arn:aws:iam::111122223333:user/team/ann";
        assert_eq!(principal(user), user);
    }
}
