//! IAM's evaluation a second time, slow and obvious, and policies made of bytes: both evaluations must agree.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ecr::iam::{Decision, PolicyKind, Principal, Request, RequestContext, decide, validate};
use serde_json::{Map, Value, json};

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

type Values = BTreeMap<String, Vec<String>>;

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

struct Model<'a> {
    arn: &'a str,
    resource: &'a str,
    values: &'a Values,
    variables: bool,
}

/// A character and whether it is a wildcard.
type Symbols = Vec<(char, bool)>;

impl Model<'_> {
    fn evaluate(&self, policy: &Value) -> Decision {
        let statements = policy["Statement"].as_array().expect("statements");
        let about: Vec<&Value> = statements.iter().filter(|statement| self.matches(statement)).collect();
        if about.iter().any(|statement| statement["Effect"] == "Deny") {
            Decision::ExplicitDeny
        } else if about.is_empty() {
            Decision::ImplicitDeny
        } else {
            Decision::Allow
        }
    }

    fn matches(&self, statement: &Value) -> bool {
        let is_principal = if statement["Principal"].is_null() {
            let listed = entries(&statement["NotPrincipal"]);
            let is_deny = statement["Effect"] == "Deny";
            !listed.iter().any(|entry| if is_deny { self.is_itself(entry) } else { self.is_in(entry) })
        } else {
            entries(&statement["Principal"]).iter().any(|entry| self.is_in(entry))
        };
        let action = |pattern: &String| wild(&symbols(&pattern.to_lowercase()), "ecr:put");
        let is_action = if statement["Action"].is_null() {
            !list(&statement["NotAction"]).iter().any(action)
        } else {
            list(&statement["Action"]).iter().any(action)
        };
        let resource = |pattern: &String| {
            let is_early = pattern.find("${").is_some_and(|place| pattern[..place].matches(':').count() < 5);
            !(self.variables && is_early)
                && self.expand(pattern, true).is_some_and(|pattern| wild(&pattern, self.resource))
        };
        let is_resource = match (&statement["Resource"], &statement["NotResource"]) {
            (Value::Null, Value::Null) => true,
            (Value::Null, others) => !list(others).iter().any(resource),
            (some, _) => list(some).iter().any(resource),
        };
        let conditions = statement["Condition"].as_object().into_iter().flatten();
        let holds = |(operator, keys): (&String, &Value)| {
            let keys = keys.as_object().expect("keys");
            keys.iter().all(|(key, values)| self.holds(operator, key, &list(values)))
        };
        is_principal && is_action && is_resource && conditions.into_iter().all(holds)
    }

    fn is_itself(&self, entry: &str) -> bool {
        let account = self.arn.split(':').nth(4).expect("an account");
        entry == "*" || entry == self.arn || self.arn.ends_with(":root") && entry == account
    }

    fn is_in(&self, entry: &str) -> bool {
        let account = self.arn.split(':').nth(4).expect("an account");
        let session =
            self.arn.split("assumed-role/").nth(1).map(|rest| rest.split('/').next().expect("a role"));
        self.is_itself(entry)
            || entry == account
            || entry == format!("arn:aws:iam::{account}:root")
            || session.is_some_and(|role| {
                entry.starts_with(&format!("arn:aws:iam::{account}:role/"))
                    && entry.ends_with(&format!("/{role}"))
            })
    }

    fn get(&self, key: &str) -> Vec<String> {
        self.values.get(&key.to_lowercase()).cloned().unwrap_or_default()
    }

    /// Replaces the variables; `None` where one has no value or several.
    fn expand(&self, text: &str, takes_variables: bool) -> Option<Symbols> {
        if !self.variables || !takes_variables {
            return Some(symbols(text));
        }
        let Some(start) = text.find("${") else { return Some(symbols(text)) };
        let end = start + text[start..].find('}')?;
        let name = &text[start + 2..end];
        let value = match name {
            "*" | "?" | "$" => name.to_owned(),
            "none, 'a'" => "a".to_owned(),
            name => match &self.get(name)[..] {
                [value] => value.clone(),
                _ => return None,
            },
        };
        let mut all = symbols(&text[..start]);
        all.extend(value.chars().map(|character| (character, false)));
        all.extend(self.expand(&text[end + 1..], true)?);
        Some(all)
    }

    fn holds(&self, operator: &str, key: &str, values: &[String]) -> bool {
        let found = self.get(key);
        if operator == "Null" {
            return values.iter().any(|value| (value.to_lowercase() == "true") == found.is_empty());
        }
        let (set, rest) = operator.split_once(':').unwrap_or(("", operator));
        let name = rest.trim_end_matches("IfExists");
        let is_negated = name.contains("Not");
        let takes_variables = ["String", "Arn", "Bool"].iter().any(|family| name.starts_with(family));
        if found.is_empty() {
            return rest != name || set == "ForAllValues" || set.is_empty() && is_negated;
        }
        let wanted: Vec<Symbols> =
            values.iter().filter_map(|value| self.expand(value, takes_variables)).collect();
        let one = |found: &&String| wanted.iter().any(|value| test(name, found, value)) != is_negated;
        match set {
            "ForAllValues" => found.iter().filter(|value| !value.is_empty()).all(|value| one(&value)),
            "ForAnyValue" => found.iter().filter(|value| !value.is_empty()).any(|value| one(&value)),
            _ => found.iter().any(|value| one(&value)),
        }
    }
}

/// One value of the request against one of the policy, without negation.
fn test(name: &str, found: &str, value: &Symbols) -> bool {
    let text: String = value.iter().map(|(character, _)| character).collect();
    let name = name.replace("Not", "");
    if name.starts_with("Arn") {
        let colon = |symbol: &(char, bool)| *symbol == (':', false);
        let (parts, texts): (Vec<_>, Vec<_>) =
            (value.splitn(6, colon).collect(), found.splitn(6, ':').collect());
        return parts.len() == 6 && texts.len() == 6 && (0..6).all(|part| wild(parts[part], texts[part]));
    }
    let order = if name.starts_with("Date") {
        seconds(found).zip(seconds(&text)).map(|(found, value)| found.cmp(&value))
    } else if name.starts_with("Numeric") {
        let number = |text: &str| text.parse::<f64>().ok();
        number(found).zip(number(&text)).and_then(|(found, value)| found.partial_cmp(&value))
    } else {
        return match name.as_str() {
            "StringEquals" => found == text,
            "StringLike" => wild(value, found),
            "IpAddress" => in_network(found, &text),
            _ => found.to_lowercase() == text.to_lowercase(),
        };
    };
    order.is_some_and(|order| match name.trim_start_matches("Date").trim_start_matches("Numeric") {
        "Equals" => order.is_eq(),
        "LessThan" => order.is_lt(),
        "LessThanEquals" => order.is_le(),
        "GreaterThan" => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// Only the dates of the vocabulary.
fn seconds(text: &str) -> Option<i64> {
    match text {
        "2026" | "2026-01" | "2026-01-01" => Some(1_767_225_600),
        "2026-01-01T00:00:01Z" => Some(1_767_225_601),
        text => text.parse().ok(),
    }
}

fn in_network(found: &str, network: &str) -> bool {
    let bits = |text: &str| -> Option<String> {
        Some(match text.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => address.octets().iter().map(|octet| format!("{octet:08b}")).collect(),
            IpAddr::V6(address) => address.octets().iter().map(|octet| format!("{octet:08b}")).collect(),
        })
    };
    let (network, length) = network.split_once('/').unwrap_or((network, ""));
    let (Some(found), Some(network)) = (bits(found), bits(network)) else { return false };
    let length = length.parse().unwrap_or(network.len());
    found.len() == network.len() && length <= network.len() && found[..length] == network[..length]
}

fn symbols(text: &str) -> Symbols {
    text.chars().map(|character| (character, character == '*' || character == '?')).collect()
}

fn wild(pattern: &[(char, bool)], text: &str) -> bool {
    match (pattern.first(), text.chars().next()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(('*', true)), None) => wild(&pattern[1..], text),
        (Some(('*', true)), Some(first)) => {
            wild(&pattern[1..], text) || wild(pattern, &text[first.len_utf8()..])
        }
        (Some(('?', true)), Some(first)) => wild(&pattern[1..], &text[first.len_utf8()..]),
        (Some((one, _)), Some(first)) => *one == first && wild(&pattern[1..], &text[first.len_utf8()..]),
        (Some(_), None) => false,
    }
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(list).collect(),
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}

fn entries(principals: &Value) -> Vec<String> {
    if principals == "*" { vec!["*".to_owned()] } else { list(&principals["AWS"]) }
}
