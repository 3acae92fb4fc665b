//! Validation of a policy document.

use serde_json::{Map, Value};

use super::condition;

/// Kind of a policy, by what it is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// One repository, which the statements need not name.
    Repository,
    /// A registry, whose statements say which repositories they are about.
    Registry,
}

const VERSIONS: [&str; 2] = ["2008-10-17", "2012-10-17"];

/// Validates a policy document; `prefix` is the service's in action names, such as `ecr`. Returns the first reason why
/// it is none.
pub fn validate(text: &str, kind: PolicyKind, prefix: &str) -> Result<(), String> {
    let document: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let document = document.as_object().ok_or("it is not an object")?;
    known(document, &["Version", "Id", "Statement"])?;
    match document.get("Version") {
        None => {}
        Some(Value::String(version)) if VERSIONS.contains(&version.as_str()) => {}
        Some(version) => return Err(format!("Version {version} is neither 2008-10-17 nor 2012-10-17")),
    }
    let statements = statements(document);
    if statements.is_empty() {
        return Err("it has no Statement".to_owned());
    }
    for (place, each) in statements.iter().enumerate() {
        let checked = match each {
            Value::Object(members) => statement(members, kind, prefix),
            _ => Err("it is not an object".to_owned()),
        };
        checked.map_err(|reason| format!("statement {}: {reason}", place + 1))?;
    }
    Ok(())
}

pub(super) fn statements(document: &Map<String, Value>) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(statement) => vec![statement],
        None => Vec::new(),
    }
}

fn statement(members: &Map<String, Value>, kind: PolicyKind, prefix: &str) -> Result<(), String> {
    const KNOWN: [&str; 9] = [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ];
    known(members, &KNOWN)?;
    if members.get("Sid").is_some_and(|sid| !sid.is_string()) {
        return Err("Sid is not a string".to_owned());
    }
    match members.get("Effect").and_then(Value::as_str) {
        Some("Allow" | "Deny") => {}
        _ => return Err("Effect is neither Allow nor Deny".to_owned()),
    }
    principal(either(members, "Principal", "NotPrincipal")?)?;
    for action in texts(either(members, "Action", "NotAction")?).ok_or("Action is not a string or list")? {
        let service = action.split_once(':').map(|(service, _)| service);
        if action != "*" && !service.is_some_and(|service| service.eq_ignore_ascii_case(prefix)) {
            return Err(format!("'{action}' is not an action of {prefix}"));
        }
    }
    match (kind, members.get("Resource").or_else(|| members.get("NotResource"))) {
        (PolicyKind::Registry, None) => return Err("it has no Resource".to_owned()),
        (_, Some(resource)) if texts(resource).is_none() => {
            return Err("Resource is not a string or list".to_owned());
        }
        _ => {}
    }
    members.get("Condition").map_or(Ok(()), condition::check)
}

fn known(members: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("it has the unknown member {name}")),
        None => Ok(()),
    }
}

/// Returns whichever of two members is present.
fn either<'a>(members: &'a Map<String, Value>, name: &str, other: &str) -> Result<&'a Value, String> {
    match (members.get(name), members.get(other)) {
        (Some(value), None) | (None, Some(value)) => Ok(value),
        (Some(_), Some(_)) => Err(format!("it has both {name} and {other}")),
        (None, None) => Err(format!("it has no {name}")),
    }
}

fn principal(principal: &Value) -> Result<(), String> {
    match principal {
        Value::String(text) if text == "*" => Ok(()),
        Value::Object(groups) if !groups.is_empty() => {
            for (group, names) in groups {
                if !["AWS", "Service", "Federated", "CanonicalUser"].contains(&group.as_str()) {
                    return Err(format!("Principal has the unknown kind {group}"));
                }
                if texts(names).is_none() {
                    return Err(format!("Principal {group} is not a string or list"));
                }
            }
            Ok(())
        }
        _ => Err("Principal is neither \"*\" nor an object".to_owned()),
    }
}

/// A string or a list of strings with at least one.
pub(super) fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(texts) if !texts.is_empty() => texts.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(statement: &Value) -> String {
        let text = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        validate(&text, PolicyKind::Repository, "ecr").err().unwrap_or_default()
    }

    #[test]
    fn errors_of_a_policy_are_reported() {
        let whole = |text: &str| validate(text, PolicyKind::Repository, "ecr").err().unwrap_or_default();
        assert_eq!(whole("{"), "not JSON: EOF while parsing an object at line 1 column 1");
        assert_eq!(whole("{}"), "it has no Statement");
        assert_eq!(whole(r#"{"Version":"1"}"#), "Version \"1\" is neither 2008-10-17 nor 2012-10-17");
        let sound = json!({ "Effect": "Allow", "Principal": "*", "Action": "ecr:Batch*" });
        assert_eq!(told(&sound), "");
        let without = |member: &str| {
            let mut statement = sound.clone();
            statement.as_object_mut().unwrap().shift_remove(member);
            told(&statement)
        };
        assert_eq!(without("Effect"), "statement 1: Effect is neither Allow nor Deny");
        assert_eq!(without("Principal"), "statement 1: it has no Principal");
        assert_eq!(without("Action"), "statement 1: it has no Action");
        let other = json!({ "Effect": "Allow", "Principal": { "AWS": ["1"] }, "Action": ["s3:GetObject"] });
        assert_eq!(told(&other), "statement 1: 's3:GetObject' is not an action of ecr");
        let text = json!({ "Statement": sound }).to_string();
        let registry = validate(&text, PolicyKind::Registry, "ecr").err().unwrap_or_default();
        assert_eq!(registry, "statement 1: it has no Resource");
    }
}
