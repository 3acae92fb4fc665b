//! The functions of JMESPath: one row each, with jmespath.py's checks in front of them.

mod conversions;
mod lists;
mod numbers;
mod objects;
mod order;

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use self::conversions::{to_array, to_number, to_string, type_of};
use self::lists::{contains, join, length, map, not_null, reverse};
use self::numbers::{abs, avg, round, total};
use self::objects::{keys, merge, values};
use self::order::{extreme, extreme_by, sort, sort_by};
use super::evaluate::{Argument, Result, failure};
use super::node::Node;
use crate::output::python::{str_of, type_name};

/// Types that an argument may have, under the names that error texts use.
type Types = &'static [&'static str];

struct Function {
    name: &'static str,
    /// One entry for each argument; an empty one takes anything.
    signature: &'static [Types],
    /// More arguments than the signature names may follow.
    variadic: bool,
    run: for<'a> fn(&Arguments<'a>) -> Result<Cow<'a, Value>>,
}

const fn function(
    name: &'static str,
    signature: &'static [Types],
    run: for<'a> fn(&Arguments<'a>) -> Result<Cow<'a, Value>>,
) -> Function {
    Function { name, signature, variadic: false, run }
}

const NUMBERS: Types = &["array-number"];
const SORTABLE: Types = &["array-string", "array-number"];
const EXTREMES: Types = &["array-number", "array-string"];

static FUNCTIONS: &[Function] = &[
    function("abs", &[&["number"]], abs),
    function("avg", &[NUMBERS], avg),
    function("ceil", &[&["number"]], |arguments| round(arguments, f64::ceil)),
    function("contains", &[&["array", "string"], &[]], contains),
    function("ends_with", &[&["string"], &["string"]], |arguments| {
        truth(arguments.text(0).ends_with(arguments.text(1)))
    }),
    function("floor", &[&["number"]], |arguments| round(arguments, f64::floor)),
    function("join", &[&["string"], &["array-string"]], join),
    function("keys", &[&["object"]], keys),
    function("length", &[&["string", "array", "object"]], length),
    function("map", &[&["expref"], &["array"]], map),
    function("max", &[EXTREMES], |arguments| extreme(arguments, Ordering::Greater)),
    function("max_by", &[&["array"], &["expref"]], |arguments| {
        extreme_by(arguments, "max_by", ">", Ordering::Greater)
    }),
    Function { variadic: true, ..function("merge", &[&["object"]], merge) },
    function("min", &[EXTREMES], |arguments| extreme(arguments, Ordering::Less)),
    function("min_by", &[&["array"], &["expref"]], |arguments| {
        extreme_by(arguments, "min_by", "<", Ordering::Less)
    }),
    Function { variadic: true, ..function("not_null", &[&[]], not_null) },
    function("reverse", &[&["array", "string"]], reverse),
    function("sort", &[SORTABLE], sort),
    function("sort_by", &[&["array"], &["expref"]], sort_by),
    function("starts_with", &[&["string"], &["string"]], |arguments| {
        truth(arguments.text(0).starts_with(arguments.text(1)))
    }),
    function("sum", &[NUMBERS], |arguments| Ok(Cow::Owned(total(arguments.items(0)).into_value()))),
    function("to_array", &[&[]], to_array),
    function("to_number", &[&[]], to_number),
    function("to_string", &[&[]], to_string),
    function("type", &[&[]], type_of),
    function("values", &[&["object"]], values),
];

/// The arguments of a call. Its methods rely on the checks that were made against the signature.
struct Arguments<'a>(Vec<Argument<'a>>);

impl<'a> Arguments<'a> {
    fn value(&self, index: usize) -> &Value {
        match &self.0[index] {
            Argument::Value(value) => value,
            Argument::Reference(_) => &Value::Null,
        }
    }

    fn items(&self, index: usize) -> &[Value] {
        self.value(index).as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn text(&self, index: usize) -> &str {
        self.value(index).as_str().unwrap_or_default()
    }

    fn members(&self, index: usize) -> &Map<String, Value> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.value(index).as_object().unwrap_or(&EMPTY)
    }

    fn reference(&self, index: usize) -> &'a Node {
        match self.0[index] {
            Argument::Reference(node) => node,
            Argument::Value(_) => unreachable!("the signature asks for an expression"),
        }
    }

    /// The first argument itself, not copied where it is borrowed.
    fn first(&self) -> Cow<'a, Value> {
        match &self.0[0] {
            Argument::Value(value) => value.clone(),
            Argument::Reference(_) => Cow::Owned(Value::Null),
        }
    }
}

/// Calls a function by name, after the checks that jmespath.py makes: the name, the count, the types.
pub(super) fn call<'a>(name: &str, arguments: Vec<Argument<'a>>) -> Result<Cow<'a, Value>> {
    let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
        return failure(format!("Unknown function: {name}()"));
    };
    let (expected, received) = (function.signature.len(), arguments.len());
    if received < expected || received > expected && !function.variadic {
        let least = if function.variadic { "at least " } else { "" };
        let plural = if expected == 1 { "" } else { "s" };
        return failure(format!(
            "Expected {least}{expected} argument{plural} for function {name}(), received {received}"
        ));
    }
    for (types, argument) in function.signature.iter().zip(&arguments) {
        check(name, types, argument)?;
    }
    (function.run)(&Arguments(arguments))
}

fn check(name: &str, types: Types, argument: &Argument<'_>) -> Result<()> {
    let value = match argument {
        Argument::Reference(_) if types.is_empty() || types.contains(&"expref") => return Ok(()),
        Argument::Reference(_) => {
            let text = "<jmespath.visitor._Expression object>".to_owned();
            return wrong_type(name, &text, types, "expref");
        }
        Argument::Value(value) => value,
    };
    let kind = kind_of(value);
    let allowed = |wanted: &&str| wanted.split('-').next() == Some(kind);
    if !types.is_empty() && !types.iter().any(allowed) {
        return wrong_type(name, &str_of(value), types, kind);
    }
    let Value::Array(items) = value.as_ref() else { return Ok(()) };
    let elements: Vec<&str> =
        types.iter().filter_map(|wanted| wanted.split_once('-')).map(|(_, of)| of).collect();
    // Where the elements may be of several types, the first one decides for the rest.
    let wanted = match elements.as_slice() {
        [] => return Ok(()),
        [only] => *only,
        several => match items.first().map(kind_of) {
            None => return Ok(()),
            Some(first) if several.contains(&first) => first,
            Some(_) => "",
        },
    };
    match items.iter().find(|item| kind_of(item) != wanted) {
        Some(item) => wrong_type(name, &str_of(item), types, type_name(item)),
        None => Ok(()),
    }
}

fn wrong_type<T>(name: &str, value: &str, types: &[&str], received: &str) -> Result<T> {
    let expected: Vec<String> = types.iter().map(|wanted| format!("'{wanted}'")).collect();
    failure(format!(
        "In function {name}(), invalid type for value: {value}, expected one of: [{}], received: \"{received}\"",
        expected.join(", ")
    ))
}

/// The name of a value's type in JMESPath.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[allow(clippy::unnecessary_wraps, reason = "every function ends in it")]
fn truth<'a>(answer: bool) -> Result<Cow<'a, Value>> {
    Ok(Cow::Owned(Value::Bool(answer)))
}

#[allow(clippy::unnecessary_wraps, reason = "every function ends in it")]
fn owned<'a>(value: impl Into<Value>) -> Result<Cow<'a, Value>> {
    Ok(Cow::Owned(value.into()))
}
