//! Lines and columns of a JSON document: where a value stands, and where one stands twice.

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

/// The position of the value that a JSON pointer names; of the innermost value that is there, where it is not. Of two
/// members of one name the last counts, as in the document's meaning.
pub(super) fn position(text: &str, pointer: &str) -> Position {
    let mut raw = text.trim_start_matches([' ', '\t', '\r', '\n']);
    for step in pointer.split('/').skip(1) {
        let inner = if let Ok(index) = step.parse::<usize>() {
            elements(raw).get(index).map(|element| element.get())
        } else {
            let member = members(raw).into_iter().rev().find(|(name, _)| name == step);
            member.map(|(_, value)| value.get())
        };
        let Some(inner) = inner else { break };
        raw = inner;
    }
    Position::at(text, offset(text, raw))
}

/// ObjectMembers whose name stands before them in the same object: their position and name.
pub(super) fn duplicates(text: &str) -> Vec<(Position, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![text];
    while let Some(raw) = waiting.pop() {
        let mut names: Vec<String> = Vec::new();
        for (name, value) in members(raw) {
            if names.contains(&name) {
                found.push((Position::at(text, offset(text, value.get())), name));
            } else {
                names.push(name);
            }
            waiting.push(value.get());
        }
        waiting.extend(elements(raw).into_iter().map(RawValue::get));
    }
    found.sort();
    found
}

fn members(raw: &str) -> Vec<(String, &RawValue)> {
    if raw.trim_start().starts_with('{') {
        serde_json::from_str::<ObjectMembers<'_>>(raw).map(|members| members.0).unwrap_or_default()
    } else {
        Vec::new()
    }
}

fn elements(raw: &str) -> Vec<&RawValue> {
    if raw.trim_start().starts_with('[') { serde_json::from_str(raw).unwrap_or_default() } else { Vec::new() }
}

/// Where a part of a text begins in it.
fn offset(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}
