//! Lines and columns of a JSON document: where a value stands, and where one stands twice.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A line and a column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The position of the byte at `offset`.
    pub(super) fn at(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }
}

/// The members of an object as they stand in the document, so that a name may be there twice.
struct ObjectMembers<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for ObjectMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = ObjectMembers<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(ObjectMembers(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A value and where it begins, in bytes.
struct Node {
    offset: usize,
    content: Content,
}

enum Content {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Scalar,
}

/// Positions of the values in a document, which is parsed once.
pub(super) struct Places<'a> {
    text: &'a str,
    root: Node,
}

impl<'a> Places<'a> {
    /// Reads a document that is known to be JSON.
    pub(super) fn read(text: &'a str) -> Self {
        let root = node(text, text.trim_start_matches([' ', '\t', '\r', '\n']));
        Self { text, root }
    }

    /// Returns the offset of the value that a JSON pointer names, or of the innermost existing value on its path. Of
    /// two members of one name the last counts, as in the document's meaning.
    pub(super) fn offset(&self, pointer: &str) -> usize {
        let mut node = &self.root;
        for step in pointer.split('/').skip(1) {
            let inner = match &node.content {
                Content::Object(members) => {
                    members.iter().rev().find(|(name, _)| name == step).map(|(_, value)| value)
                }
                Content::Array(elements) => step.parse().ok().and_then(|index: usize| elements.get(index)),
                Content::Scalar => None,
            };
            let Some(inner) = inner else { break };
            node = inner;
        }
        node.offset
    }

    /// Members whose name stands before them in the same object: their offset and name, in the document's order.
    pub(super) fn duplicates(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut waiting = vec![&self.root];
        while let Some(node) = waiting.pop() {
            match &node.content {
                Content::Object(members) => {
                    let mut names = HashSet::new();
                    for (name, value) in members {
                        if !names.insert(name) {
                            found.push((value.offset, name.clone()));
                        }
                        waiting.push(value);
                    }
                }
                Content::Array(elements) => waiting.extend(elements),
                Content::Scalar => {}
            }
        }
        found.sort();
        found
    }

    /// The positions of these offsets, which ascend. The text is walked once.
    pub(super) fn positions(&self, offsets: &[usize]) -> Vec<Position> {
        let (mut at, mut position) = (0, Position { line: 1, column: 1 });
        let step = |offset: &usize| {
            for character in self.text.get(at..*offset).unwrap_or_default().chars() {
                position = match character {
                    '\n' => Position { line: position.line + 1, column: 1 },
                    _ => Position { column: position.column + 1, ..position },
                };
            }
            at = at.max(*offset);
            position
        };
        offsets.iter().map(step).collect()
    }
}

fn node(text: &str, raw: &str) -> Node {
    // An address within the text, as each part is borrowed from it.
    let offset = (raw.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let content = match raw.as_bytes().first() {
        Some(b'{') => {
            let members =
                serde_json::from_str::<ObjectMembers<'_>>(raw).map(|members| members.0).unwrap_or_default();
            Content::Object(
                members.into_iter().map(|(name, value)| (name, node(text, value.get()))).collect(),
            )
        }
        Some(b'[') => {
            let elements = serde_json::from_str::<Vec<&RawValue>>(raw).unwrap_or_default();
            Content::Array(elements.into_iter().map(|element| node(text, element.get())).collect())
        }
        _ => Content::Scalar,
    };
    Node { offset, content }
}
