//! Pages: how many entries, from where on, and the opaque token that leads to the next one.
//!
//! A token carries the key of the last entry that was answered, so a page costs the same wherever it is, and entries
//! that come or go between two pages shift nothing.

use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;

/// Entries of a page where the caller does not say.
const DEFAULT: i64 = 100;

/// Requested page.
pub(in crate::local) struct Page {
    /// Limit of the entries on the page.
    pub(in crate::local) limit: usize,
    /// The key of the last entry before it.
    pub(in crate::local) after: Option<Value>,
    operation: &'static str,
}

impl Page {
    /// Reads `maxResults` and `nextToken`. Entries that are asked for by name (`selection`) are never paged.
    pub(in crate::local) fn of(call: &Call<'_>, selection: &str) -> Result<Self, ApiError> {
        Self::sized(call, selection, DEFAULT)
    }

    /// Like [`Self::of`], with a page size for callers that give none.
    pub(in crate::local) fn sized(call: &Call<'_>, selection: &str, default: i64) -> Result<Self, ApiError> {
        let token = call.text("nextToken");
        if call.list(selection).is_some() {
            for member in ["nextToken", "maxResults"] {
                if call.input.get(member).is_some_and(|value| !value.is_null()) {
                    return Err(ApiError::parameter(
                        member,
                        &format!("must be null when {selection} is given"),
                    ));
                }
            }
        }
        let limit = usize::try_from(call.integer("maxResults").unwrap_or(default)).unwrap_or(1);
        let operation = call.operation.name;
        let invalid = || ApiError::parameter("nextToken", "Invalid token");
        let after = token.map(|token| decode(token, operation).ok_or_else(invalid)).transpose()?;
        Ok(Self { limit, after, operation })
    }

    /// Returns the number of rows to fetch: one more than fit tells whether another page follows.
    pub(in crate::local) fn fetch(&self) -> i64 {
        i64::try_from(self.limit).map_or(i64::MAX, |limit| limit.saturating_add(1))
    }

    /// Returns one page of entries that are all in memory; each one's position is its key.
    pub(in crate::local) fn slice(&self, name: &str, entries: Vec<Value>) -> Value {
        let after = self.after.as_ref().and_then(Value::as_u64).and_then(|after| usize::try_from(after).ok());
        let entries = entries.into_iter().enumerate().skip(after.map_or(0, |after| after + 1));
        let entries = entries.take(self.limit.saturating_add(1));
        self.answer(name, entries.map(|(place, entry)| (json!(place), entry)).collect())
    }

    /// The answer: the entries under their name, and the token of the next page where there is one.
    pub(in crate::local) fn answer(&self, name: &str, mut entries: Vec<(Value, Value)>) -> Value {
        let more = entries.len() > self.limit;
        entries.truncate(self.limit);
        let next = entries.last().filter(|_| more).map(|(key, _)| encode(self.operation, key));
        // Not `json!`, which copies what it is given.
        let entries = Value::Array(entries.into_iter().map(|(_, entry)| entry).collect());
        let token = next.map(|token| ("nextToken".to_owned(), Value::String(token)));
        Value::Object([(name.to_owned(), entries)].into_iter().chain(token).collect())
    }
}

/// The longest token: a name of 512 characters, whatever they are, in JSON and base64.
const MAX_LENGTH: usize = 8 * 1024;

fn encode(operation: &str, key: &Value) -> String {
    base64_simd::STANDARD.encode_to_string(json!([operation, key]).to_string())
}

fn decode(token: &str, operation: &str) -> Option<Value> {
    if token.len() > MAX_LENGTH {
        return None;
    }
    let text = base64_simd::STANDARD.decode_to_vec(token).ok()?;
    match serde_json::from_slice::<(String, Value)>(&text) {
        Ok((of, key)) if of == operation => Some(key),
        _ => None,
    }
}
