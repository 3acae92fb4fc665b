//! The request context, and the policy variables that refer to it.

use std::collections::HashMap;

use super::pattern::Pattern;

/// The request context: values by condition key. Keys are compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext(HashMap<String, Vec<String>>);

impl RequestContext {
    /// Adds one value of a key.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(key.to_ascii_lowercase()).or_default().push(value.into());
    }

    pub(super) fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_ascii_lowercase()).map(Vec::as_slice)
    }

    /// Replaces the variables of a text, such as `${aws:username}` or `${aws:username, 'nobody'}`. `None` if one of
    /// them has no value, or several: then the text matches nothing.
    pub(super) fn expand(&self, text: &str) -> Option<Pattern> {
        let (mut pattern, mut rest) = (Pattern::default(), text);
        while let Some((before, after)) = rest.split_once("${") {
            let (variable, after) = after.split_once('}')?;
            let (key, default) = variable.split_once(',').map_or((variable, None), |(key, default)| {
                (key.trim(), Some(default.trim().trim_matches('\'')))
            });
            let value = match self.get(key) {
                Some([value]) => value.as_str(),
                Some(_) => return None,
                None if matches!(key, "*" | "?" | "$") => key,
                None => default?,
            };
            pattern.push_wildcards(before);
            pattern.push_literal(value);
            rest = after;
        }
        pattern.push_wildcards(rest);
        Some(pattern)
    }

    /// Like [`expand`](Self::expand), for `Resource`: variables may stand only after the ARN's fifth colon.
    pub(super) fn expand_resource(&self, text: &str) -> Option<Pattern> {
        let before = text.split("${").next().unwrap_or_default();
        let has_variable = before.len() < text.len();
        if has_variable && before.matches(':').count() < 5 { None } else { self.expand(text) }
    }
}
