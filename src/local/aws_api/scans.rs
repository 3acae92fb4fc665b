//! Scans of images. Nothing is looked for: what a scan finds is what a user gave for the image, and an image for
//! which nothing was given is one that cannot be scanned, never a clean one.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::findings;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::responses::{about, given, invalid, timestamp};
use crate::local::core::image_id::ImageId;
use crate::local::core::registry_id::RepositoryRef;
use crate::local::core::repository::Repository;
use crate::local::core::scanning::ScanningConfiguration;
use crate::local::core::scans::{Scan, begin, is_index, store_findings};
use crate::model;

/// Duration of a scan, in milliseconds.
const DURATION: i64 = 1000;

/// Milliseconds between two basic scans of an image: a day.
const QUOTA: i64 = 24 * 60 * 60 * 1000;

/// Member of the stored findings with the outcome that a user set.
const WANTED: &str = "wanted";

/// Description of a scan's status where there are no findings.
const UNSUPPORTED: &str = "UnsupportedImageError: The embedded ECR does not look into images, and no findings were \
                           given for this one; `ecr local findings` gives them.";

/// StartImageScan
pub(in crate::local) fn start(call: &Call<'_>) -> Result<Value, ApiError> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let id = ImageId::of(&given(call, "imageId"));
        let image = id.must(transaction, &repository)?;
        if ScanningConfiguration::of(transaction, &repository.scope)?.is_enhanced() {
            return Err(invalid("This feature is disabled"));
        }
        if image.status != "ACTIVE" {
            let text =
                format!("The image with digest '{}' in the {} is archived", image.digest, repository.place());
            return Err(ApiError::new("ImageArchivedException", text));
        }
        if is_index(&image) {
            let text = format!("The image media type '{}' is not supported for scanning", image.media_type);
            return Err(ApiError::new("UnsupportedImageTypeException", text));
        }
        let before = Scan::of(transaction, image.id)?.and_then(|scan| scan.started_at);
        if before.is_some_and(|before| call.now - before < QUOTA) {
            let text = "The scan quota per image has been exceeded. Wait and try again.";
            return Err(ApiError::new("LimitExceededException", text));
        }
        begin(transaction, image.id, call.now)?;
        let mut answer = about(&repository, "imageId", id.completed(&image));
        answer["imageScanStatus"] = json!({ "status": "IN_PROGRESS" });
        Ok(answer)
    })
}

/// DescribeImageScanFindings
pub(in crate::local) fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "")?;
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let id = ImageId::of(&given(call, "imageId"));
        let image = id.must(connection, &repository)?;
        let scan = Scan::of(connection, image.id)?;
        let Some((started_at, scan)) = scan.and_then(|scan| Some((scan.started_at?, scan))) else {
            return Err(not_scanned(&repository, &id));
        };
        let is_enhanced = ScanningConfiguration::of(connection, &repository.scope)?.is_enhanced();
        let (scan_ends, age) = (started_at + DURATION, call.now - started_at);
        let findings = scan.findings.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let wanted = findings.as_ref().map(|findings| &findings[WANTED]);
        let is_late =
            wanted.and_then(|wanted| wanted["after"].as_i64()).is_some_and(|after| age < DURATION + after);
        let mut answer = about(&repository, "imageId", id.completed(&image));
        answer["imageScanStatus"] = match wanted.and_then(|wanted| wanted["status"].as_str()) {
            Some(wanted) if age >= DURATION && image.status == "ACTIVE" => {
                status(wanted, "As `ecr local findings --status` says.")
            }
            _ => scan_status(&image.status, age, findings.is_some(), is_enhanced),
        };
        let is_done = ["COMPLETE", "ACTIVE"]
            .contains(&answer["imageScanStatus"]["status"].as_str().unwrap_or_default());
        let Some(mut findings) = findings.filter(|_| is_done) else { return Ok(answer) };
        if let Some(members) = findings.as_object_mut() {
            members.shift_remove(WANTED);
        }
        if is_late {
            // Continuous scanning has been seen to answer no time of a scan until there was one, basic scanning to be
            // complete before its findings were there (aws-cli#6759, aws-sdk#289).
            let list =
                if findings.get("enhancedFindings").is_some() { "enhancedFindings" } else { "findings" };
            answer["imageScanFindings"] = json!({ list: [], "findingSeverityCounts": {} });
            if !is_enhanced {
                answer["imageScanFindings"]["imageScanCompletedAt"] = timestamp(scan_ends);
            }
            return Ok(answer);
        }
        show(&mut answer, findings, &page, scan_ends);
        Ok(answer)
    })
}

fn status(status: &str, description: &str) -> Value {
    json!({ "status": status, "description": description })
}

/// The status of a scan that began so many milliseconds ago, unless a user wants another one.
fn scan_status(image: &str, age: i64, has_findings: bool, is_enhanced: bool) -> Value {
    match (age < DURATION, has_findings) {
        _ if image != "ACTIVE" => status("IMAGE_ARCHIVED", "The image is archived."),
        (true, _) => status("IN_PROGRESS", "The scan is in progress."),
        (false, false) if is_enhanced => status("UNSUPPORTED_IMAGE", UNSUPPORTED),
        // A client that waits for the end of a scan gives up on this state alone.
        (false, false) => status("FAILED", UNSUPPORTED),
        (false, true) if is_enhanced => status("ACTIVE", "Continuous scan is selected for image."),
        (false, true) => status("COMPLETE", "The scan was completed successfully."),
    }
}

/// Puts one page of findings into the answer.
fn show(answer: &mut Value, mut findings: Value, page: &Page, completed_at: i64) {
    for member in ["imageScanCompletedAt", "vulnerabilitySourceUpdatedAt"] {
        if findings.get(member).is_none() {
            findings[member] = timestamp(completed_at);
        }
    }
    let list = if findings.get("enhancedFindings").is_some() { "enhancedFindings" } else { "findings" };
    let all = findings[list].as_array().cloned().unwrap_or_default();
    let paged = page.slice(list, all);
    findings[list] = paged[list].clone();
    answer["imageScanFindings"] = findings;
    if let Some(token) = paged.get("nextToken") {
        answer["nextToken"] = token.clone();
    }
}

fn not_scanned(repository: &Repository, id: &ImageId) -> ApiError {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
    let text = format!(
        "Image scan does not exist for the image with '{{imageDigest:'{}', imageTag:'{}'}}' in the {}",
        shown(&id.digest),
        shown(&id.tag),
        repository.place()
    );
    ApiError::new("ScanNotFoundException", text)
}

/// Outcome set for the scans of an image.
#[derive(Debug, Clone, Default)]
pub struct ScanOutcome {
    /// Findings, in ECR's own JSON; `None` if none were given.
    pub findings: Option<Value>,
    /// The status that they end with; the one of success where it is not given.
    pub status: Option<String>,
    /// Time after the scan at which the findings appear.
    pub after: std::time::Duration,
}

/// Stores the scan outcome for an image, and for the children of an index, which are what is scanned; returns its
/// digest. A scan that has been made is made anew, as the service does when it learns of something new; where scanning
/// is continuous, one begins.
pub(in crate::local) fn set_outcome(
    connection: &Connection,
    repository: &RepositoryRef,
    id: &ImageId,
    outcome: &ScanOutcome,
    now: i64,
) -> Result<String, ApiError> {
    let repository = repository.find(connection)?;
    let image = id.must(connection, &repository)?;
    let given = outcome.findings.clone().unwrap_or_else(|| json!([]));
    let mut findings = findings::read(&given).map_err(invalid)?;
    let statuses = &model::ecr().shape("ScanStatus").values;
    if let Some(status) = outcome.status.as_deref().filter(|status| !statuses.contains(status)) {
        return Err(invalid(format!("{status} is not a status of a scan; expected {}", statuses.join(", "))));
    }
    let after = i64::try_from(outcome.after.as_millis()).unwrap_or(i64::MAX / 2);
    if outcome.status.is_some() || after > 0 {
        findings[WANTED] = json!({ "status": outcome.status, "after": after });
    }
    let findings = findings.to_string();
    let is_enhanced = ScanningConfiguration::of(connection, &repository.scope)?.is_enhanced();
    store_findings(connection, &image, &findings, is_enhanced, now)?;
    Ok(image.digest)
}
