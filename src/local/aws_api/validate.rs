//! Validation of a request against the model, with the service's messages.
//!
//! The two families of text and their uneven casing are the live service's: about
//! `repositoryName` it speaks without "Member", about everything else with it.

use serde_json::{Map, Value};

use crate::local::aws_api::error::ApiError;
use crate::local::core::pattern::matches;
use crate::model::{Kind, Operation, Service, Shape};

/// Parameters that the service writes with a capital.
const CAPITALISED: [&str; 3] = ["imageManifest", "lifecyclePolicyText", "policyText"];

/// Enumerations that the service lists in another order than the model has them.
const ORDERS: [(&str, &str); 1] =
    [("imageTagMutability", "IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION")];

/// Checks the whole input of an operation; `blob` is the length of the blob member that travels beside it.
pub(in crate::local) fn check(
    service: &'static Service,
    operation: &Operation,
    input: &Map<String, Value>,
    blob: Option<(&str, usize)>,
) -> Result<(), ApiError> {
    let Some(shape) = service.input(operation) else { return Ok(()) };
    if let Some((member, length)) = blob {
        let shape = service.shape(shape.members[member]);
        check_length(&InputPath::root(member), shape, length)?;
    }
    structure(service, shape, input, None, blob.map(|(member, _)| member))
}

/// Checks one value that will be part of an answer.
pub(in crate::local) fn check_shape(
    service: &'static Service,
    shape: &'static Shape,
    value: &Value,
    place: &str,
) -> Result<(), ApiError> {
    check_value(service, shape, value, &InputPath(place.to_owned()))
}

/// Position of a value in the input, as the service writes it: `imageIds`, `tags.2.member.key`.
#[derive(Debug, Clone)]
struct InputPath(String);

impl InputPath {
    fn root(member: &str) -> Self {
        if CAPITALISED.contains(&member) {
            return Self(capital(member, char::to_ascii_uppercase));
        }
        Self(member.to_owned())
    }

    fn member(above: Option<&Self>, member: &str) -> Self {
        match above {
            None => Self::root(member),
            Some(above) => Self(format!("{}.{}", above.0, capital(member, char::to_ascii_lowercase))),
        }
    }

    fn element(&self, index: usize) -> Self {
        Self(format!("{}.{}.member", self.0, index + 1))
    }

    fn fault(&self, constraint: &str) -> ApiError {
        let speaks_plainly = self.0 == "repositoryName";
        let constraint = if speaks_plainly { constraint.to_owned() } else { format!("Member {constraint}") };
        ApiError::parameter(&self.0, &constraint)
    }
}

fn capital(text: &str, change: impl Fn(&char) -> char) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| change(&first)).into_iter().chain(characters).collect()
}

fn structure(
    service: &'static Service,
    shape: &'static Shape,
    members: &Map<String, Value>,
    above: Option<&InputPath>,
    beside: Option<&str>,
) -> Result<(), ApiError> {
    let given = |member: &str| members.get(member).filter(|value| !value.is_null());
    for (member, name) in &shape.members {
        let place = InputPath::member(above, member);
        match given(member) {
            Some(value) => check_value(service, service.shape(name), value, &place)?,
            None if beside == Some(*member) => {}
            None if shape.required.contains(member) => return Err(place.fault("must not be null")),
            None => {}
        }
    }
    Ok(())
}

fn check_value(
    service: &'static Service,
    shape: &'static Shape,
    value: &Value,
    place: &InputPath,
) -> Result<(), ApiError> {
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => structure(service, shape, members, Some(place), None),
        (Kind::List, Value::Array(elements)) => {
            check_length(place, shape, elements.len())?;
            let member = service.shape(shape.member.unwrap_or_default());
            elements.iter().enumerate().try_for_each(|(index, element)| {
                let place = place.element(index);
                if element.is_null() {
                    return Err(place.fault("must not be null"));
                }
                check_value(service, member, element, &place)
            })
        }
        (Kind::Map, Value::Object(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Float | Kind::Double | Kind::Timestamp, Value::Number(_)) => Ok(()),
        (Kind::Integer | Kind::Long, Value::Number(number)) => {
            let number = number.as_i64().ok_or_else(|| unreadable(place, "an integer"))?;
            check_number(place, shape, number)
        }
        (Kind::String, Value::String(text)) => check_text(place, shape, text),
        (Kind::Blob, Value::String(text)) => {
            let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
            check_length(place, shape, (text.len() / 4 * 3).saturating_sub(padding))
        }
        (kind, _) => Err(unreadable(place, noun(kind))),
    }
}

fn check_text(place: &InputPath, shape: &'static Shape, text: &str) -> Result<(), ApiError> {
    check_length(place, shape, text.chars().count())?;
    if !shape.values.is_empty() && !shape.values.contains(&text) {
        let own = ORDERS.iter().find(|(member, _)| place.0 == *member);
        let values = own.map_or_else(|| shape.values.join(", "), |(_, order)| (*order).to_owned());
        return Err(ApiError::parameter(
            &place.0,
            &format!("Member must satisfy enum value set: [{values}]"),
        ));
    }
    match &shape.pattern {
        Some(pattern) if !matches(pattern, text) => {
            // The service prints a slash as a slash, whatever the model escapes.
            let shown = pattern.replace("\\/", "/");
            Err(place.fault(&format!("must satisfy regular expression '{shown}'")))
        }
        _ => Ok(()),
    }
}

fn check_length(place: &InputPath, shape: &Shape, length: usize) -> Result<(), ApiError> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    match (shape.min, shape.max) {
        (Some(least), _) if length < least => {
            Err(place.fault(&format!("must have length greater than or equal to {least}")))
        }
        (_, Some(greatest)) if length > greatest => {
            Err(place.fault(&format!("must have length less than or equal to {greatest}")))
        }
        _ => Ok(()),
    }
}

fn check_number(place: &InputPath, shape: &Shape, number: i64) -> Result<(), ApiError> {
    match (shape.min, shape.max) {
        (Some(least), _) if number < least => {
            Err(place.fault(&format!("must have value greater than or equal to {least}")))
        }
        (_, Some(greatest)) if number > greatest => {
            Err(place.fault(&format!("must have value less than or equal to {greatest}")))
        }
        _ => Ok(()),
    }
}

fn unreadable(place: &InputPath, expected: &str) -> ApiError {
    ApiError::new("SerializationException", format!("{} is not {expected}", place.0))
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "a string",
        Kind::Integer | Kind::Long => "an integer",
        Kind::Float | Kind::Double => "a number",
        Kind::Boolean => "a boolean",
        Kind::Timestamp => "a timestamp",
        Kind::Blob => "base64 text",
        Kind::List => "a list",
        Kind::Map => "a map",
        Kind::Structure => "a structure",
    }
}

/// Keeps the members that the model has, in the model's order: one handler serves both services, whose answers
/// differ.
pub(in crate::local) fn project(service: &'static Service, shape: &'static Shape, value: Value) -> Value {
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(mut members)) => {
            let modelled = shape.members.iter().filter_map(|(member, name)| {
                let value = members.get_mut(*member)?.take();
                Some(((*member).to_owned(), project(service, service.shape(name), value)))
            });
            Value::Object(modelled.collect())
        }
        (Kind::List, Value::Array(elements)) => {
            let member = service.shape(shape.member.unwrap_or_default());
            elements.into_iter().map(|element| project(service, member, element)).collect()
        }
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model;

    fn message(operation: &str, input: Value) -> String {
        let service = model::ecr();
        let Value::Object(input) = input else { panic!("the input is an object") };
        let operation = service.operation(operation).expect("an operation of the model");
        match check(service, operation, &input, None) {
            Ok(()) => "sound".to_owned(),
            Err(error) => format!("{}: {}", error.code, error.message),
        }
    }

    #[test]
    fn bounds_have_the_messages_of_the_service() {
        let invalid = |text: &str| format!("InvalidParameterException: Invalid parameter at {text}");
        assert_eq!(
            message("CreateRepository", json!({})),
            invalid("'repositoryName' failed to satisfy constraint: 'must not be null'")
        );
        assert_eq!(
            message("CreateRepository", json!({"repositoryName": "a"})),
            invalid(
                "'repositoryName' failed to satisfy constraint: 'must have length greater than or equal to 2'"
            )
        );
        assert_eq!(
            message("CreateRepository", json!({"repositoryName": "a_-b"})),
            invalid(
                "'repositoryName' failed to satisfy constraint: 'must satisfy regular expression \
                 '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*''"
            )
        );
        assert_eq!(
            message("CreateRepository", json!({"repositoryName": "ab", "imageTagMutability": "no"})),
            invalid(
                "'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum value set: \
                 [IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]'"
            )
        );
    }

    #[test]
    fn errors_name_the_paths_of_members() {
        let invalid = |text: &str| format!("InvalidParameterException: Invalid parameter at {text}");
        let tags = json!([{"Key": "a", "Value": "b"}, {"Value": "b"}]);
        assert_eq!(
            message("CreateRepository", json!({"repositoryName": "ab", "tags": tags})),
            invalid("'tags.2.member.key' failed to satisfy constraint: 'Member must not be null'")
        );
        assert_eq!(
            message("PutImage", json!({"repositoryName": "ab", "imageManifest": ""})),
            invalid(
                "'ImageManifest' failed to satisfy constraint: 'Member must have length greater than or equal to 1'"
            )
        );
        let many = vec![json!({"imageTag": "a"}); 101];
        assert_eq!(
            message("BatchGetImage", json!({"repositoryName": "ab", "imageIds": many})),
            invalid(
                "'imageIds' failed to satisfy constraint: 'Member must have length less than or equal to 100'"
            )
        );
        assert_eq!(
            message("ListImages", json!({"repositoryName": 7})),
            "SerializationException: repositoryName is not a string"
        );
        assert_eq!(message("ListImages", json!({"repositoryName": "a--b/c__d", "new": 1})), "sound");
    }

    #[test]
    fn every_pattern_of_the_model_compiles() {
        for service in model::services() {
            for (name, shape) in service.shapes() {
                if let Some(pattern) = &shape.pattern {
                    assert!(regex_lite::Regex::new(&format!("^(?:{pattern})$")).is_ok(), "{name}: {pattern}");
                }
            }
        }
    }
}
