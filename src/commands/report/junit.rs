//! JUnit's XML, which CI systems show as test results.

use crate::escape::escape;
use std::fmt::Write as _;

/// A group of test cases, such as a file or an image.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Suite {
    pub(in crate::commands) name: String,
    pub(in crate::commands) cases: Vec<Case>,
}

/// A test case.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Case {
    pub(in crate::commands) name: String,
    pub(in crate::commands) outcome: Outcome,
}

/// Outcome of a test case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) enum Outcome {
    Passed,
    /// With a message, and more of it.
    Failed(String, String),
    /// The outcome is unknown.
    Errored(String),
    Skipped(String),
}

/// A document of these suites.
pub(in crate::commands) fn document(name: &str, suites: &[Suite]) -> String {
    let all: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _ = writeln!(text, "<testsuites name=\"{}\"{}>", escaped(name), counts(&all));
    for suite in suites {
        let cases: Vec<&Case> = suite.cases.iter().collect();
        let _ = writeln!(text, "  <testsuite name=\"{}\"{}>", escaped(&suite.name), counts(&cases));
        for case in &suite.cases {
            write_case(&mut text, &suite.name, case);
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn write_case(text: &mut String, class: &str, case: &Case) {
    let _ = write!(text, "    <testcase classname=\"{}\" name=\"{}\"", escaped(class), escaped(&case.name));
    // Writing to a String cannot fail.
    let _ = match &case.outcome {
        Outcome::Passed => writeln!(text, "/>"),
        Outcome::Failed(message, details) => writeln!(
            text,
            ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
            escaped(message),
            escaped(details)
        ),
        Outcome::Errored(message) => {
            writeln!(text, ">\n      <error message=\"{}\"/>\n    </testcase>", escaped(message))
        }
        Outcome::Skipped(message) => {
            writeln!(text, ">\n      <skipped message=\"{}\"/>\n    </testcase>", escaped(message))
        }
    };
}

fn counts(cases: &[&Case]) -> String {
    let count = |test: fn(&Outcome) -> bool| cases.iter().filter(|case| test(&case.outcome)).count();
    format!(
        " tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        cases.len(),
        count(|outcome| matches!(outcome, Outcome::Failed(..))),
        count(|outcome| matches!(outcome, Outcome::Errored(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped(_)))
    )
}

/// Text of XML. Control characters, which XML 1.0 has no way to write, are escaped; line feeds are kept as such.
fn escaped(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| escape(line).into_owned()).collect();
    let mut escaped = String::with_capacity(text.len());
    for character in lines.join("\n").chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_counted_and_escaped() {
        let case = |name: &str, outcome| Case { name: name.to_owned(), outcome };
        let suite = Suite {
            name: "a&b".to_owned(),
            cases: vec![
                case("one", Outcome::Passed),
                case("<two>", Outcome::Failed("x \u{1b}[2J\n\"y\"".to_owned(), "]]>".to_owned())),
                case("three", Outcome::Skipped("why".to_owned())),
                case("four", Outcome::Errored("how".to_owned())),
            ],
        };
        assert_eq!(
            document("all", &[suite]),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuites name=\"all\" tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\">\n  \
             <testsuite name=\"a&amp;b\" tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\">\n    \
             <testcase classname=\"a&amp;b\" name=\"one\"/>\n    \
             <testcase classname=\"a&amp;b\" name=\"&lt;two&gt;\">\n      \
             <failure message=\"x \\u001b[2J&#10;&quot;y&quot;\">]]&gt;</failure>\n    </testcase>\n    \
             <testcase classname=\"a&amp;b\" name=\"three\">\n      <skipped message=\"why\"/>\n    </testcase>\n    \
             <testcase classname=\"a&amp;b\" name=\"four\">\n      <error message=\"how\"/>\n    </testcase>\n  \
             </testsuite>\n</testsuites>\n"
        );
    }
}
