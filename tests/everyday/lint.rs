//! `ecr lifecycle lint`.

use serde_json::Value;

use super::{golden, sarif, valid};
use crate::harness::{Machine, outcome};

/// Wrong in its schema, with a line that is longer than a screen.
const WRONG: &str = r#"{
  "rules": [
    {
      "rulePriority": "1",
      "selection": { "tagStatus": "all", "countType": "imageCountMoreThan", "countNumber": 0 },
      "action": { "type": "expire" }, "actoin": "a text that goes on and on, so that the line has more than a hundred characters"
    }
  ]
}
"#;

/// Policy that the service takes: two prefixes that mean AND, and a rule that keeps nothing.
const ODD: &str = r#"{
  "rules": [
    {
      "rulePriority": 1,
      "selection": { "tagStatus": "tagged", "tagPrefixList": ["prod", "beta"], "countType": "imageCountMoreThan", "countNumber": 5 },
      "action": { "type": "expire" }
    },
    {
      "rulePriority": 2,
      "selection": { "tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 30 },
      "action": { "type": "expire" }
    }
  ]
}
"#;

const GOOD: &str = r#"{ "rules": [ { "rulePriority": 1, "selection": { "tagStatus": "untagged", "countType":
"sinceImagePushed", "countUnit": "days", "countNumber": 14 }, "action": { "type": "expire" } } ] }"#;

fn machine() -> Machine {
    let machine = Machine::new();
    machine.write("wrong.json", WRONG);
    machine.write("odd.json", ODD);
    machine.write("good.json", GOOD);
    machine
}

fn lint(machine: &Machine, options: &[&str]) -> crate::harness::Outcome {
    machine.ecr(&[&["lifecycle", "lint"], options].concat())
}

#[test]
fn every_format() {
    let machine = machine();
    let files = ["wrong.json", "odd.json", "good.json"];
    for (format, name) in [
        ("table", "lint.txt"),
        ("text", "lint.tsv"),
        ("markdown", "lint.md"),
        ("json", "lint.json"),
        ("sarif", "lint.sarif"),
        ("junit", "lint.xml"),
        ("html", "lint.html"),
    ] {
        let outcome = lint(&machine, &[&files[..], &["--output", format]].concat());
        let said = "4 errors and 2 warnings in 3 files\n".to_owned();
        assert_eq!((outcome.code, outcome.stderr.clone()), (1, said), "{}", outcome.transcript());
        golden(name, &outcome.stdout);
        match format {
            "json" => drop(valid("lifecycle-lint", &outcome.stdout)),
            "sarif" => drop(sarif(&outcome.stdout)),
            _ => {}
        }
        // A report is the same as the output.
        let report = format!("{format}=report");
        let quiet = lint(&machine, &[&files[..], &["--output", "off", "--report", &report]].concat());
        assert_eq!((quiet.code, quiet.stdout), (1, String::new()));
        assert_eq!(std::fs::read_to_string(machine.path().join("report")).unwrap(), outcome.stdout);
    }
    // As people write files for the AWS CLI.
    assert_eq!(lint(&machine, &["file://good.json"]).code, 0);
    let query = lint(&machine, &["wrong.json", "--query", "files[].findings[].code", "--output", "text"]);
    assert_eq!(query.stdout, "wrong-type\tunknown-value\ttoo-small\tunknown-member\n");
}

#[test]
fn exit_codes() {
    let machine = machine();
    let code = |options: &[&str]| lint(&machine, options).code;
    assert_eq!(code(&["good.json"]), 0);
    assert_eq!(code(&["odd.json"]), 0);
    assert_eq!(code(&["odd.json", "--strict"]), 1);
    assert_eq!(code(&["good.json", "--strict"]), 0);
    assert_eq!(code(&["wrong.json", "none.json"]), 1);
    assert_eq!(code(&["good.json", "none.json"]), 4);
    assert_eq!(code(&["none.json"]), 255);
    assert_eq!(code(&["."]), 255);
    assert_eq!(code(&[]), 252);
    assert_eq!(code(&["good.json", "--report", "xml=x"]), 252);
    assert_eq!(code(&["good.json", "--output", "yaml"]), 252);
    let mixed = lint(&machine, &["good.json", "none.json", "--output", "json"]);
    let value = valid("lifecycle-lint", &mixed.stdout);
    assert_eq!(value["failures"][0]["file"], "none.json");
    assert_eq!(mixed.stderr, "error: none.json cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn standard_input_and_job_summaries() {
    let mut machine = machine();
    let summary = machine.write("summary.md", "before\n");
    machine.set("GITHUB_STEP_SUMMARY", summary.clone());
    let report = format!("markdown={}", summary.display());
    let mut command =
        machine.command(env!("CARGO_BIN_EXE_ecr"), &["lifecycle", "lint", "-", "--report", &report]);
    command.stdin(std::fs::File::open(machine.path().join("odd.json")).unwrap());
    let outcome = outcome(&mut command);
    assert_eq!(outcome.code, 0, "{}", outcome.transcript());
    assert!(
        outcome.stdout.starts_with("<stdin>:5:62: warning: several prefixes mean AND"),
        "{}",
        outcome.stdout
    );
    let text = std::fs::read_to_string(summary).unwrap();
    assert!(text.starts_with("before\n**0 errors**, 2 warnings in 1 file\n"), "{text}");
}

/// Files that are no policy at all have a line and a column, whatever they are, and take no time.
#[test]
fn bad_files_have_a_line_and_a_column() {
    let machine = machine();
    let place = |bytes: &[u8]| {
        machine.write("bad.json", bytes);
        let outcome = lint(&machine, &["bad.json", "--output", "text"]);
        assert_eq!(outcome.code, 1, "{}", outcome.transcript());
        let fields: Vec<String> =
            outcome.stdout.lines().next().unwrap().split('\t').map(str::to_owned).collect();
        format!("{}:{} {}", fields[1], fields[2], fields[4])
    };
    let padding = " ".repeat(100);
    assert_eq!(place(b""), "1:1 too-short");
    assert_eq!(place(format!("{{\n  'rules': []\n}}{padding}").as_bytes()), "2:3 not-json");
    assert_eq!(place(format!("\u{feff}{GOOD}").as_bytes()), "1:1 byte-order-mark");
    assert_eq!(place(&[GOOD.as_bytes(), b"\n\xff"].concat()), "3:1 not-utf-8");
    assert_eq!(place(&GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()), "1:2 not-json");
    assert_eq!(place(format!("{}{padding}", "[".repeat(100_000)).as_bytes()), "1:128 not-json");
    let twice = GOOD.replace("\"rulePriority\": 1", "\"rulePriority\": 0, \"rulePriority\": 0");
    assert_eq!(place(twice.as_bytes()), "1:51 too-small");
    // A megabyte in one line: wrong in every element, and one object with a hundred thousand members.
    assert_eq!(place(format!("{{\"rules\":[{}1]}}", "1,".repeat(500_000)).as_bytes()), "1:10 too-many-rules");
    let members: Vec<String> = (0..100_000).map(|number| format!("\"{number}\":0")).collect();
    assert_eq!(place(format!("{{{}}}", members.join(",")).as_bytes()), "1:1 missing-member");
    let outcome = lint(&machine, &["bad.json", "--output", "json"]);
    let value: Value = valid("lifecycle-lint", &outcome.stdout);
    assert_eq!((value["summary"]["errors"].clone(), outcome.stdout.len() < 2000), (3.into(), true));
}
