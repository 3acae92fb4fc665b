//! Data about a repository besides its name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::connection::Connection;
use super::super::describe::{Images, describe};
use super::super::failures::has_code;
use super::super::selection::{Described, Repository};
use super::ReposArgs;
use crate::image::glob;
use crate::image::graph::Time;

/// Repository with the requested details.
pub(super) struct RepositoryDetails {
    pub(super) repository: Repository,
    /// Members of DescribeRepositories.
    pub(super) description: Value,
    pub(super) created: Option<Time>,
    /// Usage; `None` if it was not requested or is unknown.
    pub(super) usage: Option<Usage>,
    pub(super) lifecycle_policy: Option<bool>,
    pub(super) repository_policy: Option<bool>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) scan: Scan,
}

/// The images of a repository in numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Usage {
    pub(super) images: u64,
    pub(super) untagged: u64,
    /// The sum of the sizes of all images that are no index.
    pub(super) bytes: u64,
    pub(super) pushed: Option<Time>,
    pub(super) pulled: Option<Time>,
}

impl RepositoryDetails {
    /// Reads the requested details. What cannot be told stays unknown, with the reason beside.
    pub(super) async fn read(arguments: &ReposArgs, described: &Described) -> (Self, Vec<anyhow::Error>) {
        let Described { repository, description } = described;
        let mut errors = Vec::new();
        let mut details = Self {
            repository: repository.clone(),
            description: description.clone(),
            created: description.get("createdAt").and_then(Time::read),
            usage: None,
            lifecycle_policy: None,
            repository_policy: None,
            tags: BTreeMap::new(),
            scan: Scan::default(),
        };
        if arguments.needs_usage() {
            details.usage = known(usage(repository).await, &mut errors);
        }
        if arguments.policies {
            let asked = has(repository, "GetLifecyclePolicy", "LifecyclePolicyNotFoundException").await;
            details.lifecycle_policy = known(asked, &mut errors);
            let asked = has(repository, "GetRepositoryPolicy", "RepositoryPolicyNotFoundException").await;
            details.repository_policy = known(asked, &mut errors);
        }
        if !arguments.resource_tag.is_empty() {
            details.tags = known(tags(repository, description).await, &mut errors).unwrap_or_default();
        }
        (details, errors)
    }
}

fn known<T>(result: anyhow::Result<T>, errors: &mut Vec<anyhow::Error>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

async fn usage(repository: &Repository) -> anyhow::Result<Usage> {
    let mut usage = Usage::default();
    describe(repository, Images::Any, |detail| {
        let image = detail.image();
        usage.images += 1;
        usage.untagged += u64::from(!image.is_tagged());
        if !detail.is_index() {
            usage.bytes = usage.bytes.saturating_add(image.size().unwrap_or_default());
        }
        usage.pushed = usage.pushed.max(image.pushed());
        usage.pulled = usage.pulled.max(image.pulled());
        Ok(())
    })
    .await?;
    Ok(usage)
}

/// Returns whether a repository has the document that an operation gets, by the code (`absent`) of its absence.
async fn has(repository: &Repository, operation: &'static str, absent: &str) -> anyhow::Result<bool> {
    let input = json!({"repositoryName": repository.name});
    match repository.connection.call(operation, input).await {
        Ok(_) => Ok(true),
        Err(error) => {
            let error = anyhow::Error::from(error);
            if has_code(&error, absent) { Ok(false) } else { Err(error) }
        }
    }
}

async fn tags(repository: &Repository, description: &Value) -> anyhow::Result<BTreeMap<String, String>> {
    let input = json!({"resourceArn": description["repositoryArn"]});
    let answer = repository.connection.call("ListTagsForResource", input).await?;
    let text = |tag: &Value, name: &str| tag[name].as_str().map(str::to_owned);
    let tags = answer["tags"].as_array().into_iter().flatten();
    Ok(tags.filter_map(|tag| Some((text(tag, "Key")?, text(tag, "Value")?))).collect())
}

/// Scanning of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// `BASIC` or `ENHANCED`; `None` where the registry's configuration may not be read.
    pub(super) scan_type: Option<String>,
    /// `SCAN_ON_PUSH`, `CONTINUOUS_SCAN` or `MANUAL`.
    pub(super) frequency: Option<String>,
}

/// The scanning configuration of a registry.
pub(super) struct ScanRules {
    configuration: Option<Value>,
}

impl ScanRules {
    /// Asks for it. Who may not ask sees what the repository itself says.
    pub(super) async fn read(connection: &Connection) -> Self {
        Self { configuration: connection.scanning_configuration().await }
    }

    /// Returns the scanning of a repository: by the registry's rules, else by the repository's own setting.
    pub(super) fn of(&self, description: &Value, name: &str) -> Scan {
        let on_push = description["imageScanningConfiguration"]["scanOnPush"] == true;
        let Some(configuration) = &self.configuration else {
            return Scan { scan_type: None, frequency: on_push.then(|| "SCAN_ON_PUSH".to_owned()) };
        };
        let scan_type = configuration["scanType"].as_str().unwrap_or("BASIC");
        let rules = configuration["rules"].as_array().into_iter().flatten();
        let rule = rules.filter(|rule| covers(rule, name)).find_map(|rule| rule["scanFrequency"].as_str());
        let own = if on_push && scan_type == "BASIC" { "SCAN_ON_PUSH" } else { "MANUAL" };
        Scan { scan_type: Some(scan_type.to_owned()), frequency: Some(rule.unwrap_or(own).to_owned()) }
    }
}

/// Returns whether a rule covers a repository. A filter without a wildcard covers names that contain it (Amazon ECR
/// user guide, "Filters to choose which repositories are scanned").
fn covers(rule: &Value, name: &str) -> bool {
    rule["repositoryFilters"].as_array().into_iter().flatten().any(|filter| {
        let filter = filter["filter"].as_str().unwrap_or_default();
        if filter.contains('*') { glob::matches_wildcard(filter, name) } else { name.contains(filter) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_repository_is_scanned() {
        let rule = |frequency: &str, filter: &str| json!({"scanFrequency": frequency, "repositoryFilters": [{"filter": filter, "filterType": "WILDCARD"}]});
        let enhanced = json!({"scanType": "ENHANCED", "rules": [
            rule("CONTINUOUS_SCAN", "prod*"), rule("SCAN_ON_PUSH", "app")
        ]});
        let of = |configuration: Option<Value>, name: &str, on_push: bool| {
            let description = json!({"imageScanningConfiguration": {"scanOnPush": on_push}});
            let scan = ScanRules { configuration }.of(&description, name);
            (scan.scan_type.unwrap_or_default(), scan.frequency.unwrap_or_default())
        };
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(of(Some(enhanced.clone()), "prod/x", false), pair("ENHANCED", "CONTINUOUS_SCAN"));
        assert_eq!(of(Some(enhanced.clone()), "team/app", false), pair("ENHANCED", "SCAN_ON_PUSH"));
        assert_eq!(of(Some(enhanced), "team/x", true), pair("ENHANCED", "MANUAL"));
        assert_eq!(of(Some(json!({"scanType": "BASIC"})), "x", true), pair("BASIC", "SCAN_ON_PUSH"));
        assert_eq!(of(Some(json!({"scanType": "BASIC"})), "x", false), pair("BASIC", "MANUAL"));
        assert_eq!(of(None, "x", true), pair("", "SCAN_ON_PUSH"));
        assert_eq!(of(None, "x", false), pair("", ""));
    }
}
