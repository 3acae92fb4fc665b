//! Tokens to a syntax tree: top-down operator precedence with jmespath.py's rules, oddities included.

mod brackets;
mod cursor;

use super::CompileError;
use super::lexer::{self, Kind as Lexeme, Token};
use super::node::{Chain, Comparator, Kind, LIMIT, Node};

type Result<T> = std::result::Result<T, CompileError>;

/// Binding powers below this one end a projection.
const PROJECTION_STOP: u8 = 10;

/// Parses a whole expression.
pub(super) fn parse(expression: &str) -> Result<Node> {
    let tokens = lexer::tokenize(expression)?;
    let mut parser = Parser { expression, tokens, index: 0, depth: 0 };
    let node = parser.expression(0)?;
    match parser.peek() {
        Lexeme::Eof => Ok(node),
        _ => Err(parser.unexpected(&format!("Unexpected token: {}", parser.token().text()))),
    }
}

struct Parser<'a> {
    expression: &'a str,
    tokens: Vec<Token>,
    index: usize,
    depth: usize,
}

impl Parser<'_> {
    /// A node of this kind, unless the tree is too high by it.
    fn node(kind: Kind) -> Result<Node> {
        Self::bounded(Node::new(kind))
    }

    fn bounded(node: Node) -> Result<Node> {
        if node.height > LIMIT { Err(too_deep()) } else { Ok(node) }
    }

    fn expression(&mut self, binding_power: u8) -> Result<Node> {
        self.depth += 1;
        if self.depth > LIMIT {
            return Err(too_deep());
        }
        let mut left = self.prefix()?;
        while binding_power < self.peek().binding_power() {
            left = self.infix(left)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Parses the beginning of an expression.
    fn prefix(&mut self) -> Result<Node> {
        let token = self.token().clone();
        self.index += 1;
        match token.kind {
            Lexeme::Literal => Self::node(Kind::Literal(token.value)),
            Lexeme::QuotedIdentifier if self.peek() == Lexeme::Lparen => {
                Err(self.error("Quoted identifier not allowed for function names.", self.token(), 0))
            }
            Lexeme::QuotedIdentifier | Lexeme::UnquotedIdentifier => Self::node(Kind::Field(token.text())),
            Lexeme::Star => {
                let right = match self.peek() {
                    Lexeme::Rbracket => Node::identity(),
                    _ => self.projected(Lexeme::Star.binding_power())?,
                };
                Self::node(Kind::ProjectValues(Box::new([Node::identity(), right])))
            }
            Lexeme::Filter => self.filter(Node::identity()),
            Lexeme::Lbrace => self.object(),
            Lexeme::Lparen => {
                let inner = self.expression(0)?;
                self.expect(Lexeme::Rparen)?;
                Ok(inner)
            }
            Lexeme::Flatten => self.flatten(Node::identity()),
            Lexeme::Not => {
                let inner = self.expression(Lexeme::Not.binding_power())?;
                Self::node(Kind::Not(Box::new(inner)))
            }
            Lexeme::Lbracket => self.prefix_bracket(),
            Lexeme::Current => Ok(Node::identity()),
            Lexeme::Expref => {
                let inner = self.expression(Lexeme::Expref.binding_power())?;
                Self::node(Kind::Reference(Box::new(inner)))
            }
            Lexeme::Eof => Err(self.incomplete()),
            _ => Err(self.error("invalid token", &token, token.start)),
        }
    }

    fn prefix_bracket(&mut self) -> Result<Node> {
        match self.peek() {
            Lexeme::Number | Lexeme::Colon => {
                let right = self.index_or_slice()?;
                self.indexed(Node::identity(), right)
            }
            Lexeme::Star if self.peek_second() == Lexeme::Rbracket => {
                self.index += 2;
                let right = self.projected(Lexeme::Star.binding_power())?;
                Self::node(Kind::Project(Box::new([Node::identity(), right])))
            }
            _ => self.list(),
        }
    }

    /// Parses the continuation of an expression.
    fn infix(&mut self, left: Node) -> Result<Node> {
        let token = self.peek();
        let pair = |left: Node, right: Node| Box::new([left, right]);
        let comparator = match token {
            Lexeme::Eq => Comparator::Equal,
            Lexeme::Ne => Comparator::NotEqual,
            Lexeme::Lt => Comparator::Less,
            Lexeme::Lte => Comparator::LessOrEqual,
            Lexeme::Gt => Comparator::Greater,
            Lexeme::Gte => Comparator::GreaterOrEqual,
            Lexeme::Dot => return self.dot(left),
            Lexeme::Lparen => return self.call(left),
            Lexeme::Lbracket => return self.infix_bracket(left),
            Lexeme::Filter => {
                self.index += 1;
                return self.filter(left);
            }
            Lexeme::Flatten => {
                self.index += 1;
                return self.flatten(left);
            }
            Lexeme::Pipe | Lexeme::Or | Lexeme::And => {
                self.index += 1;
                let right = self.expression(token.binding_power())?;
                return Self::joined(token, left, right);
            }
            _ => return Err(self.unexpected("invalid token")),
        };
        self.index += 1;
        let right = self.expression(token.binding_power())?;
        Self::node(Kind::Compare(comparator, pair(left, right)))
    }

    fn dot(&mut self, left: Node) -> Result<Node> {
        self.index += 1;
        if self.accept(Lexeme::Star) {
            let right = self.projected(Lexeme::Dot.binding_power())?;
            return Self::node(Kind::ProjectValues(Box::new([left, right])));
        }
        let right = self.after_dot(Lexeme::Dot.binding_power())?;
        Self::chained(Chain::Subexpression, left, right)
    }

    /// Appends to a chain of the same making, or begins one.
    fn chained(chain: Chain, left: Node, right: Node) -> Result<Node> {
        match left.kind {
            Kind::Chain(made, mut nodes) if made == chain => {
                let height = left.height.max(right.height + 1);
                nodes.push(right);
                Self::bounded(Node { kind: Kind::Chain(made, nodes), height })
            }
            _ => Self::node(Kind::Chain(chain, vec![left, right])),
        }
    }

    /// Joins two sides by `|`, `||` or `&&`. All three are associative, so a row of them is one node.
    fn joined(token: Lexeme, left: Node, right: Node) -> Result<Node> {
        let height = left.height.max(right.height + 1);
        let kind = match (token, left.kind) {
            (Lexeme::Pipe, kind) => {
                return Self::chained(Chain::Pipe, Node { kind, height: left.height }, right);
            }
            (Lexeme::Or, Kind::Or(mut nodes)) => {
                nodes.push(right);
                Kind::Or(nodes)
            }
            (Lexeme::And, Kind::And(mut nodes)) => {
                nodes.push(right);
                Kind::And(nodes)
            }
            (Lexeme::Or, kind) => {
                return Self::node(Kind::Or(vec![Node { kind, height: left.height }, right]));
            }
            (_, kind) => return Self::node(Kind::And(vec![Node { kind, height: left.height }, right])),
        };
        Self::bounded(Node { kind, height })
    }

    fn call(&mut self, left: Node) -> Result<Node> {
        let Kind::Field(name) = left.kind else {
            let before = &self.tokens[self.index - 1];
            return Err(self.error(
                &format!("Invalid function name '{}'", before.text()),
                before,
                before.start,
            ));
        };
        self.index += 1;
        let mut arguments = Vec::new();
        // A missing comma between two arguments goes unnoticed, as does one too many at the end.
        while !self.accept(Lexeme::Rparen) {
            arguments.push(self.expression(0)?);
            self.accept(Lexeme::Comma);
        }
        Self::node(Kind::Call(name, arguments))
    }

    /// The right side of a projection.
    fn projected(&mut self, binding_power: u8) -> Result<Node> {
        match self.peek() {
            stop if stop.binding_power() < PROJECTION_STOP => Ok(Node::identity()),
            Lexeme::Lbracket | Lexeme::Filter => self.expression(binding_power),
            Lexeme::Dot => {
                self.index += 1;
                self.after_dot(binding_power)
            }
            _ => Err(self.unexpected("syntax error")),
        }
    }

    fn after_dot(&mut self, binding_power: u8) -> Result<Node> {
        match self.peek() {
            Lexeme::QuotedIdentifier | Lexeme::UnquotedIdentifier | Lexeme::Star => {
                self.expression(binding_power)
            }
            Lexeme::Lbracket => {
                self.index += 1;
                self.list()
            }
            Lexeme::Lbrace => {
                self.index += 1;
                self.object()
            }
            other => Err(self.unexpected(&format!(
                "Expecting: ['quoted_identifier', 'unquoted_identifier', 'lbracket', 'lbrace'], got: {}",
                other.name()
            ))),
        }
    }
}

fn too_deep() -> CompileError {
    CompileError("maximum recursion depth exceeded".into())
}
