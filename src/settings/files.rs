//! The configuration file and the credentials file, joined into profiles and shared sections.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::error::Error;
use crate::ini;

/// The keys of one section.
pub type Section = IndexMap<String, Entry>;

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A line of text.
    Text(String),
    /// An indented block with its own keys, such as `ecr =` in a `[services …]` section.
    Block(IndexMap<String, String>),
}

impl Entry {
    /// The text; `None` for a block.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Block(_) => None,
        }
    }
}

/// Both files, read and joined.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    pub(super) profiles: IndexMap<String, Section>,
    pub(super) sso_sessions: IndexMap<String, Section>,
    pub(super) services: IndexMap<String, Section>,
    /// The credentials file by itself: credentials that stand there are found earlier in the chain.
    pub(super) credentials: IndexMap<String, Section>,
}

impl Files {
    /// Reads both files; one that does not exist counts as empty.
    pub(super) fn read(configuration: &Path, credentials: &Path) -> Result<Self, Error> {
        let mut files = Self::default();
        for (name, section) in read_sections(configuration)? {
            files.place(name, section);
        }
        files.credentials = read_sections(credentials)?;
        // Every key of the credentials file wins over the same key of the profile, not only credentials.
        for (name, section) in &files.credentials {
            files.profiles.entry(name.clone()).or_default().extend(section.clone());
        }
        Ok(files)
    }

    fn place(&mut self, name: String, section: Section) {
        let shelf = if name.starts_with("profile") {
            &mut self.profiles
        } else if name.starts_with("sso-session") {
            &mut self.sso_sessions
        } else if name.starts_with("services") {
            &mut self.services
        } else {
            if name == "default" {
                self.profiles.insert(name, section);
            }
            return;
        };
        // A heading that is not two words in the shell's sense names nothing and is passed over in silence.
        if let Ok(mut words) = shell_words::split(&name)
            && words.len() == 2
        {
            shelf.insert(words.remove(1), section);
        }
    }
}

fn read_sections(path: &Path) -> Result<IndexMap<String, Section>, Error> {
    let mut sections = IndexMap::new();
    for (name, options) in raw_sections(path)? {
        let mut section = Section::new();
        for (key, value) in options {
            let unparsable = || Error::UnparsableFile(path.display().to_string());
            section.insert(key, entry(value).ok_or_else(unparsable)?);
        }
        sections.insert(name, section);
    }
    Ok(sections)
}

/// The sections of a file with their values as they stand there.
pub(super) fn raw_sections(path: &Path) -> Result<IndexMap<String, ini::RawSection>, Error> {
    // Anything but a file (missing, a folder) is silently nothing, and so is what cannot be opened.
    if !path.is_file() {
        return Ok(IndexMap::new());
    }
    let Ok(bytes) = std::fs::read(path) else { return Ok(IndexMap::new()) };
    let unparsable = || Error::UnparsableFile(path.display().to_string());
    let text = String::from_utf8(bytes).map_err(|_| unparsable())?;
    ini::parse(&text).map_err(|ini::Malformed| unparsable())
}

/// A value whose first line is empty is a block of `key = value` lines; `None` where it is malformed.
fn entry(value: String) -> Option<Entry> {
    if !value.starts_with('\n') {
        return Some(Entry::Text(value));
    }
    let mut block = IndexMap::new();
    for line in value.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once('=')?;
        block.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Some(Entry::Block(block))
}

/// `$NAME`, `${NAME}` and a leading `~` as Python's `expandvars` and `expanduser` read them.
pub(super) fn expanded(
    path: &str,
    variable: impl Fn(&str) -> Option<String>,
    home: Option<&Path>,
) -> PathBuf {
    let path = expand_variables(path, variable);
    match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(path),
    }
}

fn expand_variables(path: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut result = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        result.push_str(before);
        let after = &after[1..];
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, remainder) = braced.unwrap_or_else(|| {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            after.split_at(end)
        });
        if let Some(value) = variable(name).filter(|_| !name.is_empty()) {
            result.push_str(&value);
            rest = remainder;
        } else {
            result.push('$');
            rest = after;
        }
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_expand_as_in_python() {
        let variable = |name: &str| (name == "A_1").then(|| "x".to_owned());
        let home = Some(Path::new("/home/me"));
        let expanded = |path: &str| expanded(path, variable, home).display().to_string();
        assert_eq!(expanded("~/.aws/config"), "/home/me/.aws/config");
        assert_eq!(expanded("/a/$A_1/${A_1}b/$NO/${NO}/$"), "/a/x/xb/$NO/${NO}/$");
        assert_eq!(expanded("~other/x"), "~other/x");
    }
}
