//! Environment variables: those of this process, or those a test gives.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A set of environment variables.
#[derive(Debug, Clone)]
pub struct Environment(Source);

#[derive(Debug, Clone)]
enum Source {
    Process,
    Given(Arc<BTreeMap<String, String>>),
}

impl Environment {
    /// The variables of this process.
    pub fn of_this_process() -> Self {
        Self(Source::Process)
    }

    /// These variables and no others.
    pub fn given<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(Source::Given(Arc::new(variables.collect())))
    }

    /// Whether these are the variables of this process.
    pub(super) fn is_of_this_process(&self) -> bool {
        matches!(self.0, Source::Process)
    }

    /// A variable's value. Bytes that are not UTF-8 become U+FFFD: none of our variables may hold such.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match &self.0 {
            Source::Process => std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
            Source::Given(variables) => variables.get(name).cloned(),
        }
    }

    /// All variables with their values, for a child process or an AWS provider that reads several.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        match &self.0 {
            Source::Process => std::env::vars_os()
                .map(|(name, value)| {
                    (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
                })
                .collect(),
            Source::Given(variables) => variables.iter().map(|(n, v)| (n.clone(), v.clone())).collect(),
        }
    }
}
