//! Patterns in which `*` stands for any run of characters.

/// Whether a pattern, in which `*` stands for any run of characters, covers the whole of a text.
pub(super) fn covers(glob: &str, text: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::covers;

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
            assert!(covers(glob, text), "{glob} {text}");
        }
        for (glob, text) in not {
            assert!(!covers(glob, text), "{glob} {text}");
        }
    }
}
