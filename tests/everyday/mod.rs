//! The everyday commands: against answers in AWS's shapes, and against the embedded ECR.

mod apply;
mod changing;
mod choosing;
mod completing;
mod endless;
mod images;
mod lint;
mod more;
mod public;
mod reading;
mod sample;
mod scan;
mod schema;
mod scripted;
mod simulate;

use std::path::Path;

use serde_json::Value;

/// Compares a text with a golden file, or rewrites it: `UPDATE=1 cargo test --test integration everyday`.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/everyday/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name}\nUPDATE=1 cargo test --test integration everyday");
}

/// Holds an output against the schema of its command.
pub(crate) fn valid(command: &str, output: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(format!("{command}.json"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(output.ends_with("}\n"), "{output}");
    let value: Value = serde_json::from_str(output).unwrap();
    let wrong = schema::errors(&schema, &value);
    assert!(wrong.is_empty(), "{wrong:#?}\n{output}");
    value
}

/// Holds a log against the parts of the schema of SARIF 2.1.0 that it uses.
fn sarif(output: &str) -> Value {
    let schema: Value = serde_json::from_str(include_str!("sarif-2.1.0.json")).unwrap();
    let log: Value = serde_json::from_str(output).unwrap();
    let wrong = schema::errors(&schema, &log);
    assert!(wrong.is_empty(), "{wrong:#?}\n{output}");
    // Each result has the rule that its index names.
    for run in log["runs"].as_array().unwrap() {
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(result["ruleId"], run["tool"]["driver"]["rules"][index]["id"]);
        }
    }
    log
}
