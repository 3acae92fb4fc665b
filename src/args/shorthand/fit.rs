//! The pass that fits parsed shorthand to a model: lists around single values, and Python's `int`, `float` and `bool`.

use serde_json::Value;

use super::Error;
use crate::model::foreign::{self, Foreign};
use crate::model::{Kind, Service, python};

/// Fits parsed shorthand to a shape: a single value becomes a list where the model has one, texts become numbers and
/// booleans. What does not fit stays for validation to name.
pub fn fit(service: &Service, shape: &str, value: &mut Value) -> Result<(), Error> {
    let shape = service.shape(shape);
    match (shape.kind, &mut *value) {
        (Kind::Structure, Value::Object(members)) => {
            for (name, shape) in &shape.members {
                if let Some(member) = members.get_mut(*name) {
                    fit_member(service, shape, member)?;
                }
            }
        }
        (Kind::Map, Value::Object(members)) => {
            let shape = shape.value.expect("a map in the model has values");
            members.values_mut().try_for_each(|member| fit_member(service, shape, member))?;
        }
        (Kind::List, Value::Array(items)) => {
            let shape = shape.member.expect("a list in the model has an element");
            items.iter_mut().try_for_each(|item| fit_member(service, shape, item))?;
        }
        _ => {}
    }
    Ok(())
}

fn fit_member(service: &Service, shape: &str, value: &mut Value) -> Result<(), Error> {
    match service.shape(shape).kind {
        // The AWS CLI does not look into what it has wrapped.
        Kind::List if !value.is_array() => *value = Value::Array(vec![value.take()]),
        Kind::Integer | Kind::Long => *value = whole_number(value)?,
        Kind::Float | Kind::Double => *value = float(value)?,
        Kind::Boolean => {
            if let Some(truth) = truth(value)? {
                *value = Value::Bool(truth);
            }
        }
        _ => fit(service, shape, value)?,
    }
    Ok(())
}

/// Python's `int(value)` for what shorthand can yield.
pub(in crate::args) fn whole_number(value: &Value) -> Result<Value, Error> {
    let failure = |message| Err(Error::Failure(message));
    let (text, complaint) = match (value, Foreign::of(value)) {
        (Value::String(text), _) => (text.clone(), python::int_complaint(text)),
        (_, Some(Foreign::Bytes(base64))) => {
            let bytes = base64_simd::STANDARD.decode_to_vec(base64).unwrap_or_default();
            let complaint = format!("invalid literal for int() with base 10: {}", python::bytes_repr(&bytes));
            (String::from_utf8(bytes).unwrap_or_default(), complaint)
        }
        _ => {
            return failure(format!(
                "int() argument must be a string, a bytes-like object or a real number, not '{}'",
                foreign::type_name(value)
            ));
        }
    };
    match python::int(&text) {
        Some(digits) => {
            Ok(Value::Number(digits.parse().expect("int() answers digits with an optional sign")))
        }
        None => failure(complaint),
    }
}

/// Python's `float(value)` for what shorthand can yield.
pub(in crate::args) fn float(value: &Value) -> Result<Value, Error> {
    let Value::String(text) = value else {
        return Err(Error::Failure(format!(
            "float() argument must be a string or a real number, not '{}'",
            foreign::type_name(value)
        )));
    };
    let digits = text.trim_matches(python::is_space);
    let complaint = || format!("could not convert string to float: {}", python::string_repr(text));
    let number: f64 = digits.parse().map_err(|_| Error::Failure(complaint()))?;
    let shown = python::float_repr(number);
    Ok(shown.parse().map_or_else(|_| Foreign::Float(&shown).into_value(), Value::Number))
}

fn truth(value: &Value) -> Result<Option<bool>, Error> {
    match (value, Foreign::of(value)) {
        (Value::String(text), _) => Ok(match text.to_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }),
        (_, Some(Foreign::Bytes(_))) => Ok(None),
        _ => {
            let class = foreign::type_name(value);
            Err(Error::Failure(format!("'{class}' object has no attribute 'lower'")))
        }
    }
}
