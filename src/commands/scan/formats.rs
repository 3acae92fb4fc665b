//! The findings in the formats of other programs: SARIF, JUnit, and a page.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::images::output::Grid;
use super::super::report::html::{Cell, Page};
use super::super::report::junit::{self, Case, Outcome, Suite};
use super::super::report::sarif::{self, Level, Rule};
use super::document::ScanDocument;
use super::finding::Finding;
use super::severity::Severity;

impl ScanDocument<'_> {
    /// A result for each finding of each image, the worst first.
    pub(super) fn sarif_log(&self) -> Value {
        let mut known: HashMap<&str, usize> = HashMap::new();
        let (mut rules, mut results) = (Vec::new(), Vec::new());
        let mut all: Vec<_> = Vec::new();
        for scan in self.scans {
            all.extend(scan.findings.iter().map(|finding| (finding, scan)));
        }
        all.sort_by(|(one, _), (other, _)| one.order().cmp(&other.order()));
        for (finding, scan) in all {
            let rule = *known.entry(&finding.id).or_insert_with(|| {
                rules.push(rule(finding));
                rules.len() - 1
            });
            let package = finding.package.clone().unwrap_or_else(|| "an unknown package".to_owned());
            let version = finding.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
            let fixed =
                finding.fixed_in.as_ref().map(|fixed| format!(", fixed in {fixed}")).unwrap_or_default();
            let image = crate::escape::escape(&scan.name()).into_owned();
            results.push(sarif::Finding {
                rule,
                level: level(&finding.severity),
                message: format!("{} in {package}{version} of {image}{fixed}: {}", finding.id, finding.title),
                path: scan.target.repository.name.clone(),
                position: (1, 1),
                identity: finding.identity(),
                suppressed: finding.ignored.clone(),
            });
        }
        let mut properties = Map::new();
        properties.insert("verdict".to_owned(), json!(self.verdict.name()));
        let unknown =
            self.scans.iter().filter_map(|scan| Some(format!("{}: {}", scan.name(), scan.unknown.as_ref()?)));
        let unknown: Vec<String> = unknown.collect();
        if !unknown.is_empty() {
            properties.insert("unknown".to_owned(), json!(unknown));
        }
        sarif::log(&rules, &results, properties)
    }

    /// Returns a suite for each image: findings that fail the command are failures, unknown findings are errors.
    pub(super) fn junit_document(&self) -> String {
        let mut suites = Vec::new();
        for scan in self.scans {
            let mut cases: Vec<Case> = scan.findings.iter().map(|finding| self.case(finding)).collect();
            if let Some(reason) = &scan.unknown {
                cases.push(Case { name: "scan".to_owned(), outcome: Outcome::Errored(reason.clone()) });
            } else if cases.is_empty() {
                cases.push(Case { name: "scan".to_owned(), outcome: Outcome::Passed });
            }
            suites.push(Suite { name: scan.name(), cases });
        }
        for reason in self.failures.json().as_array().into_iter().flatten() {
            let name = reason["repositoryName"].as_str().unwrap_or_default().to_owned();
            let told = reason["failureReason"].as_str().unwrap_or_default().to_owned();
            let case = Case { name: "scan".to_owned(), outcome: Outcome::Errored(told) };
            suites.push(Suite { name, cases: vec![case] });
        }
        junit::document("ecr scan", &suites)
    }

    fn case(&self, finding: &Finding) -> Case {
        let package = finding.package.as_ref().map(|package| format!(" {package}")).unwrap_or_default();
        let fails = self.fail_on.is_some_and(|level| level.includes(&finding.severity));
        let name = format!("{} {}{package}", finding.severity.name(), finding.id);
        let outcome = match &finding.ignored {
            Some(reason) => Outcome::Skipped(reason.clone()),
            None if fails => Outcome::Failed(finding.title.clone(), finding.uri.clone().unwrap_or_default()),
            None => Outcome::Passed,
        };
        Case { name, outcome }
    }

    /// A page with the verdict, a line for each image, and the findings.
    pub(super) fn page(&self, grid: &Grid) -> String {
        let mut page = Page::new("ecr scan");
        page.paragraph(&format!("Verdict: {}", self.verdict.name()));
        for scan in self.scans {
            page.paragraph(&scan.summary());
        }
        page.heading("Findings");
        let rows = grid.rows.iter().map(|row| row.iter().cloned().map(Cell::Text).collect());
        page.table(&grid.columns, rows);
        page.finish()
    }
}

fn level(severity: &Severity) -> Level {
    match severity {
        Severity::Critical | Severity::High => Level::Error,
        Severity::Medium => Level::Warning,
        Severity::Low | Severity::Informational | Severity::Unjudged(_) => Level::Note,
    }
}

fn rule(finding: &Finding) -> Rule {
    let score = finding.score.unwrap_or_else(|| finding.severity.typical_score()).clamp(0.0, 10.0);
    let uri = finding.uri.clone().filter(|uri| uri.starts_with("https://") || uri.starts_with("http://"));
    Rule {
        id: finding.id.clone(),
        description: if finding.title.is_empty() { finding.id.clone() } else { finding.title.clone() },
        help_uri: uri,
        security_severity: Some(format!("{score:.1}")),
    }
}
