//! Text to tokens, with jmespath.py's positions (in code points) and complaints.

use serde_json::{Number, Value};

use super::CompileError;
use super::scan;
use crate::output::integer::Integer;
use crate::output::python::str_of;

/// Kind of a token, under the names that error texts use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Eof,
    UnquotedIdentifier,
    QuotedIdentifier,
    Literal,
    Rbracket,
    Rparen,
    Comma,
    Rbrace,
    Number,
    Current,
    Expref,
    Colon,
    Pipe,
    Or,
    And,
    Eq,
    Gt,
    Lt,
    Gte,
    Lte,
    Ne,
    Flatten,
    Star,
    Filter,
    Dot,
    Not,
    Lbrace,
    Lbracket,
    Lparen,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Eof => "eof",
            Self::UnquotedIdentifier => "unquoted_identifier",
            Self::QuotedIdentifier => "quoted_identifier",
            Self::Literal => "literal",
            Self::Rbracket => "rbracket",
            Self::Rparen => "rparen",
            Self::Comma => "comma",
            Self::Rbrace => "rbrace",
            Self::Number => "number",
            Self::Current => "current",
            Self::Expref => "expref",
            Self::Colon => "colon",
            Self::Pipe => "pipe",
            Self::Or => "or",
            Self::And => "and",
            Self::Eq => "eq",
            Self::Gt => "gt",
            Self::Lt => "lt",
            Self::Gte => "gte",
            Self::Lte => "lte",
            Self::Ne => "ne",
            Self::Flatten => "flatten",
            Self::Star => "star",
            Self::Filter => "filter",
            Self::Dot => "dot",
            Self::Not => "not",
            Self::Lbrace => "lbrace",
            Self::Lbracket => "lbracket",
            Self::Lparen => "lparen",
        }
    }

    /// Returns the token's binding power to its left.
    pub(super) fn binding_power(self) -> u8 {
        match self {
            Self::Pipe => 1,
            Self::Or => 2,
            Self::And => 3,
            Self::Eq | Self::Gt | Self::Lt | Self::Gte | Self::Lte | Self::Ne => 5,
            Self::Flatten => 9,
            Self::Star => 20,
            Self::Filter => 21,
            Self::Dot => 40,
            Self::Not => 45,
            Self::Lbrace => 50,
            Self::Lbracket => 55,
            Self::Lparen => 60,
            _ => 0,
        }
    }
}

/// Token, with its text or the value of it.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) value: Value,
    pub(super) start: usize,
}

impl Token {
    /// The value as error texts show it.
    pub(super) fn text(&self) -> String {
        str_of(&self.value)
    }
}

/// Cuts an expression into tokens, the last of which is the end.
pub(super) fn tokenize(expression: &str) -> Result<Vec<Token>, CompileError> {
    if expression.is_empty() {
        return Err(CompileError("Invalid JMESPath expression: cannot be empty.".into()));
    }
    let mut lexer = Lexer { expression, characters: expression.chars().collect(), position: 0 };
    let mut tokens = Vec::new();
    while let Some(character) = lexer.current() {
        if matches!(character, ' ' | '\t' | '\n' | '\r') {
            lexer.position += 1;
        } else {
            let start = lexer.position;
            let (kind, value) = lexer.token(character)?;
            tokens.push(Token { kind, value, start });
        }
    }
    tokens.push(Token { kind: Kind::Eof, value: Value::from(""), start: lexer.characters.len() });
    Ok(tokens)
}

struct Lexer<'a> {
    expression: &'a str,
    characters: Vec<char>,
    position: usize,
}

impl Lexer<'_> {
    fn current(&self) -> Option<char> {
        self.characters.get(self.position).copied()
    }

    fn advance(&mut self) -> Option<char> {
        self.position += 1;
        self.current()
    }

    fn token(&mut self, character: char) -> Result<(Kind, Value), CompileError> {
        let simple = match character {
            '.' => Kind::Dot,
            '*' => Kind::Star,
            ']' => Kind::Rbracket,
            ',' => Kind::Comma,
            ':' => Kind::Colon,
            '@' => Kind::Current,
            '(' => Kind::Lparen,
            ')' => Kind::Rparen,
            '{' => Kind::Lbrace,
            '}' => Kind::Rbrace,
            '[' => return Ok(self.one_of("[", &[(']', Kind::Flatten), ('?', Kind::Filter)], Kind::Lbracket)),
            '|' => return Ok(self.one_of("|", &[('|', Kind::Or)], Kind::Pipe)),
            '&' => return Ok(self.one_of("&", &[('&', Kind::And)], Kind::Expref)),
            '<' => return Ok(self.one_of("<", &[('=', Kind::Lte)], Kind::Lt)),
            '>' => return Ok(self.one_of(">", &[('=', Kind::Gte)], Kind::Gt)),
            '!' => return Ok(self.one_of("!", &[('=', Kind::Ne)], Kind::Not)),
            '=' => return self.equal(),
            '\'' => {
                return self.until('\'').map(|text| (Kind::Literal, Value::from(text.replace("\\'", "'"))));
            }
            '`' => return self.literal(),
            '"' => return self.quoted_identifier(),
            '-' | '0'..='9' => return self.number(character),
            'a'..='z' | 'A'..='Z' | '_' => {
                return Ok((Kind::UnquotedIdentifier, Value::from(self.identifier())));
            }
            other => return Err(self.error(self.position, &format!("Unknown token {other}"))),
        };
        self.position += 1;
        Ok((simple, Value::from(character.to_string())))
    }

    /// A token of one character, or of two when the second is one of these.
    fn one_of(&mut self, first: &str, seconds: &[(char, Kind)], otherwise: Kind) -> (Kind, Value) {
        let second = self.advance();
        match seconds.iter().find(|(character, _)| Some(*character) == second) {
            Some((character, kind)) => {
                self.position += 1;
                (*kind, Value::from(format!("{first}{character}")))
            }
            None => (otherwise, Value::from(first)),
        }
    }

    fn equal(&mut self) -> Result<(Kind, Value), CompileError> {
        if self.advance() == Some('=') {
            self.position += 1;
            return Ok((Kind::Eq, Value::from("==")));
        }
        Err(self.error(self.position - 1, "Unknown token '='"))
    }

    fn number(&mut self, first: char) -> Result<(Kind, Value), CompileError> {
        let start = self.position;
        let mut digits = String::from(first);
        while let Some(digit @ '0'..='9') = self.advance() {
            digits.push(digit);
        }
        let integer = Integer::parse(&digits).ok_or_else(|| self.error(start, "Unknown token '-'"))?;
        Ok((Kind::Number, Value::Number(Number::from_string_unchecked(integer.to_string()))))
    }

    fn identifier(&mut self) -> String {
        let mut text = String::new();
        while let Some(character) = self.current().filter(|next| next.is_ascii_alphanumeric() || *next == '_')
        {
            text.push(character);
            self.position += 1;
        }
        text
    }

    /// The text up to a closing delimiter, backslashes kept; the character after a backslash closes nothing.
    fn until(&mut self, delimiter: char) -> Result<String, CompileError> {
        let start = self.position;
        let mut text = String::new();
        let mut next = self.advance();
        while next != Some(delimiter) {
            if next == Some('\\') {
                text.push('\\');
                next = self.advance();
            }
            let Some(character) = next else {
                return Err(self.error(start, &format!("Unclosed {delimiter} delimiter")));
            };
            text.push(character);
            next = self.advance();
        }
        self.position += 1;
        Ok(text)
    }

    /// JSON between backticks. What is no JSON is a string, its leading white space dropped.
    fn literal(&mut self) -> Result<(Kind, Value), CompileError> {
        let start = self.position;
        let text = self.until('`')?.replace("\\`", "`");
        let value = match scan::json(&text) {
            Some(value) => value,
            None => match scan::string(&format!("\"{}\"", text.trim_start())) {
                Ok(string) => Value::from(string),
                Err(_) => return Err(self.error(start, &format!("Bad token {text}"))),
            },
        };
        Ok((Kind::Literal, value))
    }

    fn quoted_identifier(&mut self) -> Result<(Kind, Value), CompileError> {
        let start = self.position;
        let text = format!("\"{}\"", self.until('"')?);
        match scan::string(&text) {
            Ok(name) => Ok((Kind::QuotedIdentifier, Value::from(name))),
            Err(complaint) => Err(self.error(start, complaint)),
        }
    }

    fn error(&self, position: usize, message: &str) -> CompileError {
        CompileError(format!("Bad jmespath expression: {message}:\n{}\n{:position$}^", self.expression, ""))
    }
}
