//! Odd expressions, beyond the recorded cases: they end in an error, never in a panic.

use serde_json::json;

use super::*;

/// A small generator of numbers (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}

/// Parts of random expressions.
const PARTS: [&str; 60] = [
    "a",
    "b",
    ".",
    "[",
    "]",
    "[]",
    "[?",
    "{",
    "}",
    "(",
    ")",
    "*",
    "@",
    "&",
    "&&",
    "|",
    "||",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    ",",
    ":",
    "-",
    "0",
    "1",
    "-1",
    "99999999999999999999",
    "'x'",
    "`1`",
    "`[1, 2.5, \"é\"]`",
    "`x",
    "\"a\"",
    "\"",
    "'",
    "`",
    "\\",
    " ",
    "é",
    "sort_by(",
    "map(&",
    "to_number(",
    "to_string(",
    "max_by(",
    "sum(",
    "merge(",
    "join(",
    "contains(",
    "length(",
    "reverse(",
    "[::-1]",
    "[0]",
    "[*]",
    "`NaN`",
    "`1e400`",
    "ceil(",
    "avg(",
];

#[test]
fn random_expressions_never_panic() {
    let value = json!({"a": [{"a": 1, "b": "é"}, {"b": [1, 2.5, null, true]}, -1], "b": {"a": [], "b": {}}});
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut evaluated = 0;
    for _ in 0..60_000 {
        let count = 1 + random.below(9);
        let expression: String = (0..count).map(|_| PARTS[random.below(PARTS.len())]).collect();
        if let Ok(query) = Query::compile(&expression) {
            evaluated += 1;
            let _ = query.evaluate(&value);
        }
    }
    assert!(evaluated > 1000, "only {evaluated} expressions compiled");
}

#[test]
fn deep_expressions_end_in_an_error() {
    let too_deep = Some(CompileError("maximum recursion depth exceeded".into()));
    for (left, middle, right) in [
        ("(", "a", ")"),
        ("[", "a", "]"),
        ("!", "a", ""),
        ("{a: ", "a", "}"),
        ("length(", "a", ")"),
        ("", "a", "[]"),
        ("", "a", "[*]"),
        ("", "a", "[?a]"),
        ("", "a", ".*"),
        ("a[?", "a", "]"),
        ("", "a", "[0:1]"),
    ] {
        let expression = left.repeat(20_000) + middle + &right.repeat(20_000);
        assert_eq!(Query::compile(&expression).err(), too_deep, "{left}{middle}{right}");
        let expression = left.repeat(70) + middle + &right.repeat(70);
        let query = Query::compile(&expression).expect("an expression of modest depth");
        let _ = query.evaluate(&json!({"a": [[{"a": 1}]]}));
    }
}

#[test]
fn long_chains_are_not_deep() {
    for link in [".b", "[0]", " || b", " && b", " | b"] {
        let expression = "a".to_owned() + &link.repeat(50_000);
        let query = Query::compile(&expression).expect("a long expression");
        assert!(query.evaluate(&json!({"a": null})).is_ok());
    }
}
