//! SARIF 2.1.0, the Static Analysis Results Interchange Format of OASIS, as far as code scanning reads it.

use serde_json::{Map, Value, json};

use crate::image::Digest;

/// The most results that GitHub takes of one run.
const MAX_RESULTS: usize = 25_000;

/// Severity of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Level {
    Error,
    Warning,
    Note,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A kind of result.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Rule {
    /// A stable identifier, such as `CVE-2026-1234`.
    pub(in crate::commands) id: String,
    /// One sentence.
    pub(in crate::commands) description: String,
    /// URL of more information.
    pub(in crate::commands) help_uri: Option<String>,
    /// Number between 0.0 and 10.0 by which code scanning distinguishes critical from low.
    pub(in crate::commands) security_severity: Option<String>,
}

/// One result.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Finding {
    /// Index of its rule in the list of rules.
    pub(in crate::commands) rule: usize,
    pub(in crate::commands) level: Level,
    pub(in crate::commands) message: String,
    /// Path of the file, or a substitute for it.
    pub(in crate::commands) path: String,
    /// Line and column, from 1.
    pub(in crate::commands) position: (usize, usize),
    /// Fingerprint: identifies this result in later runs.
    pub(in crate::commands) identity: String,
    /// Justification given for suppressing the result.
    pub(in crate::commands) suppressed: Option<String>,
}

/// A log of one run. Of too many results the first are kept, and how many there were is told.
pub(in crate::commands) fn log(
    rules: &[Rule],
    findings: &[Finding],
    properties: Map<String, Value>,
) -> Value {
    let mut run = json!({
        "tool": {
            "driver": {
                "name": "ecr",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.iter().map(rule).collect::<Vec<_>>(),
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": findings.iter().take(MAX_RESULTS).map(|finding| result(rules, finding)).collect::<Vec<_>>(),
    });
    let mut properties = properties;
    if findings.len() > MAX_RESULTS {
        properties.insert("resultsInAll".to_owned(), json!(findings.len()));
    }
    if !properties.is_empty() {
        run["properties"] = Value::Object(properties);
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    })
}

fn rule(rule: &Rule) -> Value {
    let mut value = json!({
        "id": rule.id,
        "shortDescription": {"text": rule.description},
        "fullDescription": {"text": rule.description},
    });
    if let Some(uri) = &rule.help_uri {
        value["helpUri"] = json!(uri);
    }
    if let Some(severity) = &rule.security_severity {
        value["properties"] = json!({"security-severity": severity, "tags": ["security", "vulnerability"]});
    }
    value
}

fn result(rules: &[Rule], finding: &Finding) -> Value {
    let (line, column) = finding.position;
    let identity = Digest::of(finding.identity.as_bytes());
    let mut value = json!({
        "ruleId": rules.get(finding.rule).map(|rule| rule.id.as_str()),
        "ruleIndex": finding.rule,
        "level": finding.level.name(),
        "message": {"text": finding.message},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": uri(&finding.path)},
                "region": {"startLine": line, "startColumn": column},
            }
        }],
        "partialFingerprints": {"ecrFinding/v1": identity.hexadecimal()},
    });
    if let Some(reason) = &finding.suppressed {
        let mut suppression = json!({"kind": "external", "status": "accepted"});
        if !reason.is_empty() {
            suppression["justification"] = json!(reason);
        }
        value["suppressions"] = json!([suppression]);
    }
    value
}

/// Returns a path as a reference of RFC 3986: absolute ones with `file:`, and with everything escaped that a reference
/// may not have, such as a colon, which would end a scheme.
fn uri(path: &str) -> String {
    use std::fmt::Write as _;
    let mut text = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@!$&'()*+,;=".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_references() {
        assert_eq!(uri("policies/a b.json"), "policies/a%20b.json");
        assert_eq!(uri("/tmp/é%.json"), "file:///tmp/%C3%A9%25.json");
        assert_eq!(uri("c:x"), "c%3Ax");
    }

    #[test]
    fn too_many_results_are_truncated_with_a_note() {
        let rule =
            Rule { id: "r".to_owned(), description: "d".to_owned(), help_uri: None, security_severity: None };
        let finding = Finding {
            rule: 0,
            level: Level::Warning,
            message: "m".to_owned(),
            path: "p".to_owned(),
            position: (1, 1),
            identity: String::new(),
            suppressed: None,
        };
        let log = log(&[rule], &vec![finding; MAX_RESULTS + 1], Map::new());
        assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), MAX_RESULTS);
        assert_eq!(log["runs"][0]["properties"]["resultsInAll"], MAX_RESULTS + 1);
    }
}
