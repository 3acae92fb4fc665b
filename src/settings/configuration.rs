//! The profile and its keys.

use super::Settings;
use super::error::Error;
use super::files::{self, Entry, Files, Section};

impl Settings {
    /// Returns the profile given by option or environment; `None` is the default one, which need not exist.
    pub fn profile(&self) -> Option<String> {
        let option = self.globals.profile.clone().filter(|name| !name.is_empty());
        option.or_else(|| self.variable("AWS_PROFILE")).or_else(|| self.variable("AWS_DEFAULT_PROFILE"))
    }

    /// Returns whether the profile was named on the command line, which switches off credentials in the
    /// environment.
    pub fn profile_is_explicit(&self) -> bool {
        self.globals.profile.as_ref().is_some_and(|name| !name.is_empty())
    }

    /// A key of the profile; `None` where it is absent or a block.
    pub fn profile_key(&self, key: &str) -> Result<Option<&str>, Error> {
        Ok(self.profile_section()?.and_then(|section| section.get(key)).and_then(Entry::text))
    }

    /// The profile's keys; `None` where there is no default profile.
    pub fn profile_section(&self) -> Result<Option<&Section>, Error> {
        let files = self.files()?;
        match self.profile() {
            None => Ok(files.profiles.get("default")),
            Some(name) => match files.profiles.get(&name) {
                Some(section) => Ok(Some(section)),
                None => Err(Error::ProfileNotFound(name)),
            },
        }
    }

    /// The keys of any profile, for `source_profile`.
    pub fn section_of_profile(&self, name: &str) -> Result<Option<&Section>, Error> {
        Ok(self.files()?.profiles.get(name))
    }

    /// The keys that the credentials file itself has for a profile.
    pub fn credentials_section(&self, name: &str) -> Result<Option<&Section>, Error> {
        Ok(self.files()?.credentials.get(name))
    }

    /// The keys of an `[sso-session NAME]`.
    pub fn sso_session(&self, name: &str) -> Result<Option<&Section>, Error> {
        Ok(self.files()?.sso_sessions.get(name))
    }

    /// The names of all profiles of both files, in file order.
    pub fn profiles(&self) -> Result<Vec<&str>, Error> {
        Ok(self.files()?.profiles.keys().map(String::as_str).collect())
    }

    pub(super) fn files(&self) -> Result<&Files, Error> {
        let read = || Files::read(&self.configuration_file(), &self.credentials_file());
        self.files.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// The configuration file: `AWS_CONFIG_FILE`, else `~/.aws/config`.
    pub fn configuration_file(&self) -> std::path::PathBuf {
        self.expanded(&self.variable("AWS_CONFIG_FILE").unwrap_or_else(|| "~/.aws/config".into()))
    }

    /// The credentials file: `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`.
    pub fn credentials_file(&self) -> std::path::PathBuf {
        let file = self.variable("AWS_SHARED_CREDENTIALS_FILE");
        self.expanded(&file.unwrap_or_else(|| "~/.aws/credentials".into()))
    }

    /// A path with `$NAME` and `~` filled in.
    pub fn expanded(&self, path: &str) -> std::path::PathBuf {
        files::expanded(path, |name| self.variable(name), self.home().as_deref())
    }
}
