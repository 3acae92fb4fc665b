//! Findings as the service answers them, basic and enhanced, in one form.

use serde_json::{Value, json};

use super::severity::Severity;

/// A vulnerability of a package in an image. What Amazon Inspector reports once for several packages is one of each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// Identifier, such as `CVE-2026-1234`.
    pub(super) id: String,
    pub(super) package: Option<String>,
    pub(super) version: Option<String>,
    pub(super) fixed_in: Option<String>,
    /// `YES`, `NO` or `PARTIAL`; absent if unknown, as in basic scans.
    pub(super) fix_available: Option<String>,
    pub(super) exploit_available: Option<String>,
    pub(super) package_manager: Option<String>,
    pub(super) file_path: Option<String>,
    pub(super) score: Option<f64>,
    pub(super) uri: Option<String>,
    pub(super) title: String,
    pub(super) description: String,
    /// Reason for ignoring it.
    pub(super) ignored: Option<String>,
}

/// A text, if there is one.
fn text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Finding {
    /// Reads the findings of one page.
    pub(super) fn read_page(findings: &Value) -> Vec<Self> {
        let list = |name: &str| findings[name].as_array().into_iter().flatten();
        let basic = list("findings").map(Self::basic);
        basic.chain(list("enhancedFindings").flat_map(Self::enhanced)).collect()
    }

    fn basic(finding: &Value) -> Self {
        let attribute = |name: &str| {
            let mut attributes = finding["attributes"].as_array().into_iter().flatten();
            attributes.find(|attribute| attribute["key"] == name).and_then(|found| text(found, "value"))
        };
        let scores = ["CVSS4_SCORE", "CVSS3_SCORE", "CVSS2_SCORE"];
        let id = text(finding, "name").unwrap_or_else(|| "?".to_owned());
        let description = text(finding, "description").unwrap_or_default();
        Self {
            severity: Severity::read(finding["severity"].as_str().unwrap_or_default()),
            package: attribute("package_name"),
            version: attribute("package_version"),
            fixed_in: attribute("patched_in_version").or_else(|| attribute("fixed_in_version")),
            fix_available: None,
            exploit_available: None,
            package_manager: None,
            file_path: None,
            score: scores.iter().find_map(|name| attribute(name)).and_then(|score| score.parse().ok()),
            uri: text(finding, "uri"),
            title: description.clone(),
            description,
            ignored: None,
            id,
        }
    }

    fn enhanced(finding: &Value) -> Vec<Self> {
        let details = &finding["packageVulnerabilityDetails"];
        let title = text(finding, "title").unwrap_or_default();
        // The title of Inspector begins with the identifier: "CVE-2026-1 - openssl".
        let id = text(details, "vulnerabilityId")
            .or_else(|| title.split(" - ").next().filter(|id| !id.is_empty()).map(str::to_owned));
        let suppressed = matches!(finding["status"].as_str(), Some("SUPPRESSED" | "CLOSED"));
        let whole = Self {
            severity: Severity::read(finding["severity"].as_str().unwrap_or_default()),
            id: id.unwrap_or_else(|| "?".to_owned()),
            package: None,
            version: None,
            fixed_in: None,
            fix_available: text(finding, "fixAvailable"),
            exploit_available: text(finding, "exploitAvailable"),
            package_manager: None,
            file_path: None,
            score: finding["score"].as_f64().or_else(|| finding["score"].to_string().parse().ok()),
            uri: text(details, "sourceUrl"),
            description: text(finding, "description").unwrap_or_else(|| title.clone()),
            title,
            ignored: suppressed.then(|| "suppressed by Amazon Inspector".to_owned()),
        };
        let packages = details["vulnerablePackages"].as_array().map(Vec::as_slice).unwrap_or_default();
        if packages.is_empty() {
            return vec![whole];
        }
        let of_package = |package: &Value| {
            let version = text(package, "version").map(|version| match text(package, "release") {
                Some(release) => format!("{version}-{release}"),
                None => version,
            });
            Self {
                package: text(package, "name"),
                version,
                fixed_in: text(package, "fixedInVersion").filter(|version| version != "NotAvailable"),
                package_manager: text(package, "packageManager"),
                file_path: text(package, "filePath"),
                ..whole.clone()
            }
        };
        packages.iter().map(of_package).collect()
    }

    /// Returns the fingerprint, which identifies the finding of an image in later scans.
    pub(super) fn identity(&self) -> String {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        [self.id.clone(), part(&self.package), part(&self.version), part(&self.file_path)].join("\n")
    }

    /// Its order: the worst first, then by identifier and package.
    pub(super) fn order(&self) -> (&Severity, &str, Option<&str>, Option<&str>) {
        (&self.severity, &self.id, self.package.as_deref(), self.file_path.as_deref())
    }

    pub(super) fn json(&self) -> Value {
        let mut value = json!({
            "id": self.id,
            "severity": self.severity.name(),
            "score": self.score,
            "packageName": self.package,
            "packageVersion": self.version,
            "fixedInVersion": self.fixed_in,
            "fixAvailable": self.fix_available,
            "exploitAvailable": self.exploit_available,
            "packageManager": self.package_manager,
            "filePath": self.file_path,
            "uri": self.uri,
            "description": self.description,
        });
        if let Some(reason) = &self.ignored {
            value["ignored"] = json!(reason);
        }
        value
    }
}
