//! `--query`: JMESPath in the dialect of jmespath.py 1.0.1, down to its error texts.
//!
//! The `jmespath` crate is not used: it sorts keys, compares numbers only, rejects what jmespath.py takes as a bare
//! string between backticks, and words its errors otherwise.

mod evaluate;
mod functions;
mod lexer;
mod node;
mod parser;
mod scan;

use serde_json::Value;

use self::node::Node;

/// An expression that does not compile. Its text is jmespath.py's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CompileError(pub(crate) String);

/// An expression that cannot be evaluated over the value at hand. Its text is jmespath.py's, or Python's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvaluationError(pub(crate) String);

/// A compiled expression.
#[derive(Debug)]
pub struct Query(Node);

impl Query {
    /// Compiles an expression.
    pub fn compile(expression: &str) -> Result<Self, CompileError> {
        parser::parse(expression).map(Self)
    }

    /// Evaluates the expression over a value.
    pub fn evaluate(&self, value: &Value) -> Result<Value, EvaluationError> {
        evaluate::evaluate(&self.0, value).map(std::borrow::Cow::into_owned)
    }
}

#[cfg(test)]
mod tests;
