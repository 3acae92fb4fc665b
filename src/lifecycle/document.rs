//! The policy's document against its schema, in the words of the validator that the service uses.

use serde_json::{Map, Value};

/// Rules of one policy.
const MOST_RULES: usize = 50;
/// What the validator says where a selection or an action fits none of its forms.
const NO_FORM: &str = "instance failed to match exactly one schema (matched 0 out of 2)";

/// Everything that the schema has against a document, in the order in which it stands there.
pub(super) fn errors(document: &Map<String, Value>) -> Vec<String> {
    let mut errors = Vec::new();
    members(&mut errors, document, &["rules"], &["rules"]);
    let Some(rules) = document.get("rules") else { return errors };
    let Some(rules) = rules.as_array() else {
        errors.push(wrong_type(rules, "array"));
        return errors;
    };
    if rules.len() > MOST_RULES {
        errors.push(format!(
            "array is too long: must have at most {MOST_RULES} elements but instance has {} elements",
            rules.len()
        ));
    }
    if rules.is_empty() {
        errors
            .push("array is too short: must have at least 1 elements but instance has 0 elements".to_owned());
    }
    for each in rules {
        match each.as_object() {
            Some(each) => rule(&mut errors, each),
            None => errors.push(wrong_type(each, "object")),
        }
    }
    errors
}

fn rule(errors: &mut Vec<String>, rule: &Map<String, Value>) {
    let allowed = ["action", "description", "rulePriority", "selection"];
    members(errors, rule, &allowed, &["action", "rulePriority", "selection"]);
    if let Some(priority) = rule.get("rulePriority") {
        positive(errors, priority);
    }
    if let Some(description) = rule.get("description").filter(|description| !description.is_string()) {
        errors.push(wrong_type(description, "string"));
    }
    match rule.get("selection") {
        Some(Value::Object(members)) => selection(errors, members),
        Some(other) => errors.push(wrong_type(other, "object")),
        None => {}
    }
    match rule.get("action") {
        Some(Value::Object(members)) => action(errors, members),
        Some(other) => errors.push(wrong_type(other, "object")),
        None => {}
    }
}

fn selection(errors: &mut Vec<String>, selection: &Map<String, Value>) {
    let before = errors.len();
    let allowed = [
        "countNumber",
        "countType",
        "countUnit",
        "storageClass",
        "tagPatternList",
        "tagPrefixList",
        "tagStatus",
    ];
    members(errors, selection, &allowed, &["countNumber", "countType", "tagStatus"]);
    one_of(errors, selection.get("tagStatus"), &["any", "tagged", "untagged"]);
    one_of(errors, selection.get("storageClass"), &["archive", "standard"]);
    let types = ["imageCountMoreThan", "sinceImagePulled", "sinceImagePushed", "sinceImageTransitioned"];
    one_of(errors, selection.get("countType"), &types);
    if let Some(number) = selection.get("countNumber") {
        positive(errors, number);
    }
    for list in ["tagPatternList", "tagPrefixList"] {
        match selection.get(list) {
            Some(Value::Array(texts)) => errors
                .extend(texts.iter().filter(|text| !text.is_string()).map(|text| wrong_type(text, "string"))),
            Some(other) => errors.push(wrong_type(other, "array")),
            None => {}
        }
    }
    let unit = selection.get("countUnit");
    let fits = match selection.get("countType").and_then(Value::as_str) {
        Some("imageCountMoreThan") => unit.is_none(),
        _ => unit.is_some_and(|unit| unit == "days"),
    };
    if errors.len() == before && !fits {
        errors.push(NO_FORM.to_owned());
    }
}

fn action(errors: &mut Vec<String>, action: &Map<String, Value>) {
    let before = errors.len();
    members(errors, action, &["targetStorageClass", "type"], &["type"]);
    one_of(errors, action.get("type"), &["expire", "transition"]);
    let target = action.get("targetStorageClass");
    let fits = match action.get("type").and_then(Value::as_str) {
        Some("transition") => target.is_some_and(|target| target == "archive"),
        _ => target.is_none(),
    };
    if errors.len() == before && !fits {
        errors.push(NO_FORM.to_owned());
    }
}

/// Checks which members an object has. The lists are in alphabetical order, as the validator prints them.
fn members(errors: &mut Vec<String>, object: &Map<String, Value>, allowed: &[&str], required: &[&str]) {
    let mut unknown: Vec<&str> =
        object.keys().map(String::as_str).filter(|name| !allowed.contains(name)).collect();
    unknown.sort_unstable();
    if !unknown.is_empty() {
        errors.push(format!(
            "object instance has properties which are not allowed by the schema: {}",
            quoted(&unknown)
        ));
    }
    let missing: Vec<&str> = required.iter().copied().filter(|name| !object.contains_key(*name)).collect();
    if !missing.is_empty() {
        errors.push(format!("object has missing required properties ({})", quoted(&missing)));
    }
}

fn one_of(errors: &mut Vec<String>, value: Option<&Value>, possible: &[&str]) {
    if let Some(value) = value
        && !value.as_str().is_some_and(|text| possible.contains(&text))
    {
        let possible = quoted(possible);
        errors.push(format!("instance value ({value}) not found in enum (possible values: {possible})"));
    }
}

/// An integer of at least 1.
fn positive(errors: &mut Vec<String>, value: &Value) {
    match value.as_i64() {
        Some(number) if number < 1 => errors.push(format!(
            "numeric instance is lower than the required minimum (minimum: 1, found: {number})"
        )),
        Some(_) => {}
        None => errors.push(wrong_type(value, "integer")),
    }
}

fn wrong_type(value: &Value, allowed: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("instance type ({found}) does not match any allowed primitive type (allowed: [\"{allowed}\"])")
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| Value::from(*name).to_string()).collect();
    format!("[{}]", names.join(","))
}
