//! The `Condition` element of a statement: operators over the request context.

use std::cmp::Ordering;
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::context::RequestContext;
use super::pattern::Pattern;

type Test = fn(&str, &Pattern) -> bool;

/// The operators: name, whether it negates its test, the test of a request's value against a policy's.
const OPERATORS: [(&str, bool, Test); 26] = [
    ("StringEquals", false, equal),
    ("StringNotEquals", true, equal),
    ("StringEqualsIgnoreCase", false, equal_ignoring_case),
    ("StringNotEqualsIgnoreCase", true, equal_ignoring_case),
    ("StringLike", false, like),
    ("StringNotLike", true, like),
    ("ArnEquals", false, arn_like),
    ("ArnNotEquals", true, arn_like),
    ("ArnLike", false, arn_like),
    ("ArnNotLike", true, arn_like),
    ("Bool", false, equal_ignoring_case),
    ("BinaryEquals", false, binary_equal),
    ("IpAddress", false, in_network),
    ("NotIpAddress", true, in_network),
    ("NumericEquals", false, |request, policy| numbers(request, policy, Ordering::is_eq)),
    ("NumericNotEquals", true, |request, policy| numbers(request, policy, Ordering::is_eq)),
    ("NumericLessThan", false, |request, policy| numbers(request, policy, Ordering::is_lt)),
    ("NumericLessThanEquals", false, |request, policy| numbers(request, policy, Ordering::is_le)),
    ("NumericGreaterThan", false, |request, policy| numbers(request, policy, Ordering::is_gt)),
    ("NumericGreaterThanEquals", false, |request, policy| numbers(request, policy, Ordering::is_ge)),
    ("DateEquals", false, |request, policy| dates(request, policy, Ordering::is_eq)),
    ("DateNotEquals", true, |request, policy| dates(request, policy, Ordering::is_eq)),
    ("DateLessThan", false, |request, policy| dates(request, policy, Ordering::is_lt)),
    ("DateLessThanEquals", false, |request, policy| dates(request, policy, Ordering::is_le)),
    ("DateGreaterThan", false, |request, policy| dates(request, policy, Ordering::is_gt)),
    ("DateGreaterThanEquals", false, |request, policy| dates(request, policy, Ordering::is_ge)),
];

/// The operators whose values may have policy variables; in those of the others `${` is literal text.
const VARIABLES_IN: [&str; 3] = ["String", "Arn", "Bool"];

/// Quantifier over the values of a multivalued key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SetOperator {
    None,
    ForAnyValue,
    ForAllValues,
}

/// An operator's name, parsed.
struct Operator {
    set: SetOperator,
    if_exists: bool,
    negated: bool,
    takes_variables: bool,
    /// `None` for `Null`, which tests whether the request has the key.
    test: Option<Test>,
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        let (set, rest) = match text.split_once(':') {
            None => (SetOperator::None, text),
            Some(("ForAnyValue", rest)) => (SetOperator::ForAnyValue, rest),
            Some(("ForAllValues", rest)) => (SetOperator::ForAllValues, rest),
            Some(_) => return None,
        };
        if rest == "Null" && set == SetOperator::None {
            return Some(Self { set, if_exists: false, negated: false, takes_variables: false, test: None });
        }
        let (name, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
        let (_, negated, test) = OPERATORS.iter().find(|(known, _, _)| *known == name)?;
        let takes_variables = VARIABLES_IN.iter().any(|family| name.starts_with(family));
        Some(Self { set, if_exists, negated: *negated, takes_variables, test: Some(*test) })
    }

    fn holds(&self, found: Option<&[String]>, values: &[Pattern]) -> bool {
        let Some(test) = self.test else {
            let is_absent = found.is_none();
            return values.iter().any(|value| value.text().eq_ignore_ascii_case("true") == is_absent);
        };
        let Some(found) = found else {
            return match self.set {
                _ if self.if_exists => true,
                SetOperator::ForAnyValue => false,
                SetOperator::ForAllValues => true,
                SetOperator::None => self.negated,
            };
        };
        let matches = |found: &String| values.iter().any(|value| test(found, value)) != self.negated;
        // To the set operators an empty value is no value.
        let mut given = found.iter().filter(|value| !value.is_empty());
        match self.set {
            SetOperator::None => found.iter().any(matches),
            SetOperator::ForAnyValue => given.any(matches),
            SetOperator::ForAllValues => given.all(matches),
        }
    }
}

/// Returns the first reason why a `Condition` is invalid.
pub(super) fn check(condition: &Value) -> Result<(), String> {
    let unsound = || "Condition is not an object of objects".to_owned();
    for (name, keys) in condition.as_object().ok_or_else(unsound)? {
        if Operator::parse(name).is_none() {
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

/// Returns whether all conditions are satisfied. An invalid one does not.
pub(super) fn hold(operators: &Map<String, Value>, context: &RequestContext, variables: bool) -> bool {
    operators.iter().all(|(name, keys)| {
        let (Some(operator), Some(keys)) = (Operator::parse(name), keys.as_object()) else { return false };
        keys.iter().all(|(key, wanted)| {
            let values = values(wanted).unwrap_or_default().into_iter();
            let values: Vec<Pattern> = if variables && operator.takes_variables {
                values.filter_map(|value| context.expand(&value)).collect()
            } else {
                values.map(|value| Pattern::new(&value)).collect()
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

fn equal(found: &str, value: &Pattern) -> bool {
    found == value.text()
}

fn equal_ignoring_case(found: &str, value: &Pattern) -> bool {
    found.to_lowercase() == value.text().to_lowercase()
}

fn like(found: &str, value: &Pattern) -> bool {
    value.covers(found)
}

fn arn_like(found: &str, value: &Pattern) -> bool {
    value.covers_arn(found)
}

/// The policy has the value as base64.
fn binary_equal(found: &str, value: &Pattern) -> bool {
    base64_simd::STANDARD.encode_to_string(found.as_bytes()) == value.text()
}

/// Returns whether an address is in a network such as `10.0.0.0/8`, or is the address that the policy names.
fn in_network(found: &str, value: &Pattern) -> bool {
    let value = value.text();
    let (network, length) =
        value.split_once('/').map_or((&*value, None), |(network, length)| (network, Some(length)));
    let bits = |text: &str| -> Option<(u128, u32)> {
        Some(match text.parse::<IpAddr>().ok()?.to_canonical() {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        })
    };
    let (Some((found, width)), Some((network, other))) = (bits(found), bits(network)) else { return false };
    let length = length.map_or(Some(width), |text| text.parse().ok());
    let Some(length) = length.filter(|length| width == other && *length <= width) else { return false };
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or_default();
    found & mask == network & mask
}

fn numbers(found: &str, value: &Pattern, test: fn(Ordering) -> bool) -> bool {
    number(found).zip(number(&value.text())).is_some_and(|(found, value)| test(found.total_cmp(&value)))
}

/// Parses an integer or decimal; not `inf`, `NaN` or `-0`, whose comparisons differ.
fn number(text: &str) -> Option<f64> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    if is_decimal { text.parse::<f64>().ok().map(|number| number + 0.0) } else { None }
}

fn dates(found: &str, value: &Pattern, test: fn(Ordering) -> bool) -> bool {
    let (found, value) = (milliseconds(found), milliseconds(&value.text()));
    found.zip(value).is_some_and(|(found, value)| test(found.cmp(&value)))
}

/// A date or time in a form of the W3C's profile of ISO 8601 (`2026`, `2026-11`, `2026-11-21`,
/// `2026-11-21T03:00Z` …), or seconds since 1970; as milliseconds since 1970.
fn milliseconds(text: &str) -> Option<i64> {
    let midnight = |date: &str| -> Option<Timestamp> {
        let date: jiff::civil::Date = date.parse().ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match text.as_bytes() {
        [_, _, _, _] if digits(text) => Some(midnight(&format!("{text}-01-01"))?.as_millisecond()),
        [_, _, _, _, b'-', _, _] => Some(midnight(&format!("{text}-01"))?.as_millisecond()),
        _ => match text.parse::<i64>() {
            Ok(seconds) => seconds.checked_mul(1000),
            Err(_) => Some(text.parse::<Timestamp>().ok().or_else(|| midnight(text))?.as_millisecond()),
        },
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

    fn assert_held(cases: &[(Value, bool)]) {
        for (condition, expected) in cases {
            assert_eq!(check(condition), Ok(()), "{condition}");
            assert_eq!(hold(condition.as_object().unwrap(), &context(), true), *expected, "{condition}");
        }
    }

    #[test]
    fn operators_are_those_of_iam() {
        assert_held(&[
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
        ]);
    }

    #[test]
    fn unknown_values_sets_and_variables_are_iam_s() {
        assert_held(&[
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
        ]);
        let literal = json!({ "StringEquals": { "aws:username": "${aws:username}" } });
        assert!(!hold(literal.as_object().unwrap(), &context(), false));
    }

    #[test]
    fn invalid_conditions_are_reported() {
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
