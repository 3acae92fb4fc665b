//! Functions over objects.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Arguments, owned};
use crate::output::json;
use crate::output::python::type_name;
use crate::output::query::evaluate::{Argument, Result, failure};

pub(super) fn keys<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(arguments.members(0).keys().cloned().collect::<Vec<_>>())
}

pub(super) fn values<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(arguments.members(0).values().cloned().collect::<Vec<_>>())
}

/// Python's `dict.update`, which is all that looks at the arguments after the first.
pub(super) fn merge<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let mut merged = arguments.members(0).clone();
    for index in 1..arguments.0.len() {
        if matches!(arguments.0[index], Argument::Reference(_)) {
            return failure("'_Expression' object is not iterable");
        }
        match arguments.value(index) {
            Value::Object(members) => {
                merged.extend(members.iter().map(|(key, member)| (key.clone(), member.clone())));
            }
            Value::Array(pairs) => merge_pairs(&mut merged, pairs)?,
            Value::String(text) if text.is_empty() => {}
            Value::String(_) => {
                return failure("dictionary update sequence element #0 has length 1; 2 is required");
            }
            other => return failure(format!("'{}' object is not iterable", type_name(other))),
        }
    }
    owned(merged)
}

fn merge_pairs(merged: &mut Map<String, Value>, pairs: &[Value]) -> Result<()> {
    for (index, pair) in pairs.iter().enumerate() {
        let parts: Vec<Value> = match pair {
            Value::Array(parts) => parts.clone(),
            Value::String(text) => text.chars().map(|character| Value::from(character.to_string())).collect(),
            Value::Object(members) => members.keys().map(|key| Value::from(key.as_str())).collect(),
            _ => return failure("object is not iterable"),
        };
        let [key, value] = parts.as_slice() else {
            let length = parts.len();
            return failure(format!(
                "dictionary update sequence element #{index} has length {length}; 2 is required"
            ));
        };
        // Python would keep a number as a key and print it as text.
        let key = key.as_str().map_or_else(|| json::compact(key), str::to_owned);
        merged.insert(key, value.clone());
    }
    Ok(())
}
