//! The syntax tree over a value: borrowed where it can be, keys in the order in which they came.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::EvaluationError;
use super::functions;
use super::node::{Comparator, Kind, Node};
use crate::output::python::{Numeric, equal, is_true, type_name};

pub(super) type Result<T> = std::result::Result<T, EvaluationError>;

/// Argument of a function.
#[derive(Debug)]
pub(super) enum Argument<'a> {
    Value(Cow<'a, Value>),
    Reference(&'a Node),
}

pub(super) fn failure<T>(message: impl Into<String>) -> Result<T> {
    Err(EvaluationError(message.into()))
}

/// Evaluates a node over a value.
pub(super) fn evaluate<'a>(node: &'a Node, value: &'a Value) -> Result<Cow<'a, Value>> {
    match &node.kind {
        Kind::Identity => Ok(Cow::Borrowed(value)),
        Kind::Field(name) => Ok(borrowed(value.as_object().and_then(|members| members.get(name)))),
        Kind::Literal(literal) => Ok(Cow::Borrowed(literal)),
        Kind::Index(index) => Ok(borrowed(element(value, *index))),
        Kind::Slice(parts) => slice(value, parts).map(Cow::Owned),
        Kind::Chain(_, nodes) => chain(nodes, value),
        Kind::Flatten(left) => flatten(left, value).map(Cow::Owned),
        Kind::Project(sides) => project(&sides[0], &sides[1], None, value).map(Cow::Owned),
        Kind::Filter(sides) => project(&sides[0], &sides[1], Some(&sides[2]), value).map(Cow::Owned),
        Kind::ProjectValues(sides) => project_values(&sides[0], &sides[1], value).map(Cow::Owned),
        Kind::Compare(comparator, sides) => compare(*comparator, &sides[0], &sides[1], value).map(Cow::Owned),
        Kind::Or(nodes) => first(nodes, value, |result| !is_false(result)),
        Kind::And(nodes) => first(nodes, value, is_false),
        Kind::Not(inner) if matches!(inner.kind, Kind::Reference(_)) => Ok(Cow::Owned(Value::Bool(false))),
        Kind::Not(inner) => {
            let inner = evaluate(inner, value)?;
            // Every number counts as true here, even 0.
            Ok(Cow::Owned(Value::Bool(!inner.is_number() && !is_true(&inner))))
        }
        Kind::List(nodes) => list(nodes, value).map(Cow::Owned),
        Kind::Object(members) => object(members, value).map(Cow::Owned),
        Kind::Call(name, nodes) => call(name, nodes, value),
        // Only a function can take one; printing it is what fails in the AWS CLI.
        Kind::Reference(_) => failure("Encountered unrecognized type in JSON encoder."),
    }
}

fn borrowed(value: Option<&Value>) -> Cow<'_, Value> {
    value.map_or(Cow::Owned(Value::Null), Cow::Borrowed)
}

/// Returns whether jmespath.py takes a value for false: a number never is.
fn is_false(value: &Value) -> bool {
    !value.is_number() && !is_true(value)
}

fn chain<'a>(nodes: &'a [Node], value: &'a Value) -> Result<Cow<'a, Value>> {
    nodes.iter().try_fold(Cow::Borrowed(value), |value, node| match value {
        Cow::Borrowed(value) => evaluate(node, value),
        Cow::Owned(value) => Ok(Cow::Owned(evaluate(node, &value)?.into_owned())),
    })
}

/// The first result that ends a row of `||` or `&&`, else the last one.
fn first<'a>(nodes: &'a [Node], value: &'a Value, ends: fn(&Value) -> bool) -> Result<Cow<'a, Value>> {
    let mut result = Cow::Borrowed(value);
    for node in nodes {
        result = evaluate(node, value)?;
        if ends(&result) {
            break;
        }
    }
    Ok(result)
}

fn element(value: &Value, index: i64) -> Option<&Value> {
    let items = value.as_array()?;
    let offset = usize::try_from(index.unsigned_abs()).ok()?;
    items.get(if index < 0 { items.len().checked_sub(offset)? } else { offset })
}

/// Python's slices.
fn slice(value: &Value, parts: &[Option<i64>; 3]) -> Result<Value> {
    let Value::Array(items) = value else { return Ok(Value::Null) };
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let step = parts[2].unwrap_or(1);
    if step == 0 {
        return failure("slice step cannot be zero");
    }
    let (lowest, highest) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let bound = |part: Option<i64>, otherwise: i64| match part {
        None => otherwise,
        Some(part) if part < 0 => part.saturating_add(length).max(lowest),
        Some(part) => part.min(highest),
    };
    let (first, last) = if step < 0 { (highest, lowest) } else { (lowest, highest) };
    let (mut at, end) = (bound(parts[0], first), bound(parts[1], last));
    let mut taken = Vec::new();
    while if step < 0 { at > end } else { at < end } {
        taken.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned());
        at = at.saturating_add(step);
    }
    Ok(Value::Array(taken))
}

/// Elements of a projection: none for `&expression`.
fn base<'a>(left: &'a Node, value: &'a Value) -> Result<Cow<'a, Value>> {
    match left.kind {
        Kind::Reference(_) => Ok(Cow::Owned(Value::Null)),
        _ => evaluate(left, value),
    }
}

fn flatten(left: &Node, value: &Value) -> Result<Value> {
    let base = base(left, value)?;
    let Value::Array(items) = base.as_ref() else { return Ok(Value::Null) };
    let mut flat = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::Array(inner) => flat.extend_from_slice(inner),
            other => flat.push(other.clone()),
        }
    }
    Ok(Value::Array(flat))
}

fn project(left: &Node, right: &Node, condition: Option<&Node>, value: &Value) -> Result<Value> {
    let base = base(left, value)?;
    let Value::Array(items) = base.as_ref() else { return Ok(Value::Null) };
    let mut collected = Vec::new();
    for item in items {
        if let Some(condition) = condition
            && is_false(evaluate(condition, item)?.as_ref())
        {
            continue;
        }
        collect(&mut collected, evaluate(right, item)?);
    }
    Ok(Value::Array(collected))
}

fn project_values(left: &Node, right: &Node, value: &Value) -> Result<Value> {
    let base = base(left, value)?;
    let Value::Object(members) = base.as_ref() else { return Ok(Value::Null) };
    let mut collected = Vec::new();
    for member in members.values() {
        collect(&mut collected, evaluate(right, member)?);
    }
    Ok(Value::Array(collected))
}

fn collect(collected: &mut Vec<Value>, result: Cow<'_, Value>) {
    if !result.is_null() {
        collected.push(result.into_owned());
    }
}

fn list(nodes: &[Node], value: &Value) -> Result<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    nodes.iter().map(|node| evaluate(node, value).map(Cow::into_owned)).collect()
}

fn object(members: &[(String, Node)], value: &Value) -> Result<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let mut collected = Map::new();
    for (key, node) in members {
        collected.insert(key.clone(), evaluate(node, value)?.into_owned());
    }
    Ok(Value::Object(collected))
}

fn call<'a>(name: &str, nodes: &'a [Node], value: &'a Value) -> Result<Cow<'a, Value>> {
    let arguments = nodes.iter().map(|node| match &node.kind {
        Kind::Reference(inner) => Ok(Argument::Reference(inner)),
        _ => evaluate(node, value).map(Argument::Value),
    });
    functions::call(name, arguments.collect::<Result<_>>()?)
}

fn compare(comparator: Comparator, left: &Node, right: &Node, value: &Value) -> Result<Value> {
    let (left, right) = (evaluate(left, value)?, evaluate(right, value)?);
    let answer = match comparator {
        Comparator::Equal => same(&left, &right),
        Comparator::NotEqual => !same(&left, &right),
        _ => {
            let comparable = |value: &Value| value.is_number() || value.is_string();
            if !comparable(&left) || !comparable(&right) {
                return Ok(Value::Null);
            }
            let (symbol, wanted): (_, fn(Ordering) -> bool) = match comparator {
                Comparator::Less => ("<", Ordering::is_lt),
                Comparator::LessOrEqual => ("<=", Ordering::is_le),
                Comparator::Greater => (">", Ordering::is_gt),
                _ => (">=", Ordering::is_ge),
            };
            order(&left, &right, symbol)?.is_some_and(wanted)
        }
    };
    Ok(Value::Bool(answer))
}

/// `==`: 0 and 1 are not `false` and `true`, at the top at least.
fn same(left: &Value, right: &Value) -> bool {
    let mixed = left.is_boolean() && right.is_number() || left.is_number() && right.is_boolean();
    !mixed && equal(left, right)
}

/// The order of two numbers or of two strings (by code point); `None` for NaN. `symbol` is for the complaint.
pub(super) fn order(left: &Value, right: &Value, symbol: &str) -> Result<Option<Ordering>> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Ok(Some(left.cmp(right))),
        (Value::Number(left), Value::Number(right)) => Ok(Numeric::of(left).compare(&Numeric::of(right))),
        _ => {
            let (left, right) = (type_name(left), type_name(right));
            failure(format!("'{symbol}' not supported between instances of '{left}' and '{right}'"))
        }
    }
}
