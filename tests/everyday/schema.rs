//! Validator of the part of JSON Schema (draft 2020-12) that the files in docs/schema use; an unknown keyword fails.

use serde_json::Value;

/// Returns the errors of a value, each with its position.
pub(super) fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{name}"));
        return check(root, target, value, path, found);
    }
    for (word, rule) in schema.as_object().unwrap() {
        let right = match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "type" => match rule {
                Value::Array(types) => types.iter().any(|name| is(name, value)),
                name => is(name, value),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "pattern" => {
                regex_lite::Regex::new(rule.as_str().unwrap()).unwrap().is_match(value.as_str().unwrap_or(""))
            }
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "required" => {
                rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{path}[{at}]"), found);
                }
                true
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        check(root, rule, member, &format!("{path}.{name}"), found);
                    }
                }
                true
            }
            "additionalProperties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    match rule {
                        _ if schema["properties"].get(name).is_some() => {}
                        Value::Bool(allowed) if *allowed => {}
                        Value::Bool(_) => found.push(format!("{path}.{name} is not in the schema")),
                        rule => check(root, rule, member, &format!("{path}.{name}"), found),
                    }
                }
                true
            }
            other => panic!("{other} is not known to this checker"),
        };
        if !right {
            found.push(format!("{path} is {value}, against {word}: {rule}"));
        }
    }
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    }
}
