//! Patterns of policies: `*` is any run of characters, `?` any one character.

/// A pattern whose policy variables have been replaced. What came from a variable is literal, so a `*` in a user's
/// name or from `${*}` is no wildcard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Symbol>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Character(char),
    AnyOne,
    AnyRun,
}

impl Pattern {
    /// Reads a text in which `*` and `?` are wildcards.
    pub(super) fn new(text: &str) -> Self {
        let mut pattern = Self::default();
        pattern.push_wildcards(text);
        pattern
    }

    pub(super) fn push_wildcards(&mut self, text: &str) {
        self.0.extend(text.chars().map(|character| match character {
            '*' => Symbol::AnyRun,
            '?' => Symbol::AnyOne,
            other => Symbol::Character(other),
        }));
    }

    pub(super) fn push_literal(&mut self, text: &str) {
        self.0.extend(text.chars().map(Symbol::Character));
    }

    /// The pattern as text, for operators that know no wildcards.
    pub(super) fn text(&self) -> String {
        self.0
            .iter()
            .map(|symbol| match symbol {
                Symbol::Character(character) => *character,
                Symbol::AnyOne => '?',
                Symbol::AnyRun => '*',
            })
            .collect()
    }

    /// Returns whether the pattern covers the whole of a text.
    pub(super) fn covers(&self, text: &str) -> bool {
        covers(&self.0, text)
    }

    /// Like [`covers`](Self::covers), for the ARN operators: each of the six parts of an ARN is compared on its own, so
    /// a star does not reach over a colon except in the last part.
    pub(super) fn covers_arn(&self, text: &str) -> bool {
        let patterns: Vec<&[Symbol]> = self.0.splitn(6, |symbol| *symbol == Symbol::Character(':')).collect();
        let texts: Vec<&str> = text.splitn(6, ':').collect();
        patterns.len() == 6
            && texts.len() == 6
            && patterns.iter().zip(texts).all(|(pattern, text)| covers(pattern, text))
    }
}

fn covers(pattern: &[Symbol], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut place) = (0, 0);
    // Where to go on if what follows the latest star does not fit: only the latest one needs to be tried again.
    let mut retry: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(Symbol::AnyRun) => {
                at += 1;
                retry = Some((at, place));
            }
            Some(Symbol::AnyOne) => {
                at += 1;
                place += 1;
            }
            Some(Symbol::Character(one)) if *one == text[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star, taken)) = retry else { return false };
                retry = Some((star, taken + 1));
                at = star;
                place = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == Symbol::AnyRun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).covers(text)
    }

    #[test]
    fn stars_and_question_marks_are_wildcards() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("a", "a"),
            ("a*", "abc"),
            ("*c", "abcc"),
            ("a?c", "abc"),
            ("a*b*c", "aXbYbc"),
        ] {
            assert!(covers(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("a", "ab"), ("a?c", "ac"), ("a*b*c", "acb")] {
            assert!(!covers(pattern, text), "{pattern} {text}");
        }
        // Takes steps by the product of the lengths, not by their power.
        assert!(!covers(&"*a".repeat(1000), &"a".repeat(999)));
    }

    #[test]
    fn an_arn_is_compared_part_by_part() {
        let covers_arn = |pattern: &str, text: &str| Pattern::new(pattern).covers_arn(text);
        assert!(covers_arn("arn:aws:iam::*:role/a*", "arn:aws:iam::111122223333:role/a:b"));
        assert!(!covers_arn("arn:*:role/a", "arn:aws:iam::111122223333:role/a"));
        assert!(!covers_arn("*", "arn:aws:iam::111122223333:role/a"));
    }
}
