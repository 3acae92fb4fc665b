//! Functions over lists and texts.

use std::borrow::Cow;

use serde_json::Value;

use super::{Arguments, owned, truth};
use crate::output::python::{equal, type_name};
use crate::output::query::evaluate::{Argument, Result, evaluate, failure};

pub(super) fn contains<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let search = arguments.value(1);
    match (arguments.value(0), search) {
        (Value::String(text), Value::String(part)) => truth(text.contains(part.as_str())),
        (Value::String(_), other) => {
            failure(format!("'in <string>' requires string as left operand, not {}", type_name(other)))
        }
        _ => truth(arguments.items(0).iter().any(|item| equal(item, search))),
    }
}

pub(super) fn join<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let texts: Vec<&str> = arguments.items(1).iter().filter_map(Value::as_str).collect();
    owned(texts.join(arguments.text(0)))
}

pub(super) fn length<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(match arguments.value(0) {
        Value::String(text) => text.chars().count(),
        Value::Object(members) => members.len(),
        _ => arguments.items(0).len(),
    })
}

pub(super) fn map<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let node = arguments.reference(0);
    owned(
        arguments
            .items(1)
            .iter()
            .map(|item| Ok(evaluate(node, item)?.into_owned()))
            .collect::<Result<Value>>()?,
    )
}

pub(super) fn not_null<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    for argument in &arguments.0 {
        match argument {
            Argument::Value(value) if value.is_null() => {}
            Argument::Value(value) => return Ok(value.clone()),
            Argument::Reference(_) => return failure("Encountered unrecognized type in JSON encoder."),
        }
    }
    owned(Value::Null)
}

pub(super) fn reverse<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(match arguments.value(0) {
        Value::String(text) => Value::from(text.chars().rev().collect::<String>()),
        _ => arguments.items(0).iter().rev().cloned().collect(),
    })
}
