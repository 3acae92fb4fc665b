//! Ignore files in the two forms that trivy reads: `.trivyignore` and `.trivyignore.yaml`.

use std::path::Path;

use anyhow::Context as _;
use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::{Map, Value};

use super::super::input::read_text_file;
use super::super::registry::usage;
use super::finding::Finding;
use super::path_pattern::PathPattern;
use super::purl::Purl;
use crate::model::foreign::{self, Foreign};

/// More than this is read of no file.
const MAX_BYTES: u64 = 4 << 20;

/// Finding that is not to fail the gate, and until when.
#[derive(Debug, Clone, Default)]
pub(super) struct IgnoreRules {
    rules: Vec<IgnoreRule>,
}

#[derive(Debug, Clone)]
struct IgnoreRule {
    id: String,
    /// From this instant on it counts again.
    expires: Option<Timestamp>,
    statement: Option<String>,
    /// Any of these packages; all where there is none.
    purls: Vec<Purl>,
    /// Any of these files; all where there is none.
    paths: Vec<PathPattern>,
}

impl IgnoreRules {
    /// Reads a file. What cannot be understood is wrong use: an entry that is passed over would be a surprise.
    pub(super) fn read_file(path: &Path) -> anyhow::Result<Self> {
        let text = read_text_file(path, MAX_BYTES)
            .with_context(|| format!("the ignore file {} cannot be read", path.display()))?;
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        let rules = if is_yaml { yaml(&text) } else { lines(&text) };
        rules.map(|rules| Self { rules }).map_err(|reason| usage(format!("{}: {reason}", path.display())))
    }

    /// Marks the findings that a rule covers, and answers the identifiers of rules that cover some but have expired.
    pub(super) fn apply(&self, findings: &mut [Finding], now: Timestamp) -> Vec<String> {
        let mut expired: Vec<String> = Vec::new();
        for finding in findings.iter_mut().filter(|finding| finding.ignored.is_none()) {
            let covering: Vec<&IgnoreRule> = self.rules.iter().filter(|rule| rule.covers(finding)).collect();
            for rule in covering {
                if rule.expires.is_some_and(|expires| expires <= now) {
                    if !expired.contains(&rule.id) {
                        expired.push(rule.id.clone());
                    }
                } else {
                    finding.ignored =
                        Some(rule.statement.clone().unwrap_or_else(|| "ignore file".to_owned()));
                }
            }
        }
        expired
    }
}

impl IgnoreRule {
    fn covers(&self, finding: &Finding) -> bool {
        let path = finding.file_path.as_deref();
        let is_path = |pattern: &PathPattern| path.is_some_and(|path| pattern.matches(path));
        self.id == finding.id
            && (self.purls.is_empty() || self.purls.iter().any(|purl| purl.names(finding)))
            && (self.paths.is_empty() || self.paths.iter().any(is_path))
    }
}

/// `ID [exp:YYYY-MM-DD]` a line, with comments behind `#`.
fn lines(text: &str) -> Result<Vec<IgnoreRule>, String> {
    let mut rules = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(id) = words.next() else { continue };
        let mut rule = IgnoreRule {
            id: id.to_owned(),
            expires: None,
            statement: None,
            purls: Vec::new(),
            paths: Vec::new(),
        };
        for word in words {
            let date = word.strip_prefix("exp:").and_then(instant);
            let wrong =
                || format!("line {}: '{word}' is not understood; expected exp:YYYY-MM-DD", number + 1);
            rule.expires = Some(date.ok_or_else(wrong)?);
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn yaml(text: &str) -> Result<Vec<IgnoreRule>, String> {
    let document = crate::args::read_yaml(text).map_err(|error| error.to_string())?;
    match &document["vulnerabilities"] {
        Value::Null if document.is_null() || document.is_object() => Ok(Vec::new()),
        Value::Array(entries) => {
            entries.iter().enumerate().map(|(number, entry)| read(entry, number)).collect()
        }
        _ => Err("expected a list of vulnerabilities".to_owned()),
    }
}

/// A text of an entry, where it has one.
fn text(members: &Map<String, Value>, name: &str, place: &str) -> Result<Option<String>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        // A date without quotes is one to YAML too.
        Some(value) if matches!(Foreign::of(value), Some(Foreign::Date(_) | Foreign::Instant(..))) => {
            Ok(Some(foreign::text(value)))
        }
        Some(_) => Err(format!("{place}.{name} is not a text")),
    }
}

/// The texts of a list of an entry.
fn texts(members: &Map<String, Value>, name: &str, place: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{place}.{name} is not a list of texts");
    match members.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            list.iter().map(|each| each.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn read(entry: &Value, number: usize) -> Result<IgnoreRule, String> {
    let place = format!("vulnerabilities[{number}]");
    let members = entry.as_object().ok_or_else(|| format!("{place} is not a structure"))?;
    let known = ["id", "paths", "purls", "expired_at", "statement"];
    if let Some(other) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("{place} has the member {other}; expected {}", known.join(", ")));
    }
    let text = |name: &str| text(members, name, &place);
    let texts = |name: &str| texts(members, name, &place);
    let id = text("id")?.filter(|id| !id.is_empty()).ok_or_else(|| format!("{place} has no id"))?;
    let expires = text("expired_at")?
        .map(|date| instant(&date).ok_or_else(|| format!("{place}.expired_at: '{date}' is no date")))
        .transpose()?;
    let purls = texts("purls")?;
    let purls =
        purls.iter().map(|purl| Purl::read(purl).ok_or_else(|| format!("{place}: '{purl}' is no purl")));
    let paths = texts("paths")?;
    let paths = paths.iter().map(|path| {
        PathPattern::read(path).ok_or_else(|| format!("{place}: '{path}' is no pattern for paths"))
    });
    Ok(IgnoreRule {
        id,
        expires,
        statement: text("statement")?,
        purls: purls.collect::<Result<_, _>>()?,
        paths: paths.collect::<Result<_, _>>()?,
    })
}

/// A date, whose day no longer counts, or an instant.
fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let date: civil::DateTime = text.parse().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finding(id: &str, package: &str, manager: &str, path: &str) -> Finding {
        let finding = json!({"enhancedFindings": [{
            "severity": "HIGH", "packageVulnerabilityDetails": {"vulnerabilityId": id, "vulnerablePackages": [{
                "name": package, "version": "1.0", "packageManager": manager, "filePath": path
            }]}
        }]});
        Finding::read_page(&finding).remove(0)
    }

    /// Returns the ignored findings, and the rules that have expired.
    fn ignored(rules: Vec<IgnoreRule>) -> (Vec<String>, Vec<String>) {
        let mut findings = vec![
            finding("CVE-1", "lodash", "NPM", "app/node_modules/lodash/package.json"),
            finding("CVE-1", "bash", "OS", "var/lib/dpkg/status"),
            finding("CVE-2", "openssl", "OS", ""),
        ];
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        let expired = IgnoreRules { rules }.apply(&mut findings, now);
        let ignored = findings.into_iter().filter(|finding| finding.ignored.is_some());
        (ignored.map(|finding| finding.package.unwrap()).collect(), expired)
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn lines_are_read_as_trivy_reads_them() {
        let read = |text: &str| lines(text).map(ignored);
        assert_eq!(read("# why\n\nCVE-1\n"), Ok((texts(&["lodash", "bash"]), vec![])));
        assert_eq!(read("CVE-2 exp:2026-12-01 # soon"), Ok((texts(&["openssl"]), vec![])));
        assert_eq!(read("CVE-2 exp:2026-11-30\nCVE-9 exp:2020-01-01"), Ok((vec![], texts(&["CVE-2"]))));
        assert_eq!(read("CVE"), Ok((vec![], vec![])));
        let wrong = "line 1: 'exp:soon' is not understood; expected exp:YYYY-MM-DD";
        assert_eq!(read("CVE-2 exp:soon"), Err(wrong.to_owned()));
        assert!(read("CVE-1 CVE-2").is_err());
    }

    #[test]
    fn yaml_names_packages_and_files() {
        let read = |text: &str| yaml(text).map(ignored);
        let entry = |members: &str| format!("vulnerabilities:\n  - id: CVE-1\n    {members}\n");
        assert_eq!(read(&entry("purls: ['pkg:npm/lodash@1.0']")), Ok((texts(&["lodash"]), vec![])));
        assert_eq!(read(&entry("purls: ['pkg:deb/debian/bash']")), Ok((texts(&["bash"]), vec![])));
        assert_eq!(read(&entry("purls: ['pkg:npm/bash']")), Ok((vec![], vec![])));
        assert_eq!(read(&entry("paths: ['**/node_modules/**']")), Ok((texts(&["lodash"]), vec![])));
        assert_eq!(read(&entry("paths: [other]")), Ok((vec![], vec![])));
        assert_eq!(read(&entry("paths: ['app/*']")), Ok((vec![], vec![])));
        assert_eq!(read(&entry("expired_at: 2026-11-01")), Ok((vec![], texts(&["CVE-1"]))));
        assert_eq!(read(&entry("statement: not reachable")).unwrap().0.len(), 2);
        assert_eq!(read(""), Ok((vec![], vec![])));
        assert_eq!(read("misconfigurations: []"), Ok((vec![], vec![])));
        for wrong in [
            "vulnerabilities: CVE-1",
            "vulnerabilities: [CVE-1]",
            "vulnerabilities: [{path: x}]",
            "vulnerabilities: [{id: CVE-1, path: x}]",
            "vulnerabilities: [{id: CVE-1, expired_at: soon}]",
            "vulnerabilities: [{id: CVE-1, purls: [x]}]",
            "vulnerabilities: [{id: CVE-1, paths: ['a/[b']}]",
            "[",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
