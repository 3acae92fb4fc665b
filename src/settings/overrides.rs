//! Settings derived from others: for a side of a copy, or a login, with another identity than the rest of the program.
//! The environment and the log stay those of the program.

use std::sync::{Arc, OnceLock};

use super::files::{Entry, Section};
use super::{Globals, Settings};

impl Settings {
    /// Settings with other options and with these variables set, or unset where there is no value.
    #[must_use]
    pub fn with_changes(&self, globals: Globals, variables: &[(&str, Option<&str>)]) -> Self {
        let environment = self.environment.with_changes(variables);
        Self::with_environment(globals, environment).with_log(self.log.clone())
    }

    /// Settings with other options.
    #[must_use]
    pub fn with_globals(&self, globals: Globals) -> Self {
        self.with_changes(globals, &[])
    }

    /// Returns settings for several profiles, of which the first is used. A profile that is there already is
    /// replaced.
    #[must_use]
    pub fn with_profiles(&self, profiles: Vec<(String, Section)>) -> Self {
        let mut changed = self.clone();
        if let Some((name, _)) = profiles.first() {
            changed.globals.profile = Some(name.clone());
        }
        let files = self.files().map(|files| {
            let mut files = files.clone();
            files.profiles.extend(profiles);
            files
        });
        changed.files = Arc::new(OnceLock::from(files));
        changed
    }
}

/// Makes a section of these keys.
pub fn section<'a>(keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> Section {
    keys.into_iter().map(|(key, value)| (key.to_owned(), Entry::Text(value.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Log};

    #[test]
    fn changes_win_over_what_is_there() {
        let environment = Environment::given([("A", "1"), ("B", "2"), ("AWS_CONFIG_FILE", "/nowhere")]);
        let settings = Settings::with_environment(Globals::default(), environment);
        let changed = settings.with_changes(Globals::default(), &[("A", None), ("C", Some("3"))]);
        let values = |settings: &Settings| ["A", "B", "C"].map(|name| settings.variable(name));
        assert_eq!(values(&changed), [None, Some("2".into()), Some("3".into())]);
        assert_eq!(values(&settings), [Some("1".into()), Some("2".into()), None]);
        let logged = settings.with_log(Log::to(|_, _| {}));
        assert!(logged.with_globals(Globals::default()).log().is_on());
        let asked = changed.with_profiles(vec![("new".into(), section([("role_arn", "r")]))]);
        assert_eq!(asked.profile().as_deref(), Some("new"));
        assert_eq!(asked.profile_key("role_arn"), Ok(Some("r")));
    }
}
