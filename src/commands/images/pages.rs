//! Listings page by page.

use std::collections::HashSet;

use anyhow::bail;
use serde_json::Value;

use super::connection::Connection;

/// More pages than any listing has.
const MAX_PAGES: usize = 10_000;

/// The pages of one operation.
pub(in crate::commands) struct Pages<'a> {
    connection: &'a Connection,
    operation: &'static str,
    /// The input of the next page; `None` after the last.
    input: Option<Value>,
    seen: HashSet<String>,
}

impl<'a> Pages<'a> {
    /// Starts a listing; nothing is sent yet.
    pub(in crate::commands) fn new(
        connection: &'a Connection,
        operation: &'static str,
        input: Value,
    ) -> Self {
        Self { connection, operation, input: Some(input), seen: HashSet::new() }
    }

    /// The next page. A token that came before is an error: the listing would never end.
    pub(in crate::commands) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        let Some(mut input) = self.input.take() else { return Ok(None) };
        let page = self.connection.call(self.operation, input.clone()).await?;
        if let Some(token) = page.get("nextToken").and_then(Value::as_str) {
            if !self.seen.insert(token.to_owned()) {
                bail!("{} answered the same page twice, so that the listing is not complete", self.operation);
            }
            if self.seen.len() > MAX_PAGES {
                bail!("{} answered {MAX_PAGES} pages and has no end", self.operation);
            }
            input["nextToken"] = Value::from(token);
            self.input = Some(input);
        }
        Ok(Some(page))
    }
}
