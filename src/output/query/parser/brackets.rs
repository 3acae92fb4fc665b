//! What stands in brackets and braces: indexes, slices, filters, lists and objects.

use serde_json::Value;

use super::super::lexer::{Kind as Lexeme, Token};
use super::super::node::{Chain, Kind, Node};
use super::{Parser, Result};
use crate::output::integer::Integer;

impl Parser<'_> {
    pub(super) fn infix_bracket(&mut self, left: Node) -> Result<Node> {
        self.index += 1;
        if matches!(self.peek(), Lexeme::Number | Lexeme::Colon) {
            let right = self.index_or_slice()?;
            // After an index, a slice is appended like another index and projects nothing.
            return match &left.kind {
                Kind::Chain(Chain::Index, _) => Self::chained(Chain::Index, left, right),
                _ => self.indexed(left, right),
            };
        }
        self.expect(Lexeme::Star)?;
        self.expect(Lexeme::Rbracket)?;
        let right = self.projected(Lexeme::Star.binding_power())?;
        Self::node(Kind::Project(Box::new([left, right])))
    }

    pub(super) fn indexed(&mut self, left: Node, right: Node) -> Result<Node> {
        let is_slice = matches!(right.kind, Kind::Slice(_));
        let node = Self::node(Kind::Chain(Chain::Index, vec![left, right]))?;
        if !is_slice {
            return Ok(node);
        }
        let right = self.projected(Lexeme::Star.binding_power())?;
        Self::node(Kind::Project(Box::new([node, right])))
    }

    pub(super) fn index_or_slice(&mut self) -> Result<Node> {
        if self.peek() == Lexeme::Colon || self.peek_second() == Lexeme::Colon {
            return self.slice();
        }
        let index = number(self.token());
        self.index += 1;
        self.expect(Lexeme::Rbracket)?;
        Self::node(Kind::Index(index))
    }

    pub(super) fn slice(&mut self) -> Result<Node> {
        let mut parts = [None; 3];
        let mut part = 0;
        while self.peek() != Lexeme::Rbracket && part < 3 {
            match self.peek() {
                Lexeme::Colon if part == 2 => return Err(self.unexpected("syntax error")),
                Lexeme::Colon => part += 1,
                Lexeme::Number => parts[part] = Some(number(self.token())),
                _ => return Err(self.unexpected("syntax error")),
            }
            self.index += 1;
        }
        self.expect(Lexeme::Rbracket)?;
        Self::node(Kind::Slice(parts))
    }

    pub(super) fn filter(&mut self, left: Node) -> Result<Node> {
        let condition = self.expression(0)?;
        self.expect(Lexeme::Rbracket)?;
        let right = match self.peek() {
            Lexeme::Flatten => Node::identity(),
            _ => self.projected(Lexeme::Filter.binding_power())?,
        };
        Self::node(Kind::Filter(Box::new([left, right, condition])))
    }

    pub(super) fn flatten(&mut self, left: Node) -> Result<Node> {
        let flat = Self::node(Kind::Flatten(Box::new(left)))?;
        let right = self.projected(Lexeme::Flatten.binding_power())?;
        Self::node(Kind::Project(Box::new([flat, right])))
    }

    pub(super) fn list(&mut self) -> Result<Node> {
        let mut nodes = Vec::new();
        loop {
            nodes.push(self.expression(0)?);
            if self.accept(Lexeme::Rbracket) {
                return Self::node(Kind::List(nodes));
            }
            self.expect(Lexeme::Comma)?;
        }
    }

    pub(super) fn object(&mut self) -> Result<Node> {
        let mut members = Vec::new();
        loop {
            let key = self.token().text();
            if !self.accept(Lexeme::QuotedIdentifier) && !self.accept(Lexeme::UnquotedIdentifier) {
                return Err(self.expected("['quoted_identifier', 'unquoted_identifier']"));
            }
            self.expect(Lexeme::Colon)?;
            members.push((key, self.expression(0)?));
            // As with arguments, a missing comma goes unnoticed.
            if !self.accept(Lexeme::Comma) && self.accept(Lexeme::Rbrace) {
                return Self::node(Kind::Object(members));
            }
        }
    }
}

fn number(token: &Token) -> i64 {
    match &token.value {
        Value::Number(number) => Integer::parse(number.as_str()).map_or(0, |integer| integer.to_i64()),
        _ => 0,
    }
}
