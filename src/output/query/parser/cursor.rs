//! The tokens of an expression one after the other, and the errors about them.

use super::super::lexer::{Kind as Lexeme, Token};
use super::{CompileError, Parser, Result};

impl Parser<'_> {
    /// The current token; the end stays the end.
    pub(super) fn token(&self) -> &Token {
        &self.tokens[self.index.min(self.tokens.len() - 1)]
    }

    pub(super) fn peek(&self) -> Lexeme {
        self.token().kind
    }

    pub(super) fn peek_second(&self) -> Lexeme {
        self.tokens.get(self.index + 1).map_or(Lexeme::Eof, |token| token.kind)
    }

    pub(super) fn accept(&mut self, kind: Lexeme) -> bool {
        let accepted = self.peek() == kind;
        self.index += usize::from(accepted);
        accepted
    }

    pub(super) fn expect(&mut self, kind: Lexeme) -> Result<()> {
        if self.accept(kind) { Ok(()) } else { Err(self.expected(kind.name())) }
    }

    pub(super) fn expected(&self, what: &str) -> CompileError {
        match self.peek() {
            Lexeme::Eof => self.incomplete(),
            other => self.unexpected(&format!("Expecting: {what}, got: {}", other.name())),
        }
    }

    pub(super) fn unexpected(&self, message: &str) -> CompileError {
        self.error(message, self.token(), self.token().start)
    }

    pub(super) fn error(&self, message: &str, token: &Token, position: usize) -> CompileError {
        let width = position + 1;
        CompileError(format!(
            "{message}: Parse error at column {position}, token \"{}\" ({}), for expression:\n\"{}\"\n{:width$}^",
            token.text(),
            token.kind.name().to_uppercase(),
            self.expression,
            "",
        ))
    }

    pub(super) fn incomplete(&self) -> CompileError {
        let width = self.expression.chars().count() + 1;
        CompileError(format!(
            "Invalid jmespath expression: Incomplete expression:\n\"{}\"\n{:width$}^",
            self.expression, ""
        ))
    }
}
