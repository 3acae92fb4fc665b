//! JSON as Python's `json.loads` reads it: whole numbers of any length, NaN and the infinities, the last of equal
//! keys, and its error texts with positions in code points.

use serde_json::{Map, Number, Value};

use super::foreign::Foreign;
use super::surrogate;

/// Limit of nesting: Python reads some 30,000 levels; values that deep would overflow the stack of those who walk
/// them.
const MAX_LEVELS: usize = 1000;

/// Python refuses to make whole numbers of more digits (`sys.set_int_max_str_digits`).
const MAX_DIGITS: usize = 4300;

/// Error of parsing JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Python's message, with the position: `Expecting value: line 1 column 1 (char 0)`.
    #[error("{0}")]
    Syntax(String),
    /// More levels than anyone needs.
    #[error("maximum recursion depth exceeded")]
    TooDeep,
}

/// Reads one JSON text of an input. NaN and the infinities become [`Foreign`] values.
pub fn parse(text: &str) -> Result<Value, Error> {
    read(text, |name| Foreign::Float(name).into_value())
}

/// Reads one JSON text of an answer or a query. NaN and the infinities are numbers with these texts: `nan`, `inf` and
/// `-inf`.
pub fn parse_answer(text: &str) -> Result<Value, Error> {
    read(text, |name| Value::Number(Number::from_string_unchecked(name.to_owned())))
}

fn read(text: &str, float: fn(&'static str) -> Value) -> Result<Value, Error> {
    let mut parser = Parser { text: text.chars().collect(), index: 0, level: 0, float };
    if parser.current() == Some('\u{feff}') {
        return Err(parser.error("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0));
    }
    parser.skip_space();
    let value = parser.value()?;
    parser.skip_space();
    if parser.index < parser.text.len() {
        return Err(parser.error("Extra data", parser.index));
    }
    Ok(value)
}

struct Parser {
    text: Vec<char>,
    index: usize,
    level: usize,
    /// The value for a number that JSON does not have.
    float: fn(&'static str) -> Value,
}

impl Parser {
    fn value(&mut self) -> Result<Value, Error> {
        match self.current() {
            Some('"') => self.string().map(Value::String),
            Some('{') => self.nested(Self::object),
            Some('[') => self.nested(Self::array),
            Some('n') if self.take("null") => Ok(Value::Null),
            Some('t') if self.take("true") => Ok(Value::Bool(true)),
            Some('f') if self.take("false") => Ok(Value::Bool(false)),
            Some('N') if self.take("NaN") => Ok((self.float)("nan")),
            Some('I') if self.take("Infinity") => Ok((self.float)("inf")),
            Some('-') if self.take("-Infinity") => Ok((self.float)("-inf")),
            _ => self.number(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        if self.level == MAX_LEVELS {
            return Err(Error::TooDeep);
        }
        self.level += 1;
        self.index += 1;
        self.skip_space();
        let value = read(self)?;
        self.index += 1;
        self.level -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, Error> {
        let mut members = Map::new();
        if self.current() == Some('}') {
            return Ok(Value::Object(members));
        }
        loop {
            if self.current() != Some('"') {
                return Err(self.error("Expecting property name enclosed in double quotes", self.index));
            }
            let name = self.string()?;
            self.skip_space();
            if self.current() != Some(':') {
                return Err(self.error("Expecting ':' delimiter", self.index));
            }
            self.index += 1;
            self.skip_space();
            let value = self.value()?;
            members.insert(name, value);
            if self.at_end_of("object", '}')? {
                return Ok(Value::Object(members));
            }
        }
    }

    fn array(&mut self) -> Result<Value, Error> {
        let mut items = Vec::new();
        if self.current() == Some(']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.at_end_of("array", ']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    /// Returns whether the closing character follows; otherwise goes past the comma to the next member.
    fn at_end_of(&mut self, what: &str, closing: char) -> Result<bool, Error> {
        self.skip_space();
        if self.current() == Some(closing) {
            return Ok(true);
        }
        let comma = self.index;
        if self.current() != Some(',') {
            return Err(self.error("Expecting ',' delimiter", comma));
        }
        self.index += 1;
        self.skip_space();
        if self.current() == Some(closing) {
            return Err(self.error(&format!("Illegal trailing comma before end of {what}"), comma));
        }
        Ok(false)
    }

    fn string(&mut self) -> Result<String, Error> {
        let begin = self.index;
        let unterminated = |parser: &Self| parser.error("Unterminated string starting at", begin);
        let mut result = String::new();
        self.index += 1;
        loop {
            let character = self.current().ok_or_else(|| unterminated(self))?;
            match character {
                '"' => break,
                '\\' => {
                    self.index += 1;
                    let escaped = self.current().ok_or_else(|| unterminated(self))?;
                    result.push(self.escape(escaped)?);
                }
                '\0'..='\u{1f}' => return Err(self.error("Invalid control character at", self.index)),
                _ => result.push(character),
            }
            self.index += 1;
        }
        self.index += 1;
        Ok(result)
    }

    /// Reads the character of an escape; the index is behind the backslash, and ends at the escape's last character.
    fn escape(&mut self, escaped: char) -> Result<char, Error> {
        Ok(match escaped {
            '"' | '\\' | '/' => escaped,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode_escape()?,
            _ => return Err(self.error("Invalid \\escape", self.index - 1)),
        })
    }

    /// Python keeps half of a surrogate pair as a character; here another stands for it.
    fn unicode_escape(&mut self) -> Result<char, Error> {
        let first = self.four_digits()?;
        let pair_follows = self.text.get(self.index + 1..self.index + 3) == Some(&['\\', 'u']);
        if (0xd800..0xdc00).contains(&first) && pair_follows {
            let before = self.index;
            self.index += 2;
            let second = self.four_digits()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.index = before;
        }
        Ok(char::from_u32(first).unwrap_or_else(|| surrogate::hidden(first)))
    }

    /// Reads the digits after the `u` at the index and goes to the last of them.
    fn four_digits(&mut self) -> Result<u32, Error> {
        let start = self.index + 1;
        let digits = self.text.get(start..start + 4);
        let code = digits.and_then(|digits| {
            digits.iter().try_fold(0, |code, digit| digit.to_digit(16).map(|digit| code * 16 + digit))
        });
        self.index += 4;
        code.ok_or_else(|| self.error("Invalid \\uXXXX escape", start - 1))
    }

    fn number(&mut self) -> Result<Value, Error> {
        let start = self.index;
        let expecting = |parser: &Self| parser.error("Expecting value", start);
        let mut end = start + usize::from(self.current() == Some('-'));
        match self.text.get(end) {
            Some('0') => end += 1,
            Some('1'..='9') => end = self.after_digits(end),
            _ => return Err(expecting(self)),
        }
        let whole = end;
        if self.text.get(end) == Some(&'.') && self.is_digit(end + 1) {
            end = self.after_digits(end + 1);
        }
        if matches!(self.text.get(end), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.text.get(end + 1), Some('+' | '-')));
            if self.is_digit(end + 1 + sign) {
                end = self.after_digits(end + 1 + sign);
            }
        }
        self.index = end;
        let digits = String::from_iter(&self.text[start..end]);
        if end == whole {
            return whole_number(&digits);
        }
        match digits.parse::<f64>() {
            Ok(float) if float == f64::INFINITY => Ok((self.float)("inf")),
            Ok(float) if float == f64::NEG_INFINITY => Ok((self.float)("-inf")),
            _ => digits.parse::<Number>().map(Value::Number).map_err(|_| expecting(self)),
        }
    }

    fn after_digits(&self, from: usize) -> usize {
        from + self.text[from..].iter().take_while(|c| c.is_ascii_digit()).count()
    }

    fn is_digit(&self, index: usize) -> bool {
        self.text.get(index).is_some_and(char::is_ascii_digit)
    }

    fn current(&self) -> Option<char> {
        self.text.get(self.index).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let here = &self.text[self.index..];
        let found = word.chars().enumerate().all(|(offset, c)| here.get(offset) == Some(&c));
        if found {
            self.index += word.len();
        }
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.current(), Some(' ' | '\t' | '\n' | '\r')) {
            self.index += 1;
        }
    }

    fn error(&self, message: &str, index: usize) -> Error {
        let before = &self.text[..index.min(self.text.len())];
        let line = before.iter().filter(|c| **c == '\n').count() + 1;
        let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
        Error::Syntax(format!("{message}: line {line} column {column} (char {index})"))
    }
}

fn whole_number(digits: &str) -> Result<Value, Error> {
    let count = digits.trim_start_matches('-').len();
    if count > MAX_DIGITS {
        return Err(Error::Syntax(format!(
            "Exceeds the limit ({MAX_DIGITS} digits) for integer string conversion: value has {count} digits; \
             use sys.set_int_max_str_digits() to increase the limit"
        )));
    }
    let digits = if digits == "-0" { "0" } else { digits };
    Ok(Value::Number(digits.parse().expect("digits with an optional sign are a JSON number")))
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;
    use serde_json::json;

    /// Compares with `json.dumps` of the parsed value, with the foreign floats as Python prints them.
    fn shown(text: &str) -> Value {
        match parse(text) {
            Ok(value) => {
                let text = wire::dumps(&value);
                let text = text.replace(r#"{"\u0000float": "nan"}"#, "NaN");
                let text = text.replace(r#"{"\u0000float": "inf"}"#, "Infinity");
                json!({"value": text.replace(r#"{"\u0000float": "-inf"}"#, "-Infinity")})
            }
            Err(error) => json!({"error": error.to_string()}),
        }
    }

    #[test]
    fn reads_what_python_reads_and_complains_as_python_does() {
        let recorded = include_str!("../../tests/fixtures/json.json");
        let cases: Vec<(String, Value)> = serde_json::from_str(recorded).unwrap();
        for (text, expected) in cases {
            assert_eq!(shown(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn limits() {
        let deep = |levels| parse(&("[".repeat(levels) + &"]".repeat(levels)));
        assert!(deep(MAX_LEVELS).is_ok());
        assert_eq!(deep(MAX_LEVELS + 1), Err(Error::TooDeep));
        let expected = "Exceeds the limit (4300 digits) for integer string conversion: value has 4301 digits; \
            use sys.set_int_max_str_digits() to increase the limit";
        assert_eq!(parse(&"9".repeat(4301)), Err(Error::Syntax(expected.to_owned())));
    }

    #[test]
    fn half_a_surrogate_pair_has_a_stand_in() {
        assert_eq!(parse(r#""\ud83dx\udc00\ud83d\u0041""#), Ok(json!("\u{10f83d}x\u{10fc00}\u{10f83d}A")));
    }
}
