//! Time as the service writes it: seconds since 1970 with a fraction.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Number, Value};

/// Now, in milliseconds since 1970.
pub(in crate::local) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A point in time as a JSON number.
pub(in crate::local) fn number(milliseconds: i64) -> Value {
    let (seconds, fraction) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
    Number::from_str(&format!("{seconds}.{fraction:03}")).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn milliseconds_become_seconds() {
        assert_eq!(number(1_700_000_000_007).to_string(), "1700000000.007");
    }
}
