//! Replication of deletions: the other registries in which a deletion takes effect.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::images::connection::Connection;
use super::super::images::failures::has_code;

/// Replication of deletions in a registry, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DeleteReplication {
    /// The rules that replicate deletions.
    Rules(Vec<Rule>),
    /// The configuration cannot be read, for this reason.
    Unknown(String),
}

/// Replication of deletions of several registries, each read once.
#[derive(Default)]
pub(super) struct Replications {
    known: Vec<(Arc<Connection>, DeleteReplication)>,
}

impl Replications {
    /// The replication of a registry's deletions.
    pub(super) async fn of(&mut self, connection: &Arc<Connection>) -> anyhow::Result<DeleteReplication> {
        let known = self.known.iter().find(|(known, _)| Arc::ptr_eq(known, connection));
        if let Some((_, replication)) = known {
            return Ok(replication.clone());
        }
        let replication = DeleteReplication::read(connection).await?;
        self.known.push((Arc::clone(connection), replication.clone()));
        Ok(replication)
    }
}

/// A replication rule that replicates deletions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// Prefixes of the names of its repositories; empty for all repositories.
    prefixes: Vec<String>,
    destinations: Vec<Destination>,
}

/// A registry that deletions are replicated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    region: String,
    account: String,
}

impl DeleteReplication {
    /// Asks a registry for its rules. Without the right to ask, and about another account's registry, nothing is known.
    async fn read(connection: &Connection) -> anyhow::Result<Self> {
        // Amazon ECR Public does not replicate to other registries.
        if connection.is_public() {
            return Ok(Self::Rules(Vec::new()));
        }
        let answer = match connection.call("DescribeRegistry", json!({})).await.map_err(anyhow::Error::from) {
            Err(error) if has_code(&error, "AccessDeniedException") => {
                return Ok(Self::Unknown("ecr:DescribeRegistry is denied".to_owned()));
            }
            answer => answer?,
        };
        // DescribeRegistry takes no account and answers for the caller's.
        let asked = answer["registryId"].as_str();
        if let Some(other) = connection.account().filter(|account| Some(*account) != asked) {
            return Ok(Self::Unknown(format!("the registry is that of another account, {other}")));
        }
        let rules = answer.pointer("/replicationConfiguration/rules").and_then(Value::as_array);
        Ok(Self::Rules(rules.into_iter().flatten().filter_map(Rule::read).collect()))
    }

    /// Returns the registries in which deletions from a repository take effect too; `None` if unknown.
    pub(super) fn destinations(&self, repository: &str) -> Option<Vec<&Destination>> {
        let Self::Rules(rules) = self else { return None };
        let covering = rules.iter().filter(|rule| {
            rule.prefixes.is_empty() || rule.prefixes.iter().any(|prefix| repository.starts_with(prefix))
        });
        let mut all: Vec<&Destination> = Vec::new();
        for destination in covering.flat_map(|rule| &rule.destinations) {
            if !all.contains(&destination) {
                all.push(destination);
            }
        }
        Some(all)
    }

    /// The sentence that warns of deletions elsewhere; `None` where there are none.
    pub(super) fn warning(&self, repository: &str) -> Option<String> {
        match self {
            Self::Unknown(reason) => {
                Some(format!("cannot tell whether deletions in {repository} are replicated: {reason}"))
            }
            Self::Rules(_) => {
                let names: Vec<String> =
                    self.destinations(repository)?.into_iter().map(Destination::name).collect();
                (!names.is_empty()).then(|| {
                    format!("what goes from {repository} is also deleted in {}", names.join(" and in "))
                })
            }
        }
    }
}

impl Rule {
    fn read(rule: &Value) -> Option<Self> {
        if rule.pointer("/deleteReplication/enabled").and_then(Value::as_bool) != Some(true) {
            return None;
        }
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or("?").to_owned();
        let list = |name: &str| rule[name].as_array().cloned().unwrap_or_default();
        let destinations = list("destinations");
        let destination =
            |one: &Value| Destination { region: text(one, "region"), account: text(one, "registryId") };
        let prefixes = list("repositoryFilters").iter().map(|filter| text(filter, "filter")).collect();
        Some(Self { prefixes, destinations: destinations.iter().map(destination).collect() })
    }
}

impl Destination {
    /// Display name for messages.
    pub(super) fn name(&self) -> String {
        format!("{} of {}", self.region, self.account)
    }

    /// The destination as data, in the API's names.
    pub(super) fn json(&self) -> Value {
        json!({"region": self.region, "registryId": self.account})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_that_replicate_deletions_count_and_only_for_their_repositories() {
        let destination = |region: &str| json!({"region": region, "registryId": "123456789012"});
        let rules = [
            json!({
                "destinations": [destination("eu-west-1"), destination("eu-west-2")],
                "repositoryFilters": [{"filter": "prod/", "filterType": "PREFIX_MATCH"}],
                "deleteReplication": {"enabled": true}
            }),
            json!({"destinations": [destination("eu-west-2")], "deleteReplication": {"enabled": true}}),
            json!({"destinations": [destination("eu-west-3")], "deleteReplication": {"enabled": false}}),
            json!({"destinations": [destination("eu-west-3")]}),
        ];
        let known = DeleteReplication::Rules(rules.iter().filter_map(Rule::read).collect());
        assert_eq!(
            known.warning("prod/app").unwrap(),
            "what goes from prod/app is also deleted in eu-west-1 of 123456789012 and in eu-west-2 of 123456789012"
        );
        assert_eq!(known.destinations("team/prod/app").unwrap().len(), 1);
        assert_eq!(DeleteReplication::Rules(Vec::new()).warning("app"), None);
        let unknown = DeleteReplication::Unknown("ecr:DescribeRegistry is denied".to_owned());
        assert!(unknown.destinations("app").is_none() && unknown.warning("app").is_some());
    }
}
