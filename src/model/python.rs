//! Numbers and strings as Python writes them. The AWS CLI is a Python program, and these rules show through in what it
//! prints, in its error texts and on the wire.

use std::fmt::Write;

/// A float as Python's `repr` writes it: the fewest digits that read back as the same number, plain between
/// 1e-4 and 1e16, with an exponent of at least two digits elsewhere.
pub fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` always writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a whole exponent");
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{value}");
    if plain.contains('.') { plain } else { plain + ".0" }
}

/// A string as Python's `repr` writes it: in single quotes unless only double quotes save an escape.
pub fn string_repr(text: &str) -> String {
    let quote = quote_for(text.contains('\''), text.contains('"'));
    let mut result = String::with_capacity(text.len() + 2);
    result.push(quote);
    for character in text.chars() {
        match character {
            '\\' => result.push_str("\\\\"),
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            c if c == quote => result.extend(['\\', c]),
            c if is_printable(c) => result.push(c),
            c => push_escape(&mut result, c),
        }
    }
    result.push(quote);
    result
}

/// Bytes as Python's `repr` writes them: `b'hello\n'`.
pub fn bytes_repr(bytes: &[u8]) -> String {
    let quote = quote_for(bytes.contains(&b'\''), bytes.contains(&b'"'));
    let mut result = String::with_capacity(bytes.len() + 3);
    result.push('b');
    result.push(quote);
    for byte in bytes {
        match byte {
            b'\\' => result.push_str("\\\\"),
            b'\n' => result.push_str("\\n"),
            b'\r' => result.push_str("\\r"),
            b'\t' => result.push_str("\\t"),
            b if char::from(*b) == quote => result.extend(['\\', quote]),
            b' '..=b'~' => result.push(char::from(*byte)),
            b => push_escape(&mut result, char::from(*b)),
        }
    }
    result.push(quote);
    result
}

/// Python's complaint about bytes that are not UTF-8.
pub fn decode_complaint(bytes: &[u8], error: std::str::Utf8Error) -> String {
    let at = error.valid_up_to();
    let length = error.error_len().unwrap_or(bytes.len() - at);
    let is_start = bytes.get(at).is_some_and(|byte| (0xc2..=0xf4).contains(byte));
    let reason = match error.error_len() {
        None => "unexpected end of data",
        Some(_) if is_start => "invalid continuation byte",
        Some(_) => "invalid start byte",
    };
    let what = match length {
        1 => format!("byte 0x{:02x} in position {at}", bytes.get(at).copied().unwrap_or_default()),
        _ => format!("bytes in position {at}-{}", at + length - 1),
    };
    format!("'utf-8' codec can't decode {what}: {reason}")
}

/// Returns whether Python counts the character as white space (`str.isspace`, `\s`, `str.strip`): Unicode's property
/// and the four separators of ASCII.
pub fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Reads a whole number as Python's `int()` does: white space around it, a sign, digits of any script, single
/// underscores between digits. Answers its decimal digits, of any length; `None` where it is no number.
pub fn int(text: &str) -> Option<String> {
    let text = text.trim_matches(is_space);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut result = String::with_capacity(text.len());
    let mut after_digit = false;
    for character in digits.chars() {
        if let Some(digit) = decimal_digit(character) {
            result.push(digit);
            after_digit = true;
        } else if character == '_' && after_digit {
            after_digit = false;
        } else {
            return None;
        }
    }
    if !after_digit {
        return None;
    }
    let significant = result.trim_start_matches('0');
    Some(match (significant, negative) {
        ("", _) => "0".to_owned(),
        (_, true) => format!("-{significant}"),
        (_, false) => significant.to_owned(),
    })
}

/// Python's message when `int()` cannot read a text.
pub fn int_complaint(text: &str) -> String {
    format!("invalid literal for int() with base 10: {}", string_repr(text))
}

fn quote_for(has_single: bool, has_double: bool) -> char {
    if has_single && !has_double { '"' } else { '\'' }
}

fn push_escape(result: &mut String, character: char) {
    let code = u32::from(character);
    let written = match code {
        0..=0xff => write!(result, "\\x{code:02x}"),
        0x100..=0xffff => write!(result, "\\u{code:04x}"),
        _ => write!(result, "\\U{code:08x}"),
    };
    written.expect("writing to a String cannot fail");
}

/// Returns whether Python's `str.isprintable` holds: Rust's `escape_debug` agrees with it, except that at the start of
/// a string Rust also escapes combining characters, hence the letter in front.
fn is_printable(character: char) -> bool {
    if matches!(character, '"' | '\'') {
        return true;
    }
    let mut buffer = ['a'; 2];
    buffer[1] = character;
    String::from_iter(buffer).escape_debug().count() == 2
}

/// The zeros of all scripts with decimal digits in Unicode 16; the other nine digits follow each.
const ZEROS: [u32; 76] = [
    0x0030, 0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
    0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30,
    0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0,
    0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130, 0x16a60,
    0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0,
    0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

fn decimal_digit(character: char) -> Option<char> {
    if character.is_ascii() {
        return character.is_ascii_digit().then_some(character);
    }
    let code = u32::from(character);
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        let cases = [
            (1.5e7, "15000000.0"),
            (1e22, "1e+22"),
            (1e16, "1e+16"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.25e-7, "1.25e-07"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, expected) in cases {
            assert_eq!(float_repr(value), expected);
        }
    }

    #[test]
    fn strings() {
        let cases = [
            ("plain", "'plain'"),
            ("it's", "\"it's\""),
            ("it's \"so\"", "'it\\'s \"so\"'"),
            ("a\\b\n\r\t\u{0}\u{7f}\u{85}", "'a\\\\b\\n\\r\\t\\x00\\x7f\\x85'"),
            ("\u{301}é日😀", "'\u{301}é日😀'"),
            ("\u{a0}\u{200b}\u{2028}\u{e000}\u{e0001}", "'\\xa0\\u200b\\u2028\\ue000\\U000e0001'"),
        ];
        for (text, expected) in cases {
            assert_eq!(string_repr(text), expected);
        }
        assert_eq!(bytes_repr(b"it's \"\\\n\xff"), "b'it\\'s \"\\\\\\n\\xff'");
        assert_eq!(bytes_repr(b"it's"), "b\"it's\"");
    }

    #[test]
    fn whole_numbers() {
        let cases = [
            ("7", Some("7")),
            (" +1_0 ", Some("10")),
            ("-007", Some("-7")),
            ("-0", Some("0")),
            ("٣\u{1d7d9}", Some("31")),
            ("123456789012345678901234567890", Some("123456789012345678901234567890")),
            ("", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("+-1", None),
            ("1.0", None),
            ("0x1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(int(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(int_complaint("a'b"), "invalid literal for int() with base 10: \"a'b\"");
    }
}
