//! Patterns for tags and for the names of repositories.

/// Returns whether a wildcard filter of Amazon ECR matches a whole text: `*` stands for any run of characters, and
/// nothing else is special.
pub fn matches_wildcard(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    // Each piece at its earliest place leaves the most for the others.
    for piece in pieces {
        let Some(place) = rest.find(piece) else { return false };
        rest = &rest[place + piece.len()..];
    }
    rest.ends_with(last)
}

/// Returns whether a text matches a glob as people write them: `*` stands for any characters and `?` for one.
pub fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut here) = (0, 0);
    // Where to go on when what follows the last star did not fit: one character further.
    let mut back: Option<(usize, usize)> = None;
    while here < text.len() {
        match glob.get(at) {
            Some('*') => {
                back = Some((at + 1, here));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[here] => {
                at += 1;
                here += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    (at, here) = (star, from + 1);
                    back = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    glob[at..].iter().all(|&rest| rest == '*')
}

/// Returns whether any of these globs matches a whole text, as [`matches()`] does.
pub fn matches_any(globs: &[String], text: &str) -> bool {
    globs.iter().any(|glob| matches(glob, text))
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_wildcard};

    #[test]
    fn a_star_is_any_run_of_characters() {
        let covered = [
            ("latest", "latest"),
            ("v*", "v"),
            ("v*", "v1.2"),
            ("*-dev", "a-dev"),
            ("a*b*c", "aXbYbc"),
            ("*", ""),
        ];
        let not = [("latest", "latest1"), ("v*", "av"), ("a*b*c", "acb"), ("ab*ba", "aba"), ("", "a")];
        for (glob, text) in covered {
            assert!(matches_wildcard(glob, text), "{glob} {text}");
        }
        for (glob, text) in not {
            assert!(!matches_wildcard(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn globs() {
        for (glob, text, fits) in [
            ("*", "", true),
            ("v1.*", "v1.2.3", true),
            ("v1.*", "v10", false),
            ("*-alpine", "3.1-alpine", true),
            ("*a*b", "xaxxab", true),
            ("*a*b", "xaxxabc", false),
            ("1.?", "1.5", true),
            ("1.?", "1.", false),
            ("a?c", "ac", false),
            ("**a", "bca", true),
            ("latest", "latest", true),
        ] {
            assert_eq!(matches(glob, text), fits, "{glob} {text}");
        }
    }
}
