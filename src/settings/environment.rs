//! Environment variables: those of this process, or a test's.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A set of environment variables.
#[derive(Debug, Clone)]
pub struct Environment {
    source: Source,
    /// Variables that are set (or, with `None`, unset) over the source's.
    changes: Arc<BTreeMap<String, Option<String>>>,
}

#[derive(Debug, Clone)]
enum Source {
    Process,
    Given(Arc<BTreeMap<String, String>>),
}

impl Environment {
    /// The variables of this process.
    pub fn of_this_process() -> Self {
        Self { source: Source::Process, changes: Arc::default() }
    }

    /// These variables and no others.
    pub fn given<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { source: Source::Given(Arc::new(variables.collect())), changes: Arc::default() }
    }

    /// Returns a copy with these variables set, or unset where the value is `None`.
    #[must_use]
    pub fn with_changes(&self, changes: &[(&str, Option<&str>)]) -> Self {
        let mut all = (*self.changes).clone();
        all.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))));
        Self { source: self.source.clone(), changes: Arc::new(all) }
    }

    /// Returns whether these are the variables of this process.
    pub(super) fn is_of_this_process(&self) -> bool {
        matches!(self.source, Source::Process)
    }

    /// A variable's value. Bytes that are not UTF-8 become U+FFFD: none of our variables may hold such.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        if let Some(change) = self.changes.get(name) {
            return change.clone();
        }
        match &self.source {
            Source::Process => std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
            Source::Given(variables) => variables.get(name).cloned(),
        }
    }
}
