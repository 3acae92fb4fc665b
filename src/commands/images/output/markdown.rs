//! Markdown tables, as GitHub, GitLab and others read them.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::Value;

use super::Listing;
use crate::escape::escape;

/// Writes a listing as a table.
pub(super) fn write(out: &mut (impl Write + ?Sized), listing: &Listing<'_>) -> std::io::Result<()> {
    let heads: Vec<&str> = listing.columns.iter().map(|column| column.head).collect();
    writeln!(out, "| {} |", heads.join(" | "))?;
    let rule = |right: bool| if right { "---:" } else { "---" };
    let rules: Vec<&str> = listing.columns.iter().map(|column| rule(column.right)).collect();
    writeln!(out, "| {} |", rules.join(" | "))?;
    let cells = (0..listing.rows.lines()).map(|row| listing.rows.cells(row));
    for row in cells.chain(listing.total.iter().cloned()) {
        writeln!(out, "| {} |", row.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" | "))?;
    }
    Ok(())
}

/// Any value: a list of objects as a table, everything else as a block of JSON.
pub(super) fn object(value: &Value) -> String {
    if let Some(table) = table(value) {
        return table;
    }
    let mut bytes = Vec::new();
    match crate::output::json::write(&mut bytes, value) {
        Ok(()) => format!("```json\n{}\n```\n", String::from_utf8_lossy(&bytes)),
        Err(_) => format!("```json\n{value}\n```\n"),
    }
}

/// A list of objects with members that are no lists or objects themselves.
fn table(value: &Value) -> Option<String> {
    let objects: Vec<_> = value.as_array()?.iter().map(Value::as_object).collect::<Option<_>>()?;
    let names: Vec<&String> = objects.first()?.keys().collect();
    let is_flat = |value: &Value| !value.is_array() && !value.is_object();
    if !objects.iter().all(|object| object.values().all(is_flat)) {
        return None;
    }
    let mut text = String::new();
    let heads: Vec<String> = names.iter().map(|name| escaped(name)).collect();
    let _ = writeln!(text, "| {} |\n|{}", heads.join(" | "), " --- |".repeat(names.len()));
    for object in objects {
        let cells = names.iter().map(|name| match object.get(*name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => escaped(text),
            Some(other) => escaped(&other.to_string()),
        });
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    Some(text)
}

/// A cell in which nothing is markup.
fn escaped(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for character in escape(cell).chars() {
        match character {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => text.extend(['\\', character]),
            '<' => text.push_str("&lt;"),
            '&' => text.push_str("&amp;"),
            character => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn any_value_is_a_table_or_json() {
        let rows = json!([{"a": "x|y", "b": 1}, {"a": null}]);
        assert_eq!(object(&rows), "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n|  |  |\n");
        assert_eq!(object(&json!("<b>")), "```json\n\"<b>\"\n```\n");
        assert_eq!(object(&json!([{"a": [1]}])).lines().next(), Some("```json"));
        assert_eq!(escaped("<img> [x](y) `z` a_b"), "&lt;img> \\[x\\](y) \\`z\\` a\\_b");
    }
}
