//! One parse: options with their values, and the positionals between them, in the order in which argparse takes them.

use super::{ArgumentValue, Arity, Opt, Parsed, Parser, Positional, UsageError, Word, invalid_choice};
use crate::model::python;

/// One parse in progress.
pub(super) struct Run<'a> {
    parser: &'a Parser,
    words: &'a [String],
    kinds: Vec<Word<'a>>,
    parsed: Parsed,
    seen: Vec<bool>,
    /// Number of positionals dealt with.
    positionals: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(parser: &'a Parser, words: &'a [String]) -> Self {
        Self {
            parser,
            words,
            kinds: parser.classify(words),
            parsed: Parsed::default(),
            seen: vec![false; parser.options.len()],
            positionals: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<Parsed, UsageError> {
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

    /// Parses the option at this position and its values; returns the position after them.
    fn take_option(&mut self, at: usize) -> Result<usize, UsageError> {
        // Each place is visited once, so its word can be taken out.
        let word = std::mem::replace(&mut self.kinds[at], Word::Separator);
        let Word::Option(options, value) = word else { return Ok(at + 1) };
        let Some(index) = self.only_one(&options, at)? else {
            self.parsed.rest.push(self.words[at].clone());
            return Ok(at + 1);
        };
        self.seen[index] = true;
        let option = &self.parser.options[index];
        if let Some(value) = value {
            if matches!(option.arity, Arity::Flag(_) | Arity::Stop) {
                return Err(
                    option.mistake(&format!("ignored explicit argument {}", python::string_repr(value)))
                );
            }
            self.keep(option, vec![value.to_owned()])?;
            return Ok(at + 1);
        }
        let end = at + 1 + self.count_values(option, at + 1)?;
        self.keep(option, self.words[at + 1..end].to_vec())?;
        Ok(end)
    }

    /// Returns the option that the word at this position names; `None` if it is unknown here.
    fn only_one(&self, options: &[usize], at: usize) -> Result<Option<usize>, UsageError> {
        match options {
            [] => Ok(None),
            [option] => Ok(Some(*option)),
            several => {
                let flags: Vec<&str> =
                    several.iter().map(|option| self.parser.options[*option].flag.as_str()).collect();
                let word = &self.words[at];
                Err(UsageError(format!("ambiguous option: {word} could match {}", flags.join(", "))))
            }
        }
    }

    /// Counts the words from `from` on that are an option's values.
    fn count_values(&self, option: &Opt, from: usize) -> Result<usize, UsageError> {
        let most = match option.arity {
            Arity::Flag(_) | Arity::Stop => 0,
            Arity::One | Arity::Optional(_) => 1,
            Arity::Any | Arity::Some => usize::MAX,
        };
        let following = self.kinds[from..].iter().take_while(|kind| matches!(kind, Word::Argument)).count();
        match (option.arity, following.min(most)) {
            (Arity::One, 0) => Err(option.mistake("expected one argument")),
            (Arity::Some, 0) => Err(option.mistake("expected at least one argument")),
            (_, count) => Ok(count),
        }
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

    /// Parses as many positionals as match from this position on; returns the position after them.
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

    /// Returns the positionals that match here, each with the end of its words. One takes a word with the separators
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
