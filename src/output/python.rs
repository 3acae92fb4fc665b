//! Values as Python sees and prints them: the AWS CLI is a Python program, and its number, string and error texts
//! are Python's. A number's JSON text says whether it is an `int` (any size) or a `float` (binary64).

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde_json::{Number, Value};

use super::integer::Integer;

/// A number as Python holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Numeric {
    Integer(Integer),
    Float(f64),
}

impl Numeric {
    /// Reads a JSON number: a `float` when its text has a fraction or an exponent.
    pub(crate) fn of(number: &Number) -> Self {
        let text = number.as_str();
        match Integer::parse(text) {
            Some(integer) => Self::Integer(integer),
            None => Self::Float(text.parse().unwrap_or(f64::NAN)),
        }
    }

    /// The number of a value that Python would do arithmetic with; `bool` counts as 0 or 1.
    pub(crate) fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(truth) => Some(Self::Integer(Integer::from(u64::from(*truth)))),
            Value::Number(number) => Some(Self::of(number)),
            _ => None,
        }
    }

    pub(crate) fn to_f64(&self) -> f64 {
        match self {
            Self::Integer(integer) => integer.to_f64(),
            Self::Float(float) => *float,
        }
    }

    pub(crate) fn into_value(self) -> Value {
        let text = match self {
            Self::Integer(integer) => integer.to_string(),
            Self::Float(float) => float_text(float),
        };
        // A number's text may be `inf` or `nan` here: Python has them, JSON's grammar has not.
        Value::Number(Number::from_string_unchecked(text))
    }

    /// Compares exactly, without rounding a large integer to a float; `None` when either is not a number.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(right)),
            (Self::Float(left), Self::Float(right)) => left.partial_cmp(right),
            (Self::Integer(left), Self::Float(right)) => left.compare_float(*right),
            (Self::Float(left), Self::Integer(right)) => right.compare_float(*left).map(Ordering::reverse),
        }
    }
}

/// Python's `int(text)`, else its `float(text)`: white space around, signs, and `_` between digits are welcome.
pub(crate) fn read_number(text: &str) -> Option<Numeric> {
    let text = text.trim();
    let digits: Vec<char> = text.chars().collect();
    let misplaced = digits.iter().enumerate().any(|(at, character)| {
        let is_digit = |neighbour: Option<&char>| neighbour.is_some_and(char::is_ascii_digit);
        *character == '_'
            && !(is_digit(digits.get(at + 1)) && is_digit(at.checked_sub(1).and_then(|at| digits.get(at))))
    });
    if misplaced {
        return None;
    }
    let text = text.replace('_', "");
    if let Some(integer) = Integer::parse(&text) {
        return Some(Numeric::Integer(integer));
    }
    text.parse().ok().map(Numeric::Float)
}

/// The text of a JSON number as Python prints it.
pub(crate) fn number_text(number: &Number) -> String {
    match Numeric::of(number) {
        Numeric::Integer(integer) => integer.to_string(),
        Numeric::Float(float) => float_text(float),
    }
}

/// Python's `repr` of a float: the shortest digits that read back the same, with an exponent below 1e-4 and from 1e16.
pub(crate) fn float_text(float: f64) -> String {
    if float.is_nan() {
        return "nan".into();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    let plain = format!("{float}");
    if plain.contains('.') { plain } else { plain + ".0" }
}

/// Python's `str(value)`.
pub(crate) fn str_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr_of(other),
    }
}

/// Python's `repr(value)`.
pub(crate) fn repr_of(value: &Value) -> String {
    let mut text = String::new();
    write_repr(&mut text, value);
    text
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_quoted(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_repr(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_quoted(out, key);
                out.push_str(": ");
                write_repr(out, member);
            }
            out.push('}');
        }
    }
}

/// A string in Python's quotes: single ones, unless it has single quotes and no double ones.
fn write_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote => {
                out.push('\\');
                out.push(quote);
            }
            _ if is_printable(character) => out.push(character),
            _ => {
                let code = u32::from(character);
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

/// Python's `str.isprintable`. Rust's debug escapes follow the same character classes; the leading letter keeps
/// combining marks from being escaped for standing first.
fn is_printable(character: char) -> bool {
    let mut text = String::from("a");
    text.push(character);
    !matches!(text.escape_debug().nth(2), Some('u')) || character == 'u'
}

/// The name of the Python type that holds this value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) => match Numeric::of(number) {
            Numeric::Integer(_) => "int",
            Numeric::Float(_) => "float",
        },
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// Python's `==`: `True` equals 1, `1` equals `1.0`, and the order of keys means nothing.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::String(left), Value::String(right)) => left == right,
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, member)| right.get(key).is_some_and(|other| equal(member, other)))
        }
        _ => match (Numeric::of_value(left), Numeric::of_value(right)) {
            (Some(left), Some(right)) => left.compare(&right) == Some(Ordering::Equal),
            _ => false,
        },
    }
}

/// Python's truth of a value.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => Numeric::of(number).to_f64() != 0.0,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floats_print_as_python_prints_them() {
        let texts = [
            (1.5e7, "15000000.0"),
            (1e22, "1e+22"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-0.0, "-0.0"),
            (1.234_567_890_123_456_7e100, "1.2345678901234567e+100"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ];
        for (float, text) in texts {
            assert_eq!(float_text(float), text);
        }
    }

    #[test]
    fn integers_keep_their_digits_and_compare_exactly() {
        let number = |text: &str| Numeric::of(&text.parse::<Number>().expect("a number"));
        assert_eq!(
            number_text(&"12345678901234567890123".parse().expect("a number")),
            "12345678901234567890123"
        );
        assert_eq!(number_text(&"-0".parse().expect("a number")), "0");
        assert_eq!(
            number("9007199254740993").compare(&number("9007199254740992.0")),
            Some(Ordering::Greater)
        );
        assert_eq!(number("1").compare(&number("1.5")), Some(Ordering::Less));
        assert_eq!(number("1").compare(&number("1e400")), Some(Ordering::Less));
    }

    #[test]
    fn repr_quotes_and_escapes_like_python() {
        let value = json!({"a": [1, 1.5, true, null], "it's": "tab\t\u{1}é\u{85}\u{2028}\u{1f600}\u{301}", "q": "\"'"});
        let expected = r#"{'a': [1, 1.5, True, None], "it's": 'tab\t\x01é\x85\u2028"#.to_owned()
            + "\u{1f600}\u{301}"
            + r#"', 'q': '"\''}"#;
        assert_eq!(repr_of(&value), expected);
    }

    #[test]
    fn truth_and_one_are_equal_to_python() {
        assert!(equal(&json!([1, {"a": 1, "b": 2}]), &json!([true, {"b": 2.0, "a": 1}])));
        assert!(!equal(&json!([1]), &json!(["1"])));
    }
}
