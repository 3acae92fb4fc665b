//! Durations and dates on the command line: `30d`, `6h`, `2026-11-01`.

use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

/// A point in time as people write it: how long ago, or a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Age {
    /// This long before now.
    Ago(Duration),
    /// At this instant.
    At(Timestamp),
}

/// Text that is neither a duration nor a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::commands) struct AgeError(String);

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;
/// The units, in seconds. `m` is none: six minutes and six months differ by everything.
const UNITS: [(&str, u64); 6] =
    [("s", 1), ("min", MINUTE), ("h", 60 * MINUTE), ("d", DAY), ("w", 7 * DAY), ("y", 365 * DAY)];

impl Age {
    /// Returns the instant of this age at `now`.
    pub(in crate::commands) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(instant) => instant,
            Self::Ago(duration) => {
                let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
                now.checked_sub(duration).unwrap_or(Timestamp::MIN)
            }
        }
    }
}

/// Reads a duration: a number and a unit.
pub(in crate::commands) fn duration(text: &str) -> Result<Duration, AgeError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if !number.is_empty() && unit == "m" {
        return Err(AgeError(format!(
            "'{text}' may be minutes or months: write {number}min, or {}w",
            number.parse::<u64>().unwrap_or(1).saturating_mul(13) / 3
        )));
    }
    let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds);
    let seconds = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        AgeError(format!("'{text}' is no duration; expected a number and s, min, h, d, w or y, such as 30d"))
    })
}

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self::At(instant));
        }
        // A date without a zone is one of UTC, as the times in JSON are.
        let date = text.parse::<civil::DateTime>().ok().filter(|_| text.contains('-'));
        if let Some(instant) = date.and_then(|date| date.to_zoned(TimeZone::UTC).ok()) {
            return Ok(Self::At(instant.timestamp()));
        }
        if text.contains('-') {
            return Err(AgeError(format!("'{text}' is no date; expected one such as 2026-11-01")));
        }
        duration(text).map(Self::Ago)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_dates() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        for (text, instant) in [
            ("90s", "2026-11-30T11:58:30Z"),
            ("6min", "2026-11-30T11:54:00Z"),
            ("2h", "2026-11-30T10:00:00Z"),
            ("30d", "2026-10-31T12:00:00Z"),
            ("1w", "2026-11-23T12:00:00Z"),
            ("1y", "2025-11-30T12:00:00Z"),
            ("0d", "2026-11-30T12:00:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T06:30:00", "2026-11-01T06:30:00Z"),
            ("2026-11-01T06:30:00+02:00", "2026-11-01T04:30:00Z"),
        ] {
            let age: Age = text.parse().unwrap();
            assert_eq!(age.before(now).to_string(), instant, "{text}");
        }
        // Longer than there is time.
        assert_eq!("99999999999d".parse::<Age>().unwrap().before(now), Timestamp::MIN);
    }

    #[test]
    fn invalid_ages_name_the_valid_forms() {
        let error = |text: &str| text.parse::<Age>().unwrap_err().to_string();
        assert_eq!(error("6m"), "'6m' may be minutes or months: write 6min, or 26w");
        for wrong in ["", "d", "30", "30 d", "-1d", "1.5d", "30D", "30days", "99999999999999999999d"] {
            assert!(error(wrong).contains("expected"), "{wrong}: {}", error(wrong));
        }
        assert_eq!(error("2026-13-01"), "'2026-13-01' is no date; expected one such as 2026-11-01");
    }
}
