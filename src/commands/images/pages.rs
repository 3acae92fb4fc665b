//! Paged listings that always end: a service without a last page is an error, in bounded memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher as _};

use anyhow::bail;
use serde_json::Value;

use super::connection::Connection;

/// More pages than any listing has.
const MAX_PAGES: usize = 10_000;
/// The most pages without an item in a row: where a filter leaves out most of a repository, there are some.
const MAX_EMPTY_PAGES: usize = 1000;

/// The pages of one operation.
pub(in crate::commands) struct Pages<'a> {
    connection: &'a Connection,
    operation: &'static str,
    /// The input of the next page; `None` after the last.
    input: Option<Value>,
    progress: Progress,
}

impl<'a> Pages<'a> {
    /// Starts a listing; nothing is sent yet.
    pub(in crate::commands) fn new(
        connection: &'a Connection,
        operation: &'static str,
        input: Value,
    ) -> Self {
        Self { connection, operation, input: Some(input), progress: Progress::default() }
    }

    /// Continues behind the first page, which answered this input.
    pub(in crate::commands) fn after(
        connection: &'a Connection,
        operation: &'static str,
        (input, first): (Value, &Value),
    ) -> anyhow::Result<Self> {
        let mut pages = Self::new(connection, operation, input.clone());
        pages.input = None;
        pages.go_on(input, first)?;
        Ok(pages)
    }

    /// The next page.
    ///
    /// # Errors
    ///
    /// Where the listing does not go on: a token or a page that came before, or too many pages.
    pub(in crate::commands) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        let Some(input) = self.input.take() else { return Ok(None) };
        let page = self.connection.call(self.operation, input.clone()).await?;
        self.go_on(input, &page)?;
        Ok(Some(page))
    }

    /// Gets ready for the page behind this one, if there is one.
    fn go_on(&mut self, mut input: Value, page: &Value) -> anyhow::Result<()> {
        // As in botocore, an empty token is none.
        let token = page.get("nextToken").and_then(Value::as_str).filter(|token| !token.is_empty());
        if let Some(token) = token {
            if let Err(reason) = self.progress.note(token, page) {
                bail!("{} {reason}, so that the listing has no end", self.operation);
            }
            input["nextToken"] = Value::from(token);
            self.input = Some(input);
        }
        Ok(())
    }
}

/// Tokens and pages that came before, by their hashes: a token may be long.
#[derive(Debug, Default)]
struct Progress {
    tokens: HashSet<u64>,
    contents: HashSet<u64>,
    empty_in_a_row: usize,
}

impl Progress {
    /// Notes a page that is not the last.
    fn note(&mut self, token: &str, page: &Value) -> Result<(), String> {
        if !self.tokens.insert(hash(&token)) {
            return Err("answered the same page twice".to_owned());
        }
        if self.tokens.len() > MAX_PAGES {
            return Err(format!("answered more than {MAX_PAGES} pages"));
        }
        if !has_items(page) {
            self.empty_in_a_row += 1;
            if self.empty_in_a_row > MAX_EMPTY_PAGES {
                return Err(format!("answered {MAX_EMPTY_PAGES} pages in a row without an item"));
            }
            return Ok(());
        }
        self.empty_in_a_row = 0;
        let members = page.as_object().into_iter().flatten().filter(|(name, _)| *name != "nextToken");
        let contents: Vec<_> = members.collect();
        if self.contents.insert(hash(&contents)) {
            Ok(())
        } else {
            Err("answered the same page again with another token".to_owned())
        }
    }
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Returns whether a page, or a structure in it, has a list that is not empty.
fn has_items(page: &Value) -> bool {
    let mut members = page.as_object().into_iter().flatten().map(|(_, member)| member);
    members.any(|member| match member {
        Value::Array(items) => !items.is_empty(),
        structure => has_items(structure),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The number of pages that are taken, and why no more.
    fn taken(page: impl Fn(usize) -> (String, Value)) -> (usize, String) {
        let mut progress = Progress::default();
        for number in 0..=MAX_PAGES {
            let (token, page) = page(number);
            if let Err(reason) = progress.note(&token, &page) {
                return (number, reason);
            }
        }
        (MAX_PAGES + 1, String::new())
    }

    #[test]
    fn every_listing_ends() {
        let items = |number: usize| json!({"imageDetails": [{"imageDigest": number}]});
        let told = |number: usize, reason: &str| (number, reason.to_owned());
        let same = taken(|number| ("a".to_owned(), items(number)));
        assert_eq!(same, told(1, "answered the same page twice"));
        let again = taken(|number| (number.to_string(), items(number % 2)));
        assert_eq!(again, told(2, "answered the same page again with another token"));
        for empty in [json!({}), json!({"findings": {"findings": [], "counts": {"HIGH": 1}}})] {
            let empty = taken(|number| (number.to_string(), empty.clone()));
            assert_eq!(empty, told(1000, "answered 1000 pages in a row without an item"));
        }
        // One item in a thousand pages is progress.
        let slow = |number: usize| if number.is_multiple_of(1000) { items(number) } else { json!({}) };
        let slow = taken(|number| (number.to_string(), slow(number)));
        assert_eq!(slow, told(10_000, "answered more than 10000 pages"));
    }
}
