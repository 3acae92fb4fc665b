//! Lint: codes, positions and messages.

use super::{Finding, Image, Policy, Severity, lint};

/// A day in milliseconds.
pub(super) const DAY: i64 = 24 * 60 * 60 * 1000;

/// An active image that was pushed so many days before the instant 0.
pub(super) fn image(name: &str, days: i64, tags: &[&str]) -> Image {
    Image {
        digest: name.to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        pushed_at: -days * DAY,
        status: "ACTIVE".to_owned(),
        ..Image::default()
    }
}

/// The findings as `LINE:COLUMN severity code [rule]: message`.
fn told(document: &[u8]) -> Vec<String> {
    let line = |finding: Finding| {
        let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
        let rule = finding.rule.map(|rule| format!(" rule {rule}")).unwrap_or_default();
        let (position, code, message) = (finding.position, finding.code, finding.message);
        format!("{}:{} {severity} {code}{rule}: {message}", position.line, position.column)
    };
    lint(document).into_iter().map(line).collect()
}

/// Codes with their lines, of a policy of these rules, each on a line of its own from the second.
fn codes(rules: &[&str]) -> Vec<String> {
    let text = format!("{{\"rules\":[\n{}\n]}}{}", rules.join(",\n"), " ".repeat(100));
    let refused = Policy::parse(&text).is_err();
    let findings = lint(text.as_bytes());
    assert_eq!(findings.iter().any(|finding| finding.severity == Severity::Error), refused, "{text}");
    findings.into_iter().map(|finding| format!("{} {}", finding.position.line, finding.code)).collect()
}

fn rule(priority: i64, selection: &str) -> String {
    format!(r#"{{"rulePriority":{priority},"selection":{{{selection}}},"action":{{"type":"expire"}}}}"#)
}

const COUNT: &str = r#""countType":"imageCountMoreThan","countNumber":5"#;

#[test]
fn files_that_are_no_policy_have_a_line_and_a_column() {
    let long = "x".repeat(100);
    for (text, expected) in [
        (
            format!("{{\n  \"é\": nul\n}}{long}"),
            "2:11 error not-json: the document is not JSON: expected ident",
        ),
        (
            format!("\u{feff}{{}}{long}"),
            "1:1 error byte-order-mark: the document begins with a byte order mark: save it without one",
        ),
        (
            format!("[]{}", " ".repeat(100)),
            "1:1 error no-object: Could not map policyString into LifecyclePolicy.",
        ),
        ("[".repeat(1000), "1:128 error not-json: the document is not JSON: recursion limit exceeded"),
        (
            format!("{{{}", " ".repeat(100)),
            "1:101 error not-json: the document is not JSON: EOF while parsing an object",
        ),
    ] {
        assert_eq!(told(text.as_bytes()), [expected], "{text}");
    }
    assert_eq!(told(b"{\n \xff}"), ["2:2 error not-utf-8: the document is not UTF-8"]);
    assert_eq!(told(b"").len(), 2);
    let large = format!("{{}}{}", " ".repeat(1 << 20));
    assert_eq!(
        told(large.as_bytes()),
        [
            "1:1 error missing-member: object has missing required properties ([\"rules\"])",
            "1:30721 error too-long: the document has 1048578 characters: the service takes 100 to 30720",
        ]
    );
}

#[test]
fn schema_errors_have_positions() {
    let text = r#"{
  "rules": [
    {
      "rulePriority": "1",
      "selection": { "tagStatus": "all", "countType": "imageCountMoreThan", "countNumber": 0 },
      "action": { "type": "expire" }, "actoin": 1
    }, 7
  ]
}"#;
    assert_eq!(
        told(text.as_bytes()),
        [
            "4:23 error wrong-type rule 1: instance type (string) does not match any allowed primitive type (allowed: [\"integer\"])",
            "5:35 error unknown-value rule 1: instance value (\"all\") not found in enum (possible values: [\"any\",\"tagged\",\"untagged\"])",
            "5:92 error too-small rule 1: numeric instance is lower than the required minimum (minimum: 1, found: 0)",
            "6:49 error unknown-member rule 1: object instance has properties which are not allowed by the schema: [\"actoin\"]",
            "7:8 error wrong-type rule 2: instance type (integer) does not match any allowed primitive type (allowed: [\"object\"])",
        ]
    );
}

#[test]
fn all_conflicts_of_rules_are_reported() {
    let any = rule(1, &format!(r#""tagStatus":"any",{COUNT}"#));
    let untagged = rule(2, &format!(r#""tagStatus":"untagged",{COUNT}"#));
    let again = rule(2, &format!(r#""tagStatus":"untagged",{COUNT}"#));
    assert_eq!(codes(&[&any, &untagged, &again]), ["2 any-not-last", "4 same-priority", "4 second-untagged"]);
    let pulled =
        rule(1, r#""tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":1"#);
    let bare = rule(2, &format!(r#""tagStatus":"tagged",{COUNT}"#));
    assert_eq!(codes(&[&pulled, &bare]), ["2 count-and-action", "3 tag-lists"]);
    let one = rule(1, &format!(r#""tagStatus":"tagged","tagPrefixList":["a"],{COUNT}"#));
    let two = rule(2, &format!(r#""tagStatus":"tagged","tagPrefixList":["b","a"],{COUNT}"#));
    assert_eq!(codes(&[&one, &two]), ["3 tag-used-twice"]);
    let many = vec![&*any; 51];
    assert_eq!(codes(&many), ["1 too-many-rules"]);
}

#[test]
fn likely_mistakes_are_warnings() {
    let tagged = |priority, list: &str| rule(priority, &format!(r#""tagStatus":"tagged",{list},{COUNT}"#));
    let two = tagged(1, r#""tagPrefixList":["a","b"]"#);
    assert_eq!(codes(&[&two]), ["2 lists-mean-and"]);
    let wide = tagged(1, r#""tagPatternList":["v*"]"#);
    let narrow = tagged(2, r#""tagPatternList":["v1.*"]"#);
    assert_eq!(codes(&[&wide, &narrow]), ["3 shadowed"]);
    assert_eq!(
        codes(&[&tagged(2, r#""tagPatternList":["v*"]"#), &tagged(1, r#""tagPatternList":["v1.*"]"#)]),
        ["3 expires-all-tags"]
    );
    assert_eq!(codes(&[&tagged(1, r#""tagPrefixList":["v*"]"#)]), ["2 cannot-match"]);
    assert_eq!(codes(&[&tagged(1, r#""tagPatternList":["-a"]"#)]), ["2 cannot-match"]);
    let age = r#""tagStatus":"any","countType":"sinceImagePushed","countUnit":"days","countNumber":30"#;
    assert_eq!(codes(&[&rule(1, age)]), ["2 keeps-nothing"]);
    // An empty prefix, as a template leaves it, and a star are all tags.
    for list in [r#""tagPrefixList":[""]"#, r#""tagPatternList":["*"]"#] {
        let age = age.replace(r#""any""#, &format!(r#""tagged",{list}"#));
        assert_eq!(codes(&[&rule(1, &age)]), ["2 keeps-nothing"], "{list}");
    }
    let archive = r#"{"rulePriority":1,"selection":{"tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":30},"action":{"type":"transition","targetStorageClass":"archive"}}"#;
    assert_eq!(codes(&[archive]), ["2 archive-without-expire"]);
    let later = r#"{"rulePriority":2,"selection":{"tagStatus":"any","storageClass":"archive","countType":"sinceImageTransitioned","countUnit":"days","countNumber":90},"action":{"type":"expire"}}"#;
    assert_eq!(codes(&[archive, later]), Vec::<String>::new());
    let twice = rule(1, &format!(r#""tagStatus":"any","tagStatus":"untagged",{COUNT}"#));
    assert_eq!(codes(&[&twice]), ["2 duplicate-member"]);
}
