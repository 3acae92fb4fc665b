//! IAM's evaluation a second time, slow and obvious.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ecr::iam::Decision;
use serde_json::Value;

/// The context of a request: values by key.
pub type Values = BTreeMap<String, Vec<String>>;

/// A request as the model sees it.
pub struct Model<'a> {
    pub arn: &'a str,
    pub resource: &'a str,
    pub values: &'a Values,
    /// The policy is of a version with variables.
    pub variables: bool,
}

/// A character and whether it is a wildcard.
type Symbols = Vec<(char, bool)>;

impl Model<'_> {
    pub fn evaluate(&self, policy: &Value) -> Decision {
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
