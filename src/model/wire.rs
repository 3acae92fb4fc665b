//! Values as Python's `json.dumps` writes them: the form of request bodies, pagination tokens and skeletons.

use std::fmt::Write;

use serde_json::Value;

use super::{python, surrogate};

/// On one line, with `", "` and `": "` between the parts and everything beyond ASCII escaped.
pub fn dumps(value: &Value) -> String {
    let mut result = String::new();
    write_value(&mut result, value, None);
    result
}

/// Over several lines, four spaces deeper at each level, everything beyond ASCII escaped.
pub fn dumps_indented(value: &Value) -> String {
    let mut result = String::new();
    write_value(&mut result, value, Some(0));
    result
}

fn write_value(result: &mut String, value: &Value, level: Option<usize>) {
    match value {
        Value::Null => result.push_str("null"),
        Value::Bool(truth) => result.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => result.push_str(&number_text(&number.to_string())),
        Value::String(text) => write_string(result, text),
        Value::Array(items) => {
            let inner = level.map(|level| level + 1);
            result.push('[');
            for (index, item) in items.iter().enumerate() {
                write_separator(result, index == 0, inner);
                write_value(result, item, inner);
            }
            write_end(result, items.is_empty(), level);
            result.push(']');
        }
        Value::Object(members) => {
            let inner = level.map(|level| level + 1);
            result.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                write_separator(result, index == 0, inner);
                write_string(result, name);
                result.push_str(": ");
                write_value(result, member, inner);
            }
            write_end(result, members.is_empty(), level);
            result.push('}');
        }
    }
}

fn write_separator(result: &mut String, first: bool, level: Option<usize>) {
    match (first, level) {
        (true, None) => {}
        (false, None) => result.push_str(", "),
        (first, Some(level)) => {
            result.push_str(if first { "\n" } else { ",\n" });
            result.extend(std::iter::repeat_n("    ", level));
        }
    }
}

fn write_end(result: &mut String, empty: bool, level: Option<usize>) {
    if let (false, Some(level)) = (empty, level) {
        result.push('\n');
        result.extend(std::iter::repeat_n("    ", level));
    }
}

/// Returns a number's digits as Python would print it: whole numbers stay, all others are floats.
fn number_text(digits: &str) -> String {
    if !digits.contains(['.', 'e', 'E']) {
        return if digits == "-0" { "0" } else { digits }.to_owned();
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => python::float_repr(value),
        Ok(value) => if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Err(_) => digits.to_owned(),
    }
}

fn write_string(result: &mut String, text: &str) {
    result.push('"');
    for character in text.chars() {
        match character {
            '"' => result.push_str("\\\""),
            '\\' => result.push_str("\\\\"),
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            '\u{8}' => result.push_str("\\b"),
            '\u{c}' => result.push_str("\\f"),
            ' '..='~' => result.push(character),
            _ if surrogate::shown(character).is_some() => {
                write!(result, "\\u{:04x}", surrogate::shown(character).unwrap_or_default())
                    .expect("writing to a String cannot fail");
            }
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(result, "\\u{unit:04x}").expect("writing to a String cannot fail");
                }
            }
        }
    }
    result.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn one_line() {
        let source = r#"{"b":[1,-0,1.50,1E5,1e400,12345678901234567890],"a":{"é":"😀\u0007\b/\u007f\"\\"},"c":[],"d":{},"e":[null,true,false]}"#;
        let expected = r#"{"b": [1, 0, 1.5, 100000.0, Infinity, 12345678901234567890], "a": {"\u00e9": "\ud83d\ude00\u0007\b/\u007f\"\\"}, "c": [], "d": {}, "e": [null, true, false]}"#;
        assert_eq!(dumps(&value(source)), expected);
    }

    #[test]
    fn indented() {
        let expected = "{\n    \"a\": [\n        {\n            \"b\": \"\"\n        }\n    ],\n    \"c\": [],\n    \"d\": {}\n}";
        assert_eq!(dumps_indented(&value(r#"{"a":[{"b":""}],"c":[],"d":{}}"#)), expected);
    }
}
