//! YAML 1.2 as ruamel.yaml's safe loader reads it: libyaml's events, resolved and constructed here.
//!
//! Not followed: `%YAML 1.1`, which ruamel.yaml honours; its rules of 1.1 made `yes` a boolean.

use std::collections::{HashMap, HashSet};
use std::panic;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use libyaml_safer::{EventData, Parser, ScalarStyle};
use serde_json::{Map, Value};

use super::yaml_scalar;
use crate::model::foreign;

/// Python's stack ends near here.
const MAX_LEVELS: usize = 250;

/// Limit of the values of one text. Aliases of aliases grow without end otherwise.
const MAX_VALUES: usize = 200_000;

/// Error of parsing YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// Not YAML, or YAML that the safe loader refuses.
    #[error("invalid YAML")]
    Invalid,
    /// More levels than anyone needs.
    #[error("maximum recursion depth exceeded")]
    TooDeep,
    /// A scalar that Python cannot convert, with its error text.
    #[error("{0}")]
    Value(String),
}

impl From<libyaml_safer::Error> for Error {
    fn from(_: libyaml_safer::Error) -> Self {
        Self::Invalid
    }
}

/// Reads an input: its members are arguments to Python, whose names are strings.
pub(super) fn parse_input(bytes: &[u8]) -> Result<Value, Error> {
    let Some((node, value)) = read(bytes)? else { return Ok(Value::Null) };
    if let Content::Mapping(members) = &node.content {
        for (key, _) in members.iter().filter(|(key, _)| !is_merge(key)) {
            if (Constructor { left: MAX_VALUES }).key(key)?.0 != "str" {
                return Err(Error::Value("keywords must be strings".to_owned()));
            }
        }
    }
    Ok(value)
}

/// Reads a document of any kind.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Error> {
    Ok(read(bytes)?.map_or(Value::Null, |(_, value)| value))
}

/// Reads the only document of a text, if there is one. libyaml-safer 0.3 panics where a comma follows on a tag, for one.
fn read(bytes: &[u8]) -> Result<Option<(Rc<Node>, Value)>, Error> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // The hook belongs to all threads.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let read = panic::catch_unwind(|| compose(bytes));
    panic::set_hook(hook);
    read.unwrap_or(Err(Error::Invalid))
}

fn compose(bytes: &[u8]) -> Result<Option<(Rc<Node>, Value)>, Error> {
    let ends_line = bytes.is_empty() || bytes.ends_with(b"\n") || bytes.ends_with(b"\r");
    let with_line_end;
    let mut input = if ends_line {
        bytes
    } else {
        // libyaml-safer 0.3 panics where a block scalar or an escape meets the end of the text.
        with_line_end = [bytes, b"\n"].concat();
        &with_line_end
    };
    let added_line_end = (!ends_line).then_some(bytes.len() as u64);
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    let mut composer = Composer { parser, anchors: HashMap::new(), level: 0, added_line_end };
    let Some(node) = composer.document()? else { return Ok(None) };
    let value = Constructor { left: MAX_VALUES }.value(&node)?;
    Ok(Some((node, value)))
}

/// A node of the document, before it means anything.
struct Node {
    tag: Option<String>,
    content: Content,
    /// The levels from here down, aliases followed: it bounds every recursion over nodes.
    levels: usize,
}

/// A key and its value.
type Pair = (Rc<Node>, Rc<Node>);

enum Content {
    Scalar { text: String, is_plain: bool },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<Pair>),
}

impl Content {
    fn levels(&self) -> usize {
        match self {
            Self::Scalar { .. } => 0,
            Self::Sequence(items) => 1 + items.iter().map(|item| item.levels).max().unwrap_or(0),
            Self::Mapping(members) => {
                1 + members.iter().map(|(key, value)| key.levels.max(value.levels)).max().unwrap_or(0)
            }
        }
    }
}

struct Composer<'r, 'b> {
    parser: Parser<&'r mut &'b [u8]>,
    anchors: HashMap<String, Rc<Node>>,
    level: usize,
    /// Position of the line end that was added because the text does not end with one.
    added_line_end: Option<u64>,
}

impl Composer<'_, '_> {
    fn document(&mut self) -> Result<Option<Rc<Node>>, Error> {
        let mut document = None;
        loop {
            match self.parser.parse()?.data {
                EventData::StreamStart { .. } | EventData::DocumentEnd { .. } => {}
                EventData::StreamEnd => return Ok(document),
                EventData::DocumentStart { .. } if document.is_none() => document = self.node()?,
                _ => return Err(Error::Invalid),
            }
        }
    }

    /// The next node; `None` at the end of the collection around it.
    fn node(&mut self) -> Result<Option<Rc<Node>>, Error> {
        let event = self.parser.parse()?;
        let (anchor, tag, content) = match event.data {
            EventData::Alias { anchor } => {
                return self.anchors.get(&anchor).cloned().map(Some).ok_or(Error::Invalid);
            }
            EventData::Scalar { anchor, tag, mut value, style, .. } => {
                let is_plain = style == ScalarStyle::Plain;
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if is_block && self.added_line_end.is_some_and(|at| event.end_mark.index > at) {
                    value.truncate(value.strip_suffix('\n').map_or(value.len(), str::len));
                }
                (anchor, tag, Content::Scalar { text: value, is_plain })
            }
            EventData::SequenceStart { anchor, tag, .. } => (anchor, tag, self.sequence()?),
            EventData::MappingStart { anchor, tag, .. } => (anchor, tag, self.mapping()?),
            EventData::SequenceEnd | EventData::MappingEnd => return Ok(None),
            _ => return Err(Error::Invalid),
        };
        let levels = content.levels();
        if levels > MAX_LEVELS {
            return Err(Error::TooDeep);
        }
        let node = Rc::new(Node { tag: tag.filter(|tag| tag != "!"), content, levels });
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(Some(node))
    }

    /// The items of a sequence, whose start was read.
    fn sequence(&mut self) -> Result<Content, Error> {
        let mut items = Vec::new();
        self.nested(|composer| {
            let item = composer.node()?;
            Ok(item.map(|item| items.push(item)))
        })?;
        Ok(Content::Sequence(items))
    }

    /// The keys and values of a mapping, whose start was read.
    fn mapping(&mut self) -> Result<Content, Error> {
        let mut members = Vec::new();
        self.nested(|composer| {
            let Some(key) = composer.node()? else { return Ok(None) };
            let value = composer.node()?.ok_or(Error::Invalid)?;
            members.push((key, value));
            Ok(Some(()))
        })?;
        Ok(Content::Mapping(members))
    }

    fn nested(&mut self, mut read: impl FnMut(&mut Self) -> Result<Option<()>, Error>) -> Result<(), Error> {
        if self.level == MAX_LEVELS {
            return Err(Error::TooDeep);
        }
        self.level += 1;
        while read(self)?.is_some() {}
        self.level -= 1;
        Ok(())
    }
}

struct Constructor {
    left: usize,
}

/// A mapping's own members and, in front of them, those that `<<` merges into it.
struct MergedMapping {
    merged: Vec<Pair>,
    own: Vec<Pair>,
}

impl Constructor {
    fn count(&mut self) -> Result<(), Error> {
        self.left = self.left.checked_sub(1).ok_or(Error::Invalid)?;
        Ok(())
    }

    fn value(&mut self, node: &Node) -> Result<Value, Error> {
        self.count()?;
        let tag = node.tag.as_deref().map(|tag| tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag));
        match (&node.content, tag) {
            (Content::Scalar { text, is_plain }, tag) => yaml_scalar::construct(text, *is_plain, tag),
            (Content::Sequence(items), None | Some("seq")) => {
                items.iter().map(|item| self.value(item)).collect()
            }
            (Content::Sequence(items), Some("omap")) => self.ordered(items),
            (Content::Mapping(members), None | Some("map")) => self.mapping(members),
            _ => Err(Error::Invalid),
        }
    }

    fn mapping(&mut self, members: &[Pair]) -> Result<Value, Error> {
        let MergedMapping { merged, own } = self.flatten(members)?;
        let may_repeat = !merged.is_empty();
        let mut seen = HashSet::new();
        let mut result = Map::new();
        for (key, value) in merged.iter().chain(&own) {
            let (kind, name) = self.key(key)?;
            let value = self.value(value)?;
            if !seen.insert((kind, name.clone())) && !may_repeat {
                return Err(Error::Invalid);
            }
            result.insert(name, value);
        }
        Ok(Value::Object(result))
    }

    fn ordered(&mut self, items: &[Rc<Node>]) -> Result<Value, Error> {
        let mut result = Map::new();
        for item in items {
            let Content::Mapping(members) = &item.content else { return Err(Error::Invalid) };
            let [(key, value)] = members.as_slice() else { return Err(Error::Invalid) };
            let (_, name) = self.key(key)?;
            result.insert(name, self.value(value)?);
        }
        Ok(Value::Object(result))
    }

    fn flatten(&mut self, members: &[Pair]) -> Result<MergedMapping, Error> {
        let mut flat = MergedMapping { merged: Vec::new(), own: Vec::new() };
        for (key, value) in members {
            self.count()?;
            if !is_merge(key) {
                flat.own.push((Rc::clone(key), Rc::clone(value)));
                continue;
            }
            if !flat.merged.is_empty() {
                return Err(Error::Invalid);
            }
            match &value.content {
                Content::Mapping(_) => flat.merged.extend(self.merged(value)?),
                // An earlier mapping of the list wins, so it comes later.
                Content::Sequence(items) => {
                    for item in items.iter().rev() {
                        flat.merged.extend(self.merged(item)?);
                    }
                }
                Content::Scalar { .. } => return Err(Error::Invalid),
            }
        }
        Ok(flat)
    }

    fn merged(&mut self, node: &Node) -> Result<Vec<Pair>, Error> {
        let Content::Mapping(members) = &node.content else { return Err(Error::Invalid) };
        let MergedMapping { mut merged, own } = self.flatten(members)?;
        merged.extend(own);
        Ok(merged)
    }

    /// A key as Python's `str()` shows it, and its type: `1` and `'1'` are two keys.
    fn key(&mut self, node: &Node) -> Result<(&'static str, String), Error> {
        if matches!(&node.content, Content::Scalar { text, is_plain: true } if text == "=") {
            return Ok(("str", "=".to_owned()));
        }
        let key = self.value(node)?;
        let text = match &key {
            Value::Array(items) => {
                let shown: Vec<_> = items.iter().map(foreign::repr).collect();
                if shown.len() == 1 { format!("({},)", shown[0]) } else { format!("({})", shown.join(", ")) }
            }
            Value::Object(_) if foreign::type_name(&key) == "dict" => return Err(Error::Invalid),
            scalar => foreign::text(scalar),
        };
        Ok((foreign::type_name(&key), text))
    }
}

fn is_merge(node: &Node) -> bool {
    match (&node.content, node.tag.as_deref()) {
        (Content::Scalar { text, is_plain: true }, None) => text == "<<",
        (_, tag) => tag == Some("tag:yaml.org,2002:merge"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::wire;

    fn parse(bytes: &[u8]) -> Result<Value, Error> {
        Ok(read(bytes)?.map_or(Value::Null, |(_, value)| value))
    }

    /// Compares with ruamel.yaml: the value as `repr`; `None` for text that it refuses; the words of a Python
    /// error.
    #[test]
    fn reads_what_ruamel_yaml_reads() {
        let recorded = include_str!("../../tests/fixtures/yaml.json");
        let cases: Vec<(String, Value)> = serde_json::from_str(recorded).unwrap();
        for (text, expected) in cases {
            let read = match parse(text.as_bytes()) {
                Ok(value) => serde_json::json!({"value": foreign::repr(&value)}),
                Err(Error::Invalid) => Value::Null,
                Err(error) => serde_json::json!({"error": error.to_string()}),
            };
            assert_eq!(read, expected, "{text:?}");
        }
    }

    #[test]
    fn exponential_aliases_are_refused() {
        // Each line says more of the line before it.
        let lines = |count, first: &str, line: fn(usize) -> String| {
            let further = (1..count).map(|level| format!("a{level}: &a{level} {}\n", line(level - 1)));
            format!("a0: &a0 {first}\n") + &further.collect::<String>()
        };
        let bomb = lines(20, "[x, x]", |before| format!("[{}]", vec![format!("*a{before}"); 10].join(", ")));
        assert_eq!(parse(bomb.as_bytes()), Err(Error::Invalid));
        assert_eq!(parse(b"a: &a [*a]"), Err(Error::Invalid));
        let chain = lines(10_000, "[]", |before| format!("[*a{before}]"));
        assert_eq!(parse(chain.as_bytes()), Err(Error::TooDeep));
        let merge: fn(usize) -> String = |before| format!("{{<<: [*a{before}, *a{before}]}}");
        assert_eq!(parse(lines(10_000, "{}", merge).as_bytes()), Err(Error::TooDeep));
        assert_eq!(parse(lines(100, "{}", merge).as_bytes()), Err(Error::Invalid));
        assert_eq!(parse("[".repeat(100_000).as_bytes()), Err(Error::TooDeep));
        let deep = "[".repeat(MAX_LEVELS) + &"]".repeat(MAX_LEVELS);
        assert_eq!(parse(deep.as_bytes()).map(|value| wire::dumps(&value)), Ok(deep));
    }

    /// Found by the fuzz target `yaml`.
    #[test]
    fn texts_that_the_scanner_cannot_take_are_refused() {
        assert_eq!(parse(b"{0Q,!,0@"), Err(Error::Invalid));
        assert_eq!(parse(b"a: b"), Ok(serde_json::json!({"a": "b"})));
    }
}
