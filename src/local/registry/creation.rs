//! Repositories that come to be when something is pushed to them, where a creation template provides for it.

use serde_json::{Map, Value, json};

use super::{Place, Registry};
use crate::local::Fault;

/// What a template must be for.
const CREATE_ON_PUSH: &str = "CREATE_ON_PUSH";
/// The prefix of the template for everything that no other one is for.
const ROOT: &str = "ROOT";

impl Registry<'_> {
    /// Does something with a repository; where it is missing and a template provides for it, makes it first.
    pub(crate) fn creating<T>(&self, place: &Place, work: impl Fn() -> Result<T, Fault>) -> Result<T, Fault> {
        match work() {
            Err(fault) if fault.code == "RepositoryNotFoundException" => match self.template(place)? {
                Some(template) => {
                    self.authorize(place, "CreateRepository")?;
                    self.create(place, &template)?;
                    work()
                }
                None => Err(fault),
            },
            result => result,
        }
    }

    /// The template of the longest prefix that the name has.
    fn template(&self, place: &Place) -> Result<Option<Value>, Fault> {
        if place.scope.service != "ecr" {
            return Ok(None);
        }
        let mut best: Option<Value> = None;
        let mut input = json!({});
        loop {
            let answer = match self.call_own(place, "DescribeRepositoryCreationTemplates", input) {
                Err(fault) if fault.code == "UnknownOperationException" => return Ok(None),
                answer => answer?,
            };
            for template in answer["repositoryCreationTemplates"].as_array().into_iter().flatten() {
                let better = weight(template, &place.name).is_some_and(|weight| {
                    best.as_ref().is_none_or(|best| Some(weight) > prefix_length(best))
                });
                if better {
                    best = Some(template.clone());
                }
            }
            match answer["nextToken"].as_str() {
                Some(token) => input = json!({ "nextToken": token }),
                None => return Ok(best),
            }
        }
    }

    fn create(&self, place: &Place, template: &Value) -> Result<(), Fault> {
        let mut input = Map::new();
        input.insert("repositoryName".to_owned(), place.name.as_str().into());
        for (member, from) in [
            ("imageTagMutability", "imageTagMutability"),
            ("imageTagMutabilityExclusionFilters", "imageTagMutabilityExclusionFilters"),
            ("encryptionConfiguration", "encryptionConfiguration"),
            ("tags", "resourceTags"),
        ] {
            let value = &template[from];
            if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
                input.insert(member.to_owned(), value.clone());
            }
        }
        match self.call_own(place, "CreateRepository", Value::Object(input)) {
            // Another push was faster.
            Err(fault) if fault.code == "RepositoryAlreadyExistsException" => return Ok(()),
            answer => answer?,
        };
        for (operation, member, from) in [
            ("SetRepositoryPolicy", "policyText", "repositoryPolicy"),
            ("PutLifecyclePolicy", "lifecyclePolicyText", "lifecyclePolicy"),
        ] {
            if let Some(text) = template[from].as_str().filter(|text| !text.is_empty()) {
                self.call_own(place, operation, json!({ "repositoryName": place.name, member: text }))?;
            }
        }
        Ok(())
    }
}

fn prefix_length(template: &Value) -> Option<usize> {
    template["prefix"].as_str().map(|prefix| if prefix == ROOT { 0 } else { prefix.len() })
}

/// How well a template fits a name: the length of its prefix. Nothing where it does not fit, or is for other things.
fn weight(template: &Value, name: &str) -> Option<usize> {
    let prefix = template["prefix"].as_str()?;
    let within = name.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
    let applies = template["appliedFor"].as_array()?.iter().any(|purpose| purpose == CREATE_ON_PUSH);
    (applies && (prefix == ROOT || within)).then(|| prefix_length(template))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_fits_what_is_below_its_prefix() {
        let template = |prefix: &str, purpose: &str| json!({ "prefix": prefix, "appliedFor": [purpose] });
        assert_eq!(weight(&template("team", CREATE_ON_PUSH), "team/app"), Some(4));
        assert_eq!(weight(&template("team/", CREATE_ON_PUSH), "team/app"), Some(5));
        assert_eq!(weight(&template("team", CREATE_ON_PUSH), "teams/app"), None);
        assert_eq!(weight(&template("ROOT", CREATE_ON_PUSH), "app"), Some(0));
        assert_eq!(weight(&template("ROOT", "REPLICATION"), "app"), None);
    }
}
