//! Scalars of YAML 1.2: which type a plain one has, and its value (ruamel.yaml's tables for version 1.2).

use serde_json::Value;

use super::blob;
use super::yaml::Error;
use crate::model::foreign::Foreign;
use crate::model::python;

/// The value of a scalar. A tag decides; without one a plain scalar is what it looks like, a quoted one a string.
pub(super) fn construct(text: &str, is_plain: bool, tag: Option<&str>) -> Result<Value, Error> {
    let kind = match tag {
        Some(tag) => tag,
        None if is_plain => resolve(text),
        None => "str",
    };
    match kind {
        "str" => Ok(Value::from(text)),
        "null" => Ok(Value::Null),
        "bool" => match text.to_lowercase().as_str() {
            "true" | "yes" | "y" | "on" => Ok(Value::Bool(true)),
            "false" | "no" | "n" | "off" => Ok(Value::Bool(false)),
            other => Err(Error::Value(python::string_repr(other))),
        },
        "int" => whole(text),
        "float" => float(text),
        "binary" => {
            let bytes = blob::lenient_base64(text).map_err(|_| Error::Invalid)?;
            Ok(Foreign::Bytes(&base64_simd::STANDARD.encode_to_string(bytes)).into_value())
        }
        "timestamp" => Instant::read(text).ok_or(Error::Invalid)?.value(),
        _ => Err(Error::Invalid),
    }
}

fn resolve(text: &str) -> &'static str {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => "null",
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => "bool",
        "<<" => "merge",
        "=" => "value",
        _ if looks_like_float(text) => "float",
        _ if looks_like_int(text) => "int",
        _ if Instant::read(text).is_some_and(|instant| instant.is_plain(text)) => "timestamp",
        _ => "str",
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn looks_like_int(text: &str) -> bool {
    let all =
        |digits: &str, of: fn(char) -> bool| !digits.is_empty() && digits.chars().all(|c| c == '_' || of(c));
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') {
        return false;
    }
    let digits = unsigned(text);
    all(digits, |c| c.is_ascii_digit())
        || digits.strip_prefix("0b").is_some_and(|digits| all(digits, |c| matches!(c, '0' | '1')))
        || digits.strip_prefix("0o").is_some_and(|digits| all(digits, |c| matches!(c, '0'..='7')))
        || digits.strip_prefix("0x").is_some_and(|digits| all(digits, |c| c.is_ascii_hexdigit()))
}

fn looks_like_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let body = unsigned(text);
    if matches!(body, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let is_number = |text: &str| text.chars().all(|c| c == '_' || c.is_ascii_digit());
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let (before, after) = match mantissa.split_once('.') {
        Some((before, after)) => (before, Some(after)),
        None => (mantissa, None),
    };
    if !is_number(before) || !after.is_none_or(is_number) {
        return false;
    }
    match (before, after, exponent) {
        // Without a digit in front, the exponent needs its sign.
        ("", Some(after), exponent) => {
            !after.is_empty() && exponent.is_none_or(|e| e.starts_with(['-', '+']) && digits(&e[1..]))
        }
        (_, None, None) => false,
        (before, _, exponent) => {
            before.starts_with(|c: char| c.is_ascii_digit()) && exponent.is_none_or(|e| digits(unsigned(e)))
        }
    }
}

fn whole(text: &str) -> Result<Value, Error> {
    let clean = text.replace('_', "");
    let negative = clean.starts_with('-');
    let Some(first) = clean.chars().next() else {
        return Err(Error::Value("string index out of range".to_owned()));
    };
    let digits = if matches!(first, '-' | '+') { &clean[1..] } else { &clean };
    let (radix, digits) = match digits.get(..2) {
        Some("0b") => (2, &digits[2..]),
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        _ => (10, digits),
    };
    let magnitude = if radix == 10 { python::int(digits) } else { decimal(digits, radix) };
    let complaint =
        || format!("invalid literal for int() with base {radix}: {}", python::string_repr(digits));
    let magnitude = magnitude.ok_or_else(|| Error::Value(complaint()))?;
    let sign = if negative && magnitude != "0" { "-" } else { "" };
    let number = format!("{sign}{magnitude}").parse().map_err(|_| Error::Value(complaint()))?;
    Ok(Value::Number(number))
}

/// Digits of another base as decimal digits, of any length.
fn decimal(digits: &str, radix: u32) -> Option<String> {
    if digits.is_empty() {
        return None;
    }
    let mut result = vec![0_u32];
    for digit in digits.chars() {
        let mut carry = digit.to_digit(radix)?;
        for place in &mut result {
            carry += *place * radix;
            *place = carry % 10;
            carry /= 10;
        }
        while carry > 0 {
            result.push(carry % 10);
            carry /= 10;
        }
    }
    let shown = result.iter().rev().filter_map(|digit| char::from_digit(*digit, 10));
    Some(shown.collect())
}

fn float(text: &str) -> Result<Value, Error> {
    let clean = text.replace('_', "").to_lowercase();
    let number = match clean.as_str() {
        ".nan" => f64::NAN,
        ".inf" | "+.inf" => f64::INFINITY,
        "-.inf" => f64::NEG_INFINITY,
        "" => return Err(Error::Value("string index out of range".to_owned())),
        other => other.parse().map_err(|_| {
            let shown = python::string_repr(unsigned(other));
            Error::Value(format!("could not convert string to float: {shown}"))
        })?,
    };
    let shown = python::float_repr(number);
    Ok(shown.parse().map_or_else(|_| Foreign::Float(&shown).into_value(), Value::Number))
}

/// A date, or a date with a time.
struct Instant<'a> {
    date: [&'a str; 3],
    time: Option<[&'a str; 3]>,
    fraction: &'a str,
    zone: &'a str,
}

impl<'a> Instant<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (year, rest) = digits(text, 4, 4)?;
        let (month, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
        let (day, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
        let date = [year, month, day];
        if rest.is_empty() {
            return Some(Self { date, time: None, fraction: "", zone: "" });
        }
        let spaceless = rest.trim_start_matches([' ', '\t']);
        let rest = match rest.strip_prefix(['T', 't']) {
            Some(rest) => rest,
            None if spaceless.len() < rest.len() => spaceless,
            None => return None,
        };
        let (hour, rest) = digits(rest, 1, 2)?;
        let (minute, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
        let (second, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => digits(rest, 0, usize::MAX)?,
            None => ("", rest),
        };
        let zone = rest.trim_start_matches([' ', '\t']);
        let is_zone = zone == "Z" || (rest.is_empty() && zone.is_empty()) || zone_parts(zone).is_some();
        is_zone.then_some(Self { date, time: Some([hour, minute, second]), fraction, zone })
    }

    /// Returns whether a plain scalar of this text is an instant: a date alone needs all its digits.
    fn is_plain(&self, text: &str) -> bool {
        self.time.is_some() || text.len() == "2020-01-01".len()
    }

    fn value(&self) -> Result<Value, Error> {
        let [year, month, day] = self.date.map(number);
        check_date(year, month, day)?;
        let date = format!("{year:04}-{month:02}-{day:02}");
        let Some(time) = self.time else { return Ok(Foreign::Date(&date).into_value()) };
        let [hour, minute, second] = time.map(number);
        for (name, value, last) in [("hour", hour, 23), ("minute", minute, 59), ("second", second, 59)] {
            if value > last {
                return Err(Error::Value(format!("{name} must be in 0..{last}, not {value}")));
            }
        }
        let micro = self.microseconds();
        let second_and_micro = match (second, micro) {
            (0, 0) => String::new(),
            (_, 0) => format!(", {second}"),
            _ => format!(", {second}, {micro}"),
        };
        let fraction = if micro == 0 { String::new() } else { format!(".{micro:06}") };
        let (offset, zone) = self.zone();
        let shown = format!("{date} {hour:02}:{minute:02}:{second:02}{fraction}{offset}");
        let repr =
            format!("datetime.datetime({year}, {month}, {day}, {hour}, {minute}{second_and_micro}{zone})");
        Ok(Foreign::Instant(&shown, &repr).into_value())
    }

    /// The zone as `str()` shows it and as `repr()` does.
    fn zone(&self) -> (String, String) {
        let zone = self.zone;
        if zone.is_empty() {
            return Default::default();
        }
        let (sign, hours, minutes) = zone_parts(zone).unwrap_or(('+', "0", "0"));
        let (hours, minutes) = (number(hours), number(minutes));
        let delta = match (sign, hours * 3600 + minutes * 60) {
            (_, 0) => "0".to_owned(),
            ('-', seconds) => format!("days=-1, seconds={}", 86_400_u32.saturating_sub(seconds)),
            (_, seconds) => format!("seconds={seconds}"),
        };
        let repr = format!(", tzinfo=datetime.timezone(datetime.timedelta({delta}), '{zone}')");
        (format!("{sign}{hours:02}:{minutes:02}"), repr)
    }

    /// Six digits, rounded by the seventh. A carry into the second is not followed: it could only change a message.
    fn microseconds(&self) -> u32 {
        let kept = &self.fraction[..self.fraction.len().min(6)];
        let rounds_up = self.fraction.as_bytes().get(6).is_some_and(|digit| *digit > b'4');
        let micro = format!("{kept:0<6}").parse().unwrap_or(0) + u32::from(rounds_up);
        if micro > 999_999 { 0 } else { micro }
    }
}

fn number(digits: &str) -> u32 {
    digits.parse().unwrap_or_default()
}

fn zone_parts(zone: &str) -> Option<(char, &str, &str)> {
    let sign = zone.chars().next().filter(|c| matches!(c, '-' | '+'))?;
    let (hours, rest) = digits(&zone[1..], 1, 2)?;
    let minutes = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 2, 2).filter(|(_, rest)| rest.is_empty())?.0,
        None if rest.is_empty() => "",
        None => return None,
    };
    Some((sign, hours, minutes))
}

/// Splits up to `most` leading digits off the text; `None` if there are fewer than `least`.
fn digits(text: &str, least: usize, most: usize) -> Option<(&str, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    (count >= least).then(|| text.split_at(count))
}

fn check_date(year: u32, month: u32, day: u32) -> Result<(), Error> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    };
    let complaint = if year == 0 {
        "year must be in 1..9999, not 0".to_owned()
    } else if !(1..=12).contains(&month) {
        format!("month must be in 1..12, not {month}")
    } else if !(1..=days).contains(&day) {
        format!("day {day} must be in range 1..{days} for month {month} in year {year}")
    } else {
        return Ok(());
    };
    Err(Error::Value(complaint))
}
