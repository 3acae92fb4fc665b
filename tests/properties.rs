//! Whatever text comes in: the shorthand parser and the query evaluator answer or refuse, and soon. The texts are made
//! from fragments that mean something to the grammar, by a generator whose seed is fixed. That the answers are those
//! of the real programs is what the recorded fixtures and the golden suite show.

use std::time::{Duration, Instant};

use ecr::args::{Files, shorthand};
use ecr::output::Query;
use serde_json::{Value, json};

use crate::harness::random::Random;

/// Time limit of one text in a build without optimisation, on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// Texts by chance.
trait RandomText {
    fn text(&mut self, fragments: &[&str], most: usize) -> String;
}

impl RandomText for Random {
    /// A text of up to `most` fragments, one in twenty of which is any character at all.
    fn text(&mut self, fragments: &[&str], most: usize) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(most) {
            if self.below(20) == 0 {
                text.extend(char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap()));
            } else {
                text.push_str(fragments[self.below(fragments.len())]);
            }
        }
        text
    }
}

const SHORTHAND: &[&str] = &[
    "Key", "Value", "a", "b1", "=", "=", ",", ",", "[", "]", "{", "}", "'", "\"", "\\", "\\,", "\\'", "\\\"",
    " ", "\t", "\n", "@=", "#", "/", ".", "-", "~", "é", "日", "🚀", "a=b", "c=[d,e]", "f={g=h}", "'i,j'",
    "\"k\"", "file://x", "null",
];

const QUERY: &[&str] = &[
    "a",
    "b",
    "repositories",
    "[]",
    "[0]",
    "[-1]",
    "[*]",
    "[1:2]",
    "[::-1]",
    "[::0]",
    "*",
    ".",
    ".",
    "|",
    "||",
    "&&",
    "!",
    "(",
    ")",
    "@",
    "&",
    "{",
    "}",
    ":",
    ",",
    "[",
    "]",
    "[?",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    "`1`",
    "`\"x\"`",
    "`",
    "'",
    "'x'",
    "\"q\"",
    "\"",
    "\\",
    "-",
    "1",
    "99999999999999999999",
    "length(@)",
    "sort_by(a, &b)",
    "max_by(@, &a)",
    "map(&a, @)",
    "contains(a, 'x')",
    "join(',', a)",
    "to_number(a)",
    "to_string(@)",
    "keys(@)",
    "values(@)",
    "merge(@, @)",
    "reverse(a)",
    "sum(n)",
    "avg(n)",
    "not_null(x, a)",
    "type(@)",
    "foo(",
    " ",
    "é",
    "🚀",
];

fn files() -> Files<'static> {
    Files { home: None, variable: &|_| None, encoding: None }
}

/// Runs one text, and fails where that takes long.
fn soon<T>(text: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    assert!(begun.elapsed() < SOON, "{text:?} took {:?}", begun.elapsed());
    result
}

#[test]
fn any_text_is_shorthand_or_is_not() {
    let mut random = Random(0x5eed_0001);
    let mut read = 0;
    for _ in 0..20_000 {
        let text = random.text(SHORTHAND, 24);
        if let Ok(value) = soon(&text, || shorthand::parse(&text, files())) {
            assert!(value.is_object(), "{text:?} became {value}");
            read += 1;
        }
    }
    assert!(read > 300, "only {read} of the texts were shorthand: the generator is no test");
}

/// Texts that backtrack or nest without end in a careless parser.
#[test]
fn hostile_shorthand_ends_soon() {
    let many = |part: &str| part.repeat(5000);
    for text in [
        format!("a={}", many("b,")),
        format!("a={}", many("'b',")),
        format!("a={}", many("\\,")),
        format!("a={}", many("[")),
        format!("a={}", many("{b=")),
        format!("a='{}", many("\\'")),
        format!("a=\"{}", many("\\\"")),
        many("a=b,"),
        many("a="),
        many(" "),
        format!("a=b{}", many(" ")),
        many("é"),
    ] {
        let shown: String = text.chars().take(20).collect();
        let _ = soon(&shown, || shorthand::parse(&text, files()));
    }
}

#[test]
fn any_text_is_a_query_or_is_not_and_every_query_ends() {
    let document = json!({
        "a": [{"b": 1, "a": "x"}, {"b": "y"}, {"b": null}, [1, 2, [3]], "text", 1.5, true],
        "b": {"a": ["p", "q"], "n": -1},
        "n": [1, 2.5, -3],
        "repositories": [{"a": {"b": [1, 2]}}, {"a": {"b": []}}],
        "é": "日本",
    });
    let documents = [document, json!([]), json!(null), json!("text"), json!(0)];
    let mut random = Random(0x5eed_0002);
    let mut evaluated = 0;
    for _ in 0..20_000 {
        let text = random.text(QUERY, 10);
        let Ok(query) = soon(&text, || Query::compile(&text)) else { continue };
        for document in &documents {
            if soon(&text, || query.evaluate(document)).is_ok() {
                evaluated += 1;
            }
        }
    }
    assert!(evaluated > 2000, "only {evaluated} evaluations: the generator is no test");
}

#[test]
fn hostile_queries_end_soon() {
    let many = |part: &str| part.repeat(3000);
    let document: Value = json!({"a": {"a": {"a": [[[[1]]]]}}});
    for text in [
        many("a."),
        format!("a{}", many(".a")),
        format!("a{}", many("[]")),
        format!("a{}", many("[0]")),
        many("("),
        many("["),
        many("{a:"),
        many("!"),
        many("&"),
        format!("a{}", many("||a")),
        format!("a{}", many("|a")),
        format!("[?{}", many("[?")),
        many("length("),
        format!("`{}`", many("[")),
        format!("'{}", many("\\'")),
        format!("`{}", many("\\`")),
    ] {
        let shown: String = text.chars().take(20).collect();
        if let Ok(query) = soon(&shown, || Query::compile(&text)) {
            let _ = soon(&shown, || query.evaluate(&document));
        }
    }
}
