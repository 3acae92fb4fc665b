//! Functions over numbers.

use std::borrow::Cow;

use serde_json::Value;

use super::{Arguments, owned};
use crate::output::integer::Integer;
use crate::output::python::Numeric;
use crate::output::query::evaluate::{Result, failure};

pub(super) fn abs<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    owned(match numeric(arguments.value(0)) {
        Numeric::Integer(integer) => Numeric::Integer(integer.abs()).into_value(),
        Numeric::Float(float) => Numeric::Float(float.abs()).into_value(),
    })
}

pub(super) fn round<'a>(arguments: &Arguments<'a>, how: fn(f64) -> f64) -> Result<Cow<'a, Value>> {
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

pub(super) fn avg<'a>(arguments: &Arguments<'a>) -> Result<Cow<'a, Value>> {
    let items = arguments.items(0);
    if items.is_empty() {
        return owned(Value::Null);
    }
    #[allow(clippy::cast_precision_loss, reason = "no list is that long")]
    let count = items.len() as f64;
    owned(Numeric::Float(total(items).to_f64() / count).into_value())
}

/// Python's `sum`: exact over integers, and with Neumaier's compensation from the first float on.
pub(super) fn total(items: &[Value]) -> Numeric {
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

fn numeric(value: &Value) -> Numeric {
    Numeric::of_value(value).unwrap_or(Numeric::Float(f64::NAN))
}
