//! Timestamps as the AWS CLI shows them: numbers become ISO 8601 text in the local time zone, other
//! texts keep their own offset, and `cli_timestamp_format = wire` leaves all as it came.

mod reader;

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::{Dst, TimeZone};
use serde_json::Value;

use super::Error;
use super::python::{Numeric, read_number, str_of, type_name};
use crate::model::{Kind, Service, Shape};

/// Format of timestamps.
#[derive(Debug, Clone)]
pub enum Timestamps {
    /// They stay as the service sent them.
    Wire,
    /// They are written in ISO 8601; numbers in this zone.
    Iso8601(Zone),
}

/// Time zone as Python's dateutil sees it: one standard offset and one for daylight saving time, both those of the
/// present year, whatever the zone did in the past.
#[derive(Debug, Clone)]
pub struct Zone {
    rules: TimeZone,
    standard: i32,
    daylight: Option<i32>,
}

impl Zone {
    /// Looks up the two offsets as Python does at its start: half a year apart, the smaller one being standard.
    pub fn new(zone: TimeZone, now: Timestamp) -> Self {
        const YEAR: i64 = (365 * 24 + 6) * 3600;
        let offset = |second: i64| {
            Timestamp::from_second(second).map_or(0, |time| zone.to_offset_info(time).offset().seconds())
        };
        let january = now.as_second() / YEAR * YEAR;
        let (winter, summer) = (offset(january), offset(january + YEAR / 2));
        let daylight = (winter != summer).then(|| winter.max(summer));
        Self { standard: winter.min(summer), daylight, rules: zone }
    }

    /// Seconds east of UTC at a time.
    fn offset(&self, second: i64) -> i32 {
        let is_daylight = || {
            Timestamp::from_second(second).is_ok_and(|time| self.rules.to_offset_info(time).dst() == Dst::Yes)
        };
        self.daylight.filter(|_| is_daylight()).unwrap_or(self.standard)
    }
}

/// Rewrites every timestamp in a value of this shape.
pub fn rewrite(
    service: &Service,
    shape: &Shape,
    value: &mut Value,
    timestamps: &Timestamps,
) -> Result<(), Error> {
    let Timestamps::Iso8601(zone) = timestamps else { return Ok(()) };
    match (shape.kind, value) {
        (_, Value::Null) => {}
        (Kind::Timestamp, value) => *value = Value::from(iso8601(value, zone)?),
        (Kind::Structure, Value::Object(members)) => {
            for (name, member) in members {
                if let Some(shape) = shape.members.get(name.as_str()) {
                    rewrite(service, service.shape(shape), member, timestamps)?;
                }
            }
        }
        (Kind::List, Value::Array(items)) => {
            for (item, shape) in items.iter_mut().filter_map(|item| Some((item, shape.member?))) {
                rewrite(service, service.shape(shape), item, timestamps)?;
            }
        }
        (Kind::Map, Value::Object(members)) => {
            for (member, shape) in members.values_mut().filter_map(|member| Some((member, shape.value?))) {
                rewrite(service, service.shape(shape), member, timestamps)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// One timestamp in ISO 8601.
pub fn iso8601(value: &Value, zone: &Zone) -> Result<String, Error> {
    let shown = str_of(value);
    let complaint = |reason: &str| Error::Crash(format!("Invalid timestamp \"{shown}\": {reason}"));
    let number = match value {
        Value::String(text) => read_number(text).map(|number| Numeric::Float(number.to_f64())),
        other => Numeric::of_value(other),
    };
    match (number, value) {
        (Some(number), Value::Number(_)) if number.to_f64().is_nan() => {
            Err(Error::Crash("Invalid value NaN (not a number)".to_owned()))
        }
        (Some(number), _) if !number.to_f64().is_nan() => from_epoch(&number, zone, &shown),
        (_, Value::String(text)) => reader::read(text).map_err(|reason| complaint(&reason)),
        (_, other) => {
            Err(complaint(&format!("Parser must be a string or character stream, not {}", type_name(other))))
        }
    }
}

fn from_epoch(number: &Numeric, zone: &Zone, shown: &str) -> Result<String, Error> {
    // Beyond this the C library's 32-bit year overflows.
    const LAST: f64 = 6.7e16;
    let float = number.to_f64();
    if float.abs() > LAST {
        let reason = format!("Unable to calculate correct timezone offset for \"{shown}\"");
        return Err(Error::Crash(reason));
    }
    let (second, microsecond) = match number {
        Numeric::Integer(integer) => (integer.to_i64(), 0),
        Numeric::Float(float) => split(*float),
    };
    let offset = zone.offset(second);
    let local = civil(second + i64::from(offset));
    if !(1..=9999).contains(&local.0) {
        return Err(Error::Crash(format!("year must be in 1..9999, not {}", local.0)));
    }
    Ok(iso_text(local, microsecond, Some(offset)))
}

/// Whole seconds and microseconds; the latter are rounded half to even and never negative.
#[allow(clippy::cast_possible_truncation, reason = "the caller bounds the value")]
fn split(float: f64) -> (i64, i64) {
    let (mut whole, mut micros) = (float.trunc() as i64, (float.fract() * 1e6).round_ties_even() as i64);
    if micros >= 1_000_000 {
        (whole, micros) = (whole + 1, micros - 1_000_000);
    } else if micros < 0 {
        (whole, micros) = (whole - 1, micros + 1_000_000);
    }
    (whole, micros)
}

/// Year, month, day, second of the day.
type Civil = (i64, i64, i64, i64);

/// The date of a second since 1970, for any year: counted in eras of 400 years that begin in March.
fn civil(second: i64) -> Civil {
    let (day, second) = (second.div_euclid(86400) + 719_468, second.rem_euclid(86400));
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, date, second)
}

/// Python's `datetime.isoformat()`: six digits of a second or none, and no offset where there is none.
fn iso_text((year, month, day, second): Civil, microsecond: i64, offset: Option<i32>) -> String {
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if microsecond != 0 {
        let _ = write!(text, ".{microsecond:06}");
    }
    if let Some(offset) = offset {
        let sign = if offset < 0 { '-' } else { '+' };
        let offset = offset.abs();
        let _ = write!(text, "{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60);
        if offset % 60 != 0 {
            let _ = write!(text, ":{:02}", offset % 60);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model;

    fn zone(name: &str) -> Zone {
        let zone = TimeZone::get(name).expect("the time zone database");
        Zone::new(zone, "2026-11-21T00:00:00Z".parse().expect("a time"))
    }

    fn shown(value: &str, name: &str) -> String {
        let value: Value = serde_json::from_str(value).expect("JSON");
        iso8601(&value, &zone(name)).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn numbers_are_shown_in_the_local_zone_as_the_aws_cli_shows_them() {
        let cases = [
            ("0", "UTC", "1970-01-01T00:00:00+00:00"),
            ("1700000000.5", "UTC", "2023-11-14T22:13:20.500000+00:00"),
            ("1.7E9", "UTC", "2023-11-14T22:13:20+00:00"),
            ("-86400.25", "UTC", "1969-12-30T23:59:59.750000+00:00"),
            ("0.1234565", "UTC", "1970-01-01T00:00:00.123456+00:00"),
            ("1700000000.1234565", "UTC", "2023-11-14T22:13:20.123456+00:00"),
            ("\"1700000000\"", "UTC", "2023-11-14T22:13:20+00:00"),
            ("\" 17 \"", "UTC", "1970-01-01T00:00:17+00:00"),
            ("true", "UTC", "1970-01-01T00:00:01+00:00"),
            ("1e10", "UTC", "2286-11-20T17:46:40+00:00"),
            ("253402300800", "UTC", "year must be in 1..9999, not 10000"),
            ("1e18", "UTC", "Unable to calculate correct timezone offset for \"1e+18\""),
            ("\"inf\"", "UTC", "Unable to calculate correct timezone offset for \"inf\""),
            ("1690000000", "America/New_York", "2023-07-22T00:26:40-04:00"),
            ("1700000000.5", "America/New_York", "2023-11-14T17:13:20.500000-05:00"),
            ("1700000000", "Asia/Kolkata", "2023-11-15T03:43:20+05:30"),
            ("1700000000", "Australia/Sydney", "2023-11-15T09:13:20+11:00"),
            // dateutil knows neither London's year-round summer time of 1970 nor Mexico's until 2022.
            ("0", "Europe/London", "1970-01-01T00:00:00+00:00"),
            ("1625000000", "America/Mexico_City", "2021-06-29T14:53:20-06:00"),
        ];
        for (value, name, expected) in cases {
            assert_eq!(shown(value, name), expected, "{value} in {name}");
        }
    }

    /// Texts, and how they are shown.
    const TEXTS: &[(&str, &str)] = &[
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00+00:00"),
        ("2020-01-01T00:00:00.123Z", "2020-01-01T00:00:00.123000+00:00"),
        ("2020-01-01T00:00:00.1234567Z", "2020-01-01T00:00:00.123456+00:00"),
        ("2020-01-01T00:00:00+05:30", "2020-01-01T00:00:00+05:30"),
        ("2020-01-01T00:00:00-0500", "2020-01-01T00:00:00-05:00"),
        ("2020-01-01T00:00:00+05", "2020-01-01T00:00:00+05:00"),
        ("2020-01-01 00:00:00", "2020-01-01T00:00:00"),
        ("2020-01-01", "2020-01-01T00:00:00"),
        ("20200101T000000Z", "2020-01-01T00:00:00+00:00"),
        ("2020-01-01T00:00", "2020-01-01T00:00:00"),
        ("Wed, 01 Jan 2020 00:00:00 GMT", "2020-01-01T00:00:00+00:00"),
        ("Wed, 01 Jan 2020 00:00:00 +0200", "2020-01-01T00:00:00+02:00"),
        ("Wed, 01 Jan 2020 00:00:00 EST", "2020-01-01T00:00:00"),
        ("1 Jan 2020 10:00", "2020-01-01T10:00:00"),
        ("01 Jan 2020 00:00:00 UTC", "2020-01-01T00:00:00+00:00"),
        ("Wed Jan  1 00:00:00 2020", "2020-01-01T00:00:00"),
        ("2020-01-01T00:00:00,5Z", "2020-01-01T00:00:00.500000+00:00"),
        ("2020-01-01T00:00:00 Z", "2020-01-01T00:00:00+00:00"),
        ("2020-01-01t00:00:00z", "2020-01-01T00:00:00+00:00"),
        ("2020-01-01T00:00:00-00:00", "2020-01-01T00:00:00+00:00"),
        ("2020-01-01T00:00:00 +02:00", "2020-01-01T00:00:00+02:00"),
        ("2020-01-01T00:00:00UTC", "2020-01-01T00:00:00+00:00"),
        ("foo", "Invalid timestamp \"foo\": Unknown string format: foo"),
        ("nan", "Invalid timestamp \"nan\": Unknown string format: nan"),
        ("", "Invalid timestamp \"\": String does not contain a date: "),
        (
            "2020-13-01T00:00:00Z",
            "Invalid timestamp \"2020-13-01T00:00:00Z\": month must be in 1..12, not 13: 2020-13-01T00:00:00Z",
        ),
        (
            "2020-02-30T00:00:00Z",
            "Invalid timestamp \"2020-02-30T00:00:00Z\": day 30 must be in range 1..29 for month 2 in year 2020: \
                 2020-02-30T00:00:00Z",
        ),
        (
            "2020-01-01T25:00:00Z",
            "Invalid timestamp \"2020-01-01T25:00:00Z\": hour must be in 0..23, not 25: 2020-01-01T25:00:00Z",
        ),
    ];

    #[test]
    fn texts_keep_their_own_offset() {
        for (text, expected) in TEXTS {
            assert_eq!(shown(&json!(text).to_string(), "America/New_York"), *expected);
        }
        assert_eq!(
            shown("[1]", "UTC"),
            "Invalid timestamp \"[1]\": Parser must be a string or character stream, not list"
        );
    }

    #[test]
    fn only_timestamps_of_the_model_are_rewritten() {
        let service = model::ecr();
        let operation = service.operation("DescribeRepositories").expect("in the model");
        let output = service.output(operation).expect("an output");
        let sent = json!({"repositories": [{"createdAt": 1, "registryId": 1}, null, {"createdAt": null}], "other": 1});
        let mut value = sent.clone();
        rewrite(service, output, &mut value, &Timestamps::Wire).expect("nothing to do");
        assert_eq!(value, sent);
        rewrite(service, output, &mut value, &Timestamps::Iso8601(zone("UTC"))).expect("a valid time");
        let expected = json!({
            "repositories": [
                {"createdAt": "1970-01-01T00:00:01+00:00", "registryId": 1}, null, {"createdAt": null}
            ],
            "other": 1
        });
        assert_eq!(value, expected);
    }
}
