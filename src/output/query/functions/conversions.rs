//! Functions from one type to another.

use std::borrow::Cow;

use serde_json::Value;

use super::{Arguments, kind_of, owned};
use crate::output::json;
use crate::output::python::{Numeric, read_number};
use crate::output::query::evaluate::{Argument, Result, failure};

pub(super) fn to_array<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    if matches!(arguments.0[0], Argument::Reference(_)) {
        return failure("Encountered unrecognized type in JSON encoder.");
    }
    let value = arguments.first();
    if value.is_array() { Ok(value) } else { owned(vec![value.into_owned()]) }
}

pub(super) fn to_string<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    match arguments.value(0) {
        Value::String(_) => Ok(arguments.first()),
        other => owned(json::compact(other)),
    }
}

pub(super) fn to_number<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    if matches!(arguments.0[0], Argument::Reference(_)) {
        return failure(
            "int() argument must be a string, a bytes-like object or a real number, not '_Expression'",
        );
    }
    match arguments.value(0) {
        Value::Number(_) => Ok(arguments.first()),
        Value::String(text) => owned(read_number(text).map_or(Value::Null, Numeric::into_value)),
        _ => owned(Value::Null),
    }
}

pub(super) fn type_of<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    match &arguments.0[0] {
        Argument::Value(value) => owned(kind_of(value)),
        Argument::Reference(_) => owned(Value::Null),
    }
}
