//! JSON as Python's `json.dump(indent=4, ensure_ascii=False)` writes it.

use std::io::{self, Write};

use serde_json::Value;

use super::python::number_text;
use crate::model::surrogate;

/// Writes a value over several lines, four spaces to a level, and no newline at the end.
pub fn write(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    write_at(out, value, 1)
}

fn write_at(out: &mut dyn Write, value: &Value, level: usize) -> io::Result<()> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let mut before = Vec::from(if index == 0 { b"[" } else { b"," });
                new_line(&mut before, level)?;
                // A string goes with what stands before it, as Python writes it; see `write_string`.
                if let Value::String(text) = item {
                    write_string(&mut before, text, false)?;
                    out.write_all(&before)?;
                    continue;
                }
                out.write_all(&before)?;
                write_at(out, item, level + 1)?;
            }
            new_line(out, level - 1)?;
            out.write_all(b"]")
        }
        Value::Object(members) if !members.is_empty() => {
            for (index, (key, member)) in members.iter().enumerate() {
                out.write_all(if index == 0 { b"{" } else { b"," })?;
                new_line(out, level)?;
                write_string(out, key, false)?;
                out.write_all(b": ")?;
                write_at(out, member, level + 1)?;
            }
            new_line(out, level - 1)?;
            out.write_all(b"}")
        }
        other => write_leaf(out, other, false),
    }
}

fn new_line(out: &mut dyn Write, level: usize) -> io::Result<()> {
    write!(out, "\n{:1$}", "", level * 4)
}

/// Writes a value on one line without spaces and with everything beyond ASCII escaped: the answer of `to_string()`.
pub(crate) fn compact(value: &Value) -> String {
    one_line(value, ",", ":", true)
}

/// A value on one line as Python's `json.dumps(ensure_ascii=False)` writes it.
#[cfg(test)]
pub(crate) fn compact_with_spaces(value: &Value) -> String {
    one_line(value, ", ", ": ", false)
}

fn one_line(value: &Value, comma: &str, colon: &str, ascii: bool) -> String {
    let mut text = Vec::new();
    write_line(&mut text, value, comma, colon, ascii).expect("a vector takes all that is written");
    String::from_utf8(text).expect("strings are UTF-8, and the rest is ASCII")
}

fn write_line(out: &mut dyn Write, value: &Value, comma: &str, colon: &str, ascii: bool) -> io::Result<()> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                out.write_all(if index == 0 { "[" } else { comma }.as_bytes())?;
                write_line(out, item, comma, colon, ascii)?;
            }
            out.write_all(b"]")
        }
        Value::Object(members) if !members.is_empty() => {
            for (index, (key, member)) in members.iter().enumerate() {
                out.write_all(if index == 0 { "{" } else { comma }.as_bytes())?;
                write_string(out, key, ascii)?;
                out.write_all(colon.as_bytes())?;
                write_line(out, member, comma, colon, ascii)?;
            }
            out.write_all(b"}")
        }
        other => write_leaf(out, other, ascii),
    }
}

fn write_leaf(out: &mut dyn Write, value: &Value, ascii: bool) -> io::Result<()> {
    match value {
        Value::Null => out.write_all(b"null"),
        Value::Bool(truth) => write!(out, "{truth}"),
        Value::Number(number) => match number_text(number).as_str() {
            "inf" => out.write_all(b"Infinity"),
            "-inf" => out.write_all(b"-Infinity"),
            "nan" => out.write_all(b"NaN"),
            text => out.write_all(text.as_bytes()),
        },
        Value::String(text) => write_string(out, text, ascii),
        Value::Array(_) => out.write_all(b"[]"),
        Value::Object(_) => out.write_all(b"{}"),
    }
}

/// Writes a string at once: characters that cannot be encoded are found before any of it is written.
fn write_string(out: &mut dyn Write, text: &str, ascii: bool) -> io::Result<()> {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'"');
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        let escape: &[u8] = match character {
            '"' => b"\\\"",
            '\\' => b"\\\\",
            '\n' => b"\\n",
            '\r' => b"\\r",
            '\t' => b"\\t",
            '\u{8}' => b"\\b",
            '\u{c}' => b"\\f",
            '\0'..' ' => b"",
            _ if ascii && !character.is_ascii() => b"",
            _ => continue,
        };
        quoted.extend_from_slice(&text.as_bytes()[plain..at]);
        plain = at + character.len_utf8();
        if escape.is_empty() {
            escape_units(&mut quoted, character);
        }
        quoted.extend_from_slice(escape);
    }
    quoted.extend_from_slice(&text.as_bytes()[plain..]);
    quoted.push(b'"');
    out.write_all(&quoted)
}

fn escape_units(quoted: &mut Vec<u8>, character: char) {
    let mut units = [0; 2];
    let half = surrogate::shown(character).map(|half| vec![half]);
    for unit in half.unwrap_or_else(|| character.encode_utf16(&mut units).to_vec()) {
        quoted.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
    }
}
