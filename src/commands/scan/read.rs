//! The findings of one image: started, waited for, and read to the last page.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::super::images::describe::identifier_of;
use super::super::images::pages::Pages;
use super::finding::Finding;
use super::status::{Readability, readability};
use super::target::ScanTarget;
use super::waiting::Waiting;
use crate::image::Digest;
use crate::image::graph::Time;
use crate::retry::Backoff;

const DESCRIBE: &str = "DescribeImageScanFindings";
/// The most findings of a page.
const PAGE: u32 = 1000;
/// The longest time between two looks.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// The status in the result where there is no scan.
const NO_SCAN: &str = "NOT_SCANNED";

/// Time limits of waiting for scans, and whether to start them.
#[derive(Debug, Clone, Copy)]
pub(super) struct WaitOptions {
    pub(super) until: Instant,
    pub(super) timeout: Duration,
    /// Time for which the findings of a fresh scan have to stay the same.
    pub(super) settle: Duration,
    pub(super) start: bool,
    /// The first time between two looks; it doubles.
    pub(super) first_wait: Duration,
}

/// State of an image's scan, as far as it is known.
#[derive(Clone)]
pub(super) struct Scan {
    pub(super) target: ScanTarget,
    /// `BASIC` or `ENHANCED`, where the registry's configuration may be read.
    pub(super) registry_type: Option<String>,
    pub(super) status: String,
    pub(super) description: String,
    pub(super) completed: Option<Time>,
    pub(super) findings: Vec<Finding>,
    /// Reason for which findings are unknown, with what to do; `None` if all were read.
    pub(super) unknown: Option<String>,
}

impl Scan {
    fn unknown(target: &ScanTarget, scan_type: Option<&str>, status: &str, reason: String) -> Self {
        Self {
            target: target.clone(),
            registry_type: scan_type.map(str::to_owned),
            status: status.to_owned(),
            description: String::new(),
            completed: None,
            findings: Vec::new(),
            unknown: Some(reason),
        }
    }
}

/// Reads the findings of an image, with one call at a time among the `calls` that all images share.
pub(super) async fn read(
    waiting: &Waiting,
    calls: &Semaphore,
    target: &ScanTarget,
    scan_type: Option<&str>,
    wait_options: WaitOptions,
) -> anyhow::Result<Scan> {
    let digest = match (&target.digest, &target.missing) {
        (Some(digest), None) => digest,
        (_, missing) => {
            let reason = missing.clone().unwrap_or_else(|| "it is not in the repository".to_owned());
            return Ok(Scan::unknown(target, scan_type, "NOT_FOUND", reason));
        }
    };
    let mut reader = Reader { target, digest, scan_type, wait_options, is_started: false, before: None };
    let waited_for = waiting.image(target.name());
    let (backoff, mut looks) = (Backoff::new(wait_options.first_wait, MAX_WAIT), 0);
    loop {
        let next = {
            let _room = calls.acquire().await;
            reader.look().await?
        };
        let (status, reason) = match next {
            Look::Read(scan) => return Ok(*scan),
            Look::Wait { status, reason } => (status, reason),
        };
        let left = wait_options.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let waited =
                format!("{reason}, after {} s; --timeout waits longer", wait_options.timeout.as_secs());
            return Ok(Scan::unknown(target, scan_type, &status, waited));
        }
        waited_for.tell(&status);
        looks += 1;
        let pause = if status == SETTLING { wait_options.settle } else { backoff.wait(looks) };
        tokio::time::sleep(pause.min(left)).await;
    }
}

/// The status of a scan whose findings may still change.
const SETTLING: &str = "SETTLING";

/// Result of one look at a scan.
enum Look {
    Read(Box<Scan>),
    Wait { status: String, reason: String },
}

/// The message of the service that refuses to start a scan where scans are enhanced.
const NO_START: &str = "This feature is disabled";

struct Reader<'a> {
    target: &'a ScanTarget,
    digest: &'a Digest,
    scan_type: Option<&'a str>,
    wait_options: WaitOptions,
    is_started: bool,
    /// Time of the last look at a fresh scan, and the numbers of its findings then.
    before: Option<(Instant, Value)>,
}

impl Reader<'_> {
    async fn look(&mut self) -> anyhow::Result<Look> {
        let input = self.input();
        let answer = match self.target.repository.connection.call(DESCRIBE, input).await {
            Err(error) if error.code() == Some("ScanNotFoundException") => return self.without_scan().await,
            Err(error) if error.code() == Some("ImageNotFoundException") => {
                let reason = "it is not in the repository any more".to_owned();
                return Ok(Look::Read(Box::new(Scan::unknown(
                    self.target,
                    self.scan_type,
                    "NOT_FOUND",
                    reason,
                ))));
            }
            answer => answer?,
        };
        let status = answer["imageScanStatus"]["status"].as_str().unwrap_or_default().to_owned();
        let description = answer["imageScanStatus"]["description"].as_str().unwrap_or_default();
        match readability(&answer) {
            Readability::Waiting => {
                Ok(Look::Wait { status: status.clone(), reason: format!("the scan is still {status}") })
            }
            Readability::Unreadable(hint) => {
                let told = if description.is_empty() { String::new() } else { format!(" ({description})") };
                let mut scan =
                    Scan::unknown(self.target, self.scan_type, &status, format!("{status}{told}: {hint}"));
                description.clone_into(&mut scan.description);
                Ok(Look::Read(Box::new(scan)))
            }
            Readability::Done if !self.is_settled(&answer) => Ok(Look::Wait {
                status: SETTLING.to_owned(),
                reason: "the scan has just ended, and its findings may still change".to_owned(),
            }),
            Readability::Done => self.pages(answer, &status).await,
        }
    }

    fn input(&self) -> Value {
        json!({
            "repositoryName": self.target.repository.name,
            "imageId": identifier_of(self.digest),
            "maxResults": PAGE,
        })
    }

    /// Returns whether the findings are old enough, or have not changed for `settle`.
    fn is_settled(&mut self, answer: &Value) -> bool {
        let completed = answer["imageScanFindings"].get("imageScanCompletedAt").and_then(Time::read);
        // A time to come is that of another clock, and so the scan may have ended just now; as it may without a time.
        let age = completed.map(|at| Timestamp::now().duration_since(at.timestamp()));
        let age = age.map(|age| std::time::Duration::try_from(age).unwrap_or_default());
        if age.unwrap_or_default() >= self.wait_options.settle {
            return true;
        }
        let counts = answer["imageScanFindings"]["findingSeverityCounts"].clone();
        match &self.before {
            Some((at, before)) if at.elapsed() >= self.wait_options.settle && *before == counts => true,
            Some((at, before)) if at.elapsed() < self.wait_options.settle && *before == counts => false,
            _ => {
                self.before = Some((Instant::now(), counts));
                false
            }
        }
    }

    /// Reads the pages after the first one.
    async fn pages(&self, first: Value, status: &str) -> anyhow::Result<Look> {
        let mut scan = Scan::unknown(self.target, self.scan_type, status, String::new());
        scan.unknown = None;
        scan.completed = first["imageScanFindings"].get("imageScanCompletedAt").and_then(Time::read);
        first["imageScanStatus"]["description"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut scan.description);
        let counted = first["imageScanFindings"]["findingSeverityCounts"].as_object().map_or(0, sum);
        let mut listed = 0;
        let connection = &self.target.repository.connection;
        let mut pages = Pages::after(connection, DESCRIBE, (self.input(), &first))?;
        let mut page = first;
        loop {
            let findings = &page["imageScanFindings"];
            let lists = ["findings", "enhancedFindings"];
            listed += lists.iter().filter_map(|list| findings[*list].as_array()).map(Vec::len).sum::<usize>()
                as u64;
            scan.findings.extend(Finding::read_page(findings));
            let Some(next) = pages.next().await? else { break };
            page = next;
            let now = page["imageScanStatus"]["status"].as_str().unwrap_or_default();
            if now != status {
                let reason = format!("the scan became {now} while its findings were read");
                return Ok(Look::Wait { status: now.to_owned(), reason });
            }
        }
        if counted > listed {
            scan.unknown =
                Some(format!("the service counts {counted} findings and lists {listed}: try again"));
        }
        scan.findings.sort_by(|one, other| one.order().cmp(&other.order()));
        Ok(Look::Read(Box::new(scan)))
    }

    /// Starts a scan where that is possible, else waits for one.
    async fn without_scan(&mut self) -> anyhow::Result<Look> {
        let wait = |reason: &str| Look::Wait { status: NO_SCAN.to_owned(), reason: reason.to_owned() };
        if self.scan_type == Some("ENHANCED") {
            return Ok(wait(
                "there is no scan; check that a rule of the registry's scanning covers the repository",
            ));
        }
        if self.is_started {
            return Ok(wait("the scan that was started is not there"));
        }
        if !self.wait_options.start {
            let reason =
                "there is no scan: start one with `ecr start-image-scan`, or leave out --start never"
                    .to_owned();
            return Ok(Look::Read(Box::new(Scan::unknown(self.target, self.scan_type, NO_SCAN, reason))));
        }
        if let Some(scan) = self.start().await? {
            return Ok(Look::Read(Box::new(scan)));
        }
        self.is_started = true;
        Ok(wait("the scan that was started has not ended"))
    }

    /// Starts a scan. Returns what is known of an image that cannot be scanned.
    async fn start(&self) -> anyhow::Result<Option<Scan>> {
        const START: &str = "StartImageScan";
        let input =
            json!({"repositoryName": self.target.repository.name, "imageId": identifier_of(self.digest)});
        let connection = &self.target.repository.connection;
        let Err(error) = connection.call(START, input).await else { return Ok(None) };
        let refused = |status: &str, hint: &str| {
            Ok(Some(Scan::unknown(self.target, self.scan_type, status, format!("{error}: {hint}"))))
        };
        match error.code() {
            // Scanned within a day: what there is counts, once it can be read.
            Some("LimitExceededException") => Ok(None),
            Some("UnsupportedImageTypeException") => {
                refused("UNSUPPORTED_IMAGE", "scan it with another scanner")
            }
            Some("ImageArchivedException") => {
                refused("IMAGE_ARCHIVED", "restore the image with `ecr restore` first")
            }
            // Enhanced scans begin by themselves. Who may not ask how the registry scans learns it here.
            _ if error.to_string().contains(NO_START) => {
                if connection.account().is_none() || self.scan_type.is_some() {
                    return Ok(None);
                }
                let hint = "findings of enhanced scans in another account cannot be read \
                            (https://github.com/aws/containers-roadmap/issues/2541)";
                refused(NO_SCAN, hint)
            }
            _ => Err(error.into()),
        }
    }
}

fn sum(counts: &Map<String, Value>) -> u64 {
    counts.values().filter_map(Value::as_u64).sum()
}
