//! The file `login.conf`: which identity logs in to which registry.
//!
//! It is found at `ECR_LOGIN_CONFIG`, else at `$XDG_CONFIG_HOME/ecr/login.conf`, else at `~/.config/ecr/login.conf`,
//! and need not exist. It is a list of rules; the first one whose conditions all hold decides, and where none does,
//! the credentials are those that every AWS tool would take. A rule is a section with a name of your own;
//! [`EXAMPLE`] has one of each kind.
//!
//! Conditions are globs (`*`, `?`), several of them separated by blanks or commas; one of them must fit. A host glob
//! with a colon is compared with `HOST:PORT`, one without with the host alone. Of an alias (`registry`), account and
//! region are those of the registry that it stands for.
//!
//! The format is that of the AWS configuration files, without their nested blocks: whoever has an ECR has one of
//! those. Unknown keys are errors, because a misspelt `profile` would otherwise log in as somebody else.

mod rule;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub use self::rule::Rule;
use super::ecr_registry::EcrRegistry;
use crate::image::host::{Address, EcrHost, PUBLIC_REGION};
use crate::ini::{self, Line};
use crate::settings::Settings;

/// A file with a rule of each kind, as the manual page shows it.
pub const EXAMPLE: &str = "\
# All registries of the production account, in any region
[production]
match_account = 111111111111
profile = production

# Several, through a role
[partners]
match_account = 2222* 3333*
match_region = eu-*
role_arn = arn:aws:iam::444444444444:role/pull

# A host of one's own in front of a registry
[mirror]
match_host = registry.example.com
registry = 111111111111.dkr.ecr.eu-west-1.amazonaws.com

# The embedded ECR (`ecr local serve --port 4510`)
[embedded]
match_host = localhost:4510
registry = 000000000000.dkr.ecr.us-east-1.amazonaws.com
endpoint_url = http://localhost:4510

# The public gallery, always without an account
[gallery]
match_host = public.ecr.aws ecr-public.aws.com
anonymous = true
";

/// The rules in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Path of the file, which need not exist; `None` without a home directory.
    pub file: Option<PathBuf>,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Error in `login.conf`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// Reason for the failure.
        reason: String,
    },
    /// A line of it makes no sense.
    #[error("{file}, line {line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// The line's number.
        line: usize,
        /// The problem.
        what: String,
    },
}

/// Returns the path of `login.conf`, or `None` without a home directory.
pub fn file(settings: &Settings) -> Option<PathBuf> {
    if let Some(file) = settings.filled_variable("ECR_LOGIN_CONFIG") {
        return Some(settings.expanded(&file));
    }
    Some(settings.base_folder("XDG_CONFIG_HOME", ".config")?.join("ecr").join("login.conf"))
}

impl Rules {
    /// Reads the file; one that does not exist has no rules, unless it was named in the environment.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let Some(file) = file(settings) else { return Ok(Self::default()) };
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Self { rules: parse(&text, &file)?, file: Some(file) }),
            Err(error) => {
                let absent = matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound
                        | std::io::ErrorKind::NotADirectory
                        | std::io::ErrorKind::PermissionDenied
                );
                // A home that one may not look into has no rules either; a file that was asked for must be there.
                if absent && settings.filled_variable("ECR_LOGIN_CONFIG").is_none() {
                    return Ok(Self { file: Some(file), rules: Vec::new() });
                }
                Err(Error::Unreadable { file: file.display().to_string(), reason: error.to_string() })
            }
        }
    }

    /// Returns how to log in to a host; `None` if it is not a registry of ECR and no rule names it.
    pub fn registry(&self, address: &Address) -> Option<EcrRegistry> {
        let own = address.ecr();
        let rule = self.rules.iter().find(|rule| rule.fits(address, own.as_ref()));
        let ecr = rule.and_then(|rule| rule.registry.clone()).or(own);
        let (fips, dualstack, public) = match &ecr {
            Some(EcrHost::Private { fips, dualstack, .. }) => (*fips, *dualstack, false),
            Some(EcrHost::Public { dualstack }) => (false, *dualstack, true),
            None => (false, false, false),
        };
        let region = rule.and_then(|rule| rule.region.clone());
        let region = region.or_else(|| ecr.as_ref().map(|ecr| ecr.region().to_owned()))?;
        Some(EcrRegistry {
            host: address.to_string(),
            account: ecr.as_ref().and_then(|ecr| ecr.account().map(str::to_owned)),
            public,
            region: if public { PUBLIC_REGION.to_owned() } else { region },
            fips,
            dualstack,
            rule: rule.cloned(),
        })
    }

    /// Hosts that a rule names without a glob, and that are served by it.
    pub fn named_hosts(&self) -> Vec<String> {
        let globs =
            self.rules.iter().filter(|rule| !rule.anonymous).filter_map(|rule| rule.match_host.as_ref());
        let plain = globs.flatten().filter(|glob| !glob.contains(['*', '?']));
        plain
            .filter(|host| Address::parse(host).is_some_and(|a| self.registry(&a).is_some()))
            .cloned()
            .collect()
    }
}

/// Reads the rules line by line, and not as [`ini::parse`] reads the AWS files: nothing here is passed over in silence,
/// every complaint names its line, and a value neither goes on behind its line nor comes from `[DEFAULT]`.
fn parse(text: &str, file: &Path) -> Result<Vec<Rule>, Error> {
    let wrong = |line: usize, what: String| Error::Line { file: file.display().to_string(), line, what };
    let mut rules = Vec::new();
    let mut keys = HashSet::new();
    let text = text.trim_start_matches('\u{feff}');
    for line in ini::lines(text).filter(|line| !line.text.is_empty()) {
        let read = if line.text.starts_with('[') {
            keys.clear();
            begin_rule(line, &mut rules)
        } else {
            set_key(line, &mut rules, &mut keys)
        };
        read.map_err(|what| wrong(line.number, what))?;
    }
    for rule in &rules {
        rule.validate().map_err(|what| wrong(rule.line, what))?;
    }
    Ok(rules)
}

/// Begins the rule that a line names in brackets.
fn begin_rule(line: Line<'_>, rules: &mut Vec<Rule>) -> Result<(), String> {
    let name = line.header().filter(|_| line.text.ends_with(']'));
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    let name = name.ok_or("a rule starts with its name in brackets: [NAME]")?;
    if rules.iter().any(|rule| rule.name == name) {
        return Err(format!("there are two rules named '{name}'"));
    }
    rules.push(Rule { name: name.to_owned(), line: line.number, ..Rule::default() });
    Ok(())
}

/// Sets a key of the last rule; `keys` are those that it has.
fn set_key(line: Line<'_>, rules: &mut [Rule], keys: &mut HashSet<String>) -> Result<(), String> {
    let (key, value) = line.option().ok_or("neither [NAME] nor KEY = VALUE")?;
    let key = key.to_ascii_lowercase();
    let rule = rules
        .last_mut()
        .ok_or_else(|| format!("'{key}' stands before the first rule: start one with [NAME]"))?;
    if value.is_empty() {
        return Err(format!("'{key}' has no value"));
    }
    if keys.contains(&key) {
        return Err(format!("'{key}' stands twice in the rule '{}'", rule.name));
    }
    rule.set(&key, value)?;
    keys.insert(key);
    Ok(())
}

#[cfg(test)]
mod tests;
