//! Scalars: which quotes they need and how they fold. The rules are those of libyaml's emitter.

use std::io;

use super::{Emitter, resolve};

/// Past this column a line is folded at the next space.
const WIDTH: usize = 80;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
}

/// A scalar with the style that it needs.
#[derive(Debug)]
pub(super) struct Scalar<'a> {
    text: &'a str,
    pub(super) style: Style,
    /// A key on one line must not be folded.
    is_key: bool,
}

impl<'a> Scalar<'a> {
    /// Value that is no string and never needs quotes.
    pub(super) fn plain(text: &'a str) -> Self {
        Self { text, style: Style::Plain, is_key: false }
    }

    pub(super) fn of_string(text: &'a str, is_key: bool) -> Self {
        let allowed = allowed(text);
        let style = match allowed {
            Style::Plain if resolve::is_special(text) => Style::Single,
            style => style,
        };
        Self { text, style, is_key }
    }

    /// Characters with the one that follows each.
    fn characters(&self) -> impl Iterator<Item = (usize, char, Option<char>)> + use<'a> {
        let text = self.text;
        text.char_indices().map(move |(at, character)| {
            let next = text[at + character.len_utf8()..].chars().next();
            (at, character, next)
        })
    }
}

pub(super) fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// libyaml's notion: nothing beyond the basic plane, no tab, no C1 control, no byte order mark.
fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Returns the simplest style that can represent a text.
fn allowed(text: &str) -> Style {
    let indicators = text.starts_with("---") || text.starts_with("...") || has_indicators(text);
    let special = !text.chars().all(is_printable);
    let after = |first: fn(char) -> bool, second: fn(char) -> bool| {
        text.chars().zip(text.chars().skip(1)).any(|(one, other)| first(one) && second(other))
    };
    let is_space = |character| character == ' ';
    let blank = |character| character == ' ' || is_break(character);
    if special || after(is_space, is_break) || after(is_break, is_space) {
        Style::Double
    } else if indicators || text.contains(is_break) || text.starts_with(blank) || text.ends_with(blank) {
        Style::Single
    } else {
        Style::Plain
    }
}

/// Returns whether a character of the text would be read as an indicator.
fn has_indicators(text: &str) -> bool {
    let is_blank = |character: Option<char>| {
        character.is_none_or(|character| matches!(character, ' ' | '\t' | '\0') || is_break(character))
    };
    let mut before = None;
    let mut characters = text.chars().peekable();
    let mut first = true;
    while let Some(character) = characters.next() {
        let followed = is_blank(characters.peek().copied());
        let found = match character {
            '#' if !first => is_blank(before),
            ':' => followed,
            '?' | '-' if first => followed,
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`' => first,
            _ => false,
        };
        if found {
            return true;
        }
        first = false;
        before = Some(character);
    }
    false
}

impl Emitter<'_> {
    pub(super) fn plain(&mut self, scalar: &Scalar<'_>) -> io::Result<()> {
        if !self.after_space && !scalar.text.is_empty() {
            self.put(' ')?;
        }
        let mut after_space = false;
        for (_, character, next) in scalar.characters() {
            let folds = character == ' ' && !after_space && self.column > WIDTH && next != Some(' ');
            if folds && !scalar.is_key {
                self.new_line()?;
            } else {
                self.put(character)?;
            }
            after_space = character == ' ';
            self.after_indent = self.after_indent && after_space;
        }
        Ok(())
    }

    pub(super) fn single(&mut self, scalar: &Scalar<'_>) -> io::Result<()> {
        self.indicator("'", true, false)?;
        let (mut after_space, mut after_break) = (false, false);
        for (at, character, next) in scalar.characters() {
            if character == ' ' {
                let inside = at > 0 && next.is_some_and(|next| next != ' ');
                if !scalar.is_key && !after_space && self.column > WIDTH && inside {
                    self.new_line()?;
                } else {
                    self.put(character)?;
                }
                after_space = true;
            } else if is_break(character) {
                if !after_break && character == '\n' {
                    self.put_break('\n')?;
                }
                self.put_break(character)?;
                self.after_indent = true;
                after_break = true;
            } else {
                if after_break {
                    self.new_line()?;
                }
                if character == '\'' {
                    self.put('\'')?;
                }
                self.put(character)?;
                self.after_indent = false;
                (after_space, after_break) = (false, false);
            }
        }
        if after_break {
            self.new_line()?;
        }
        self.indicator("'", false, false)
    }

    pub(super) fn double(&mut self, scalar: &Scalar<'_>) -> io::Result<()> {
        self.indicator("\"", true, false)?;
        let mut after_space = false;
        for (at, character, next) in scalar.characters() {
            if !is_printable(character) || is_break(character) || matches!(character, '"' | '\\') {
                self.escaped(character)?;
                after_space = false;
            } else if character == ' ' {
                let inside = at > 0 && next.is_some();
                if !scalar.is_key && !after_space && self.column > WIDTH && inside {
                    self.new_line()?;
                    if next == Some(' ') {
                        self.put('\\')?;
                    }
                } else {
                    self.put(character)?;
                }
                after_space = true;
            } else {
                self.put(character)?;
                after_space = false;
            }
        }
        self.indicator("\"", false, false)
    }

    fn escaped(&mut self, character: char) -> io::Result<()> {
        let code = u32::from(character);
        let escape = match character {
            '\0' => "0".into(),
            '\u{7}' => "a".into(),
            '\u{8}' => "b".into(),
            '\t' => "t".into(),
            '\n' => "n".into(),
            '\u{b}' => "v".into(),
            '\u{c}' => "f".into(),
            '\r' => "r".into(),
            '\u{1b}' => "e".into(),
            '"' | '\\' => character.to_string(),
            '\u{85}' => "N".into(),
            '\u{2028}' => "L".into(),
            '\u{2029}' => "P".into(),
            _ if code <= 0xff => format!("x{code:02X}"),
            _ if code <= 0xffff => format!("u{code:04X}"),
            _ => format!("U{code:08X}"),
        };
        self.put('\\')?;
        escape.chars().try_for_each(|character| self.put(character))
    }
}
