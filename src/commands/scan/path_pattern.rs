//! Patterns for paths in trivy's ignore files: those of the Go library doublestar.

use std::fmt::Write as _;

use regex_lite::Regex;

/// `*` and `?` stop at a slash and `**` does not; `[a-z]`, `[^a]`, `{one,other}`, and a backslash before a character
/// that is meant as it is.
#[derive(Debug, Clone)]
pub(super) struct PathPattern(Regex);

impl PathPattern {
    /// Reads a pattern; `None` where it is none. A slash in front counts as little as in front of a path.
    pub(super) fn read(pattern: &str) -> Option<Self> {
        let pattern: Vec<char> = pattern.trim_start_matches('/').chars().collect();
        let mut regex = "(?s)^".to_owned();
        let (mut at, mut braces) = (0, 0_usize);
        while let Some(&character) = pattern.get(at) {
            let rest = &pattern[at + 1..];
            at += 1;
            match character {
                '*' if rest.first() == Some(&'*') => at += across(&mut regex, &rest[1..]),
                '*' => regex.push_str("[^/]*"),
                '?' => regex.push_str("[^/]"),
                '[' => at += class(&mut regex, rest)?,
                '{' => {
                    braces += 1;
                    regex.push_str("(?:");
                }
                '}' if braces > 0 => {
                    braces -= 1;
                    regex.push(')');
                }
                ',' if braces > 0 => regex.push('|'),
                '\\' => {
                    push_literal(&mut regex, *rest.first()?);
                    at += 1;
                }
                other => push_literal(&mut regex, other),
            }
        }
        regex.push('$');
        (braces == 0).then(|| Regex::new(&regex).ok()).flatten().map(Self)
    }

    /// Returns whether the pattern matches this path.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path.trim_start_matches('/'))
    }
}

/// Takes the second star of two, and answers how many characters that are. Two stars are any number of whole names, or
/// beside other characters what one star is.
fn across(regex: &mut String, rest: &[char]) -> usize {
    let is_start = regex.ends_with(['^', '/', ':', '|']);
    match rest.first() {
        Some('/') if is_start => {
            regex.push_str("(?:.*/)?");
            2
        }
        None if is_start => {
            // With nothing below it is the folder itself.
            if regex.ends_with('/') {
                regex.pop();
                regex.push_str("(?:/.*)?");
            } else {
                regex.push_str(".*");
            }
            1
        }
        _ => {
            regex.push_str("[^/]*");
            1
        }
    }
}

/// Takes a class behind its bracket, and answers how many characters that are.
fn class(regex: &mut String, rest: &[char]) -> Option<usize> {
    let negated = matches!(rest.first(), Some('^' | '!'));
    regex.push_str(if negated { "[^/" } else { "[" });
    let mut at = usize::from(negated);
    let first = at;
    loop {
        match *rest.get(at)? {
            ']' if at > first => break,
            '-' if at > first && !matches!(rest.get(at + 1), Some(']') | None) => regex.push('-'),
            '\\' => {
                at += 1;
                push_literal(regex, *rest.get(at)?);
            }
            other => push_literal(regex, other),
        }
        at += 1;
    }
    regex.push(']');
    Some(at + 1)
}

fn push_literal(regex: &mut String, character: char) {
    if character == '/' {
        return regex.push('/');
    }
    // Writing to a String cannot fail.
    let _ = write!(regex, "\\x{{{:x}}}", u32::from(character));
}

#[cfg(test)]
mod tests {
    use super::PathPattern;

    /// Cases of doublestar's own tests (github.com/bmatcuk/doublestar, doublestar_test.go), and slashes in front.
    #[test]
    fn patterns_are_those_of_doublestar() {
        for (pattern, path, fits) in [
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("app/*/package.json", "app/node_modules/package.json", true),
            ("app/*/package.json", "app/node_modules/lodash/package.json", false),
            ("**", "a/b/c", true),
            ("a/**", "a", true),
            ("a/**", "a/b/c", true),
            ("a/**", "ab", false),
            ("**/c", "c", true),
            ("**/c", "a/b/c", true),
            ("**/c", "a/bc", false),
            ("a/**/c", "a/c", true),
            ("a/**/c", "a/b/b/c", true),
            ("a**", "a/b", false),
            ("a**", "ab", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("a[b-d]", "ac", true),
            ("a[^b-d]", "ac", false),
            ("a[!b-d]", "ae", true),
            ("a[^b]c", "a/c", false),
            ("a[\\]]", "a]", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("lib/{x,y/z}/*.jar", "lib/y/z/a.jar", true),
            ("lib/{x,y/z}/*.jar", "lib/y/a.jar", false),
            ("{**/c,d}", "a/b/c", true),
            ("a.b", "axb", false),
            ("/usr/*", "usr/bin", true),
            ("usr/*", "/usr/bin", true),
        ] {
            assert_eq!(PathPattern::read(pattern).unwrap().matches(path), fits, "{pattern} {path}");
        }
        for wrong in ["a[", "[", "[]", "{a", "a\\", "[b-a]"] {
            assert!(PathPattern::read(wrong).is_none(), "{wrong}");
        }
    }
}
