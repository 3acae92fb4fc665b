//! Evaluation against a table of AWS's documentation.

use serde_json::{Value, json};

use super::{Decision, PolicyKind, Principal, Request, RequestContext, decide, validate};

const TABLE: &str = include_str!("tests/aws_documentation.txt");
const OWNER: &str = "111122223333";

/// A policy of these statements, with Effect, Principal and Action where they have none.
fn policy(value: &Value) -> Value {
    let complete = |statement: &Value| {
        let mut statement = statement.clone();
        for (name, opposite, default) in
            [("Effect", "", "Allow"), ("Principal", "NotPrincipal", "*"), ("Action", "NotAction", "*")]
        {
            if statement.get(name).is_none() && statement.get(opposite).is_none() {
                statement[name] = json!(default);
            }
        }
        statement
    };
    if value.get("Statement").is_some() {
        return value.clone();
    }
    let statements: Vec<Value> = match value {
        Value::Array(statements) => statements.iter().map(complete).collect(),
        statement => vec![complete(statement)],
    };
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn context(values: &Value) -> RequestContext {
    let mut context = RequestContext::default();
    for (key, value) in values.as_object().expect("the context is an object") {
        let one = std::slice::from_ref(value);
        for value in value.as_array().map_or(one, Vec::as_slice) {
            context.add(key, value.as_str().expect("values are strings"));
        }
    }
    context
}

/// Evaluates a row and returns the result in the table's words.
fn evaluated(columns: &[&str], principals: &[(&str, &str)]) -> String {
    let parse =
        |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let bob = Principal::of("arn:aws:iam::444455556666:user/Bob").unwrap();
    if let [_, given, condition] = columns {
        let context = context(&parse(given));
        let policy = policy(&json!({ "Condition": parse(condition) })).to_string();
        assert_eq!(validate(&policy, PolicyKind::Repository, "ecr"), Ok(()), "{condition}");
        let request = Request { principal: &bob, action: "ecr:PutImage", resource: "app", context: &context };
        return (request.evaluate(&policy) == Decision::Allow).to_string();
    }
    let [expected, who, action, resource, policies] = columns else { panic!("{columns:?}") };
    let arn = principals.iter().find(|(name, _)| name == who).expect(who).1;
    let principal = Principal::of(arn).expect(arn);
    let mut context = RequestContext::default();
    principal.describe(&mut context);
    let resource = format!("arn:aws:ecr:us-east-1:{OWNER}:repository/{resource}");
    let request = Request { principal: &principal, action, resource: &resource, context: &context };
    if ["allowed", "denied"].contains(expected) {
        let policies = parse(policies);
        let policies: Vec<String> =
            policies.as_array().unwrap().iter().map(|each| policy(each).to_string()).collect();
        let decision = decide(&request, policies.iter().map(String::as_str), OWNER);
        return if decision == Decision::Allow { "allowed" } else { "denied" }.to_owned();
    }
    format!("{:?}", request.evaluate(&policy(&parse(policies)).to_string()))
}

#[test]
fn the_evaluation_is_that_of_awss_documentation() {
    let (mut source, mut principals, mut rows, mut wrong) = ("", Vec::new(), 0, Vec::new());
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(page) = line.strip_prefix('[') {
            source = page.trim_end_matches(']');
        } else if let Some(named) = line.strip_prefix('@') {
            principals.push(named.split_once(' ').unwrap());
        } else {
            assert!(source.starts_with("https://docs.aws.amazon.com/"), "{line}: has no source");
            let columns: Vec<&str> = line.split(" | ").collect();
            rows += 1;
            let found = evaluated(&columns, &principals);
            if found != columns[0] {
                wrong.push(format!("{source}\n{line}\n    is {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {rows}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= 150, "{rows} rows");
}
