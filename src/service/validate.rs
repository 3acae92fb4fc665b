//! Checks an input against the model before anything is sent, as botocore does: required members, unknown members,
//! types and lower bounds, with botocore's words and order. Enumerations, patterns and upper bounds
//! are the service's to check.

use serde_json::{Map, Value};

use crate::model::foreign::{self, Foreign};
use crate::model::{Kind, Service, Shape};

/// All problems of an input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Parameter validation failed:\n{}", .findings.join("\n"))]
pub struct Invalid {
    /// One line for each fault, in the order in which botocore reports them.
    pub findings: Vec<String>,
}

/// Checks a value against a shape; `shape` is a name in the service's model.
pub fn validate(service: &Service, shape: &str, value: &Value) -> Result<(), Invalid> {
    let mut check = Check { service, findings: Vec::new() };
    check.value(shape, value, "");
    if check.findings.is_empty() { Ok(()) } else { Err(Invalid { findings: check.findings }) }
}

struct Check<'a> {
    service: &'a Service,
    findings: Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, shape: &str, value: &Value, path: &str) {
        let shape = self.service.shape(shape);
        match (shape.kind, value) {
            (Kind::Structure, _) => match object(value) {
                Some(members) => self.structure(shape, members, path),
                None => self.wrong_type(shape.kind, value, path),
            },
            (Kind::Map, _) => match object(value) {
                Some(members) => self.map(shape, members, path),
                None => self.wrong_type(shape.kind, value, path),
            },
            (Kind::List, Value::Array(items)) => self.list(shape, items, path),
            (Kind::String, Value::String(text)) => self.length(shape, text.chars().count(), path),
            (Kind::Integer | Kind::Long, _) if is_whole(value) => self.range(shape, value, path),
            (Kind::Float | Kind::Double, _) if is_number(value) => self.range(shape, value, path),
            (Kind::Boolean, Value::Bool(_)) | (Kind::Blob, Value::String(_)) => {}
            (Kind::Blob, _) if matches!(Foreign::of(value), Some(Foreign::Bytes(_))) => {}
            (Kind::Timestamp, _) if is_instant(value) => {}
            (kind, _) => self.wrong_type(kind, value, path),
        }
    }

    fn structure(&mut self, shape: &Shape, members: &Map<String, Value>, path: &str) {
        for name in shape.required.iter().filter(|name| !members.contains_key(**name)) {
            let place = place(path);
            self.findings.push(format!("Missing required parameter in {place}: \"{name}\""));
        }
        for name in members.keys().filter(|name| !shape.members.contains_key(name.as_str())) {
            let known = shape.members.keys().copied().collect::<Vec<_>>().join(", ");
            let place = place(path);
            self.findings.push(format!("Unknown parameter in {place}: \"{name}\", must be one of: {known}"));
        }
        for (name, member) in members {
            if let Some(shape) = shape.members.get(name.as_str()) {
                self.value(shape, member, &format!("{path}.{name}"));
            }
        }
    }

    fn list(&mut self, shape: &Shape, items: &[Value], path: &str) {
        self.length(shape, items.len(), path);
        let element = shape.member.expect("a list in the model has an element");
        for (index, item) in items.iter().enumerate() {
            self.value(element, item, &format!("{path}[{index}]"));
        }
    }

    fn map(&mut self, shape: &Shape, members: &Map<String, Value>, path: &str) {
        let (key, value) = shape.key.zip(shape.value).expect("a map in the model has keys and values");
        for (name, member) in members {
            self.value(key, &Value::from(name.as_str()), &format!("{path} (key: {name})"));
            self.value(value, member, &format!("{path}.{name}"));
        }
    }

    fn length(&mut self, shape: &Shape, length: usize, path: &str) {
        let Some(min) = shape.min else { return };
        if i64::try_from(length).is_ok_and(|length| length < min) {
            let place = place(path);
            self.findings.push(format!(
                "Invalid length for parameter {place}, value: {length}, valid min length: {min}"
            ));
        }
    }

    fn range(&mut self, shape: &Shape, value: &Value, path: &str) {
        let Some(min) = shape.min else { return };
        if is_below(value, min) {
            let (place, value) = (place(path), foreign::text(value));
            self.findings
                .push(format!("Invalid value for parameter {place}, value: {value}, valid min value: {min}"));
        }
    }

    fn wrong_type(&mut self, kind: Kind, value: &Value, path: &str) {
        let (place, shown, class) = (place(path), foreign::text(value), foreign::type_name(value));
        let valid = valid_types(kind);
        self.findings.push(format!(
            "Invalid type for parameter {place}, value: {shown}, type: <class '{class}'>, valid types: {valid}"
        ));
    }
}

/// Returns the name of a path: botocore builds `.a.b[0]` and shows it without the first dot; the top is `input`.
fn place(path: &str) -> &str {
    if path.is_empty() { "input" } else { path.strip_prefix('.').unwrap_or(path) }
}

fn object(value: &Value) -> Option<&Map<String, Value>> {
    match Foreign::of(value) {
        Some(Foreign::Ordered(members)) => Some(members),
        Some(_) => None,
        None => value.as_object(),
    }
}

/// In Python a bool is an int too.
fn is_whole(value: &Value) -> bool {
    value.is_boolean() || foreign::is_int(value)
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Number(_) | Value::Bool(_))
        || matches!(Foreign::of(value), Some(Foreign::Float(_)))
}

fn is_instant(value: &Value) -> bool {
    value.is_string()
        || is_number(value)
        || matches!(Foreign::of(value), Some(Foreign::Date(_) | Foreign::Instant(..)))
}

fn is_below(value: &Value, min: i64) -> bool {
    match value {
        Value::Bool(truth) => i64::from(*truth) < min,
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole < min,
            #[allow(clippy::cast_precision_loss, reason = "bounds in the model are small")]
            (None, Some(float)) => float < min as f64,
            (None, None) => number.to_string().starts_with('-'),
        },
        _ => false,
    }
}

fn valid_types(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "<class 'str'>",
        Kind::Integer | Kind::Long => "<class 'int'>",
        Kind::Float | Kind::Double => "<class 'float'>, <class 'decimal.Decimal'>, <class 'int'>",
        Kind::Boolean => "<class 'bool'>",
        Kind::Timestamp => "<class 'datetime.datetime'>, timestamp-string",
        Kind::Blob => "<class 'bytes'>, <class 'bytearray'>, file-like object",
        Kind::List => "<class 'list'>, <class 'tuple'>",
        Kind::Map | Kind::Structure => "<class 'dict'>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ecr;

    #[test]
    fn findings_are_botocore_s() {
        let recorded = include_str!("../../tests/fixtures/validation.json");
        let cases: Vec<(String, String, Vec<String>)> = serde_json::from_str(recorded).unwrap();
        for (operation, input, findings) in cases {
            let shape = ecr().operation(&operation).unwrap().input.unwrap();
            let value: Value = serde_json::from_str(&input).unwrap();
            let expected = if findings.is_empty() { Ok(()) } else { Err(Invalid { findings }) };
            assert_eq!(validate(ecr(), shape, &value), expected, "{operation} {input}");
        }
    }

    #[test]
    fn bytes_and_ordered_dictionaries_are_named_as_python_does() {
        let members = serde_json::json!({"a": 1});
        let input = serde_json::json!({
            "policyText": Foreign::Bytes("aGVsbG8K").into_value(),
            "repositoryName": Foreign::Ordered(members.as_object().unwrap()).into_value(),
        });
        let invalid = validate(ecr(), "SetRepositoryPolicyRequest", &input).unwrap_err();
        let expected = "Parameter validation failed:\n\
            Invalid type for parameter policyText, value: b'hello\\n', type: <class 'bytes'>, valid types: <class 'str'>\n\
            Invalid type for parameter repositoryName, value: OrderedDict({'a': 1}), \
            type: <class 'collections.OrderedDict'>, valid types: <class 'str'>";
        assert_eq!(invalid.to_string(), expected);
    }
}
