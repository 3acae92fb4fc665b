//! Images that must stay because enhanced scanning reports their use.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::super::images::describe::identifier_of;
use super::super::super::images::selection::Repository;
use crate::image::graph::{Graph, Kind, Time};
use crate::retention::Protector;

/// Limit of concurrent calls about images.
const CALLS: usize = 4;

/// Asks of each image whether a task or pod uses it or did within this time, and of an index whether one uses any of its
/// platforms. What cannot be told is protected.
pub(super) async fn in_use(
    repository: &Repository,
    graph: &Graph,
    positions: &[usize],
    within: Duration,
) -> HashMap<usize, Protector> {
    let since = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
    let since = Time::of(Timestamp::now().checked_sub(since).unwrap_or(Timestamp::MIN));
    let (wanted, mut protected) = platforms(graph, positions);
    let answers = wanted.into_iter().map(async |position| {
        let digest = graph.image(position).digest();
        let input = json!({"repositoryName": repository.name, "imageId": identifier_of(&digest)});
        (position, repository.connection.call("DescribeImageScanFindings", input).await)
    });
    let mut answers = stream::iter(answers).buffer_unordered(CALLS);
    while let Some((position, answer)) = answers.next().await {
        match answer.ok().and_then(|answer| ImageUse::read(&answer)) {
            // Nothing runs an attestation or a signature by itself, and nothing scans them.
            None if is_run(graph, position) => drop(protected.insert(position, Protector::UnknownUse)),
            Some(found) if found.count > 0 || found.last >= Some(since) => {
                protected.insert(position, Protector::InUse);
            }
            None | Some(_) => {}
        }
    }
    protected
}

/// Returns the images to ask about: these, and the children of the indexes among them. An index of which no image that
/// can be run is known is protected.
fn platforms(graph: &Graph, positions: &[usize]) -> (Vec<usize>, HashMap<usize, Protector>) {
    let (mut wanted, mut protected) = (Vec::new(), HashMap::new());
    let mut seen: HashSet<usize> = positions.iter().copied().collect();
    let mut waiting: Vec<usize> = positions.to_vec();
    while let Some(position) = waiting.pop() {
        if !graph.is_index(position) {
            wanted.push(position);
            continue;
        }
        let listed: Vec<usize> = graph.children(position).map(|child| child.position).collect();
        if !listed.iter().any(|child| graph.is_index(*child) || is_run(graph, *child)) {
            protected.insert(position, Protector::UnknownUse);
        }
        waiting.extend(listed.into_iter().filter(|child| seen.insert(*child)));
    }
    (wanted, protected)
}

/// Returns whether an image may be run by a task or pod: it has no subject, and is no attestation, signature, SBOM or
/// SOCI index.
fn is_run(graph: &Graph, position: usize) -> bool {
    let is_about_another = graph.is_companion(position) && graph.subjects_of(position).next().is_some();
    let kind = graph.kind(position);
    !is_about_another && !matches!(kind, Kind::Attestation | Kind::Signature | Kind::Sbom | Kind::Soci)
}

/// Use of an image, as each of its findings says it.
#[derive(Debug, Default)]
struct ImageUse {
    count: u64,
    last: Option<Time>,
}

impl ImageUse {
    /// Reads the use from a finding; `None` if it has none.
    fn read(answer: &Value) -> Option<Self> {
        let findings = answer.pointer("/imageScanFindings/enhancedFindings").and_then(Value::as_array)?;
        let resources =
            findings.iter().flat_map(|finding| finding["resources"].as_array().into_iter().flatten());
        let mut found: Option<Self> = None;
        for image in resources.filter_map(|resource| resource.pointer("/details/awsEcrContainerImage")) {
            let (count, last) = (image.get("inUseCount"), image.get("lastInUseAt"));
            if count.is_none() && last.is_none() {
                continue;
            }
            let found = found.get_or_insert_default();
            found.count = found.count.max(count.and_then(Value::as_u64).unwrap_or(0));
            found.last = found.last.max(last.and_then(Time::read));
        }
        found
    }
}
