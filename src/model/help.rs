//! The help texts, written for this project; loaded only when help is shown.

use std::sync::LazyLock;

use indexmap::IndexMap;
use serde::Deserialize;

use super::Service;

static ECR: LazyLock<HelpTexts> = LazyLock::new(|| HelpTexts::parse(include_str!("data/ecr.help.json")));
static ECR_PUBLIC: LazyLock<HelpTexts> =
    LazyLock::new(|| HelpTexts::parse(include_str!("data/ecr-public.help.json")));

/// The texts of one service.
#[derive(Debug, Deserialize)]
pub struct HelpTexts {
    /// One paragraph on the service.
    pub service: String,
    #[serde(borrow)]
    operations: IndexMap<&'static str, String>,
    #[serde(borrow)]
    members: IndexMap<&'static str, IndexMap<&'static str, String>>,
}

impl HelpTexts {
    fn parse(text: &'static str) -> Self {
        serde_json::from_str(text).expect("the help texts are checked by their tests")
    }

    /// Description of an operation. The first sentence stands alone.
    pub fn operation(&self, name: &str) -> &str {
        self.operations.get(name).map_or("", String::as_str)
    }

    /// Description of a structure's member. The first sentence stands alone.
    pub fn member(&self, structure: &str, member: &str) -> &str {
        self.members.get(structure).and_then(|members| members.get(member)).map_or("", String::as_str)
    }
}

/// The help texts of a service.
pub fn texts(service: &Service) -> &'static HelpTexts {
    if service.name == super::ecr().name { &ECR } else { &ECR_PUBLIC }
}

/// A help text's first sentence, with its full stop.
pub fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::services;

    #[test]
    fn every_operation_and_every_member_has_a_help_text_and_no_text_is_left_over() {
        let mut missing = Vec::new();
        let mut stale = Vec::new();
        for service in services() {
            let texts = texts(service);
            for operation in service.operations() {
                if texts.operation(operation.name).is_empty() {
                    missing.push(format!("{} {}", service.name, operation.name));
                }
            }
            for (name, shape) in service.shapes() {
                for member in shape.members.keys() {
                    if texts.member(name, member).is_empty() {
                        missing.push(format!("{} {name}.{member}", service.name));
                    }
                }
            }
            stale.extend(
                texts.operations.keys().filter(|n| service.operation(n).is_none()).map(ToString::to_string),
            );
            for (name, members) in &texts.members {
                let shape = service.find_shape(name);
                let known = |m: &&&str| shape.is_none_or(|s| !s.members.contains_key(**m));
                stale.extend(members.keys().filter(known).map(|m| format!("{} {name}.{m}", service.name)));
            }
        }
        assert!(missing.is_empty(), "help texts are missing for:\n{}", missing.join("\n"));
        assert!(stale.is_empty(), "help texts for what is not in the model:\n{}", stale.join("\n"));
    }

    #[test]
    fn a_help_text_is_sentences() {
        for service in services() {
            let texts = texts(service);
            let members = texts.members.values().flat_map(IndexMap::values);
            for text in texts.operations.values().chain(members).chain([&texts.service]) {
                assert!(text.ends_with('.') && text == text.trim(), "not a sentence: {text:?}");
            }
        }
    }
}
