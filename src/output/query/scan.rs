//! JSON as Python's `json.loads` reads it, where `serde_json` differs and queries can tell.

use serde_json::Value;

use crate::model::json::parse_answer;
use crate::model::surrogate;

/// Reads a JSON text; `None` when it is none. Python takes some texts that `serde_json` does not.
pub(super) fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| parse_answer(text).ok())
}

/// Reads a quoted JSON string, the quotes included, and answers Python's complaint when it cannot.
pub(super) fn string(quoted: &str) -> Result<String, &'static str> {
    let mut characters = quoted.chars();
    let mut text = String::new();
    if characters.next() != Some('"') {
        return Err("Expecting value");
    }
    loop {
        match characters.next().ok_or("Unterminated string starting at")? {
            '"' => break,
            '\\' => text.push(match characters.next().ok_or("Unterminated string starting at")? {
                character @ ('"' | '\\' | '/') => character,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => escaped(&mut characters)?,
                _ => return Err("Invalid \\escape"),
            }),
            '\0'..='\u{1f}' => return Err("Invalid control character at"),
            character => text.push(character),
        }
    }
    if characters.as_str().trim_matches([' ', '\t', '\n', '\r']).is_empty() {
        Ok(text)
    } else {
        Err("Extra data")
    }
}

/// Reads the digits after `\u`: one code unit, or two that make a pair. Another character stands for half a pair.
fn escaped(characters: &mut std::str::Chars<'_>) -> Result<char, &'static str> {
    let first = unit(characters).ok_or("Invalid \\uXXXX escape")?;
    if !(0xd800..0xdc00).contains(&first) {
        return Ok(char::from_u32(first).unwrap_or_else(|| surrogate::hidden(first)));
    }
    let mut ahead = characters.clone();
    if ahead.next() == Some('\\') && ahead.next() == Some('u') {
        let second = unit(&mut ahead).ok_or("Invalid \\uXXXX escape")?;
        if (0xdc00..0xe000).contains(&second) {
            *characters = ahead;
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
    Ok(surrogate::hidden(first))
}

fn unit(characters: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + characters.next()?.to_digit(16)?))
}
