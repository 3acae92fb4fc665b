//! IAM policies and requests made of bytes: the evaluation of `ecr` and that of the model must agree.

use ecr::iam::{Decision, PolicyKind, Principal, Request, RequestContext, decide, validate};
use serde_json::{Map, Value, json};

use super::iam_model::{Model, Values};

const OWNER: &str = "111122223333";
const PRINCIPALS: [&str; 6] = [
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:user/a/b",
    "arn:aws:iam::444455556666:user/a",
    "arn:aws:iam::444455556666:role/a",
    "arn:aws:sts::444455556666:assumed-role/a/b",
    "arn:aws:sts::444455556666:federated-user/a",
];
const ENTRIES: [&str; 13] = [
    "*",
    "111122223333",
    "444455556666",
    "arn:aws:iam::444455556666:root",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:user/a/b",
    "arn:aws:iam::444455556666:user/a",
    "arn:aws:iam::444455556666:user/*",
    "arn:aws:iam::444455556666:role/a",
    "arn:aws:iam::444455556666:role/x/a",
    "arn:aws:sts::444455556666:assumed-role/a/b",
    "arn:aws:sts::444455556666:assumed-role/a/c",
    "arn:aws:sts::444455556666:federated-user/a",
];
const ACTIONS: [&str; 7] = ["ecr:Put", "ECR:put", "ecr:P*", "ecr:?ut", "*", "ecr:*", "ecr:Get"];
const RESOURCES: [&str; 8] = [
    "*",
    "arn:aws:ecr:r:111122223333:repository/a",
    "arn:aws:ecr:*:*:repository/*",
    "arn:aws:ecr:r:111122223333:repository/${s}",
    "arn:aws:ecr:r:${s}:repository/a",
    "arn:aws:ecr:r:111122223333:repository/${none, 'a'}",
    "arn:*/a",
    "arn:aws:ecr:r:111122223333:repository/${*}",
];
const STRINGS: [&str; 18] = [
    "",
    "a",
    "b",
    "A",
    "ab",
    "*",
    "a*",
    "?",
    "*b",
    "${s}",
    "${s}*",
    "${*}",
    "${none}",
    "${none, 'a'}",
    "${m}",
    "true",
    "arn:aws:iam::1:a",
    "arn:*:iam::?:${s}",
];
const NUMBERS: [&str; 8] = ["7", "7.0", "-1.5", "10", "x", "", "0", "${n}"];
const DATES: [&str; 8] =
    ["2026", "2026-01", "2026-01-01", "2026-01-01T00:00:01Z", "1767225600", "x", "${d}", "0"];
const ADDRESSES: [&str; 9] = [
    "10.1.2.3",
    "10.0.0.0/8",
    "10.1.2.2/31",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::1",
    "2001:db8::/32",
    "10.0.0.0/33",
    "x",
];
const OPERATORS: [(&str, &[&str], char); 26] = [
    ("StringEquals", &STRINGS, 's'),
    ("StringNotEquals", &STRINGS, 's'),
    ("StringEqualsIgnoreCase", &STRINGS, 's'),
    ("StringNotEqualsIgnoreCase", &STRINGS, 's'),
    ("StringLike", &STRINGS, 's'),
    ("StringNotLike", &STRINGS, 's'),
    ("ArnEquals", &STRINGS, 's'),
    ("ArnNotEquals", &STRINGS, 's'),
    ("ArnLike", &STRINGS, 's'),
    ("ArnNotLike", &STRINGS, 's'),
    ("Bool", &STRINGS, 's'),
    ("Null", &["true", "false", "x", "TRUE"], 's'),
    ("IpAddress", &ADDRESSES, 'i'),
    ("NotIpAddress", &ADDRESSES, 'i'),
    ("NumericEquals", &NUMBERS, 'n'),
    ("NumericNotEquals", &NUMBERS, 'n'),
    ("NumericLessThan", &NUMBERS, 'n'),
    ("NumericLessThanEquals", &NUMBERS, 'n'),
    ("NumericGreaterThan", &NUMBERS, 'n'),
    ("NumericGreaterThanEquals", &NUMBERS, 'n'),
    ("DateEquals", &DATES, 'd'),
    ("DateNotEquals", &DATES, 'd'),
    ("DateLessThan", &DATES, 'd'),
    ("DateLessThanEquals", &DATES, 'd'),
    ("DateGreaterThan", &DATES, 'd'),
    ("DateGreaterThanEquals", &DATES, 'd'),
];

/// Choices made by bytes; zeros when they have run out.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % bound
    }

    fn some(&mut self, from: &[&str]) -> Value {
        let one = |choices: &mut Self| from[choices.below(from.len())].to_owned();
        match self.below(4) {
            0 => json!([one(self), one(self)]),
            1 => json!([one(self), one(self), one(self)]),
            _ => json!(one(self)),
        }
    }

    fn statement(&mut self) -> Value {
        let mut statement = Map::new();
        let mut put = |name: &str, value: Value| drop(statement.insert(name.to_owned(), value));
        put("Effect", json!(if self.below(2) == 0 { "Allow" } else { "Deny" }));
        let name = if self.below(3) == 0 { "NotPrincipal" } else { "Principal" };
        match self.below(5) {
            0 => put(name, json!("*")),
            1 => put(name, json!({ "Service": "a.b" })),
            _ => put(name, json!({ "AWS": self.some(&ENTRIES) })),
        }
        let name = if self.below(4) == 0 { "NotAction" } else { "Action" };
        put(name, self.some(&ACTIONS));
        match self.below(4) {
            0 => put("Resource", self.some(&RESOURCES)),
            1 => put("NotResource", self.some(&RESOURCES)),
            _ => {}
        }
        let mut conditions = Map::new();
        for _ in 0..self.below(3) {
            let (name, vocabulary, key) = OPERATORS[self.below(OPERATORS.len())];
            let key =
                [key.to_string(), key.to_ascii_uppercase().to_string(), "m".to_owned(), "none".to_owned()]
                    [self.below(4)]
                .clone();
            let (set, suffix) = if name == "Null" {
                ("", "")
            } else {
                (["", "ForAnyValue:", "ForAllValues:"][self.below(3)], ["", "IfExists"][self.below(2)])
            };
            conditions.insert(format!("{set}{name}{suffix}"), json!({ key: self.some(vocabulary) }));
        }
        if !conditions.is_empty() {
            put("Condition", Value::Object(conditions));
        }
        Value::Object(statement)
    }
}

impl Choices<'_> {
    /// The context of a request: none to two values for each key.
    fn values(&mut self) -> Values {
        let mut values = Values::new();
        for (key, vocabulary) in [
            ("s", &STRINGS[..9]),
            ("m", &STRINGS[..9]),
            ("n", &NUMBERS[..7]),
            ("d", &DATES[..6]),
            ("i", &ADDRESSES),
        ] {
            for _ in 0..self.below(3) {
                let value = vocabulary[self.below(vocabulary.len())];
                values.entry(key.to_owned()).or_default().push(value.to_owned());
            }
        }
        values
    }
}

/// Makes a policy and a request of bytes, evaluates them by both implementations and compares.
pub fn compare(data: &[u8]) {
    let mut choices = Choices(data);
    let arn = PRINCIPALS[choices.below(PRINCIPALS.len())];
    let principal = Principal::of(arn).expect("a principal");
    let values = choices.values();
    let mut policy =
        json!({ "Statement": (0..=choices.below(3)).map(|_| choices.statement()).collect::<Vec<_>>() });
    match choices.below(4) {
        0 => {}
        1 => policy["Version"] = json!("2008-10-17"),
        _ => policy["Version"] = json!("2012-10-17"),
    }
    let text = policy.to_string();
    assert_eq!(validate(&text, PolicyKind::Repository, "ecr"), Ok(()), "{text}");
    let mut context = RequestContext::default();
    for (key, values) in &values {
        for value in values {
            context.add(key, value.as_str());
        }
    }
    let resource = "arn:aws:ecr:r:111122223333:repository/a";
    let request = Request { principal: &principal, action: "ecr:Put", resource, context: &context };
    let model = Model { arn, resource, values: &values, variables: policy["Version"] == "2012-10-17" };
    let expected = model.evaluate(&policy);
    assert_eq!(request.evaluate(&text), expected, "{arn} {values:?} {text}");
    let whole = match expected {
        Decision::ImplicitDeny if arn.contains(OWNER) => Decision::Allow,
        other => other,
    };
    assert_eq!(decide(&request, [text.as_str()], OWNER), whole, "{arn} {values:?} {text}");
}
