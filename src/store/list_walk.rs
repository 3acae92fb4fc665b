//! Walk over the pages of a list, which always ends: servers name the next page, and may never stop.

use std::collections::HashSet;

use serde_json::Value;

use crate::image::Digest;

/// Limit of pages; a list with more has no end.
const MAX_PAGES: usize = 10_000;
/// Limit of entries, all of which are in memory.
const MAX_ENTRIES: usize = 200_000;
/// So many pages in a row may bring nothing new.
const MAX_IDLE_PAGES: usize = 100;

/// The pages of a list that were read. Its errors say what is wrong with the list, as a sentence goes on.
#[derive(Debug, Default)]
pub struct ListWalk {
    /// Digests of the pages' names, which may be long.
    seen: HashSet<Digest>,
    entries: usize,
    idle: usize,
}

impl ListWalk {
    /// Notes that a page is read. The same page again, or too many of them, is an error.
    pub fn enter(&mut self, page: &str) -> Result<(), String> {
        if !self.seen.insert(Digest::of(page.as_bytes())) {
            return Err("its list names a page that was read already as the next one".to_owned());
        }
        if self.seen.len() > MAX_PAGES {
            return Err(format!("its list has no end: {MAX_PAGES} pages were read"));
        }
        Ok(())
    }

    /// Notes how many entries a page brought. Pages that go on without anything new are an error.
    pub fn brought(&mut self, new: usize) -> Result<(), String> {
        self.entries += new;
        self.idle = if new == 0 { self.idle + 1 } else { 0 };
        if self.entries > MAX_ENTRIES {
            return Err(format!("its list has no end: it has more than {MAX_ENTRIES} entries"));
        }
        if self.idle > MAX_IDLE_PAGES {
            return Err(format!("its list has no end: {MAX_IDLE_PAGES} pages in a row brought nothing new"));
        }
        Ok(())
    }
}

/// A listing of AWS, whose pages have the next one's `nextToken`.
#[derive(Debug, Default)]
pub struct TokenPages {
    walk: ListWalk,
    token: Value,
}

impl TokenPages {
    /// The input that asks for the next page.
    pub fn input(&mut self, mut input: Value) -> Result<Value, String> {
        self.walk.enter(self.token.as_str().unwrap_or_default())?;
        if !self.token.is_null() {
            input["nextToken"] = self.token.take();
        }
        Ok(input)
    }

    /// Notes a page and how many entries it brought. Returns whether another one follows.
    pub fn page(&mut self, answer: &Value, entries: usize) -> Result<bool, String> {
        self.walk.brought(entries)?;
        self.token = answer.get("nextToken").cloned().unwrap_or_default();
        Ok(!self.token.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_ends() {
        let mut walk = ListWalk::default();
        assert!(walk.enter("0").is_ok());
        assert!(walk.enter("0").is_err());
        let mut pages = (1..).take_while(|page: &usize| walk.enter(&page.to_string()).is_ok());
        assert_eq!(pages.by_ref().count(), MAX_PAGES - 1);
        let mut walk = ListWalk::default();
        assert_eq!((0..1000).take_while(|_| walk.brought(0).is_ok()).count(), MAX_IDLE_PAGES);
        assert!(walk.brought(1).is_ok());
        assert!(walk.brought(MAX_ENTRIES).is_err());
    }
}
