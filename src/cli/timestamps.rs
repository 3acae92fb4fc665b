//! Timestamps in an answer: from what came over the wire to ISO 8601 in the local zone (contract 4.0).

use jiff::fmt::rfc2822;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};
use serde_json::Value;

use crate::error::Error;
use crate::model::{Kind, Service};

/// Rewrites all timestamps of a value; `shape` is its name in the model. What the model does not know stays.
pub(super) fn rewrite(
    service: &Service,
    shape: &str,
    value: &mut Value,
    zone: &TimeZone,
) -> Result<(), Error> {
    let shape = service.shape(shape);
    match (shape.kind, &mut *value) {
        (Kind::Timestamp, Value::Number(_) | Value::String(_) | Value::Bool(_)) => {
            *value = iso(value, zone)?.into();
        }
        (Kind::Structure, Value::Object(members)) => {
            for (name, member) in members {
                if let Some(shape) = shape.members.get(name.as_str()) {
                    rewrite(service, shape, member, zone)?;
                }
            }
        }
        (Kind::List, Value::Array(items)) => {
            for item in items {
                rewrite(service, shape.member.unwrap_or_default(), item, zone)?;
            }
        }
        (Kind::Map, Value::Object(members)) => {
            for (_, member) in members {
                rewrite(service, shape.value.unwrap_or_default(), member, zone)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Seconds since the epoch, as a number or a text, are shown in this zone; a text in another form keeps its own.
fn iso(value: &Value, zone: &TimeZone) -> Result<String, Error> {
    let seconds = match value {
        Value::String(text) => text.trim().parse().ok(),
        // To Python a boolean is a number.
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        number => number.as_f64(),
    };
    match (seconds, value) {
        (Some(seconds), _) => Ok(shown(&instant(seconds)?.to_zoned(zone.clone()))),
        (None, Value::String(text)) => written(text).ok_or_else(|| {
            Error::Other(format!("Invalid timestamp \"{text}\": Unknown string format: {text}"))
        }),
        _ => Err(Error::Other(format!("Invalid timestamp {value}"))),
    }
}

/// Python rounds the fraction to microseconds, a half to the even one, and knows the years 1 to 9999.
#[allow(
    clippy::cast_possible_truncation,
    reason = "whole numbers; beyond the bounds the cast saturates and fails"
)]
fn instant(seconds: f64) -> Result<Timestamp, Error> {
    let whole = seconds.trunc() as i64;
    let micros = (seconds.fract() * 1e6).round_ties_even() as i32;
    match Timestamp::new(whole, micros * 1000) {
        Ok(instant) => Ok(instant),
        Err(_) => Err(Error::Other(format!("year must be in 1..9999, not {}", year(whole)))),
    }
}

/// The Gregorian year of any second; 400 years always have the same number of days.
fn year(seconds: i64) -> i64 {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let days = seconds.div_euclid(86_400);
    let (eras, rest) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let within = Timestamp::from_second(rest * 86_400).map_or(1970, |day| day.to_zoned(TimeZone::UTC).year());
    eras * 400 + i64::from(within)
}

/// A timestamp in words: ISO 8601 or RFC 2822.
fn written(text: &str) -> Option<String> {
    if let Ok(zoned) = rfc2822::parse(text) {
        return Some(shown(&zoned));
    }
    let pieces = Pieces::parse(text).ok()?;
    let time = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    match pieces.to_numeric_offset() {
        Some(offset) => Some(shown(&time.to_zoned(TimeZone::fixed(offset)).ok()?)),
        None => Some(shown(&time.to_zoned(TimeZone::UTC).ok()?).trim_end_matches("+00:00").to_owned()),
    }
}

/// `2023-11-14T22:13:20.500000+00:00`; the fraction has six digits or is not there.
fn shown(time: &Zoned) -> String {
    let micros = time.subsec_nanosecond() / 1000;
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    format!("{}{fraction}{}", time.strftime("%Y-%m-%dT%H:%M:%S"), offset(time.offset()))
}

fn offset(offset: Offset) -> String {
    let (sign, seconds) = (if offset.seconds() < 0 { '-' } else { '+' }, offset.seconds().unsigned_abs());
    let rest = if seconds % 60 == 0 { String::new() } else { format!(":{:02}", seconds % 60) };
    format!("{sign}{:02}:{:02}{rest}", seconds / 3600, seconds / 60 % 60)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ecr;

    /// The contract's examples, which were observed with AWS CLI 2.38.1.
    #[test]
    fn timestamps_are_shown_as_the_aws_cli_shows_them() {
        let new_york = TimeZone::get("America/New_York").expect("the zone database of the test machine");
        for (zone, wire, expected) in [
            (&TimeZone::UTC, json!(1_700_000_000.5), "2023-11-14T22:13:20.500000+00:00"),
            (&TimeZone::UTC, json!(1_700_000_000), "2023-11-14T22:13:20+00:00"),
            (&TimeZone::UTC, json!("1700000000"), "2023-11-14T22:13:20+00:00"),
            (&TimeZone::UTC, json!(1_700_000_000.123_456_5), "2023-11-14T22:13:20.123456+00:00"),
            (&TimeZone::UTC, json!(-1.5), "1969-12-31T23:59:58.500000+00:00"),
            (&new_york, json!(1_700_000_000.5), "2023-11-14T17:13:20.500000-05:00"),
            (&new_york, json!("2020-01-01T00:00:00Z"), "2020-01-01T00:00:00+00:00"),
            (&new_york, json!("2020-01-01T00:00:00+02:00"), "2020-01-01T00:00:00+02:00"),
            (&new_york, json!("Wed, 01 Jan 2020 00:00:00 GMT"), "2020-01-01T00:00:00+00:00"),
        ] {
            assert_eq!(iso(&wire, zone).ok().as_deref(), Some(expected), "{wire}");
        }
    }

    #[test]
    fn only_what_the_model_calls_a_timestamp_is_rewritten() {
        let mut answer = json!({"repositories": [{"repositoryName": "5", "createdAt": 0}], "NextToken": "0"});
        let expected = json!({"repositories": [{"repositoryName": "5", "createdAt": "1970-01-01T00:00:00+00:00"}], "NextToken": "0"});
        rewrite(ecr(), "DescribeRepositoriesResponse", &mut answer, &TimeZone::UTC).expect("a valid answer");
        assert_eq!(answer, expected);
    }
}
