//! Lines of fields between tabs: `--output text`.

use std::io::Write;

use serde_json::{Map, Value};

use super::Error;
use super::python::{str_of, type_name};

/// Writes one answer, or one page of it.
pub fn write(out: &mut dyn Write, value: &Value) -> Result<(), Error> {
    write_item(out, value, None, None)
}

fn write_item(
    out: &mut dyn Write,
    item: &Value,
    name: Option<&str>,
    columns: Option<&[&str]>,
) -> Result<(), Error> {
    match item {
        Value::Object(members) => write_object(out, members, name, columns),
        Value::Array(items) => write_list(out, items, name),
        scalar => Ok(writeln!(out, "{}", str_of(scalar))?),
    }
}

fn write_list(out: &mut dyn Write, items: &[Value], name: Option<&str>) -> Result<(), Error> {
    if items.iter().any(Value::is_object) {
        let columns = scalar_columns(items)?;
        return items.iter().try_for_each(|item| write_item(out, item, name, Some(&columns)));
    }
    let (lists, scalars): (Vec<&Value>, Vec<&Value>) = items.iter().partition(|item| item.is_array());
    write_scalars(out, &scalars, name)?;
    lists.iter().try_for_each(|list| write_item(out, list, name, None))
}

/// Every key that has a scalar value in some element, sorted. An element that has no keys ends it all, with the
/// words in which the AWS CLI fails.
fn scalar_columns(items: &[Value]) -> Result<Vec<&str>, Error> {
    let mut columns = Vec::new();
    for item in items {
        let Value::Object(members) = item else {
            return Err(Error::Crash(format!("'{}' object has no attribute 'items'", type_name(item))));
        };
        columns.extend(members.iter().filter(|(_, member)| !is_nested(member)).map(|(key, _)| key.as_str()));
    }
    columns.sort_unstable();
    columns.dedup();
    Ok(columns)
}

fn write_scalars(out: &mut dyn Write, scalars: &[&Value], name: Option<&str>) -> Result<(), Error> {
    let texts = scalars.iter().map(|scalar| str_of(scalar));
    match name {
        _ if scalars.is_empty() => {}
        None => writeln!(out, "{}", texts.collect::<Vec<_>>().join("\t"))?,
        Some(name) => {
            for text in texts {
                writeln!(out, "{}\t{text}", name.to_uppercase())?;
            }
        }
    }
    Ok(())
}

fn write_object(
    out: &mut dyn Write,
    members: &Map<String, Value>,
    name: Option<&str>,
    columns: Option<&[&str]>,
) -> Result<(), Error> {
    let mut sorted: Vec<(&str, &Value)> =
        members.iter().map(|(key, member)| (key.as_str(), member)).collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let mut fields: Vec<String> = Vec::new();
    let mut nested = Vec::new();
    if let Some(columns) = columns {
        fields.extend(columns.iter().map(|key| members.get(*key).map(str_of).unwrap_or_default()));
        nested.extend(sorted.into_iter().filter(|(key, _)| columns.binary_search(key).is_err()));
    } else {
        for (key, member) in sorted {
            if is_nested(member) { nested.push((key, member)) } else { fields.push(str_of(member)) }
        }
    }
    if !fields.is_empty() {
        if let Some(name) = name {
            fields.insert(0, name.to_uppercase());
        }
        writeln!(out, "{}", fields.join("\t"))?;
    }
    nested.into_iter().try_for_each(|(key, member)| write_item(out, member, Some(key), None))
}

fn is_nested(value: &Value) -> bool {
    value.is_array() || value.is_object()
}
