//! The shorthand syntax, `Key=a,Value=b`: the grammar, with the AWS CLI's error texts.
//!
//! ```text
//! parameter = keyval *( "," keyval )
//! keyval    = key ["@"] "=" values          ; "@=" reads file:// and fileb:// in these values
//! values    = nothing | list | hash | first *( "," second )
//! list      = "[" *( value [","] ) "]"
//! hash      = "{" *( key ["@"] "=" value [","] ) "}"
//! value     = list | hash | first
//! first     = quoted | [word]     second = quoted | word
//! ```
//! White space of ASCII may stand around every mark. The parser never looks back further than to the last comma,
//! so its time grows with the length of the text alone.

mod fit;

use serde_json::{Map, Value};

pub use self::fit::fit;
pub(super) use self::fit::{float, whole_number};
use super::paramfile::{self, Content, Files};
use crate::model::foreign::Foreign;
use crate::model::python;

/// Lists and hashes may nest as deep as in the AWS CLI, where Python's stack ends it.
const MAX_LEVELS: usize = 490;

/// Error of parsing shorthand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text breaks the grammar; the message shows where.
    #[error("{0}")]
    Syntax(String),
    /// Errors that the AWS CLI reports without naming the option: files of `@=`, and values that fit no type.
    #[error("{0}")]
    Failure(String),
}

/// Reads one text. The result is always an object; its values are strings, lists, objects and, out of `fileb://`,
/// bytes.
pub fn parse(text: &str, files: Files) -> Result<Value, Error> {
    let mut parser = Parser { text: text.chars().collect(), index: 0, reads_files: false, level: 0, files };
    parser.parameter().map(Value::Object)
}

struct Parser<'a> {
    text: Vec<char>,
    index: usize,
    reads_files: bool,
    level: usize,
    files: Files<'a>,
}

impl Parser<'_> {
    fn parameter(&mut self) -> Result<Map<String, Value>, Error> {
        let mut result = Map::new();
        let (key, value) = self.key_value()?;
        result.insert(key, value);
        let mut last = self.index;
        while self.index < self.text.len() {
            self.expect_mark(',')?;
            let (key, value) = self.key_value()?;
            if result.contains_key(&key) {
                let place = self.place(last + 1);
                return Err(Error::Syntax(format!(
                    "Second instance of key \"{key}\" encountered for input:\n{place}\n\
                     This is often because there is a preceding \",\" instead of a space."
                )));
            }
            result.insert(key, value);
            last = self.index;
        }
        Ok(result)
    }

    fn key_value(&mut self) -> Result<(String, Value), Error> {
        let key = self.key_and_equals()?;
        let value = match self.current() {
            None => Value::from(""),
            Some('[' | '{') => self.value()?,
            Some(_) => self.comma_separated()?,
        };
        Ok((key, value))
    }

    fn key_and_equals(&mut self) -> Result<String, Error> {
        let start = self.index;
        let is_key = |c: char| c.is_ascii_alphanumeric() || "-_.#/:".contains(c);
        while self.current().is_some_and(is_key) {
            self.index += 1;
        }
        let key = String::from_iter(&self.text[start..self.index]);
        self.reads_files = self.expect_mark('@').is_ok();
        self.expect_mark('=')?;
        Ok(key)
    }

    fn comma_separated(&mut self) -> Result<Value, Error> {
        let first = self.first()?;
        self.skip_space();
        if self.current() != Some(',') {
            return Ok(first);
        }
        self.expect_mark(',')?;
        let mut values = vec![first];
        loop {
            match self.further() {
                Ok((value, is_last)) => {
                    values.push(value);
                    if is_last {
                        break;
                    }
                }
                Err(Error::Syntax(_)) if self.index < self.text.len() => {
                    // What looked like one more value is the next key: it begins behind the last comma.
                    while self.text[self.index] != ',' {
                        self.index -= 1;
                    }
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(if values.len() == 1 { values.swap_remove(0) } else { Value::Array(values) })
    }

    /// One more value after a comma, and whether the text ends with it.
    fn further(&mut self) -> Result<(Value, bool), Error> {
        let value = match self.current() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            _ => match word_length(&self.text[self.index..], follows_in_second) {
                Some(length) => self.word(length)?,
                None => return Err(self.unexpected("<second>", "<none>")),
            },
        };
        self.skip_space();
        if self.index == self.text.len() {
            return Ok((value, true));
        }
        self.expect_mark(',')?;
        Ok((value, false))
    }

    fn value(&mut self) -> Result<Value, Error> {
        match self.current() {
            Some('[') => self.nested(Self::list),
            Some('{') => self.nested(Self::hash),
            _ => self.first(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        if self.level == MAX_LEVELS {
            return Err(Error::Failure("maximum recursion depth exceeded".to_owned()));
        }
        self.level += 1;
        self.index += 1;
        self.skip_space();
        let value = read(self)?;
        self.index += 1;
        self.level -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, Error> {
        let mut values = Vec::new();
        while self.current() != Some(']') {
            values.push(self.value()?);
            self.separator(']')?;
        }
        Ok(Value::Array(values))
    }

    fn hash(&mut self) -> Result<Value, Error> {
        let mut members = Map::new();
        while self.current() != Some('}') {
            let key = self.key_and_equals()?;
            let value = self.value()?;
            self.separator('}')?;
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }

    fn separator(&mut self, closing: char) -> Result<(), Error> {
        self.skip_space();
        if self.current() != Some(closing) {
            self.expect(',')?;
            self.skip_space();
        }
        Ok(())
    }

    fn first(&mut self) -> Result<Value, Error> {
        match self.current() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            _ => match word_length(&self.text[self.index..], follows_in_first) {
                Some(length) => self.word(length),
                None => Ok(Value::from("")),
            },
        }
    }

    fn word(&mut self, length: usize) -> Result<Value, Error> {
        let word = String::from_iter(&self.text[self.index..self.index + length]);
        self.index += length;
        self.resolved(word.replace("\\,", ",").trim_end_matches(python::is_space))
    }

    fn quoted(&mut self, quote: char) -> Result<Value, Error> {
        let Some(length) = quoted_length(&self.text[self.index..], quote) else {
            let name = if quote == '"' { "<double quoted>" } else { "<singled quoted>" };
            return Err(self.unexpected(name, "<none>"));
        };
        let inner = String::from_iter(&self.text[self.index + 1..self.index + length - 1]);
        self.index += length;
        self.resolved(&inner.replace(&format!("\\{quote}"), &quote.to_string()).replace("\\\\", "\\"))
    }

    fn resolved(&self, text: &str) -> Result<Value, Error> {
        if !self.reads_files {
            return Ok(Value::from(text));
        }
        match paramfile::load(text, self.files) {
            Ok(Some(Content::Text(content))) => Ok(Value::from(content)),
            Ok(Some(Content::Bytes(bytes))) => {
                Ok(Foreign::Bytes(&base64_simd::STANDARD.encode_to_string(bytes)).into_value())
            }
            Ok(None) => Ok(Value::from(text)),
            Err(error) => Err(Error::Failure(error.to_string())),
        }
    }

    fn current(&self) -> Option<char> {
        self.text.get(self.index).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.current(), Some(' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')) {
            self.index += 1;
        }
    }

    /// One character with white space around it.
    fn expect_mark(&mut self, expected: char) -> Result<(), Error> {
        self.skip_space();
        self.expect(expected)?;
        self.skip_space();
        Ok(())
    }

    fn expect(&mut self, expected: char) -> Result<(), Error> {
        match self.current() {
            Some(character) if character == expected => {
                self.index += 1;
                Ok(())
            }
            Some(character) => Err(self.unexpected(&expected.to_string(), &character.to_string())),
            None => Err(self.unexpected(&expected.to_string(), "EOF")),
        }
    }

    fn unexpected(&self, expected: &str, received: &str) -> Error {
        let place = self.place(self.index);
        Error::Syntax(format!("Expected: '{expected}', received: '{received}' for input:\n {place}"))
    }

    /// The text with a caret below the line that the index is in.
    fn place(&self, index: usize) -> String {
        let (before, after) = self.text.split_at(index.min(self.text.len()));
        let column = before.iter().rev().take_while(|c| **c != '\n').count() + (index - before.len());
        let line_end = before.len() + after.iter().take_while(|c| **c != '\n').count();
        let (shown, rest) = self.text.split_at(line_end);
        let (shown, rest) = (String::from_iter(shown), String::from_iter(rest));
        format!("{shown}\n{}^{rest}", " ".repeat(column))
    }
}

/// The length of an unquoted value at the start of a text; `None` where there is none.
fn word_length(text: &[char], follows: fn(char) -> bool) -> Option<usize> {
    let step = |at: usize, fits: fn(char) -> bool| match text.get(at..) {
        Some(['\\', ',', ..]) => 2,
        Some([character, ..]) if fits(*character) => 1,
        _ => 0,
    };
    let mut length = step(0, starts_word);
    if length == 0 {
        return None;
    }
    loop {
        match step(length, follows) {
            0 => return Some(length),
            more => length += more,
        }
    }
}

fn starts_word(character: char) -> bool {
    matches!(character, '!' | '#'..='&' | '('..='+' | '-'..='<' | '>'..='Z' | '\\'..='z' | '|'..='\u{ffff}')
}

fn follows_in_first(character: char) -> bool {
    let listed = matches!(character, '!' | '#'..='&' | '('..='+' | '-'..='\\' | '^'..='|' | '~'..='\u{ffff}');
    listed || python::is_space(character)
}

fn follows_in_second(character: char) -> bool {
    let listed = matches!(character, '!' | '#'..='&' | '('..='+' | '-'..='<' | '>'..='\u{ffff}');
    listed || python::is_space(character)
}

/// The length of a quoted value with its quotes. An escaped quote ends the value where no other quote does.
fn quoted_length(text: &[char], quote: char) -> Option<usize> {
    let mut last_escaped = None;
    let mut index = 1;
    loop {
        match text.get(index..) {
            Some(['\\', next, ..]) if *next == quote => {
                index += 2;
                last_escaped = Some(index);
            }
            Some([character, ..]) if *character == quote => return Some(index + 1),
            Some([_, ..]) => index += 1,
            _ => return last_escaped,
        }
    }
}

#[cfg(test)]
mod tests;
