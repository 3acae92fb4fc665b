//! `--scan`: how many findings the last scan of each image had. DescribeImages does not say it, so that each image
//! takes a call.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::common_args::ReadingArgs;
use super::super::describe::identifier_of;
use super::super::selection::Repository;
use crate::image::Digest;
use crate::image::graph::{Graph, Kind};

/// Severities in their order, with the letters that stand for them.
const SEVERITIES: [(&str, char); 5] =
    [("CRITICAL", 'C'), ("HIGH", 'H'), ("MEDIUM", 'M'), ("LOW", 'L'), ("INFORMATIONAL", 'I')];

/// The scans of the images of one repository, by position.
#[derive(Debug, Default)]
pub(super) struct Scans {
    all: HashMap<usize, Scan>,
}

/// Scan of one image, as far as it is known.
#[derive(Debug, Clone)]
struct Scan {
    status: String,
    completed: Option<Value>,
    /// Number of findings by severity; `None` if unknown.
    counts: Option<Map<String, Value>>,
}

impl Scans {
    /// Asks about every image that can be run. What cannot be asked is unknown.
    pub(super) async fn read(
        repository: &Repository,
        graph: &Graph,
        reading: &ReadingArgs,
    ) -> anyhow::Result<Self> {
        let images: Vec<usize> = (0..graph.len()).filter(|at| graph.kind(*at) == Kind::Image).collect();
        let digests: Vec<Digest> = images.iter().map(|at| graph.image(*at).digest()).collect();
        let scans = reading.for_each(&digests, |digest| ask(repository, digest)).await;
        let scans: Vec<Scan> = scans.into_iter().collect::<anyhow::Result<_>>()?;
        Ok(Self { all: images.into_iter().zip(scans).collect() })
    }

    /// Returns the cell: `1C 4H`, `-` without findings, `?` if unknown.
    pub(super) fn cell(&self, graph: &Graph, position: usize) -> String {
        let Some(counts) = self.counts(graph, position) else { return "?".to_owned() };
        let mut parts = Vec::new();
        let mut known = 0;
        for (severity, letter) in SEVERITIES {
            let number = counts.get(severity).copied().unwrap_or_default();
            known += number;
            if number > 0 {
                parts.push(format!("{number}{letter}"));
            }
        }
        let others = counts.values().sum::<u64>() - known;
        if others > 0 {
            parts.push(format!("{others}U"));
        }
        if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
    }

    /// Returns the counts of an image, or the sums of an index's images; `None` if one of them is unknown.
    fn counts(&self, graph: &Graph, position: usize) -> Option<HashMap<String, u64>> {
        let mut sum = HashMap::new();
        let images: Vec<usize> = if graph.is_index(position) {
            let listed = graph.listed(position)?;
            if !listed.absent.is_empty() {
                return None;
            }
            let children = graph.children(position).map(|child| child.position);
            children.filter(|child| graph.kind(*child) != Kind::Attestation).collect()
        } else {
            vec![position]
        };
        for image in images {
            for (severity, number) in self.all.get(&image)?.counts.as_ref()? {
                *sum.entry(severity.clone()).or_default() += number.as_u64()?;
            }
        }
        Some(sum)
    }

    /// The member `scan` of an image.
    pub(super) fn json(&self, graph: &Graph, position: usize) -> Value {
        let counts = self.counts(graph, position).map(|counts| {
            let sorted: std::collections::BTreeMap<_, _> = counts.into_iter().collect();
            json!(sorted)
        });
        let mut value = json!({"findingSeverityCounts": counts});
        if let Some(scan) = self.all.get(&position) {
            value["status"] = json!(scan.status);
            if let Some(at) = scan.completed.as_ref().and_then(crate::image::graph::Time::read) {
                value["imageScanCompletedAt"] = json!(at.timestamp().to_string());
            }
        }
        value
    }
}

async fn ask(repository: &Repository, digest: &Digest) -> anyhow::Result<Scan> {
    const OPERATION: &str = "DescribeImageScanFindings";
    let input = json!({"repositoryName": repository.name, "imageId": identifier_of(digest), "maxResults": 1});
    let answer = match repository.connection.call(OPERATION, input).await {
        Err(error) if error.code() == Some("ScanNotFoundException") => {
            return Ok(Scan { status: "NONE".to_owned(), completed: None, counts: None });
        }
        answer => answer?,
    };
    let status = answer["imageScanStatus"]["status"].as_str().unwrap_or_default().to_owned();
    let findings = &answer["imageScanFindings"];
    let completed = findings.get("imageScanCompletedAt").filter(|at| !at.is_null()).cloned();
    // ACTIVE is the normal state of continuous scanning, and begins before anything was looked at.
    let told = matches!(status.as_str(), "COMPLETE" | "ACTIVE") && completed.is_some();
    let counts = findings.get("findingSeverityCounts").and_then(Value::as_object);
    let counts = counts.cloned().or_else(|| findings.is_object().then(Map::new));
    Ok(Scan { status, completed, counts: counts.filter(|_| told) })
}
