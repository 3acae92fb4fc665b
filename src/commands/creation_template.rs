//! Repository creation templates for pushes: how the registry wants a repository that does not exist to be created.

use serde_json::{Map, Value};

use crate::service::Client;
use crate::service::paginate::{PageOptions, Pages};
use crate::store::ecr::Repository;

/// Occasion of a template that applies when an image is pushed into a repository that does not exist.
const ON_PUSH: &str = "CREATE_ON_PUSH";
/// The prefix of the template for all repositories that no other template names.
const ROOT: &str = "ROOT";
/// Members of a template with the corresponding members of CreateRepository.
const MEMBERS: [(&str, &str); 4] = [
    ("imageTagMutability", "imageTagMutability"),
    ("imageTagMutabilityExclusionFilters", "imageTagMutabilityExclusionFilters"),
    ("encryptionConfiguration", "encryptionConfiguration"),
    ("resourceTags", "tags"),
];

/// Settings that a template has for new repositories.
#[derive(Debug, Default)]
pub(super) struct CreationTemplate {
    /// Members of CreateRepository.
    pub(super) members: Map<String, Value>,
    /// The lifecycle policy, as text.
    pub(super) lifecycle: Option<String>,
    /// The repository policy, as text.
    pub(super) policy: Option<String>,
}

/// Returns the template for pushes into `repository`: of those whose prefix it has, the one with the longest.
///
/// `None` as well where the registry refuses to list its templates, or is another account's: nothing is created then
/// unless `--create` asks for it.
pub(super) async fn find(client: &Client, repository: &Repository) -> Option<CreationTemplate> {
    let operation = "DescribeRepositoryCreationTemplates";
    client.service().operation(operation)?;
    let pages = Pages::new(client, operation, Value::Object(Map::new()), PageOptions::default()).ok()?;
    let answer = pages.whole().await.ok()?;
    let own = answer["registryId"].as_str();
    if repository.registry.as_deref().is_some_and(|registry| own.is_some_and(|own| own != registry)) {
        return None;
    }
    let templates = answer["repositoryCreationTemplates"].as_array()?;
    let applicable = templates.iter().filter(|template| applies(template, repository.name.as_str()));
    applicable.max_by_key(|template| length(template)).map(settings)
}

fn applies(template: &Value, repository: &str) -> bool {
    let on_push = template["appliedFor"].as_array().is_some_and(|for_| for_.iter().any(|of| of == ON_PUSH));
    let prefix = template["prefix"].as_str().unwrap_or_default();
    let is_below =
        repository.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
    on_push && (prefix == ROOT || is_below)
}

fn length(template: &Value) -> usize {
    template["prefix"].as_str().filter(|prefix| *prefix != ROOT).map_or(0, str::len)
}

fn settings(template: &Value) -> CreationTemplate {
    let text = |member: &str| template[member].as_str().map(str::to_owned);
    let members = MEMBERS.iter().filter_map(|(from, to)| {
        let value = template.get(from).filter(|value| !value.is_null())?;
        Some(((*to).to_owned(), value.clone()))
    });
    CreationTemplate {
        members: members.collect(),
        lifecycle: text("lifecyclePolicy"),
        policy: text("repositoryPolicy"),
    }
}
