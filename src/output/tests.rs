//! Replays the recorded output of the real AWS CLI (`tests/fixtures/output/record.py`).

use serde_json::{Value, json};

use super::*;

/// Runs one recorded case and returns its result in the recorder's form.
fn outcome(kind: &str, value: &Value, query: Option<&str>, options: &Value) -> Value {
    let query = match query.map(Query::compile).transpose() {
        Ok(query) => query,
        Err(error) => return json!({"bad": error.to_string()}),
    };
    if kind == "query" {
        let result = query.expect("a query case has a query").evaluate(value);
        return match result {
            Ok(value) => json!({"ok": json::compact_with_spaces(&value)}),
            Err(error) => json!({"fail": error.to_string()}),
        };
    }
    let format = Format::find(kind.trim_start_matches("pages-")).expect("a format");
    let flag = |name: &str| options[name].as_bool().unwrap_or(false);
    let width = options["width"].as_u64().map_or(80, |width| width.try_into().expect("a width"));
    let table = TableStyle { width, color: flag("color"), direct: flag("direct"), terminal: false };
    let printer = Printer { format, query, title: "DescribeThings".into(), table };
    let mut out = Vec::new();
    let result = if kind.starts_with("pages-") {
        value.as_array().expect("pages").iter().try_for_each(|page| printer.page(&mut out, page))
    } else {
        printer.whole(&mut out, value)
    };
    let text = String::from_utf8(out).expect("UTF-8");
    match result {
        Ok(()) => json!({"ok": text}),
        Err(error) => json!({"fail": error.to_string(), "partly": text}),
    }
}

fn replay(recorded: &str) -> (usize, Vec<String>) {
    let (mut count, mut wrong, mut last) = (0, Vec::new(), Value::Null);
    for line in recorded.lines() {
        let case: Value = serde_json::from_str(line).expect("a line of JSON");
        let kind = case[0].as_str().expect("a kind");
        if let Some(text) = case[1].as_str() {
            last = serde_json::from_str(text).expect("JSON");
        }
        count += 1;
        let found = outcome(kind, &last, case[2].as_str(), &case[3]);
        if found != case[4] {
            wrong.push(format!("{kind} {} {} {last}\nwanted {}\nfound  {found}", case[2], case[3], case[4]));
        }
    }
    (count, wrong)
}

fn assert_all_match(recorded: &str) {
    let (count, wrong) = replay(recorded);
    let shown: Vec<String> = wrong.iter().take(12).cloned().collect();
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), shown.join("\n\n"));
}

#[test]
fn formats_print_what_the_aws_cli_prints() {
    assert_all_match(include_str!("../../tests/fixtures/output/formats.jsonl"));
}

#[test]
fn queries_answer_what_jmespath_py_answers() {
    assert_all_match(include_str!("../../tests/fixtures/output/queries.jsonl"));
}
