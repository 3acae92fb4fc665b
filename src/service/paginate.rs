//! Listings over several pages, as botocore's paginators make them.
//!
//! ```text
//! let mut pages = Pages::new(&client, "DescribeRepositories", input, PageOptions::default())?;
//! // either all in one,
//! let whole = pages.whole().await?;
//! // or page by page
//! while let Some(page) = pages.next().await? { … }
//! ```
//!
//! Whether a listing is paged at all (`--no-paginate`, `--max-results` …) is the caller's to decide.

use serde_json::{Map, Value};

use super::client::Client;
use super::error::Error;
use super::{path, token};
use crate::model::{Paginator, foreign};

/// So many pages in a row may have no items. Filters make some of them empty.
const MAX_IDLE_PAGES: usize = 1000;

/// The most memory that joined pages take, in bytes: some 200,000 descriptions of images.
const MAX_JOINED: usize = 512 << 20;

/// Values of `--starting-token`, `--page-size` and `--max-items`.
#[derive(Debug, Clone, Default)]
pub struct PageOptions {
    /// Token at which an earlier listing ended.
    pub starting_token: Option<String>,
    /// Number of items to ask for at a time.
    pub page_size: Option<i64>,
    /// Limit of the items to show.
    pub max_items: Option<i64>,
}

/// The pages of one listing.
pub struct Pages<'a> {
    client: &'a Client,
    operation: &'a str,
    paginator: &'static Paginator,
    input: Map<String, Value>,
    max_items: Option<i64>,
    starting_token: Option<String>,
    page_size: Option<i64>,
    /// Token of the next page; of the present page while that is truncated.
    token: Map<String, Value>,
    previous: Option<Map<String, Value>>,
    shown: i64,
    count: usize,
    idle: usize,
    first_page_only: Map<String, Value>,
    resume: Option<String>,
    ended: bool,
    /// Found after a page that is still to be shown.
    deferred_error: Option<Error>,
}

impl<'a> Pages<'a> {
    /// Starts a listing; nothing is sent yet. An error where the operation is not paged.
    pub fn new(
        client: &'a Client,
        operation: &'a str,
        input: Value,
        options: PageOptions,
    ) -> Result<Self, Error> {
        let service = client.service();
        let known = service.operation(operation).and_then(|operation| service.paginator(operation));
        let paginator =
            known.ok_or_else(|| Error::Pagination(format!("Operation cannot be paginated: {operation}")))?;
        let Value::Object(input) = input else {
            return Err(Error::Invalid("The input of an operation is a structure.".to_owned()));
        };
        Ok(Self {
            client,
            operation,
            paginator,
            input,
            max_items: options.max_items,
            starting_token: options.starting_token,
            page_size: options.page_size,
            token: Map::from_iter([(paginator.input_token.to_owned(), Value::Null)]),
            previous: None,
            shown: 0,
            count: 0,
            idle: 0,
            first_page_only: Map::new(),
            resume: None,
            ended: false,
            deferred_error: None,
        })
    }

    /// Returns the next page as the service sent it, less the items that were shown before and those beyond the
    /// limit.
    pub async fn next(&mut self) -> Result<Option<Value>, Error> {
        if let Some(deferred_error) = self.deferred_error.take() {
            return Err(deferred_error);
        }
        if self.ended {
            return Ok(None);
        }
        let mut skipped = 0;
        if self.count == 0 {
            skipped = self.start()?;
        }
        let input = Value::Object(self.input.clone());
        let mut page = self.client.call(self.operation, input).await.inspect_err(|_| self.ended = true)?;
        if self.count == 0 {
            if self.starting_token.is_some() {
                self.resume_first(&mut page, skipped);
            }
            for key in &self.paginator.non_aggregate_keys {
                let value = path::get(&page, key).cloned().unwrap_or(Value::Null);
                path::set(&mut self.first_page_only, key, value);
            }
        }
        self.count += 1;
        self.advance(&mut page, skipped)?;
        Ok(Some(page))
    }

    /// Returns all pages as one answer: joined lists first, then the other members of the first page, `NextToken`
    /// last.
    pub async fn whole(mut self) -> Result<Value, Error> {
        let (mut whole, mut size) = (Value::Object(Map::new()), 0);
        while let Some(mut page) = self.next().await? {
            size += memory_of(&page);
            if size > MAX_JOINED {
                let words = format!("The pages together take more than {} MiB.", MAX_JOINED >> 20);
                return Err(Error::Pagination(words));
            }
            for key in &self.paginator.result_keys {
                if let Some(part) = path::get_mut(&mut page, key).map(Value::take) {
                    join(&mut whole, key, part);
                }
            }
        }
        let Value::Object(mut members) = whole else { return Ok(whole) };
        merge(&mut members, self.first_page_only, "", &self.paginator.result_keys);
        if let Some(token) = self.resume {
            members.insert("NextToken".to_owned(), Value::String(token));
        }
        Ok(Value::Object(members))
    }

    /// Returns a page as the text format shows it: the other members of the first page go before its lists, absent
    /// lists are null.
    pub fn as_text(&self, page: &Value) -> Value {
        let mut members = if self.count == 1 { self.first_page_only.clone() } else { Map::new() };
        for key in &self.paginator.result_keys {
            path::set(&mut members, key, path::get(page, key).cloned().unwrap_or(Value::Null));
        }
        Value::Object(members)
    }

    /// The token with which the listing can go on, where it was ended by `--max-items`.
    pub fn next_token(&self) -> Option<&str> {
        self.resume.as_deref()
    }

    /// Puts the starting token and the page size into the request; answers how much of the first page to skip.
    fn start(&mut self) -> Result<i64, Error> {
        let mut skip = 0;
        if let Some(text) = &self.starting_token {
            let start = token::decode(text, self.paginator.input_token)?;
            (self.token, skip) = (start.tokens, start.skip);
            self.inject();
        }
        if let (Some(size), Some(key)) = (self.page_size, self.paginator.limit_key) {
            self.input.insert(key.to_owned(), Value::from(size));
        }
        Ok(skip)
    }

    fn inject(&mut self) {
        for (name, token) in &self.token {
            if token.is_null() || token == "None" {
                self.input.shift_remove(name);
            } else {
                self.input.insert(name.clone(), token.clone());
            }
        }
    }

    /// Removes from the first page the items that an earlier listing showed: `skip` items of the main list, all of the
    /// others.
    fn resume_first(&self, page: &mut Value, skip: i64) {
        let Value::Object(members) = page else { return };
        for (index, key) in self.paginator.result_keys.iter().enumerate() {
            let whole = Value::Object(std::mem::take(members));
            let rest = match path::get(&whole, key) {
                Some(Value::Array(items)) if index == 0 => {
                    Value::Array(items[bound(skip, items.len())..].to_vec())
                }
                Some(Value::Array(_)) => Value::Array(Vec::new()),
                _ => Value::Null,
            };
            if let Value::Object(whole) = whole {
                *members = whole;
            }
            path::set(members, key, rest);
        }
    }

    /// Decides what follows a page: a truncation, an end, or another page.
    fn advance(&mut self, page: &mut Value, skipped: i64) -> Result<(), Error> {
        let main = self.paginator.result_keys[0];
        let count = path::get(page, main).and_then(Value::as_array).map_or(0, Vec::len);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let excess = self.max_items.map_or(0, |most| self.shown + count - most);
        if excess > 0 {
            return self.cut(page, main, count - excess, skipped);
        }
        self.shown += count;
        self.idle = if count == 0 { self.idle + 1 } else { 0 };
        let next = path::get(page, self.paginator.output_token).filter(|token| truthy(token)).cloned();
        let next = Map::from_iter([(self.paginator.input_token.to_owned(), next.unwrap_or(Value::Null))]);
        if next.values().all(Value::is_null) {
            self.ended = true;
        } else if self.idle > MAX_IDLE_PAGES {
            self.ended = true;
            let words = format!("Error during pagination: {MAX_IDLE_PAGES} pages in a row have no items");
            self.deferred_error = Some(Error::Pagination(words));
        } else if self.max_items == Some(self.shown) {
            self.ended = true;
            self.resume = Some(token::encode(next, None, self.paginator.input_token)?);
        } else if self.previous.as_ref() == Some(&next) {
            self.ended = true;
            let next = foreign::repr(&Value::Object(next));
            let words = format!("Error during pagination: The same next token was received twice: {next}");
            self.deferred_error = Some(Error::Pagination(words));
        } else {
            self.token.clone_from(&next);
            self.inject();
            self.previous = Some(next);
        }
        Ok(())
    }

    fn cut(&mut self, page: &mut Value, main: &str, keep: i64, skipped: i64) -> Result<(), Error> {
        self.ended = true;
        let kept = match path::get_mut(page, main).map(Value::take) {
            Some(Value::Array(mut items)) => {
                items.truncate(bound(keep, items.len()));
                items
            }
            _ => Vec::new(),
        };
        if let Value::Object(members) = page {
            path::set(members, main, Value::Array(kept));
        }
        // What the first page alone says shares its lists with the page.
        if self.count == 1 && path::get(&Value::Object(self.first_page_only.clone()), main).is_some() {
            let list = path::get(page, main).cloned().unwrap_or(Value::Null);
            path::set(&mut self.first_page_only, main, list);
        }
        let token = std::mem::take(&mut self.token);
        self.resume = Some(token::encode(token, Some(keep + skipped), self.paginator.input_token)?);
        Ok(())
    }
}

/// An end of a Python slice: negative counts from the end.
fn bound(end: i64, length: usize) -> usize {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let end = if end < 0 { (length + end).max(0) } else { end.min(length) };
    usize::try_from(end).unwrap_or(0)
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(true) => true,
    }
}

/// The memory that a value takes, roughly.
fn memory_of(value: &Value) -> usize {
    const NODE: usize = size_of::<Value>();
    NODE + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(memory_of).sum(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| NODE + name.len() + memory_of(value)).sum()
        }
    }
}

/// Joins a page's member to the former ones: lists grow, other values keep the first one.
fn join(whole: &mut Value, key: &str, part: Value) {
    match (path::get_mut(whole, key), part) {
        (Some(Value::Array(items)), Value::Array(more)) => items.extend(more),
        (None, part) => {
            if let Value::Object(members) = whole {
                path::set(members, key, part);
            }
        }
        (Some(_), _) => {}
    }
}

/// Merges the members of the first page into the joined lists, which stay as they are.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>, prefix: &str, lists: &[&str]) {
    for (name, value) in from {
        let place = format!("{prefix}{name}");
        match (into.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => {
                merge(inner, value, &format!("{place}."), lists);
            }
            (Some(Value::Array(_)), Value::Array(_)) if lists.contains(&place.as_str()) => {}
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}
