//! Scans of images. Nothing is looked for: what a scan finds is what a user gave for the image, and an image for
//! which nothing was given is one that cannot be scanned, never a clean one.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::local::aws_api::answers::{about, given, invalid};
use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::findings;
use crate::local::aws_api::paging::Page;
use crate::local::core::image_id::ImageId;
use crate::local::core::registry_id::Scope;
use crate::local::core::repository::Repository;
use crate::local::core::scanning;
use crate::local::core::scans::{Scan, begin, is_index};
use crate::local::store::time;

/// How long a scan is in progress, in milliseconds.
const DURATION: i64 = 1000;

/// A basic scan can be asked for once in so many milliseconds: a day.
const QUOTA: i64 = 24 * 60 * 60 * 1000;

/// Why there is nothing to tell about an image.
const UNSUPPORTED: &str = "UnsupportedImageError: The embedded ECR does not look into images, and no findings were \
                           given for this one; `ecr local findings` gives them.";

/// StartImageScan
pub(in crate::local) fn start(call: &Call<'_>) -> Result<Value, ApiError> {
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        let id = ImageId::of(&given(call, "imageId"));
        let image = id.must(transaction, &repository)?;
        if scanning::configuration(transaction, &repository.scope)?["scanType"] == "ENHANCED" {
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
        let is_enhanced = scanning::configuration(connection, &repository.scope)?["scanType"] == "ENHANCED";
        let status =
            |status: &str, description: &str| json!({ "status": status, "description": description });
        let mut answer = about(&repository, "imageId", id.completed(&image));
        answer["imageScanStatus"] = match (call.now - started_at < DURATION, &scan.findings) {
            _ if image.status != "ACTIVE" => status("IMAGE_ARCHIVED", "The image is archived."),
            (true, _) => status("IN_PROGRESS", "The scan is in progress."),
            (false, None) if is_enhanced => status("UNSUPPORTED_IMAGE", UNSUPPORTED),
            // A client that waits for the end of a scan gives up on this state alone.
            (false, None) => status("FAILED", UNSUPPORTED),
            (false, Some(_)) if is_enhanced => status("ACTIVE", "Continuous scan is selected for image."),
            (false, Some(_)) => status("COMPLETE", "The scan was completed successfully."),
        };
        let is_done = answer["imageScanStatus"]["status"] == "COMPLETE"
            || answer["imageScanStatus"]["status"] == "ACTIVE";
        if let Some(findings) = scan.findings.filter(|_| is_done) {
            show(&mut answer, findings, &page, started_at + DURATION);
        }
        Ok(answer)
    })
}

/// Puts one page of findings into the answer.
fn show(answer: &mut Value, mut findings: Value, page: &Page, completed_at: i64) {
    for member in ["imageScanCompletedAt", "vulnerabilitySourceUpdatedAt"] {
        if findings.get(member).is_none() {
            findings[member] = time::number(completed_at);
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

/// Keeps what a user says about an image; answers its digest. A scan that has been made is made anew, as the service
/// does when it learns of something new.
pub(in crate::local) fn set_findings(
    connection: &Connection,
    scope: &Scope,
    name: &str,
    id: &Value,
    given: &Value,
    now: i64,
) -> Result<String, ApiError> {
    let repository = Repository::find(connection, scope, name)?;
    let image = ImageId::of(id).must(connection, &repository)?;
    let findings = findings::read(given).map_err(invalid)?;
    connection.execute(
        "INSERT INTO scan (image, findings) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET findings = excluded.findings",
        params![image.id, findings.to_string()],
    )?;
    let change = "UPDATE scan SET started_at = ?2 WHERE image = ?1 AND started_at IS NOT NULL";
    connection.execute(change, params![image.id, now])?;
    Ok(image.digest)
}
