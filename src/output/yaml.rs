//! YAML in block style as ruamel's safe dumper writes it through libyaml's emitter: keys sorted, two
//! spaces to a level, lists at the column of their key, lines folded past 80 columns.
//!
//! This is an emitter of its own because the ones at hand follow a later notion of what is printable (libyaml escapes
//! all beyond U+FFFF) and of what must be quoted.

mod resolve;
mod scalar;

use std::io::{self, Write};

use serde_json::Value;

use self::scalar::{Scalar, Style};
use super::Error;
use super::python::number_text;
use crate::model::surrogate;

/// Writes a value as one document. A scalar is written as JSON, which spares it the end-of-document mark.
pub fn write(out: &mut dyn Write, value: &Value) -> Result<(), Error> {
    match value {
        Value::Array(_) | Value::Object(_) => {
            refuse_halves(value)?;
            // At once: where the encoding lacks a character, nothing of the document is written.
            let mut document = Vec::new();
            emit(&mut document, value)?;
            Ok(out.write_all(&document)?)
        }
        scalar => {
            super::json::write(out, scalar)?;
            Ok(out.write_all(b"\n")?)
        }
    }
}

/// Refuses half of a surrogate pair, which stops libyaml: it gets the text in UTF-8.
fn refuse_halves(value: &Value) -> Result<(), Error> {
    match value {
        Value::Array(items) => items.iter().try_for_each(refuse_halves),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            members.into_iter().try_for_each(|(key, member)| {
                refuse_half_in(key)?;
                refuse_halves(member)
            })
        }
        Value::String(text) => refuse_half_in(text),
        _ => Ok(()),
    }
}

fn refuse_half_in(text: &str) -> Result<(), Error> {
    let halves = text.chars().map(surrogate::shown).enumerate().skip_while(|(_, half)| half.is_none());
    let run: Vec<(usize, u16)> = halves.map_while(|(at, half)| Some((at, half?))).collect();
    let what = match run.as_slice() {
        [] => return Ok(()),
        [(at, half)] => format!("character '\\u{half:04x}' in position {at}"),
        [(first, _), .., (last, _)] => format!("characters in position {first}-{last}"),
    };
    Err(Error::Crash(format!("'utf-8' codec can't encode {what}: surrogates not allowed")))
}

fn emit(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    let mut emitter = Emitter { out, column: 0, indent: None, after_space: true, after_indent: true };
    emitter.node(value, false)?;
    emitter.new_line()
}

/// The state of libyaml's emitter that decides on white space.
struct Emitter<'a> {
    out: &'a mut dyn Write,
    column: usize,
    /// The column of the innermost collection; `None` outside of all.
    indent: Option<usize>,
    /// White space was written last.
    after_space: bool,
    /// Whether the line has only indentation and indicators so far.
    after_indent: bool,
}

impl Emitter<'_> {
    fn put(&mut self, character: char) -> io::Result<()> {
        self.column += 1;
        self.out.write_all(character.encode_utf8(&mut [0; 4]).as_bytes())
    }

    /// Writes a line break: `\n`, or one of Unicode's as it is.
    fn put_break(&mut self, character: char) -> io::Result<()> {
        self.put(character)?;
        self.column = 0;
        Ok(())
    }

    /// Begins a new line at the current indentation, unless that is where we are.
    fn new_line(&mut self) -> io::Result<()> {
        let indent = self.indent.unwrap_or(0);
        if !self.after_indent || self.column > indent || self.column == indent && !self.after_space {
            self.put_break('\n')?;
        }
        while self.column < indent {
            self.put(' ')?;
        }
        self.after_space = true;
        self.after_indent = true;
        Ok(())
    }

    fn indicator(&mut self, text: &str, needs_space: bool, indents: bool) -> io::Result<()> {
        if needs_space && !self.after_space {
            self.put(' ')?;
        }
        text.chars().try_for_each(|character| self.put(character))?;
        self.after_space = false;
        self.after_indent = self.after_indent && indents;
        Ok(())
    }

    fn node(&mut self, value: &Value, in_mapping: bool) -> io::Result<()> {
        match value {
            Value::Null => self.scalar(&Scalar::plain("null")),
            Value::Bool(truth) => self.scalar(&Scalar::plain(if *truth { "true" } else { "false" })),
            Value::Number(number) => self.scalar(&Scalar::plain(match number_text(number).as_str() {
                "inf" => ".inf",
                "-inf" => "-.inf",
                "nan" => ".nan",
                text => text,
            })),
            Value::String(text) => self.scalar(&Scalar::of_string(text, false)),
            Value::Array(items) if items.is_empty() => self.indicator("[]", true, false),
            Value::Object(members) if members.is_empty() => self.indicator("{}", true, false),
            Value::Array(items) => {
                let outer = self.deeper(in_mapping && !self.after_indent);
                for item in items {
                    self.new_line()?;
                    self.indicator("-", true, true)?;
                    self.node(item, false)?;
                }
                self.indent = outer;
                Ok(())
            }
            Value::Object(members) => {
                let outer = self.deeper(false);
                let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
                sorted.sort_unstable_by_key(|(key, _)| *key);
                for (key, member) in sorted {
                    self.new_line()?;
                    self.key(key)?;
                    self.node(member, true)?;
                }
                self.indent = outer;
                Ok(())
            }
        }
    }

    /// Indents by one level, unless at the top or in a list under a key; answers the indentation to go back to.
    fn deeper(&mut self, stay: bool) -> Option<usize> {
        let outer = self.indent;
        self.indent = Some(outer.map_or(0, |indent| if stay { indent } else { indent + 2 }));
        outer
    }

    /// A key with its colon: on one line if it is short and has no line break, else marked by `?`.
    fn key(&mut self, key: &str) -> io::Result<()> {
        if key.len() <= 128 && !key.contains(scalar::is_break) {
            self.scalar(&Scalar::of_string(key, true))?;
            return self.indicator(":", false, false);
        }
        self.indicator("?", true, true)?;
        self.scalar(&Scalar::of_string(key, false))?;
        self.new_line()?;
        self.indicator(":", true, true)
    }

    fn scalar(&mut self, scalar: &Scalar<'_>) -> io::Result<()> {
        let outer = self.indent;
        self.indent = Some(outer.map_or(2, |indent| indent + 2));
        match scalar.style {
            Style::Plain => self.plain(scalar)?,
            Style::Single => self.single(scalar)?,
            Style::Double => self.double(scalar)?,
        }
        self.after_space = false;
        self.after_indent = false;
        self.indent = outer;
        Ok(())
    }
}
