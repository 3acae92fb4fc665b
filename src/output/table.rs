//! Nested boxes: `--output table`. This file turns a value into sections; `table/section.rs` holds
//! what a section is and `table/render.rs` draws it.

mod render;
mod section;

use std::io::Write;

use serde_json::{Map, Value};

use self::section::Section;
use super::Error;
use super::python::{Numeric, is_true, str_of, type_name};

/// Style of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStyle {
    /// The terminal's columns; 80 where there is no terminal. Wider tables have their single rows turned upright.
    pub width: usize,
    /// Colour cells and edges.
    pub color: bool,
    /// The colour goes straight to standard output, not to a pager: the AWS CLI then ends every single write with a
    /// reset.
    pub direct: bool,
    /// Standard output is a terminal: with colour, a last reset is then written even after an empty table.
    pub terminal: bool,
}

impl Default for TableStyle {
    fn default() -> Self {
        Self { width: 80, color: false, direct: false, terminal: false }
    }
}

/// Writes a value as a table; nothing for a value that is false in Python.
pub fn write(out: &mut dyn Write, title: &str, value: &Value, style: TableStyle) -> Result<(), Error> {
    let mut builder = Builder { sections: Vec::new() };
    if is_true(value) {
        builder.build(Some(title), value, 0)?;
        render::write(out, builder.sections, style)?;
    }
    if style.color && style.direct && style.terminal {
        out.write_all(render::RESET.as_bytes())?;
    }
    Ok(())
}

struct Builder {
    sections: Vec<Section>,
}

impl Builder {
    fn section(&mut self, title: Option<&str>, indent: usize) {
        self.sections.push(Section::new(title, indent));
    }

    fn current(&mut self) -> Result<&mut Section, Error> {
        self.sections
            .last_mut()
            .ok_or_else(|| Error::Crash("'NoneType' object has no attribute 'add_row'".into()))
    }

    fn row(&mut self, row: Vec<String>) -> Result<(), Error> {
        self.current()?.add_row(row).map_err(Error::Crash)
    }

    fn header(&mut self, header: Vec<String>) -> Result<(), Error> {
        self.current()?.add_header(header).map_err(Error::Crash)
    }

    fn build(&mut self, title: Option<&str>, value: &Value, indent: usize) -> Result<(), Error> {
        if !is_true(value) {
            return Ok(());
        }
        if title.is_some() {
            self.section(title, indent);
        }
        match value {
            Value::Array(items) if items.first().is_some_and(Value::is_object) => {
                self.build_objects(items, indent, title)
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.build_item(item)),
            Value::Object(members) => self.build_object(members, indent),
            _ => Ok(()),
        }
    }

    /// One element of a list that does not begin with an object. An object further on shows its keys, as iterating
    /// over it does in Python.
    fn build_item(&mut self, item: &Value) -> Result<(), Error> {
        match item {
            Value::Array(cells) if cells.iter().any(is_nested) => self.build(None, item, 0),
            Value::Array(cells) => self.row(cells.iter().map(str_of).collect()),
            Value::Object(members) => self.row(members.keys().cloned().collect()),
            scalar => self.row(vec![str_of(scalar)]),
        }
    }

    /// The scalar members as one row under a header, or as one `key | value` row; then the others as sections.
    fn build_object(&mut self, members: &Map<String, Value>, indent: usize) -> Result<(), Error> {
        let mut columns = Columns::default();
        columns.add(members);
        columns.sort();
        let cell = |key: &&str| members.get(*key).map(str_of).unwrap_or_default();
        match columns.scalar.as_slice() {
            [] => {}
            [only] => self.row(vec![(*only).to_owned(), cell(only)])?,
            several => {
                self.header(several.iter().map(ToString::to_string).collect())?;
                self.row(several.iter().map(cell).collect())?;
            }
        }
        columns.nested.iter().try_for_each(|key| self.build(Some(key), &members[*key], indent + 1))
    }

    fn build_objects(&mut self, items: &[Value], indent: usize, title: Option<&str>) -> Result<(), Error> {
        let mut columns = Columns::default();
        for item in items {
            match item {
                Value::Object(members) => columns.add(members),
                other => no_columns(other)?,
            }
        }
        columns.sort();
        let header: Vec<String> = columns.scalar.iter().map(ToString::to_string).collect();
        self.header(header.clone())?;
        for (index, item) in items.iter().enumerate() {
            if index > 0 && !columns.nested.is_empty() {
                self.section(title, indent);
                self.header(header.clone())?;
            }
            let members = match item {
                Value::Object(members) => members,
                // Nothing is asked of it where there are no columns.
                _ if header.is_empty() => &Map::new(),
                // Good indexes became columns, which do not sort among the others.
                Value::Array(items) if !items.is_empty() => {
                    return Err(Error::Crash(
                        "'<' not supported between instances of 'str' and 'int'".to_owned(),
                    ));
                }
                _ => {
                    return Err(Error::Crash(format!("'{}' object has no attribute 'get'", type_name(item))));
                }
            };
            self.row(header.iter().map(|key| members.get(key).map(str_of).unwrap_or_default()).collect())?;
            for key in &columns.nested {
                if let Some(member) = members.get(*key) {
                    self.build(Some(key), member, indent + 1)?;
                }
            }
        }
        Ok(())
    }
}

/// The keys with scalar values and those with nested ones, each sorted. A key may be both.
#[derive(Default)]
struct Columns<'a> {
    scalar: Vec<&'a str>,
    nested: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn add(&mut self, members: &'a Map<String, Value>) {
        for (key, member) in members {
            if is_nested(member) { self.nested.push(key) } else { self.scalar.push(key) }
        }
    }

    fn sort(&mut self) {
        for keys in [&mut self.scalar, &mut self.nested] {
            keys.sort_unstable();
            keys.dedup();
        }
    }
}

/// Returns Python's error for taking the keys of a value that has none: it takes the elements of a list for indexes
/// into it. Empty things pass here and fail later.
fn no_columns(item: &Value) -> Result<(), Error> {
    let complaint = match item {
        Value::String(text) if text.is_empty() => return Ok(()),
        Value::Array(items) if items.is_empty() => return Ok(()),
        Value::String(_) => "string indices must be integers, not 'str'".to_owned(),
        Value::Array(items) => match items.iter().find_map(|index| bad_index(index, items.len())) {
            Some(complaint) => complaint,
            None => return Ok(()),
        },
        scalar => format!("'{}' object is not iterable", type_name(scalar)),
    };
    Err(Error::Crash(complaint))
}

fn bad_index(index: &Value, length: usize) -> Option<String> {
    let Some(Numeric::Integer(number)) = Numeric::of_value(index) else {
        return Some(format!("list indices must be integers or slices, not {}", type_name(index)));
    };
    let (number, length) = (number.to_i64(), i64::try_from(length).unwrap_or(i64::MAX));
    match number {
        i64::MIN | i64::MAX => Some("cannot fit 'int' into an index-sized integer".to_owned()),
        _ if number >= length || number < -length => Some("list index out of range".to_owned()),
        _ => None,
    }
}

fn is_nested(value: &Value) -> bool {
    value.is_array() || value.is_object()
}
