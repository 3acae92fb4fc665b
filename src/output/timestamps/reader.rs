//! Parser of dates: the forms of RFC 3339, ISO 8601 and RFC 822 that services send, read as Python's dateutil reads
//! them. Its many guesses at other forms are not repeated here.

use super::iso_text;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Parsed fields: year, month, day, then the time and the zone.
#[derive(Default)]
struct ParsedDate {
    date: [i64; 3],
    time: [i64; 3],
    microsecond: i64,
    offset: Option<i32>,
}

/// Reads a text and answers it in ISO 8601, or dateutil's complaint.
pub(super) fn read(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(format!("String does not contain a date: {text}"));
    }
    let found = iso(text).or_else(|| words(text)).ok_or_else(|| format!("Unknown string format: {text}"))?;
    check(&found).map_err(|reason| format!("{reason}: {text}"))?;
    let ([year, month, day], [hour, minute, second]) = (found.date, found.time);
    let second = hour * 3600 + minute * 60 + second;
    Ok(iso_text((year, month, day, second), found.microsecond, found.offset))
}

/// Python's checks, in its order.
fn check(found: &ParsedDate) -> Result<(), String> {
    let [year, month, day] = found.date;
    if !(1..=9999).contains(&year) {
        return Err(format!("year must be in 1..9999, not {year}"));
    }
    if !(1..=12).contains(&month) {
        return Err(format!("month must be in 1..12, not {month}"));
    }
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=days).contains(&day) {
        return Err(format!("day {day} must be in range 1..{days} for month {month} in year {year}"));
    }
    for ((name, value), last) in ["hour", "minute", "second"].iter().zip(found.time).zip([23, 59, 59]) {
        if value > last {
            return Err(format!("{name} must be in 0..{last}, not {value}"));
        }
    }
    Ok(())
}

/// `2020-01-01T00:00:00.5+01:00`, with or without the separators, the time and the zone.
fn iso(text: &str) -> Option<ParsedDate> {
    let mut rest = Rest(text.trim());
    let mut found = ParsedDate::default();
    found.date[0] = rest.number(4)?;
    let dashes = rest.skip(&['-']);
    found.date[1] = rest.number(2)?;
    if dashes && !rest.skip(&['-']) {
        return None;
    }
    found.date[2] = rest.number(2)?;
    if rest.0.is_empty() {
        return Some(found);
    }
    if !rest.skip(&['T', 't', ' ']) {
        return None;
    }
    time(&mut rest, &mut found)?;
    zone(rest.0, &mut found).then_some(found)
}

/// `Wed, 01 Jan 2020 00:00:00 GMT` or `Wed Jan  1 00:00:00 2020`.
fn words(text: &str) -> Option<ParsedDate> {
    let mut found = ParsedDate::default();
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty()).peekable();
    let starts = |word: &str, names: &[&str]| {
        let start = word.get(..3)?.to_ascii_lowercase();
        names.iter().position(|name| *name == start)
    };
    words.next_if(|word| starts(word, &DAYS).is_some());
    let (mut zone_text, mut numbers) = (String::new(), Vec::new());
    for word in words {
        if let Some(month) = starts(word, &MONTHS).filter(|_| found.date[1] == 0) {
            found.date[1] = i64::try_from(month).ok()? + 1;
        } else if word.contains(':') && !word.starts_with(['+', '-']) {
            let mut rest = Rest(word);
            time(&mut rest, &mut found)?;
            zone_text.push_str(rest.0);
        } else if word.bytes().all(|digit| digit.is_ascii_digit()) && numbers.len() < 2 {
            numbers.push(word.parse().ok()?);
        } else {
            zone_text.push_str(word);
        }
    }
    let [day, year] = numbers.try_into().ok()?;
    (found.date[2], found.date[0]) = (day, year);
    (zone(&zone_text, &mut found) && found.date[1] != 0).then_some(found)
}

fn time(rest: &mut Rest<'_>, found: &mut ParsedDate) -> Option<()> {
    found.time[0] = rest.number(2)?;
    rest.skip(&[':']);
    found.time[1] = rest.number(2)?;
    if rest.skip(&[':']) || rest.0.starts_with(|digit: char| digit.is_ascii_digit()) {
        found.time[2] = rest.number(2)?;
        if rest.skip(&['.', ',']) {
            // Digits past the sixth are cut off.
            let count = rest.0.bytes().take_while(u8::is_ascii_digit).count();
            let digits = format!("{:0<6.6}", &rest.0[..count]);
            found.microsecond = digits.parse().ok()?;
            rest.0 = &rest.0[count..];
        }
    }
    Some(())
}

/// Reads an offset, a name that means UTC, or any other name, which means nothing; false when it is none of these.
fn zone(text: &str, found: &mut ParsedDate) -> bool {
    let text = text.trim();
    let mut rest = Rest(text);
    let sign = match text.as_bytes().first() {
        None => return true,
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => {
            found.offset = matches!(text, "Z" | "z" | "UTC" | "GMT").then_some(0);
            return found.offset.is_some() || text.bytes().all(|letter| letter.is_ascii_uppercase());
        }
    };
    rest.0 = &rest.0[1..];
    let hours = rest.number(2);
    rest.skip(&[':']);
    let minutes = if rest.0.is_empty() { Some(0) } else { rest.number(2) };
    let seconds = hours.zip(minutes).map(|(hours, minutes)| hours * 3600 + minutes * 60);
    found.offset = seconds.and_then(|seconds| i32::try_from(sign * seconds).ok());
    found.offset.is_some() && rest.0.is_empty()
}

/// The unread rest of the text.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    /// Takes exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let taken = self.0.get(..digits).filter(|taken| taken.bytes().all(|digit| digit.is_ascii_digit()))?;
        self.0 = &self.0[digits..];
        taken.parse().ok()
    }

    fn skip(&mut self, characters: &[char]) -> bool {
        match self.0.strip_prefix(characters) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }
}
