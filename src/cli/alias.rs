//! Aliases of the AWS CLI, from `~/.aws/cli/alias`: a shorter form of a command, or a line for the shell.
//!
//! `[toplevel]` has the aliases of whole commands, `[command ecr]` those below `ecr`. The options of an alias beat
//! those on the command line, and an alias may name another.

use std::process::{Command, ExitCode};

use indexmap::IndexMap;

use crate::error::Error;
use crate::platform;
use crate::settings::Settings;

use super::argparse::{Parser, Positional};
use super::dispatch::SERVICES;
use super::options;
use super::session::Session;

/// Limit of aliases that lead to each other; Python gives up at some point too.
const MAX_STEPS: usize = 200;

/// All aliases: by section, then by name.
#[derive(Debug, Default)]
pub(super) struct Aliases(IndexMap<String, IndexMap<String, String>>);

/// Result of expanding an alias.
pub(super) enum Step {
    /// The alias was a line for the shell, which has run.
    Done(ExitCode),
    /// Replacement words, parsed as if they had been given.
    Words(Vec<String>),
    /// The command of the same name, with these words.
    Itself(Vec<String>),
}

impl Aliases {
    pub(super) fn read(settings: &Settings) -> Result<Self, Error> {
        let mut sections = IndexMap::new();
        for (title, aliases) in settings.aliases()? {
            let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
            sections.insert(title, aliases);
        }
        Ok(Self(sections))
    }

    /// The names of the aliases in a section.
    pub(super) fn names(&self, section: &str) -> impl Iterator<Item = &str> {
        self.0.get(section).into_iter().flat_map(IndexMap::keys).map(String::as_str)
    }

    fn find(&self, section: &str, name: &str) -> Option<String> {
        self.0.get(section)?.get(name).map(|value| value.trim().to_owned())
    }

    /// Returns whether this command is one of `ours`, or an alias that leads to one of them or to the shell.
    pub(super) fn lead_to_own_command(&self, name: &str, ours: &[&str]) -> bool {
        let parser = Parser { options: options::globals(false), positionals: Vec::new() };
        let mut name = name.to_owned();
        for _ in 0..MAX_STEPS {
            let Some(value) = self.find(TOP, &name) else { return ours.contains(&name.as_str()) };
            // What cannot be parsed is for this program to complain about.
            let Ok(words) = split(&value) else { return true };
            match parser.first_argument(&words) {
                _ if value.starts_with('!') => return true,
                Some(next) if next == name => return ours.contains(&next),
                Some(next) => next.clone_into(&mut name),
                None => return true,
            }
        }
        true
    }
}

/// The section of aliases for whole commands.
pub(super) const TOP: &str = "toplevel";

/// Expands the alias of a whole command: returns the command and its words.
pub(super) fn follow_command(
    session: &mut Session,
    mut command: String,
    mut words: Vec<String>,
    commands: &[String],
) -> Result<(String, Step), Error> {
    for _ in 0..MAX_STEPS {
        let Some(value) = session.aliases.find(TOP, &command) else {
            return Ok((command, Step::Words(words)));
        };
        if let Some(line) = value.strip_prefix('!') {
            return Ok((command, Step::Done(shell(line, &words)?)));
        }
        let (next, mut rest) = parse(session, &command, &expand(&command, &value)?, commands)?;
        rest.append(&mut words);
        words = rest;
        // An alias may have the name of the command that it stands for.
        if next == command && SERVICES.lines().any(|name| name == command) {
            return Ok((command, Step::Words(words)));
        }
        command = next;
    }
    Err(too_deep())
}

/// Expands one alias below a command, such as `command ecr`; `None` if the name is no alias.
pub(super) fn follow(
    session: &mut Session,
    section: &str,
    name: &str,
    words: &[String],
    exists: bool,
) -> Result<Option<Step>, Error> {
    let Some(value) = session.aliases.find(section, name) else { return Ok(None) };
    if let Some(line) = value.strip_prefix('!') {
        return Ok(Some(Step::Done(shell(line, words)?)));
    }
    session.steps += 1;
    if session.steps > MAX_STEPS {
        return Err(too_deep());
    }
    // The options in it are read as they would be after the name of the service.
    let mut expanded = vec!["ecr".to_owned()];
    expanded.extend(expand(name, &value)?);
    let (_, mut rest) = parse(session, name, &expanded, &["ecr".to_owned()])?;
    rest.extend_from_slice(words);
    if exists {
        return Ok(Some(Step::Itself(rest.split_off(rest.len().min(1)))));
    }
    Ok(Some(Step::Words(rest)))
}

fn too_deep() -> Error {
    Error::Other("maximum recursion depth exceeded".to_owned())
}

fn expand(name: &str, value: &str) -> Result<Vec<String>, Error> {
    let words = split(value).map_err(|reason| {
        Error::Other(format!(
            "Value of alias \"{name}\" could not be parsed. Received error: {reason} when parsing:\n{value}"
        ))
    })?;
    Ok(words.into_iter().map(|word| word.trim_matches('\n').to_owned()).collect())
}

/// Takes the global options out of an alias, and finds its command.
fn parse(
    session: &mut Session,
    alias: &str,
    words: &[String],
    commands: &[String],
) -> Result<(String, Vec<String>), Error> {
    let command = Positional { name: "command", required: true, choices: Some(commands.to_vec()) };
    let parser = Parser { options: options::globals(false), positionals: vec![command] };
    let mut parsed = parser.parse(words).map_err(|mistake| Error::CommandLine(mistake.0))?;
    for option in ["debug", "profile"] {
        if parsed.values.contains_key(option) {
            return Err(Error::Other(format!(
                "Global parameter \"--{option}\" detected in alias \"{alias}\" which is not supported in subcommand \
                 aliases."
            )));
        }
    }
    let command = parsed.one("command").unwrap_or_default().to_owned();
    let rest = std::mem::take(&mut parsed.rest);
    session.take_globals(&parsed)?;
    Ok((command, rest))
}

/// Runs a line in the shell with the further words, and returns its exit code.
fn shell(line: &str, words: &[String]) -> Result<ExitCode, Error> {
    let mut line = line.to_owned();
    for word in words {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("/bin/sh", "-c") };
    let status = Command::new(shell).args([flag, &line]).status();
    let status = status.map_err(|error| Error::Other(format!("{shell} cannot be started: {error}")))?;
    let signal = platform::signal_of(status);
    // Python hands on the negative number of a signal, of which the system keeps the last byte.
    let code = status.code().or(signal.map(|signal| -signal)).unwrap_or(255);
    Ok(ExitCode::from(u8::try_from(code.rem_euclid(256)).unwrap_or(255)))
}

/// Splits a line as Python's `shlex.split` does, which knows no comments and keeps a backslash between double quotes
/// unless it protects a quote or another backslash.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let escaped = characters.next().ok_or("No escaped character")?;
                word.get_or_insert_default().push(escaped);
            }
            quote @ ('"' | '\'') => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().ok_or("No closing quotation")? {
                        end if end == quote => break,
                        '\\' if quote == '"' => match characters.next().ok_or("No escaped character")? {
                            protected @ ('"' | '\\') => word.push(protected),
                            other => word.extend(['\\', other]),
                        },
                        other => word.push(other),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Quotes a word as Python's `shlex.quote` does.
pub(super) fn quoted(word: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(is_safe) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(section: &str, pairs: &[(&str, &str)]) -> Aliases {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Aliases(IndexMap::from_iter([(section.to_owned(), pairs)]))
    }

    #[test]
    fn an_alias_is_ours_when_it_leads_to_us() {
        let aliases = aliases(
            TOP,
            &[
                ("regs", "--output text ecr describe-registry"),
                ("more", "regs"),
                ("buckets", "s3 ls"),
                ("hello", "!echo"),
                ("s3", "s3 --region x"),
                ("loop", "pool"),
                ("pool", "loop"),
            ],
        );
        let ours = |name| aliases.lead_to_own_command(name, &["ecr", "ecr-public"]);
        assert_eq!(
            ["ecr", "regs", "more", "hello", "loop", "buckets", "s3", "ec2"].map(ours),
            [true, true, true, true, true, false, false, false]
        );
    }

    #[test]
    fn lines_are_split_as_python_does() {
        for (line, expected) in [
            ("a  b\n c", Ok(vec!["a", "b", "c"])),
            ("'a b'c \"\" # d", Ok(vec!["a bc", "", "#", "d"])),
            (r#""a\$b\"\\" \ c"#, Ok(vec!["a\\$b\"\\", " c"])),
            ("a 'b", Err("No closing quotation")),
            ("a\\", Err("No escaped character")),
        ] {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(split(line), expected, "{line}");
        }
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        for (word, expected) in
            [("a", "a"), ("", "''"), ("b c", "'b c'"), ("it's", "'it'\"'\"'s'"), ("é", "'é'")]
        {
            assert_eq!(quoted(word), expected);
        }
    }
}
