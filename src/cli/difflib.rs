//! Suggestions for a misspelt word, as Python's `difflib.get_close_matches` finds them.
//!
//! The ratio counts the characters in matching blocks: the longest common run, and so on to its left and right. An edit
//! distance gives other suggestions, so this follows the Ratcliff-Obershelp definition.

/// At most this many suggestions, the best first.
const COUNT: usize = 3;
/// Least similarity of a suggestion.
const CUTOFF: f64 = 0.8;

/// The choices that are most like `word`, best first; equally good ones in descending order.
pub(super) fn close_matches<'a>(word: &str, choices: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word: Vec<char> = word.chars().collect();
    let mut scored: Vec<(f64, &str)> = choices
        .into_iter()
        .map(|choice| (ratio(&choice.chars().collect::<Vec<_>>(), &word), choice))
        .filter(|(ratio, _)| *ratio >= CUTOFF)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(a.1)));
    scored.into_iter().take(COUNT).map(|(_, choice)| choice).collect()
}

fn ratio(a: &[char], b: &[char]) -> f64 {
    let length = a.len() + b.len();
    if length == 0 {
        return 1.0;
    }
    let matches = u32::try_from(matching(a, b)).unwrap_or(u32::MAX);
    2.0 * f64::from(matches) / f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}

/// Counts the characters in matching blocks.
fn matching(a: &[char], b: &[char]) -> usize {
    let (i, j, size) = longest_match(a, b);
    if size == 0 {
        return 0;
    }
    size + matching(&a[..i], &b[..j]) + matching(&a[i + size..], &b[j + size..])
}

/// The longest common run: where it starts in each, and its length. Of equals the one that starts first in `a`, then in `b`.
fn longest_match(a: &[char], b: &[char]) -> (usize, usize, usize) {
    let mut best = (0, 0, 0);
    // lengths[j + 1]: the length of the run that ends with the previous character of `a` and with b[j].
    let mut lengths = vec![0; b.len() + 1];
    for (i, character) in a.iter().enumerate() {
        let mut next = vec![0; b.len() + 1];
        for (j, other) in b.iter().enumerate() {
            if character == other {
                let size = lengths[j] + 1;
                next[j + 1] = size;
                if size > best.2 {
                    best = (i + 1 - size, j + 1 - size, size);
                }
            }
        }
        lengths = next;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ecr, names::kebab};

    #[test]
    fn suggestions_are_those_of_the_aws_cli() {
        let commands: Vec<String> = ecr()
            .operations()
            .map(|operation| kebab(operation.name))
            .chain(["get-login-password", "wait", "help"].map(String::from))
            .collect();
        // Recorded from AWS CLI 2.38.1: the word and what follows "Maybe you meant:".
        for (word, expected) in RECORDED {
            assert_eq!(close_matches(word, commands.iter().map(String::as_str)), *expected, "{word}");
        }
    }

    const RECORDED: &[(&str, &[&str])] = &[
        ("describe-image", &["describe-images"]),
        ("describe-repository", &["describe-repositories", "describe-registry"]),
        ("lst-images", &["list-images"]),
        ("get-lifecycle-polcy", &["get-lifecycle-policy", "put-lifecycle-policy", "delete-lifecycle-policy"]),
        ("put-image-tag", &["put-image"]),
        ("untag-resources", &["untag-resource", "tag-resource"]),
        (
            "get-repository-policy-x",
            &["get-repository-policy", "set-repository-policy", "delete-repository-policy"],
        ),
        (
            "delete-repositorypolicy",
            &["delete-repository-policy", "set-repository-policy", "get-repository-policy"],
        ),
        ("hel", &["help"]),
        ("wat", &["wait"]),
        ("set-repo-policy", &["set-repository-policy"]),
        ("batch-get-imag", &["batch-get-image", "batch-delete-image"]),
        ("put-registry-polic", &["put-registry-policy", "get-registry-policy", "delete-registry-policy"]),
        ("describe-registrys", &["describe-registry"]),
        ("x", &[]),
    ];
}
