//! Parser of others' points in time, as the AWS CLI reads them (`dateutil.parser.parse`), with its error messages.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::rfc2822::DateTimeParser;

/// Reads a point in time: RFC 3339, `UTC` or `GMT` for its offset, or the form of HTTP and mail.
pub(super) fn instant(text: &str) -> Result<SystemTime, String> {
    let trimmed = text.trim();
    if let Ok(instant) = trimmed.parse::<Timestamp>() {
        return Ok(instant.into());
    }
    for name in ["UTC", "GMT"] {
        let offset = trimmed.strip_suffix(name).map(|rest| format!("{}Z", rest.trim_end()));
        if let Some(instant) = offset.and_then(|text| text.parse::<Timestamp>().ok()) {
            return Ok(instant.into());
        }
    }
    if let Ok(instant) = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(trimmed) {
        return Ok(instant.into());
    }
    // Python cannot compare what has no offset with the clock.
    let has_no_offset = trimmed.parse::<DateTime>().is_ok() || trimmed.parse::<Date>().is_ok();
    Err(if has_no_offset {
        "can't subtract offset-naive and offset-aware datetimes".to_owned()
    } else if trimmed.is_empty() {
        format!("String does not contain a date: {text}")
    } else {
        format!("Unknown string format: {text}")
    })
}

/// Reads a member of a JSON text as a point in time.
pub(super) fn instant_in(value: &serde_json::Value) -> Result<SystemTime, String> {
    use serde_json::Value;
    let kind = match value {
        Value::String(text) => return instant(text),
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    Err(format!("Parser must be a string or character stream, not {kind}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Recorded from AWS CLI 2.38.1, as `Expiration` of a `credential_process`.
    #[test]
    fn times_are_read_as_the_aws_cli_reads_them() {
        let naive = "can't subtract offset-naive and offset-aware datetimes";
        let kind = |kind: &str| format!("Parser must be a string or character stream, not {kind}");
        for (value, words) in [
            (json!("2999-01-01T00:00:00Z"), None),
            (json!("2999-01-01T00:00:00+01:00"), None),
            (json!("2999-01-01 00:00:00 UTC"), None),
            (json!("2999-01-01T00:00:00UTC"), None),
            (json!("Thu, 01 Jan 2999 00:00:00 GMT"), None),
            (json!("2999-01-01T00:00:00"), Some(naive.to_owned())),
            (json!("2999-01-01"), Some(naive.to_owned())),
            (json!("20990101"), Some(naive.to_owned())),
            (json!("soon"), Some("Unknown string format: soon".to_owned())),
            (json!(""), Some("String does not contain a date: ".to_owned())),
            (json!(5), Some(kind("int"))),
            (json!(1.5), Some(kind("float"))),
            (json!(true), Some(kind("bool"))),
            (json!([]), Some(kind("list"))),
            (json!({}), Some(kind("dict"))),
            (Value::Null, Some(kind("NoneType"))),
        ] {
            assert_eq!(instant_in(&value).err(), words, "{value}");
        }
    }
}
