//! The `Condition` element of a statement: operators over the request context.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::pattern::{covers, covers_arn};

/// The request context: values by condition key. Keys are compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext(HashMap<String, Vec<String>>);

impl RequestContext {
    /// Adds one value of a key.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(key.to_ascii_lowercase()).or_default().push(value.into());
    }

    fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_ascii_lowercase()).map(Vec::as_slice)
    }

    /// A text with its variables, such as `${aws:username}`, replaced. `None` where one of them is not known, which
    /// keeps the text from covering anything.
    pub(super) fn expand(&self, text: &str) -> Option<String> {
        let (mut result, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            let (variable, after) = after.split_once('}')?;
            let (key, default) = variable.split_once(',').map_or((variable, None), |(key, default)| {
                (key.trim(), Some(default.trim().trim_matches('\'')))
            });
            let value = match self.get(key) {
                Some([value]) => value.as_str(),
                Some(_) => return None,
                None if matches!(key, "*" | "?" | "$") => key,
                None => default?,
            };
            result.extend([before, value]);
            rest = after;
        }
        Some(result + rest)
    }
}

type Test = fn(&str, &str) -> bool;

/// The operators: their name, whether they say the opposite of their test, the test of a fact against a value.
const OPERATORS: [(&str, bool, Test); 25] = [
    ("StringEquals", false, equal),
    ("StringNotEquals", true, equal),
    ("StringEqualsIgnoreCase", false, equal_in_any_case),
    ("StringNotEqualsIgnoreCase", true, equal_in_any_case),
    ("StringLike", false, like),
    ("StringNotLike", true, like),
    ("ArnEquals", false, arn_like),
    ("ArnNotEquals", true, arn_like),
    ("ArnLike", false, arn_like),
    ("ArnNotLike", true, arn_like),
    ("Bool", false, equal_in_any_case),
    ("IpAddress", false, within),
    ("NotIpAddress", true, within),
    ("NumericEquals", false, |fact, value| numbers(fact, value, Ordering::is_eq)),
    ("NumericNotEquals", true, |fact, value| numbers(fact, value, Ordering::is_eq)),
    ("NumericLessThan", false, |fact, value| numbers(fact, value, Ordering::is_lt)),
    ("NumericLessThanEquals", false, |fact, value| numbers(fact, value, Ordering::is_le)),
    ("NumericGreaterThan", false, |fact, value| numbers(fact, value, Ordering::is_gt)),
    ("NumericGreaterThanEquals", false, |fact, value| numbers(fact, value, Ordering::is_ge)),
    ("DateEquals", false, |fact, value| dates(fact, value, Ordering::is_eq)),
    ("DateNotEquals", true, |fact, value| dates(fact, value, Ordering::is_eq)),
    ("DateLessThan", false, |fact, value| dates(fact, value, Ordering::is_lt)),
    ("DateLessThanEquals", false, |fact, value| dates(fact, value, Ordering::is_le)),
    ("DateGreaterThan", false, |fact, value| dates(fact, value, Ordering::is_gt)),
    ("DateGreaterThanEquals", false, |fact, value| dates(fact, value, Ordering::is_ge)),
];

/// How the values of a key with several of them count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    One,
    Any,
    All,
}

/// An operator's name taken apart. `test` is `None` for `Null`, which asks whether there is a fact at all.
struct Operator {
    among: Among,
    if_exists: bool,
    negated: bool,
    test: Option<Test>,
}

impl Operator {
    fn of(text: &str) -> Option<Self> {
        let (among, rest) = match text.split_once(':') {
            None => (Among::One, text),
            Some(("ForAnyValue", rest)) => (Among::Any, rest),
            Some(("ForAllValues", rest)) => (Among::All, rest),
            Some(_) => return None,
        };
        if rest == "Null" && among == Among::One {
            return Some(Self { among, if_exists: false, negated: false, test: None });
        }
        let (name, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
        let (_, negated, test) = OPERATORS.iter().find(|(known, _, _)| *known == name)?;
        Some(Self { among, if_exists, negated: *negated, test: Some(*test) })
    }

    fn holds(&self, fact: Option<&[String]>, values: &[String]) -> bool {
        let Some(test) = self.test else {
            return values.iter().any(|value| value.eq_ignore_ascii_case("true") == fact.is_none());
        };
        let Some(found) = fact else {
            return match self.among {
                Among::Any => false,
                Among::All => true,
                Among::One => self.if_exists || self.negated,
            };
        };
        let one = |fact: &String| values.iter().any(|value| test(fact, value)) != self.negated;
        if self.among == Among::All { found.iter().all(one) } else { found.iter().any(one) }
    }
}

/// What keeps conditions from being sound.
pub(super) fn check(condition: &Value) -> Result<(), String> {
    let unsound = || "Condition is not an object of objects".to_owned();
    for (name, keys) in condition.as_object().ok_or_else(unsound)? {
        if Operator::of(name).is_none() {
            return Err(format!("Condition has the unknown operator {name}"));
        }
        for (key, wanted) in keys.as_object().ok_or_else(unsound)? {
            if values(wanted).is_none() {
                return Err(format!("Condition {name} has no text or list of texts for {key}"));
            }
        }
    }
    Ok(())
}

/// Whether all conditions hold. One that cannot be read does not.
pub(super) fn hold(operators: &Map<String, Value>, context: &RequestContext, variables: bool) -> bool {
    operators.iter().all(|(name, keys)| {
        let (Some(operator), Some(keys)) = (Operator::of(name), keys.as_object()) else { return false };
        keys.iter().all(|(key, wanted)| {
            let values = values(wanted).unwrap_or_default().into_iter();
            let values: Vec<String> = if variables {
                values.filter_map(|value| context.expand(&value)).collect()
            } else {
                values.collect()
            };
            operator.holds(context.get(key), &values)
        })
    })
}

/// The values of a key: one or a list, of texts, numbers and truths.
fn values(value: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        value => one(value).map(|text| vec![text]),
    }
}

fn equal(fact: &str, value: &str) -> bool {
    fact == value
}

fn equal_in_any_case(fact: &str, value: &str) -> bool {
    fact.eq_ignore_ascii_case(value)
}

fn like(fact: &str, value: &str) -> bool {
    covers(value, fact)
}

fn arn_like(fact: &str, value: &str) -> bool {
    covers_arn(value, fact)
}

/// Whether an address lies in a network such as `10.0.0.0/8`, or is the one that is named.
fn within(fact: &str, value: &str) -> bool {
    let (network, length) = value.split_once('/').map_or((value, None), |(head, tail)| (head, Some(tail)));
    let bits = |text: &str| -> Option<(u128, u32)> {
        Some(match text.parse::<IpAddr>().ok()?.to_canonical() {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        })
    };
    let (Some((fact, width)), Some((network, other))) = (bits(fact), bits(network)) else { return false };
    let length = length.map_or(Some(width), |text| text.parse().ok());
    let Some(length) = length.filter(|length| width == other && *length <= width) else { return false };
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or_default();
    fact & mask == network & mask
}

fn numbers(fact: &str, value: &str, test: fn(Ordering) -> bool) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    let order = number(fact).zip(number(value)).and_then(|(fact, value)| fact.partial_cmp(&value));
    order.is_some_and(test)
}

fn dates(fact: &str, value: &str, test: fn(Ordering) -> bool) -> bool {
    moment(fact).zip(moment(value)).is_some_and(|(fact, value)| test(fact.cmp(&value)))
}

/// A date or moment as ISO 8601 has it, or seconds since 1970; in milliseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    let midnight = || {
        let date: jiff::civil::Date = text.parse().ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    match text.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(1000),
        Err(_) => Some(text.parse::<Timestamp>().ok().or_else(midnight)?.as_millisecond()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context() -> RequestContext {
        let mut context = RequestContext::default();
        for (key, value) in [
            ("aws:PrincipalArn", "arn:aws:iam::111122223333:role/build"),
            ("aws:SourceIp", "10.1.2.3"),
            ("aws:SecureTransport", "false"),
            ("aws:CurrentTime", "2026-11-21T03:00:00Z"),
            ("aws:TagKeys", "stage"),
            ("aws:TagKeys", "team"),
            ("aws:username", "ann"),
            ("size", "7"),
        ] {
            context.add(key, value);
        }
        context
    }

    #[test]
    fn operators_are_those_of_iam() {
        let cases = [
            (json!({ "StringEquals": { "aws:username": ["bob", "ann"] } }), true),
            (json!({ "StringEquals": { "AWS:USERNAME": "Ann" } }), false),
            (json!({ "StringEqualsIgnoreCase": { "aws:username": "Ann" } }), true),
            (json!({ "StringNotEquals": { "aws:username": ["bob", "ann"] } }), false),
            (json!({ "StringNotEquals": { "aws:username": ["bob", "eve"] } }), true),
            (json!({ "StringLike": { "aws:username": "a??" } }), true),
            (json!({ "StringNotLike": { "aws:username": "a*" } }), false),
            (json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/b*" } }), true),
            (json!({ "ArnEquals": { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/other" } }), false),
            (json!({ "ArnNotEquals": { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/other" } }), true),
            (json!({ "IpAddress": { "aws:SourceIp": ["192.168.0.0/16", "10.0.0.0/8"] } }), true),
            (json!({ "NotIpAddress": { "aws:SourceIp": "10.1.2.3" } }), false),
            (json!({ "IpAddress": { "aws:SourceIp": "10.1.2.4/31" } }), false),
            (json!({ "IpAddress": { "aws:SourceIp": "0.0.0.0/0" } }), true),
            (json!({ "IpAddress": { "aws:SourceIp": "::/0" } }), false),
            (json!({ "Bool": { "aws:SecureTransport": false } }), true),
            (json!({ "DateLessThan": { "aws:CurrentTime": "2026-11-22" } }), true),
            (json!({ "DateGreaterThan": { "aws:CurrentTime": "2026-11-21T04:00:00Z" } }), false),
            (json!({ "NumericLessThanEquals": { "size": 7 } }), true),
            (json!({ "NumericGreaterThan": { "size": "seven" } }), false),
            // All operators and all keys must hold.
            (
                json!({ "Bool": { "aws:SecureTransport": "true" }, "StringLike": { "aws:username": "*" } }),
                false,
            ),
            // What is not known.
            (json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } }), false),
            (json!({ "StringEqualsIfExists": { "aws:PrincipalOrgID": "o-1" } }), true),
            (json!({ "StringNotEquals": { "aws:PrincipalOrgID": "o-1" } }), true),
            (json!({ "Null": { "aws:PrincipalOrgID": "true" } }), true),
            (json!({ "Null": { "aws:PrincipalOrgID": false } }), false),
            (json!({ "Null": { "aws:username": "true" } }), false),
            // Several values.
            (json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["stage", "team", "x"] } }), true),
            (json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["stage"] } }), false),
            (json!({ "ForAnyValue:StringEquals": { "aws:TagKeys": ["stage"] } }), true),
            (json!({ "ForAnyValue:StringEquals": { "none": ["stage"] } }), false),
            (json!({ "ForAllValues:StringEquals": { "none": ["stage"] } }), true),
            // Variables.
            (json!({ "StringEquals": { "aws:username": "${aws:username}" } }), true),
            (json!({ "StringEquals": { "aws:username": "${none}" } }), false),
            (json!({ "StringEquals": { "aws:username": "${none, 'ann'}" } }), true),
        ];
        for (condition, expected) in cases {
            assert_eq!(check(&condition), Ok(()), "{condition}");
            assert_eq!(hold(condition.as_object().unwrap(), &context(), true), expected, "{condition}");
        }
        let literal = json!({ "StringEquals": { "aws:username": "${aws:username}" } });
        assert!(!hold(literal.as_object().unwrap(), &context(), false));
    }

    #[test]
    fn what_is_no_condition_is_told() {
        for (condition, words) in [
            (json!("x"), "Condition is not an object of objects"),
            (json!({ "StringEquals": 1 }), "Condition is not an object of objects"),
            (json!({ "StringIs": {} }), "Condition has the unknown operator StringIs"),
            (
                json!({ "ForEach:StringEquals": {} }),
                "Condition has the unknown operator ForEach:StringEquals",
            ),
            (json!({ "Bool": { "a": {} } }), "Condition Bool has no text or list of texts for a"),
        ] {
            assert_eq!(check(&condition), Err(words.to_owned()));
        }
    }
}
