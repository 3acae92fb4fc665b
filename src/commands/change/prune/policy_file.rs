//! `--policy`: rules for many repositories, in YAML.

use std::path::Path;

use clap::{Args as _, FromArgMatches as _};
use serde_json::Value;

use super::super::super::argument_types::RepositoryText;
use super::super::super::input::read_text_file;
use super::super::super::registry::usage;
use super::args::RuleArgs;
use crate::image::glob;

/// A file is read up to this size.
const MAX_BYTES: u64 = 16 << 20;

/// The rules of a policy file, in their order.
#[derive(Debug)]
pub(super) struct Policy(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    repositories: Vec<String>,
    options: RuleArgs,
}

impl Policy {
    /// Reads a file.
    pub(super) fn read(file: &str) -> anyhow::Result<Self> {
        let text = read_text_file(Path::new(file), MAX_BYTES)
            .map_err(|error| usage(format!("--policy {file} cannot be read: {error}")))?;
        Self::parse(&text).map_err(|reason| usage(format!("--policy {file}: {reason}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let value = crate::args::read_yaml(text).map_err(|error| error.to_string())?;
        let rules = value.as_array().filter(|rules| !rules.is_empty());
        let rules = rules.ok_or("expected a list of rules, each with the key repositories")?;
        let read = |(number, rule): (usize, &Value)| {
            Rule::read(rule).map_err(|reason| format!("rule {}: {reason}", number + 1))
        };
        Ok(Self(rules.iter().enumerate().map(read).collect::<Result<_, _>>()?))
    }

    /// The globs of all rules.
    pub(super) fn globs(&self) -> Vec<RepositoryText> {
        self.0.iter().flat_map(|rule| rule.repositories.iter().cloned()).map(RepositoryText::from).collect()
    }

    /// All options, to be checked before any call.
    pub(super) fn all(&self) -> impl Iterator<Item = &RuleArgs> {
        self.0.iter().map(|rule| &rule.options)
    }

    /// Returns the options for a repository: those of the first rule that matches it.
    pub(super) fn options(&self, repository: &str) -> Option<&RuleArgs> {
        let matches =
            |rule: &&Rule| rule.repositories.iter().any(|pattern| glob::matches(pattern, repository));
        self.0.iter().find(matches).map(|rule| &rule.options)
    }
}

impl Rule {
    fn read(rule: &Value) -> Result<Self, String> {
        let members = rule.as_object().ok_or("expected keys and values")?;
        let repositories = members.get("repositories").map(texts).transpose()?.unwrap_or_default();
        if repositories.is_empty() {
            return Err("the key repositories is missing: a list of names and globs".to_owned());
        }
        let mut words = vec!["prune".to_owned()];
        for (name, value) in members.iter().filter(|(name, _)| *name != "repositories") {
            match value {
                Value::Bool(true) => words.push(format!("--{name}")),
                Value::Bool(false) | Value::Null => {}
                value => words.extend(texts(value)?.into_iter().map(|text| format!("--{name}={text}"))),
            }
        }
        // The same parser as that of the command line: a key that is no option, and a value that is none, are errors.
        let command = RuleArgs::augment_args(clap::Command::new("prune").disable_help_flag(true));
        let matches = command.try_get_matches_from(words).map_err(|error| sentence(&error))?;
        let options = RuleArgs::from_arg_matches(&matches).map_err(|error| sentence(&error))?;
        Ok(Self { repositories, options })
    }
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Number(number) => Ok(vec![number.to_string()]),
        Value::Array(items) => items.iter().map(texts).collect::<Result<Vec<_>, _>>().map(|all| all.concat()),
        other => Err(format!("{other} is neither a text, a number nor a list of them")),
    }
}

/// Returns the first line of clap's message.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).replace("argument", "key").replace("'--", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_counts() {
        let policy = Policy::parse(
            "- repositories: ['prod/*']\n  untagged: true\n  older-than: 90d\n- repositories: '*'\n  tagged: true\n  match: \
             [pr-*, build-*]\n  keep: 10\n  max: 20%\n",
        )
        .unwrap();
        let globs: Vec<String> = policy.globs().into_iter().map(String::from).collect();
        assert_eq!(globs, ["prod/*", "*"]);
        let max = |name: &str| policy.options(name).unwrap().max.is_some();
        assert_eq!((max("prod/app"), max("team/app")), (false, true));
    }

    #[test]
    fn errors_name_the_member() {
        for (text, reason) in [
            ("{}", "expected a list of rules"),
            ("[]", "expected a list of rules"),
            ("- untagged: true", "rule 1: the key repositories is missing"),
            ("- repositories: a\n  untaged: true", "rule 1: unexpected key 'untaged' found"),
            ("- repositories: a\n  older-than: 6m", "rule 1: invalid value '6m' for 'older-than"),
            ("- repositories: a\n  keep: {a: 1}", "rule 1: {\"a\":1} is neither"),
            (
                "- repositories: a\n  untagged: true\n  tagged: true",
                "rule 1: the key 'untagged' cannot be used with",
            ),
        ] {
            let error = Policy::parse(text).unwrap_err();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }
}
