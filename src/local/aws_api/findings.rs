//! Findings that a user gives for an image, in ECR's own JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::local::aws_api::responses::timestamp;
use crate::local::aws_api::validate;
use crate::model::{self, Kind, Shape};

/// Reads the structure `ImageScanFindings` from a file: a whole answer of DescribeImageScanFindings, the structure
/// itself, or only the list of findings. Members that the service does not have are refused, and so are values that it
/// would not send; points in time may be written either way.
pub(in crate::local) fn read(given: &Value) -> Result<Value, String> {
    let findings = match given {
        Value::Object(members) if members.contains_key("imageScanFindings") => {
            members["imageScanFindings"].clone()
        }
        Value::Object(_) => given.clone(),
        Value::Array(list) => json!({ "findings": list }),
        _ => return Err("findings are an object or a list".to_owned()),
    };
    let service = model::ecr();
    let shape = service.shape("ImageScanFindings");
    let mut findings = conform(shape, findings, "imageScanFindings")?;
    validate::check_shape(service, shape, &findings, "imageScanFindings").map_err(|error| error.message)?;
    if findings.get("findings").is_none() && findings.get("enhancedFindings").is_none() {
        findings["findings"] = json!([]);
    }
    if findings.get("findingSeverityCounts").is_none() {
        findings["findingSeverityCounts"] = counts(&findings);
    }
    Ok(findings)
}

/// Counts the findings of each severity.
fn counts(findings: &Value) -> Value {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for list in ["findings", "enhancedFindings"] {
        for finding in findings[list].as_array().into_iter().flatten() {
            *counts.entry(finding["severity"].as_str().unwrap_or("UNDEFINED")).or_default() += 1;
        }
    }
    json!(counts)
}

/// Refuses members that the model does not have, and turns points in time into numbers.
fn conform(shape: &'static Shape, value: Value, place: &str) -> Result<Value, String> {
    let service = model::ecr();
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => {
            let mut read = Map::new();
            for (name, value) in members {
                let place = format!("{place}.{name}");
                let Some(member) = shape.members.get(name.as_str()) else {
                    return Err(format!("{place} is not a member that ECR has"));
                };
                read.insert(name, conform(service.shape(member), value, &place)?);
            }
            Ok(Value::Object(read))
        }
        (Kind::List, Value::Array(elements)) => {
            let member = service.shape(shape.member.unwrap_or_default());
            let each = elements.into_iter().enumerate();
            each.map(|(number, element)| conform(member, element, &format!("{place}.{}", number + 1)))
                .collect()
        }
        (Kind::Timestamp, Value::String(text)) => {
            let point: jiff::Timestamp =
                text.parse().map_err(|_| format!("{place} is not a point in time: {text}"))?;
            Ok(timestamp(point.as_millisecond()))
        }
        (_, value) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read_from_each_of_their_forms() {
        let finding = json!({ "name": "CVE-1", "severity": "HIGH" });
        let read_back = json!({ "findings": [finding], "findingSeverityCounts": { "HIGH": 1 } });
        for given in [
            json!([finding]),
            json!({ "findings": [finding] }),
            json!({ "registryId": "1", "imageScanFindings": { "findings": [finding] } }),
        ] {
            assert_eq!(read(&given), Ok(read_back.clone()));
        }
        let timed = json!({ "imageScanCompletedAt": "2026-01-02T03:04:05+00:00", "findings": [] });
        assert_eq!(read(&timed).unwrap()["imageScanCompletedAt"].to_string(), "1767323045.000");
    }

    #[test]
    fn findings_that_the_service_would_not_send_are_refused() {
        let told = |given: Value| read(&given).err().unwrap_or_default();
        assert_eq!(told(json!(1)), "findings are an object or a list");
        assert_eq!(
            told(json!([{ "nam": "x" }])),
            "imageScanFindings.findings.1.nam is not a member that ECR has"
        );
        assert_eq!(
            told(json!([{ "severity": "BAD" }])),
            "Invalid parameter at 'imageScanFindings.findings.1.member.severity' failed to satisfy constraint: 'Member \
             must satisfy enum value set: [INFORMATIONAL, LOW, MEDIUM, HIGH, CRITICAL, UNDEFINED]'"
        );
    }
}
