//! Validation of a policy's document against its schema, with the messages of the service's validator.

use serde_json::{Map, Value};

use super::problem::Problem;

/// Most rules in one policy.
const MAX_RULES: usize = 50;
/// The validator's text for a selection or an action that fits none of its forms.
const NO_FORM: &str = "instance failed to match exactly one schema (matched 0 out of 2)";

/// Everything that the schema has against a document, in the order in which it stands there.
pub(super) fn problems(document: &Map<String, Value>) -> Vec<Problem> {
    let mut check = Check::default();
    check.members(document, "", &["rules"], &["rules"]);
    let Some(rules) = document.get("rules") else { return check.problems };
    let Some(rules) = rules.as_array() else {
        check.wrong_type(rules, "/rules", "array");
        return check.problems;
    };
    if rules.len() > MAX_RULES {
        check.add(
            "too-many-rules",
            "/rules",
            format!(
                "array is too long: must have at most {MAX_RULES} elements but instance has {} elements",
                rules.len()
            ),
        );
    }
    if rules.is_empty() {
        let message = "array is too short: must have at least 1 elements but instance has 0 elements";
        check.add("no-rules", "/rules", message.to_owned());
    }
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("/rules/{index}");
        match rule.as_object() {
            Some(members) => check.rule(members, &at),
            None => check.wrong_type(rule, &at, "object"),
        }
    }
    check.problems
}

/// The problems found so far.
#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn add(&mut self, code: &'static str, at: &str, message: String) {
        self.problems.push(Problem::new(code, at, message));
    }

    fn rule(&mut self, rule: &Map<String, Value>, at: &str) {
        let allowed = ["action", "description", "rulePriority", "selection"];
        self.members(rule, at, &allowed, &["action", "rulePriority", "selection"]);
        if let Some(priority) = rule.get("rulePriority") {
            self.positive(priority, &format!("{at}/rulePriority"));
        }
        if let Some(description) = rule.get("description").filter(|description| !description.is_string()) {
            self.wrong_type(description, &format!("{at}/description"), "string");
        }
        if let Some(selection) = self.object(rule, "selection", at) {
            self.selection(selection, &format!("{at}/selection"));
        }
        if let Some(action) = self.object(rule, "action", at) {
            self.action(action, &format!("{at}/action"));
        }
    }

    fn object<'a>(
        &mut self,
        rule: &'a Map<String, Value>,
        name: &str,
        at: &str,
    ) -> Option<&'a Map<String, Value>> {
        let value = rule.get(name)?;
        if !value.is_object() {
            self.wrong_type(value, &format!("{at}/{name}"), "object");
        }
        value.as_object()
    }

    fn selection(&mut self, selection: &Map<String, Value>, at: &str) {
        let before = self.problems.len();
        let allowed = [
            "countNumber",
            "countType",
            "countUnit",
            "storageClass",
            "tagPatternList",
            "tagPrefixList",
            "tagStatus",
        ];
        self.members(selection, at, &allowed, &["countNumber", "countType", "tagStatus"]);
        let types = ["imageCountMoreThan", "sinceImagePulled", "sinceImagePushed", "sinceImageTransitioned"];
        self.one_of(selection, at, "tagStatus", &["any", "tagged", "untagged"]);
        self.one_of(selection, at, "storageClass", &["archive", "standard"]);
        self.one_of(selection, at, "countType", &types);
        if let Some(number) = selection.get("countNumber") {
            self.positive(number, &format!("{at}/countNumber"));
        }
        for name in ["tagPatternList", "tagPrefixList"] {
            self.texts(selection.get(name), &format!("{at}/{name}"));
        }
        let unit = selection.get("countUnit");
        let fits = match selection.get("countType").and_then(Value::as_str) {
            Some("imageCountMoreThan") => unit.is_none(),
            _ => unit.is_some_and(|unit| unit == "days"),
        };
        if self.problems.len() == before && !fits {
            self.add("wrong-unit", &format!("{at}/countUnit"), NO_FORM.to_owned());
        }
    }

    fn texts(&mut self, list: Option<&Value>, at: &str) {
        match list {
            Some(Value::Array(texts)) => {
                for (index, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_string()) {
                    self.wrong_type(text, &format!("{at}/{index}"), "string");
                }
            }
            Some(other) => self.wrong_type(other, at, "array"),
            None => {}
        }
    }

    fn action(&mut self, action: &Map<String, Value>, at: &str) {
        let before = self.problems.len();
        self.members(action, at, &["targetStorageClass", "type"], &["type"]);
        self.one_of(action, at, "type", &["expire", "transition"]);
        let target = action.get("targetStorageClass");
        let fits = match action.get("type").and_then(Value::as_str) {
            Some("transition") => target.is_some_and(|target| target == "archive"),
            _ => target.is_none(),
        };
        if self.problems.len() == before && !fits {
            self.add("wrong-target", &format!("{at}/targetStorageClass"), NO_FORM.to_owned());
        }
    }

    /// Checks which members an object has. The lists are in alphabetical order, as the validator prints them.
    fn members(&mut self, object: &Map<String, Value>, at: &str, allowed: &[&str], required: &[&str]) {
        let is_unknown = |name: &&str| !allowed.contains(name);
        let mut unknown: Vec<&str> = object.keys().map(String::as_str).filter(is_unknown).collect();
        unknown.sort_unstable();
        if let Some(first) = unknown.first() {
            let names = quoted(&unknown);
            let message =
                format!("object instance has properties which are not allowed by the schema: {names}");
            self.add("unknown-member", &format!("{at}/{first}"), message);
        }
        let missing: Vec<&str> =
            required.iter().copied().filter(|name| !object.contains_key(*name)).collect();
        if !missing.is_empty() {
            let message = format!("object has missing required properties ({})", quoted(&missing));
            self.add("missing-member", at, message);
        }
    }

    fn one_of(&mut self, object: &Map<String, Value>, at: &str, name: &str, possible: &[&str]) {
        if let Some(value) = object.get(name)
            && !value.as_str().is_some_and(|text| possible.contains(&text))
        {
            let possible = quoted(possible);
            let message = format!("instance value ({value}) not found in enum (possible values: {possible})");
            self.add("unknown-value", &format!("{at}/{name}"), message);
        }
    }

    /// An integer of at least 1.
    fn positive(&mut self, value: &Value, at: &str) {
        match value.as_i64() {
            Some(number) if number < 1 => self.add(
                "too-small",
                at,
                format!("numeric instance is lower than the required minimum (minimum: 1, found: {number})"),
            ),
            Some(_) => {}
            None => self.wrong_type(value, at, "integer"),
        }
    }

    fn wrong_type(&mut self, value: &Value, at: &str, allowed: &str) {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let message = format!(
            "instance type ({found}) does not match any allowed primitive type (allowed: [\"{allowed}\"])"
        );
        self.add("wrong-type", at, message);
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| Value::from(*name).to_string()).collect();
    format!("[{}]", names.join(","))
}
