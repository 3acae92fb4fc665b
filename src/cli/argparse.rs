//! A small parser with the behaviour of Python's `argparse`, as far as the AWS CLI shows it.
//!
//! clap cannot stand in for it: here an option may be abbreviated, a word that looks like an option is one even after
//! an option that wants a value, unknown words are handed back in order instead of refused, and one parser's leftovers
//! are the next one's words. The texts are part of the contract.

mod run;
#[cfg(test)]
mod tests;

use indexmap::IndexMap;

use self::run::Run;
use super::difflib;
use crate::model::python;

/// Number of words that an argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    /// None: the presence of the flag is its value.
    Flag(bool),
    /// Exactly one.
    One,
    /// One, or none; for an option without one the value is this.
    Optional(&'static str),
    /// All that follow, or none.
    Any,
    /// All that follow, but at least one.
    Some,
    /// None, and it ends the parsing at once.
    Stop,
}

/// An argument that is written with two hyphens.
#[derive(Debug, Clone)]
pub(super) struct Opt {
    /// Option name as written, `--repository-name`.
    pub(super) flag: String,
    /// Under which name its value is kept: `--force` and `--no-force` share one.
    pub(super) key: String,
    pub(super) arity: Arity,
    /// The value must be a number by Python's `int()`.
    pub(super) integer: bool,
    pub(super) choices: &'static [&'static str],
    pub(super) required: bool,
    /// An extension of ours must be written in full, so that no abbreviation of the AWS CLI changes its meaning.
    pub(super) extension: bool,
}

impl Opt {
    /// An option that takes one word and may be absent.
    pub(super) fn new(flag: &str, arity: Arity) -> Self {
        Self {
            flag: format!("--{flag}"),
            key: flag.to_owned(),
            arity,
            integer: false,
            choices: &[],
            required: false,
            extension: false,
        }
    }
}

/// An argument without hyphens.
#[derive(Debug, Clone)]
pub(super) struct Positional {
    /// Its name in texts, and the key of its value.
    pub(super) name: &'static str,
    /// The argument must be given.
    pub(super) required: bool,
    /// Permitted words; `None` if any is permitted.
    pub(super) choices: Option<Vec<String>>,
}

/// One argument's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ArgumentValue {
    Flag(bool),
    One(String),
    Many(Vec<String>),
}

/// Result of parsing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The values by key. A repeated argument keeps its last value.
    pub(super) values: IndexMap<String, ArgumentValue>,
    /// Words that belong to no argument, in order.
    pub(super) rest: Vec<String>,
    /// The option that ended the parsing, if one did.
    pub(super) stopped: Option<String>,
}

impl Parsed {
    /// The value of an argument that takes one word.
    pub(super) fn one(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(ArgumentValue::One(value)) => Some(value),
            _ => None,
        }
    }

    /// Returns the value of a flag, or `None` if it was not given.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.values.get(key) {
            Some(ArgumentValue::Flag(value)) => Some(*value),
            _ => None,
        }
    }
}

/// Error message of parsing, without the usage text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UsageError(pub(super) String);

/// The arguments that one level of the command line takes.
#[derive(Debug, Default)]
pub(super) struct Parser {
    pub(super) options: Vec<Opt>,
    pub(super) positionals: Vec<Positional>,
}

/// Kind of one word.
enum Word<'a> {
    Argument,
    Separator,
    /// The options that it may stand for, as indices; none for one that is not known here.
    Option(Vec<usize>, Option<&'a str>),
}

impl Parser {
    /// Parses the words and returns those that are unknown.
    pub(super) fn parse(&self, words: &[String]) -> Result<Parsed, UsageError> {
        Run::new(self, words).run()
    }

    /// Returns the first word that is no option and no option's value; for finding a command before its options are
    /// known.
    pub(super) fn first_argument<'a>(&self, words: &'a [String]) -> Option<&'a str> {
        let mut skip = false;
        for (word, kind) in words.iter().zip(self.classify(words)) {
            match kind {
                Word::Argument if skip => skip = false,
                Word::Argument => return Some(word),
                Word::Separator => {}
                Word::Option(options, value) => {
                    skip = value.is_none() && options.iter().any(|o| self.options[*o].arity == Arity::One);
                }
            }
        }
        None
    }

    fn classify<'a>(&self, words: &'a [String]) -> Vec<Word<'a>> {
        let mut separated = false;
        let mut kinds = Vec::with_capacity(words.len());
        for word in words {
            kinds.push(if separated {
                Word::Argument
            } else if word == "--" {
                separated = true;
                Word::Separator
            } else {
                self.kind(word)
            });
        }
        kinds
    }

    fn kind<'a>(&self, word: &'a str) -> Word<'a> {
        if !word.starts_with('-') {
            return Word::Argument;
        }
        if let Some(option) = self.find(word) {
            return Word::Option(vec![option], None);
        }
        if word == "-" {
            return Word::Argument;
        }
        let (prefix, value) = match word.split_once('=') {
            Some((prefix, value)) => (prefix, Some(value)),
            None => (word, None),
        };
        if let (Some(option), Some(_)) = (self.find(prefix), value) {
            return Word::Option(vec![option], value);
        }
        let abbreviated = |option: &Opt| !option.extension && option.flag.starts_with(prefix);
        let options: Vec<usize> =
            (0..self.options.len()).filter(|index| abbreviated(&self.options[*index])).collect();
        if options.is_empty() && (is_negative_number(word) || word.contains(' ')) {
            return Word::Argument;
        }
        Word::Option(options, value)
    }

    fn find(&self, flag: &str) -> Option<usize> {
        self.options.iter().position(|option| option.flag == flag)
    }
}

/// Python 3.14 takes whatever begins like a negative number for one.
fn is_negative_number(word: &str) -> bool {
    let number = word.strip_prefix('-').map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    let first = number.and_then(|number| number.chars().next());
    first.is_some_and(|first| python::int(first.encode_utf8(&mut [0; 4])).is_some())
}

impl Opt {
    fn mistake(&self, text: &str) -> UsageError {
        UsageError(format!("argument {}: {text}", self.flag))
    }
}

/// Returns the message for a word that is none of the choices, with suggestions.
pub(super) fn invalid_choice<'a>(word: &str, choices: impl Iterator<Item = &'a str>) -> String {
    let mut text = format!("Found invalid choice '{word}'\n");
    let close = difflib::close_matches(word, choices);
    if !close.is_empty() {
        text.push_str("\nMaybe you meant:\n");
        for word in close {
            text.push_str("\n  * ");
            text.push_str(word);
        }
    }
    text
}
