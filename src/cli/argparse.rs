//! A small parser with the behaviour of Python's `argparse`, as far as the AWS CLI shows it.
//!
//! clap cannot stand in for it: here an option may be abbreviated, a word that looks like an option is one even after
//! an option that wants a value, unknown words are handed back in order instead of refused, and one parser's leftovers
//! are the next one's words. The texts are part of the contract.

use indexmap::IndexMap;

use crate::model::python;

use super::difflib;

/// How many words an argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    /// None: its presence says this.
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
    /// As it is written, `--repository-name`.
    pub(super) flag: String,
    /// Under which name its value is kept: `--force` and `--no-force` share one.
    pub(super) key: String,
    pub(super) arity: Arity,
    /// Whether the value must be a number by Python's `int()`.
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
    /// Whether it must be there.
    pub(super) required: bool,
    /// The words that it may be; `None` where any will do.
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
    /// The words that belong to no argument, in order.
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

    /// Whether this flag was given, and as what.
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
    /// Parses the words, handing back those that it does not know.
    pub(super) fn parse(&self, words: &[String]) -> Result<Parsed, UsageError> {
        Run::new(self, words).run()
    }

    /// The first word that is no option and no option's value; for finding a command before its options are known.
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

/// One parse in progress.
struct Run<'a> {
    parser: &'a Parser,
    words: &'a [String],
    kinds: Vec<Word<'a>>,
    parsed: Parsed,
    seen: Vec<bool>,
    /// How many of the positionals have been dealt with.
    positionals: usize,
}

impl<'a> Run<'a> {
    fn new(parser: &'a Parser, words: &'a [String]) -> Self {
        Self {
            parser,
            words,
            kinds: parser.classify(words),
            parsed: Parsed::default(),
            seen: vec![false; parser.options.len()],
            positionals: 0,
        }
    }

    fn run(mut self) -> Result<Parsed, UsageError> {
        let options =
            self.kinds.iter().rposition(|kind| matches!(kind, Word::Option(..))).map_or(0, |last| last + 1);
        let mut at = 0;
        while at < options {
            let next = (at..options).find(|i| matches!(self.kinds[*i], Word::Option(..))).unwrap_or(options);
            if at != next {
                let end = self.take_positionals(at)?;
                if end > at {
                    at = end;
                    continue;
                }
                self.parsed.rest.extend_from_slice(&self.words[at..next]);
            }
            at = self.take_option(next)?;
            if self.parsed.stopped.is_some() {
                return Ok(self.parsed);
            }
        }
        let end = self.take_positionals(at)?;
        self.parsed.rest.extend_from_slice(&self.words[end..]);
        self.require()?;
        Ok(self.parsed)
    }

    fn require(&self) -> Result<(), UsageError> {
        let options = self.parser.options.iter().zip(&self.seen);
        let options =
            options.filter(|(option, seen)| option.required && !**seen).map(|(o, _)| o.flag.as_str());
        let positionals = &self.parser.positionals[self.positionals..];
        let missing: Vec<&str> =
            options.chain(positionals.iter().filter(|p| p.required).map(|p| p.name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(UsageError(format!("the following arguments are required: {}", missing.join(", "))))
    }

    /// Takes the option at this place and its values; answers the place after them.
    fn take_option(&mut self, at: usize) -> Result<usize, UsageError> {
        let parser = self.parser;
        // Each place is visited once, so its word can be taken out.
        let word = std::mem::replace(&mut self.kinds[at], Word::Separator);
        let Word::Option(options, value) = word else { return Ok(at + 1) };
        let option = match options.as_slice() {
            [] => {
                self.parsed.rest.push(self.words[at].clone());
                return Ok(at + 1);
            }
            [option] => *option,
            several => {
                let flags: Vec<&str> = several.iter().map(|o| parser.options[*o].flag.as_str()).collect();
                let word = &self.words[at];
                return Err(UsageError(format!("ambiguous option: {word} could match {}", flags.join(", "))));
            }
        };
        self.seen[option] = true;
        let option = &parser.options[option];
        if let Some(value) = value {
            if matches!(option.arity, Arity::Flag(_) | Arity::Stop) {
                return Err(
                    option.mistake(&format!("ignored explicit argument {}", python::string_repr(value)))
                );
            }
            self.keep(option, vec![value.to_owned()])?;
            return Ok(at + 1);
        }
        let most = match option.arity {
            Arity::Flag(_) | Arity::Stop => 0,
            Arity::One | Arity::Optional(_) => 1,
            Arity::Any | Arity::Some => usize::MAX,
        };
        let following = self.kinds[at + 1..].iter().take_while(|kind| matches!(kind, Word::Argument)).count();
        let count = following.min(most);
        if option.arity == Arity::One && count == 0 {
            return Err(option.mistake("expected one argument"));
        }
        if option.arity == Arity::Some && count == 0 {
            return Err(option.mistake("expected at least one argument"));
        }
        let end = at + 1 + count;
        self.keep(option, self.words[at + 1..end].to_vec())?;
        Ok(end)
    }

    fn keep(&mut self, option: &Opt, mut words: Vec<String>) -> Result<(), UsageError> {
        if option.integer {
            for word in &mut words {
                match python::int(word) {
                    Some(number) => *word = number,
                    None => {
                        return Err(
                            option.mistake(&format!("invalid int value: {}", python::string_repr(word)))
                        );
                    }
                }
            }
        }
        if !option.choices.is_empty() {
            let wrong = words.iter().find(|word| !option.choices.contains(&word.as_str()));
            if let Some(word) = wrong {
                return Err(option.mistake(&invalid_choice(word, option.choices.iter().copied())));
            }
        }
        let given = match option.arity {
            Arity::Stop => {
                self.parsed.stopped = Some(option.key.clone());
                return Ok(());
            }
            Arity::Flag(value) => ArgumentValue::Flag(value),
            Arity::Any | Arity::Some => ArgumentValue::Many(words),
            Arity::One => ArgumentValue::One(words.pop().unwrap_or_default()),
            Arity::Optional(absent) => ArgumentValue::One(words.pop().unwrap_or_else(|| absent.to_owned())),
        };
        self.parsed.values.insert(option.key.clone(), given);
        Ok(())
    }

    /// Takes as many positionals as match from this place on; answers the place after them.
    fn take_positionals(&mut self, start: usize) -> Result<usize, UsageError> {
        let parser = self.parser;
        let left = &parser.positionals[self.positionals..];
        let mut at = start;
        for (taken, end) in self.match_positionals(start, left) {
            let words = self.words[at..end].iter().enumerate();
            let separator = (at..end).find(|i| matches!(self.kinds[*i], Word::Separator)).map(|i| i - at);
            let word = words.filter(|(i, _)| Some(*i) != separator).map(|(_, word)| word.clone()).next();
            at = end;
            self.positionals += 1;
            let Some(word) = word else { continue };
            if let Some(choices) = taken.choices.as_ref().filter(|choices| !choices.contains(&word)) {
                let text = invalid_choice(&word, choices.iter().map(String::as_str));
                return Err(UsageError(format!("argument {}: {text}", taken.name)));
            }
            self.parsed.values.insert(taken.name.to_owned(), ArgumentValue::One(word));
        }
        Ok(at)
    }

    /// The positionals that match here, each with the place where its words end. One takes a word with the separators
    /// around it; an optional one may take none, but waits for a later place when an option comes next.
    fn match_positionals<'p>(&self, start: usize, left: &'p [Positional]) -> Vec<(&'p Positional, usize)> {
        let is = |at: usize, separator: bool| match self.kinds.get(at) {
            Some(Word::Separator) => separator,
            Some(Word::Argument) => !separator,
            _ => false,
        };
        let skip = |mut at: usize| {
            while is(at, true) {
                at += 1;
            }
            at
        };
        let mut matched: Vec<(&Positional, usize)> = Vec::new();
        let mut at = start;
        for positional in left {
            let first = skip(at);
            if is(first, false) {
                at = skip(first + 1);
            } else if positional.required {
                break;
            } else {
                at = first;
            }
            matched.push((positional, at));
        }
        if matches!(self.kinds.get(at), Some(Word::Option(..))) {
            while let Some((_, end)) = matched.last() {
                let begin = matched.len().checked_sub(2).map_or(start, |i| matched[i].1);
                if *end > begin {
                    break;
                }
                matched.pop();
            }
        }
        matched
    }
}

impl Opt {
    fn mistake(&self, text: &str) -> UsageError {
        UsageError(format!("argument {}: {text}", self.flag))
    }
}

/// Message for a word that is none of the choices, with suggestions.
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

#[cfg(test)]
mod tests;
