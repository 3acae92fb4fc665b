//! Findings, their output, and what is never printed.

use std::collections::BTreeSet;

use ecr::commands::doctor::{Finding, Status};
use serde_json::{Value, json};

use super::aws::Answers;
use super::situations::{
    HOST, SITUATIONS, Situation, aws, docker, is_root, machine, password, private, program,
};
use crate::everyday::{golden, valid};
use crate::harness::registry::Serve;
use crate::harness::{Machine, Outcome};

/// Runs the doctor in a situation; answers also where the service is.
fn examined(situation: &Situation, more: &[&str]) -> (Machine, Outcome, String) {
    let mut machine = machine();
    let aws = (situation.build)(&mut machine);
    let address = aws.address;
    let arguments: Vec<String> = ["doctor"]
        .iter()
        .chain(situation.arguments)
        .chain(more)
        .map(|argument| argument.replace("ADDRESS", &address))
        .collect();
    let outcome = machine.ecr(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    (machine, outcome, address)
}

fn buildable() -> impl Iterator<Item = &'static Situation> {
    SITUATIONS.iter().filter(|situation| !situation.needs_root || is_root())
}

fn finding(id: &str) -> Finding {
    *Finding::ALL.iter().find(|finding| finding.id() == id).unwrap_or_else(|| panic!("{id} is no finding"))
}

/// The exit code that goes with findings.
fn code(found: &BTreeSet<&str>) -> i32 {
    let has = |status: Status| found.iter().any(|id| finding(id).status() == status);
    if has(Status::Fail) { 1 } else { 3 * i32::from(has(Status::Unknown)) }
}

#[test]
fn each_situation_is_named_and_nothing_else() {
    let mut wrong = Vec::new();
    for situation in buildable() {
        let (_, outcome, _) = examined(situation, &["--output", "json"]);
        assert!(!is_told(&outcome.transcript()), "{}: {}", situation.name, outcome.transcript());
        let value = valid("doctor", &outcome.stdout);
        let checks = value["checks"].as_array().unwrap();
        let found: BTreeSet<&str> = checks.iter().map(|check| check["id"].as_str().unwrap()).collect();
        for check in checks {
            let (id, status) = (check["id"].as_str().unwrap(), check["status"].as_str().unwrap());
            assert_eq!(finding(id).status().name(), status, "{id}");
        }
        let expected: BTreeSet<&str> = situation.finds.iter().copied().collect();
        // Every one of these machines is told that AWS is elsewhere, and those without a region that it is missing.
        let is_of_all =
            |id: &&&str| !["endpoint-overridden", "region-missing"].contains(id) || expected.contains(**id);
        let bad: BTreeSet<&str> =
            found.iter().filter(|id| finding(id).status() != Status::Ok).filter(is_of_all).copied().collect();
        let unexpected: Vec<_> = bad.difference(&expected).collect();
        let missed: Vec<_> = expected.difference(&found).collect();
        if !unexpected.is_empty() || !missed.is_empty() || outcome.code != code(&found) {
            wrong.push(format!(
                "{}: missed {missed:?}, unexpected {unexpected:?}\n{}",
                situation.name,
                outcome.transcript()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_finding_has_a_situation_and_a_section() {
    let all: BTreeSet<&str> = Finding::ALL.iter().map(|finding| finding.id()).collect();
    assert_eq!(all.len(), Finding::ALL.len());
    let mut built: BTreeSet<&str> =
        SITUATIONS.iter().flat_map(|situation| situation.finds).copied().collect();
    built.insert("endpoint-overridden");
    assert_eq!(all.difference(&built).collect::<Vec<_>>(), Vec::<&&str>::new());
    let page = include_str!("../../docs/doctor.md");
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(sections.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(sections.len(), all.len());
}

/// The embedded ECR has nothing that a doctor would find.
#[test]
fn the_embedded_ecr_is_well() {
    let mut machine = machine();
    let server = Serve::start(&machine, &[]);
    machine.set("AWS_ACCESS_KEY_ID", "123456789012").set("AWS_SECRET_ACCESS_KEY", "secret");
    machine.set("AWS_ENDPOINT_URL", format!("http://{}", server.address)).set("AWS_REGION", "eu-west-1");
    machine.ok("create-repository --repository-name team/app");
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample-image");
    machine.ok(&format!("push {image} team/app:1.0 --quiet"));
    for reference in
        ["team/app:1.0".to_owned(), "team/app".to_owned(), format!("{}/team/app:1.0", server.address)]
    {
        let outcome = machine.ecr(&[
            "doctor",
            &reference,
            "--push",
            "--query",
            "checks[?status!='ok'].id",
            "--output",
            "text",
        ]);
        let expected = if reference.starts_with("team") { "endpoint-overridden\n" } else { "" };
        assert_eq!((outcome.stdout.as_str(), outcome.code), (expected, 0), "{}", outcome.transcript());
        assert!(outcome.stderr.contains("fetched, which count"), "{}", outcome.stderr);
    }
    let local = machine.ecr(&["--local", "doctor"]);
    assert_eq!(local.code, 0, "{}", local.transcript());
}

#[test]
fn every_format_says_the_same() {
    let situation = SITUATIONS.iter().find(|situation| situation.name == "two logins for one host").unwrap();
    for (format, name) in
        [("table", "doctor.txt"), ("json", "doctor.json"), ("text", "doctor.tsv"), ("markdown", "doctor.md")]
    {
        let (machine, outcome, address) = examined(situation, &["--output", format]);
        assert_eq!(outcome.code, 1, "{}", outcome.transcript());
        let text = machine.neutral(&outcome.stdout).replace(&address, "127.0.0.1:4566");
        let text =
            regex_lite::Regex::new("expired [0-9][^,]* ago").unwrap().replace_all(&text, "expired … ago");
        let version = regex_lite::Regex::new(r"ecr [0-9.]+ on [a-z0-9_/\\]+").unwrap();
        golden(name, &version.replace_all(&text, "ecr 0.1.0 on linux/x86_64"));
    }
    let (_, outcome, _) = examined(situation, &["--output", "off"]);
    assert_eq!((outcome.stdout.as_str(), outcome.code), ("", 1));
    let (_, outcome, _) = examined(situation, &["--query", "checks[?status=='fail'].id", "--output", "text"]);
    assert_eq!((outcome.stdout.as_str(), outcome.code), ("token-expired\n", 1));
}

#[test]
fn references_that_cannot_be_examined_are_usage_errors() {
    let mut machine = machine();
    for arguments in [
        &["doctor", "docker.io/library/busybox"][..],
        &["doctor", "Not A Name"],
        &["doctor", "--push"],
        &["doctor", "--output", "xml"],
        &["doctor", "--query", "["],
    ] {
        let outcome = machine.ecr(arguments);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (252, ""),
            "{arguments:?}\n{}",
            outcome.transcript()
        );
    }
    machine.set("HTTPS_PROXY", "http://127.0.0.1:1");
    let public = machine.ecr(&["doctor", "public.ecr.aws/nginx/nginx:latest", "--output", "json"]);
    let value = valid("doctor", &public.stdout);
    assert!(value["checks"].as_array().unwrap().iter().all(|check| check["id"] != "region-missing"));
}

/// The marker in every secret, and what it looks like inside of base64, wherever it begins there.
const MARKER: &str = "hush-of-";

fn is_told(text: &str) -> bool {
    let shifted = (0..3).map(|shift| {
        let encoded = base64_simd::STANDARD.encode_to_string(format!("{}{MARKER}", &"xxx"[..shift]));
        encoded.trim_end_matches('=')[4 * usize::from(shift > 0)..encoded.trim_end_matches('=').len() - 2]
            .to_owned()
    });
    text.contains(MARKER) || shifted.into_iter().any(|form| text.contains(&form))
}

#[test]
fn no_secret_is_printed() {
    assert!(is_told(&base64_simd::STANDARD.encode_to_string("AWS:hush-of-a-token")));
    let mut machine = machine();
    everywhere(&mut machine);
    let aws = aws(&mut machine, Answers::default());
    machine.set("AWS_ENDPOINT_URL_ECR", format!("http://ann:hush-of-the-endpoint@{}", aws.address));
    for format in ["table", "json", "text", "markdown"] {
        for reference in [&format!("{HOST}/team/app:1.0"), "team/app", "--no-verify-ssl"] {
            let all =
                machine.ecr(&["doctor", reference, "--output", format, "--region", "eu-west-1"]).transcript();
            assert!(!is_told(&all), "{all}");
        }
    }
}

/// A secret in every place from which the doctor reads.
fn everywhere(machine: &mut Machine) {
    let auth = |text: &str| base64_simd::STANDARD.encode_to_string(format!("AWS:{text}"));
    let entries: Value = json!({
        HOST: {"auth": auth("hush-of-auth"), "identitytoken": "hush-of-identitytoken"},
        format!("https://{HOST}"): {"username": "AWS", "password": "hush-of-password", "registrytoken": "hush-of-registrytoken"},
        "other.example": {"auth": auth(&password(1))},
    });
    let headers = json!({"X-Meta": "hush-of-a-header"});
    docker(machine, &json!({"auths": entries, "HttpHeaders": headers, "credsStore": "keep"}));
    program(
        machine,
        "docker-credential-keep",
        "echo hush-of-the-keeper; echo hush-of-its-stderr >&2; exit 3",
    );
    private(machine, "run/containers/auth.json", &json!({"auths": entries}));
    private(machine, "home/.config/helm/registry/config.json", &json!({"auths": entries}));
    machine.write(
        "home/.aws/config",
        "[default]\naws_secret_access_key = hush-of-the-profile\naws_session_token = hush-of-the-session\n",
    );
    machine.set("AWS_SESSION_TOKEN", "hush-of-the-session-token");
    machine.set("DOCKER_AUTH_CONFIG", json!({"auths": entries}).to_string());
    machine.set("HTTP_PROXY", "http://ann:hush-of-the-proxy@127.0.0.1:1").set("NO_PROXY", "127.0.0.1");
    machine.set("https_proxy", "ann:hush-of-the-other-proxy@127.0.0.1:1");
}
