//! The functions of JMESPath: one row each, with jmespath.py's checks in front of them.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::evaluate::{Argument, Result, evaluate, failure, order};
use super::node::Node;
use crate::output::integer::Integer;
use crate::output::json;
use crate::output::python::{Numeric, equal, read_number, str_of, type_name};

/// Types that an argument may have, under the names that error texts use.
type Types = &'static [&'static str];

struct Function {
    name: &'static str,
    /// One entry for each argument; an empty one takes anything.
    signature: &'static [Types],
    /// Whether more arguments than the signature names may follow.
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

fn numeric(value: &Value) -> Numeric {
    Numeric::of_value(value).unwrap_or(Numeric::Float(f64::NAN))
}

fn abs<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(match numeric(arguments.value(0)) {
        Numeric::Integer(integer) => Numeric::Integer(integer.abs()).into_value(),
        Numeric::Float(float) => Numeric::Float(float.abs()).into_value(),
    })
}

fn round<'a>(arguments: &Arguments<'a>, how: fn(f64) -> f64) -> Result<Cow<'a, Value>> {
    let float = match numeric(arguments.value(0)) {
        integer @ Numeric::Integer(_) => return owned(integer.into_value()),
        Numeric::Float(float) => float,
    };
    match Integer::of_float(how(float)) {
        Some(integer) => owned(Numeric::Integer(integer).into_value()),
        None if float.is_nan() => failure("cannot convert float NaN to integer"),
        None => failure("cannot convert float infinity to integer"),
    }
}

fn avg<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let items = arguments.items(0);
    if items.is_empty() {
        return owned(Value::Null);
    }
    #[allow(clippy::cast_precision_loss, reason = "no list is that long")]
    let count = items.len() as f64;
    owned(Numeric::Float(total(items).to_f64() / count).into_value())
}

/// Python's `sum`: exact over integers, and with Neumaier's compensation from the first float on.
fn total(items: &[Value]) -> Numeric {
    let mut numbers = items.iter().map(numeric);
    let mut integer = Integer::from(0);
    let mut high = loop {
        match numbers.next() {
            None => return Numeric::Integer(integer),
            Some(Numeric::Integer(next)) => integer = integer.add(&next),
            Some(Numeric::Float(next)) => break integer.to_f64() + next,
        }
    };
    let mut low = 0.0;
    for next in numbers.map(|number| number.to_f64()) {
        let sum = high + next;
        low += if high.abs() >= next.abs() { (high - sum) + next } else { (next - sum) + high };
        high = sum;
    }
    Numeric::Float(if low != 0.0 && f64::is_finite(low) { high + low } else { high })
}

fn contains<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let search = arguments.value(1);
    match (arguments.value(0), search) {
        (Value::String(text), Value::String(part)) => truth(text.contains(part.as_str())),
        (Value::String(_), other) => {
            failure(format!("'in <string>' requires string as left operand, not {}", type_name(other)))
        }
        _ => truth(arguments.items(0).iter().any(|item| equal(item, search))),
    }
}

fn join<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let texts: Vec<&str> = arguments.items(1).iter().filter_map(Value::as_str).collect();
    owned(texts.join(arguments.text(0)))
}

fn keys<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(arguments.members(0).keys().cloned().collect::<Vec<_>>())
}

fn values<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(arguments.members(0).values().cloned().collect::<Vec<_>>())
}

fn length<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(match arguments.value(0) {
        Value::String(text) => text.chars().count(),
        Value::Object(members) => members.len(),
        _ => arguments.items(0).len(),
    })
}

fn map<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let node = arguments.reference(0);
    owned(
        arguments
            .items(1)
            .iter()
            .map(|item| Ok(evaluate(node, item)?.into_owned()))
            .collect::<Result<Value>>()?,
    )
}

fn not_null<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    for argument in &arguments.0 {
        match argument {
            Argument::Value(value) if value.is_null() => {}
            Argument::Value(value) => return Ok(value.clone()),
            Argument::Reference(_) => return failure("Encountered unrecognized type in JSON encoder."),
        }
    }
    owned(Value::Null)
}

fn reverse<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(match arguments.value(0) {
        Value::String(text) => Value::from(text.chars().rev().collect::<String>()),
        _ => arguments.items(0).iter().rev().cloned().collect(),
    })
}

/// A total order for sorting: NaN, which Python leaves where it lies, comes last.
fn sorting_order(left: &Value, right: &Value) -> Ordering {
    let is_nan = |value: &Value| Numeric::of_value(value).is_some_and(|number| number.to_f64().is_nan());
    order(left, right, "<").ok().flatten().unwrap_or_else(|| is_nan(left).cmp(&is_nan(right)))
}

fn sort<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let mut items = arguments.items(0).to_vec();
    items.sort_by(sorting_order);
    owned(items)
}

fn extreme<'a>(arguments: &Arguments<'a>, wanted: Ordering) -> Result<Cow<'a, Value>> {
    let mut best: Option<&Value> = None;
    for item in arguments.items(0) {
        if best.is_none_or(|best| order(item, best, "<").ok().flatten() == Some(wanted)) {
            best = Some(item);
        }
    }
    owned(best.cloned().unwrap_or_default())
}

/// The keys by which a list is sorted or searched.
fn key(node: &Node, item: &Value, name: &str, types: &[&str]) -> Result<Value> {
    let key = evaluate(node, item)?.into_owned();
    if types.contains(&kind_of(&key)) {
        Ok(key)
    } else {
        wrong_type(name, &str_of(&key), types, kind_of(&key))
    }
}

fn sort_by<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let (items, node) = (arguments.items(0), arguments.reference(1));
    let Some(first) = items.first() else { return Ok(arguments.first()) };
    let required = kind_of(evaluate(node, first)?.as_ref());
    if !["number", "string"].contains(&required) {
        return wrong_type("sort_by", &str_of(first), &["string", "number"], required);
    }
    let keyed = items.iter().map(|item| Ok((key(node, item, "sort_by", &[required])?, item)));
    let mut keyed = keyed.collect::<Result<Vec<_>>>()?;
    keyed.sort_by(|(left, _), (right, _)| sorting_order(left, right));
    owned(keyed.into_iter().map(|(_, item)| item.clone()).collect::<Vec<_>>())
}

fn extreme_by<'a>(
    arguments: &Arguments<'a>,
    name: &str,
    symbol: &str,
    wanted: Ordering,
) -> Result<Cow<'a, Value>> {
    let node = arguments.reference(1);
    let mut best: Option<(Value, &Value)> = None;
    for item in arguments.items(0) {
        let key = key(node, item, name, &["number", "string"])?;
        let better = match &best {
            None => true,
            Some((best, _)) => order(&key, best, symbol)? == Some(wanted),
        };
        if better {
            best = Some((key, item));
        }
    }
    owned(best.map(|(_, item)| item.clone()).unwrap_or_default())
}

/// Python's `dict.update`, which is all that looks at the arguments after the first.
fn merge<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
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

fn to_array<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    if matches!(arguments.0[0], Argument::Reference(_)) {
        return failure("Encountered unrecognized type in JSON encoder.");
    }
    let value = arguments.first();
    if value.is_array() { Ok(value) } else { owned(vec![value.into_owned()]) }
}

fn to_string<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    match arguments.value(0) {
        Value::String(_) => Ok(arguments.first()),
        other => owned(json::compact(other)),
    }
}

fn to_number<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
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

fn type_of<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    match &arguments.0[0] {
        Argument::Value(value) => owned(kind_of(value)),
        Argument::Reference(_) => owned(Value::Null),
    }
}
