//! Completion of the word at the cursor: the hidden command behind the completion scripts of the shells.
//!
//! `ecr complete -- WORD...` gets all words after the program's name up to the cursor, the last one unfinished (and
//! maybe empty), and prints one candidate in each line, with a description after a tab. It never fails, never writes
//! to stderr, and where it has nothing to say the shell offers files.

mod level;
mod remote_names;

use std::process::ExitCode;

use crate::settings::{Globals, Settings};

use super::globals;
use super::session::Session;
use level::{CommandContext, OptionHint, Source};
use remote_names::NameKind;

/// Candidate with its description.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    word: String,
    about: String,
}

impl Candidate {
    fn new(word: impl Into<String>, about: &str) -> Self {
        Self { word: word.into(), about: about.to_owned() }
    }
}

/// Prints the candidates.
pub(super) fn run(session: &Session, words: &[String]) -> ExitCode {
    // PowerShell loses an empty word on the way to a program, so it writes `=` before the last one.
    let marked = words.iter().take_while(|word| *word != "--").any(|word| word == "--marked");
    let start = words.iter().position(|word| word == "--").map_or(0, |at| at + 1);
    let Some((current, before)) = words[start..].split_last() else { return ExitCode::SUCCESS };
    let current = if marked { current.strip_prefix('=').unwrap_or(current) } else { current };
    let mut text = String::new();
    for candidate in Line::read(before).candidates(current) {
        let about = candidate.about.replace(['\t', '\n'], " ");
        text.extend([candidate.word.as_str(), "\t", &about, "\n"]);
    }
    let _ = session.ui.print(&text);
    ExitCode::SUCCESS
}

/// Parsed words before the cursor.
struct Line {
    level: CommandContext,
    /// The options that were given, with their values.
    given: Vec<(String, String)>,
    /// Option whose value comes next.
    pending: Option<OptionHint>,
    /// Number of the command's words that are neither options nor their values.
    positionals: usize,
}

impl Line {
    fn read(words: &[String]) -> Self {
        let mut line = Self { level: CommandContext::Root, given: Vec::new(), pending: None, positionals: 0 };
        for word in words {
            line.take(word);
        }
        line
    }

    fn take(&mut self, word: &str) {
        if word.starts_with('-') {
            self.pending = None;
            let (flag, value) =
                word.split_once('=').map_or((word, None), |(flag, value)| (flag, Some(value)));
            let Some(hint) = self.level.options().into_iter().find(|hint| hint.flag == flag) else { return };
            if !hint.takes_value {
                self.given.push((hint.flag, String::new()));
            } else if let Some(value) = value {
                self.given.push((hint.flag, value.to_owned()));
            } else {
                self.pending = Some(hint);
            }
        } else if let Some(hint) = self.pending.take() {
            self.given.push((hint.flag.clone(), word.to_owned()));
            self.pending = Some(hint).filter(|hint| hint.repeats);
        } else if let Some(below) = self.level.below(word) {
            self.level = below;
        } else {
            self.positionals += 1;
        }
    }

    fn candidates(&self, current: &str) -> Vec<Candidate> {
        let begins = |candidate: &Candidate| candidate.word.starts_with(current);
        if let Some(hint) = self.pending.as_ref().filter(|_| !current.starts_with('-')) {
            return self.values(&hint.source, current);
        }
        if let Some((flag, value)) = current.split_once('=').filter(|_| current.starts_with("--")) {
            let hint = self.level.options().into_iter().find(|hint| hint.flag == flag);
            let values = hint.map(|hint| self.values(&hint.source, value)).unwrap_or_default();
            return values
                .into_iter()
                .map(|c| Candidate::new(format!("{flag}={}", c.word), &c.about))
                .collect();
        }
        if current.starts_with('-') {
            let options = self.level.options().into_iter();
            return options.map(|hint| Candidate::new(hint.flag, &hint.about)).filter(begins).collect();
        }
        let commands: Vec<Candidate> = self.level.commands().into_iter().filter(begins).collect();
        match self.level.positional(self.positionals) {
            Some(source) if commands.is_empty() => self.values(&source, current),
            _ => commands,
        }
    }

    fn values(&self, source: &Source, current: &str) -> Vec<Candidate> {
        let known = |words: Vec<String>, about: &str| -> Vec<Candidate> {
            let words = words.into_iter().filter(|word| word.starts_with(current));
            words.map(|word| Candidate::new(word, about)).collect()
        };
        match source {
            Source::Files => Vec::new(),
            Source::Choices(choices) => known(choices.clone(), ""),
            Source::Profiles => {
                let settings = Settings::resolve(Globals::default());
                known(
                    settings.profiles().unwrap_or_default().into_iter().map(str::to_owned).collect(),
                    "profile",
                )
            }
            Source::Repositories => known(self.found(NameKind::Repositories), "repository"),
            Source::Tags => known(self.tags(self.value("--repository-name")), "tag"),
            Source::ImageIds => {
                let tags = self.tags(self.value("--repository-name")).into_iter();
                known(tags.map(|tag| format!("imageTag={tag}")).collect(), "image")
            }
            // A reference to an image, which may have the registry's host in front.
            Source::References => match current.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
                Some((repository, _)) => {
                    let name = repository.split_once('/').filter(|(host, _)| host.contains('.'));
                    let tags = self.tags(Some(name.map_or(repository, |(_, name)| name))).into_iter();
                    known(tags.map(|tag| format!("{repository}:{tag}")).collect(), "image")
                }
                None => known(self.found(NameKind::Repositories), "repository"),
            },
        }
    }

    fn tags(&self, repository: Option<&str>) -> Vec<String> {
        repository.map(|name| self.found(NameKind::Tags(name.to_owned()))).unwrap_or_default()
    }

    fn found(&self, wanted: NameKind) -> Vec<String> {
        let value = |name: &str| self.value(&format!("--{name}")).map(str::to_owned);
        let globals = globals::collect(value, |name| self.value(&format!("--{name}")).is_some());
        // The log would be written over the command line.
        let globals = Globals { debug: false, local: globals.local || self.level.is_local(), ..globals };
        remote_names::names(
            Settings::resolve(globals),
            self.level.service(),
            wanted,
            self.value("--registry-id"),
        )
    }

    fn value(&self, flag: &str) -> Option<&str> {
        self.given.iter().rev().find(|(name, _)| name == flag).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (current, before) = words.split_last().expect("a line has a word");
        Line::read(before).candidates(current).into_iter().map(|candidate| candidate.word).collect()
    }

    #[test]
    fn words_are_completed_from_the_tables() {
        for (line, expected) in [
            ("describe-image-s", &["describe-image-scan-findings", "describe-image-signing-status"][..]),
            (
                "--region x describe-im",
                &[
                    "describe-image-replication-status",
                    "describe-image-scan-findings",
                    "describe-image-signing-status",
                    "describe-images",
                ],
            ),
            ("public get-l", &["get-login-password"]),
            ("public im", &["images"]),
            ("public latest --sem", &["--semver"]),
            ("wait i", &["image-scan-complete"]),
            ("describe-images --repository-name x --max", &["--max-items"]),
            ("describe-images --outp", &["--output"]),
            ("describe-images --output ya", &["yaml", "yaml-stream"]),
            ("describe-images --output=o", &["--output=off"]),
            (
                "put-image-tag-mutability --image-tag-mutability IM",
                &["IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"],
            ),
            ("delete-repository --for", &["--force"]),
            ("delete-repository --no-f", &["--no-force"]),
            ("delete-repository --generate-cli-skeleton o", &["output"]),
            ("local s", &["serve", "status"]),
            ("completions f", &["fish"]),
            ("credential-helper g", &["get"]),
            ("describe-images --cli-input-json file", &[]),
            ("no-such-command ", &[]),
        ] {
            assert_eq!(candidates(line), expected, "{line}");
        }
    }
}
