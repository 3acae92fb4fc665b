//! Regular expressions that a text must satisfy as a whole.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex_lite::Regex;

/// Returns whether the whole text matches a pattern of the model.
pub(in crate::local) fn matches(pattern: &'static str, text: &str) -> bool {
    static COMPILED: LazyLock<Mutex<HashMap<&'static str, Option<Regex>>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let regex = compiled.entry(pattern).or_insert_with(|| Regex::new(&format!("^(?:{pattern})$")).ok());
    let regex = regex.clone();
    drop(compiled);
    regex.is_none_or(|regex| regex.is_match(text))
}
