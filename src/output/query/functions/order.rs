//! Functions that sort, and that search for the smallest and the largest.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::{Arguments, kind_of, owned, wrong_type};
use crate::output::python::{Numeric, str_of};
use crate::output::query::evaluate::{Result, evaluate, order};
use crate::output::query::node::Node;

pub(super) fn sort<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let mut items = arguments.items(0).to_vec();
    items.sort_by(sorting_order);
    owned(items)
}

pub(super) fn sort_by<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
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

pub(super) fn extreme<'a>(arguments: &Arguments<'a>, wanted: Ordering) -> Result<Cow<'a, Value>> {
    let mut best: Option<&Value> = None;
    for item in arguments.items(0) {
        if best.is_none_or(|best| order(item, best, "<").ok().flatten() == Some(wanted)) {
            best = Some(item);
        }
    }
    owned(best.cloned().unwrap_or_default())
}

pub(super) fn extreme_by<'a>(
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

/// A total order for sorting: NaN, which Python leaves where it lies, comes last.
fn sorting_order(left: &Value, right: &Value) -> Ordering {
    let is_nan = |value: &Value| Numeric::of_value(value).is_some_and(|number| number.to_f64().is_nan());
    order(left, right, "<").ok().flatten().unwrap_or_else(|| is_nan(left).cmp(&is_nan(right)))
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
