//! Patterns of policies: `*` is any run of characters, `?` any one.

/// Whether a pattern covers the whole of a text.
pub(super) fn covers(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where to go on if what follows the latest star does not fit: only the latest one needs to be tried again.
    let mut retry: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                retry = Some((at, place));
            }
            Some(one) if *one == '?' || *one == text[place] => {
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
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// The same for ARNs, whose parts are compared one by one, so that a star does not reach over a colon (but in the
/// last part).
pub(super) fn covers_arn(pattern: &str, text: &str) -> bool {
    let (patterns, texts): (Vec<&str>, Vec<&str>) =
        (pattern.splitn(6, ':').collect(), text.splitn(6, ':').collect());
    patterns.len() == 6
        && texts.len() == 6
        && patterns.iter().zip(texts).all(|(pattern, text)| covers(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_others() {
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
        assert!(covers_arn("arn:aws:iam::*:role/a*", "arn:aws:iam::111122223333:role/a:b"));
        assert!(!covers_arn("arn:*:role/a", "arn:aws:iam::111122223333:role/a"));
        assert!(!covers_arn("*", "arn:aws:iam::111122223333:role/a"));
    }
}
