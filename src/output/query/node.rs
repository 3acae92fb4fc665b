//! The syntax tree, whose height is bounded so that neither its evaluation nor its end can overflow the stack.

use serde_json::Value;

/// Limit of an expression's nesting: what a thread's usual stack of 2 MiB can take in an unoptimised build.
/// jmespath.py ends between 400 and 500 levels, but there a row of `||` counts as nesting, too.
pub(super) const LIMIT: usize = 150;

/// One node with its height.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) height: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Identity,
    Field(String),
    Literal(Value),
    Index(i64),
    Slice([Option<i64>; 3]),
    /// Each node is evaluated over the result of the one before: `a.b`, `a[0]`, `a | b`.
    Chain(Chain, Vec<Node>),
    Flatten(Box<Node>),
    /// The right side over every element of the left side.
    Project(Box<[Node; 2]>),
    /// The right side over every value of an object.
    ProjectValues(Box<[Node; 2]>),
    /// Left, right, condition.
    Filter(Box<[Node; 3]>),
    Compare(Comparator, Box<[Node; 2]>),
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
    Call(String, Vec<Node>),
    /// `&expression`.
    Reference(Box<Node>),
}

/// Kind of a chain, which decides what may be appended to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    Subexpression,
    Index,
    Pipe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Node {
    pub(super) fn new(kind: Kind) -> Self {
        let height = 1 + match &kind {
            Kind::Identity | Kind::Field(_) | Kind::Literal(_) | Kind::Index(_) | Kind::Slice(_) => 0,
            Kind::Chain(_, nodes)
            | Kind::Or(nodes)
            | Kind::And(nodes)
            | Kind::List(nodes)
            | Kind::Call(_, nodes) => highest(nodes),
            Kind::Project(nodes) | Kind::ProjectValues(nodes) | Kind::Compare(_, nodes) => {
                highest(nodes.as_slice())
            }
            Kind::Filter(nodes) => highest(nodes.as_slice()),
            Kind::Object(members) => members.iter().map(|(_, node)| node.height).max().unwrap_or(0),
            Kind::Flatten(node) | Kind::Not(node) | Kind::Reference(node) => node.height,
        };
        Self { kind, height }
    }

    pub(super) fn identity() -> Self {
        Self::new(Kind::Identity)
    }
}

fn highest(nodes: &[Node]) -> usize {
    nodes.iter().map(|node| node.height).max().unwrap_or(0)
}
