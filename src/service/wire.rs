//! AWS JSON 1.1: a request's bytes, and an answer's bytes as the ordered value that the model describes.

use serde_json::{Map, Value};

use super::ServiceError;
use crate::model::json::parse_answer;
use crate::model::wire::dumps;
use crate::model::{Kind, Service, Shape};
use crate::model::{foreign, python};

/// The media type of requests.
pub(super) const MEDIA_TYPE: &str = "application/x-amz-json-1.1";

/// A request's body, byte for byte as Python's `json.dumps` writes it.
pub(super) fn body(input: &Value) -> Vec<u8> {
    dumps(input).into_bytes()
}

/// The beginning of a body with one more member, a string: everything up to its text.
pub(super) fn head(input: &Value, member: &str) -> Vec<u8> {
    let mut into = body(input);
    into.pop();
    if into.len() > 1 {
        into.extend_from_slice(b", ");
    }
    into.extend_from_slice(format!("\"{member}\": \"").as_bytes());
    into
}

/// Returns the body for an unchecked input, as botocore writes it: it passes whatever Python can, and fails on members
/// that the model does not have.
pub(super) fn unchecked(service: &Service, shape: &Shape, value: Value) -> Result<Value, ResponseMismatch> {
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => {
            let written = members.into_iter().map(|(name, member)| {
                let of = shape
                    .members
                    .get(name.as_str())
                    .ok_or_else(|| ResponseMismatch(python::string_repr(&name)))?;
                let member = unchecked(service, service.shape(of), member)?;
                Ok((name, member))
            });
            written.collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
        (Kind::Structure, Value::Null) => Ok(Value::Null),
        (Kind::Structure, other) => {
            Err(ResponseMismatch(format!("'{}' object has no attribute 'items'", foreign::type_name(&other))))
        }
        (Kind::List, value) => {
            let element = service.shape(shape.member.expect("a list has elements"));
            iterated(value)?.into_iter().map(|item| unchecked(service, element, item)).collect()
        }
        (_, value) => Ok(value),
    }
}

/// Parses a response body: modelled members only, in model order, without nulls. A body that is not JSON, or not an
/// object, gives an empty object.
pub(super) fn answer(
    service: &Service,
    shape: Option<&Shape>,
    body: &[u8],
) -> Result<Value, ResponseMismatch> {
    let empty = || Ok(Value::Object(Map::new()));
    let Some(shape) = shape else { return empty() };
    match read(body) {
        None => empty(),
        Some(Value::Null) => Err(ResponseMismatch("'NoneType' object has no attribute 'update'".to_owned())),
        Some(value) => arranged(service, shape, value),
    }
}

/// More values than any answer has. Each takes some hundred bytes of memory, and two of the answer.
const MAX_VALUES: usize = 400_000;
/// The longest answer that is read as Python does, which takes several times its memory.
const MAX_OF_PYTHON: usize = 4 << 20;

/// JSON as Python reads it, which takes more than `serde_json` does.
fn read(body: &[u8]) -> Option<Value> {
    let as_python = || {
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_OF_PYTHON)?;
        parse_answer(text).ok()
    };
    serde_json::from_slice(body).ok().or_else(as_python)
}

/// Error for a body of too many values, as its commas and brackets outside of strings tell.
pub(super) fn excess(body: &[u8]) -> Option<String> {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    (count > MAX_VALUES).then(|| format!("The answer has more than {MAX_VALUES} values."))
}

/// Botocore's message for a response that does not have the model's form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResponseMismatch(pub(super) String);

/// Like [`answer`], for a value of the service in this process, which was never bytes.
pub(super) fn arranged_answer(
    service: &Service,
    shape: Option<&Shape>,
    value: Value,
) -> Result<Value, ResponseMismatch> {
    match shape {
        Some(shape) if value.is_object() => arranged(service, shape, value),
        _ => Ok(Value::Object(Map::new())),
    }
}

fn arranged(service: &Service, shape: &Shape, value: Value) -> Result<Value, ResponseMismatch> {
    let lacks = |value: &Value, attribute| {
        let kind = foreign::type_name(value);
        Err(ResponseMismatch(format!("'{kind}' object has no attribute '{attribute}'")))
    };
    match (shape.kind, value) {
        (Kind::Structure | Kind::List | Kind::Map, Value::Null) => Ok(Value::Null),
        (Kind::Structure, Value::Object(mut members)) => {
            let mut result = Map::new();
            for (name, of) in &shape.members {
                if let Some(member) = members.get_mut(*name).map(Value::take).filter(|m| !m.is_null()) {
                    result.insert((*name).to_owned(), arranged(service, service.shape(of), member)?);
                }
            }
            Ok(Value::Object(result))
        }
        (Kind::Structure, _) if shape.members.is_empty() => Ok(Value::Object(Map::new())),
        (Kind::Structure, value) => lacks(&value, "get"),
        (Kind::List, value) => {
            let element = service.shape(shape.member.expect("a list has elements"));
            let items = iterated(value)?;
            items.into_iter().map(|item| arranged(service, element, item)).collect()
        }
        (Kind::Map, Value::Object(entries)) => {
            let of = service.shape(shape.value.expect("a map has values"));
            entries.into_iter().map(|(key, item)| Ok((key, arranged(service, of, item)?))).collect()
        }
        (Kind::Map, value) => lacks(&value, "items"),
        // Scalars are not coerced: what came is what is shown.
        (_, value) => Ok(value),
    }
}

/// Iterates as a loop in Python does: over a text's characters, a dictionary's keys.
fn iterated(value: Value) -> Result<Vec<Value>, ResponseMismatch> {
    match value {
        Value::Array(items) => Ok(items),
        Value::String(text) => Ok(text.chars().map(|character| character.to_string().into()).collect()),
        Value::Object(members) => Ok(members.into_iter().map(|(key, _)| key.into()).collect()),
        other => Err(ResponseMismatch(format!("'{}' object is not iterable", foreign::type_name(&other)))),
    }
}

/// The Python type of an error body that is JSON but no structure: botocore stumbles over it.
pub(super) fn no_structure(status: u16, body: &[u8]) -> Option<&'static str> {
    if status == MULTIPLE_CHOICES {
        return None;
    }
    let value = read(body)?;
    (!value.is_object()).then(|| foreign::type_name(&value))
}

/// Botocore reads the body of this status as an answer's and then finds no error in it.
const MULTIPLE_CHOICES: u16 = 300;

/// A refusal as the answer carries it.
pub(super) fn refusal(
    service: &Service,
    status: u16,
    query_error: Option<&str>,
    body: &[u8],
) -> ServiceError {
    if status == MULTIPLE_CHOICES {
        let unknown = || "Unknown".to_owned();
        return ServiceError { code: unknown(), message: unknown(), members: Map::new(), status };
    }
    // Load balancers and front ends answer for a service that is down: nothing, or a page.
    let shown = body.trim_ascii_start();
    if status >= 500 && (shown.is_empty() || shown.starts_with(b"<html>")) {
        let message = reason(status).to_owned();
        return ServiceError { code: status.to_string(), message, members: Map::new(), status };
    }
    let parsed = if body.is_empty() { Some(Value::Object(Map::new())) } else { read(body) };
    let Some(Value::Object(members)) = parsed else {
        let message = String::from_utf8_lossy(body).into_owned();
        return ServiceError { code: status.to_string(), message, members: Map::new(), status };
    };
    let header = query_error.and_then(|header| match header.split(';').collect::<Vec<_>>()[..] {
        [code, _] if !code.is_empty() => Some(code),
        _ => None,
    });
    let code = header.or_else(|| members.get("__type").and_then(Value::as_str)).map(short_code);
    let code = code.map_or_else(|| status.to_string(), str::to_owned);
    let message = members.get("message").or_else(|| members.get("Message"));
    let message = message.cloned().unwrap_or_else(|| Value::String(String::new()));
    let mut members = modelled(service, &code, members);
    if !message.is_string() {
        // In the sentence it is what Python makes of it; the structured forms show it as it is.
        members.insert("Message".to_owned(), message.clone());
    }
    let message = foreign::text(&message);
    ServiceError { code, message, members, status }
}

/// `prefix#Code:rest` is `Code`.
fn short_code(code: &str) -> &str {
    let code = code.split_once(':').map_or(code, |(before, _)| before);
    code.rsplit_once('#').map_or(code, |(_, after)| after)
}

/// The members that the model gives to an error of this code, in model order.
pub(super) fn modelled(service: &Service, code: &str, members: Map<String, Value>) -> Map<String, Value> {
    match service.find_shape(code).filter(|shape| shape.is_error) {
        Some(shape) => match arranged(service, shape, Value::Object(members)) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        },
        None => Map::new(),
    }
}

/// Returns the reason phrase of a status.
pub(super) fn reason(status: u16) -> &'static str {
    let status = hyper::http::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or_default()
}
