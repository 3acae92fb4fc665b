//! Amazon ECR Public: the one region of its API, and the registry's alias in the names of `public.ecr.aws`.
//!
//! The API has the repositories of one's own registry by their names alone; references have the alias in front. What
//! goes out and comes in is translated here, so that the commands see one kind of name.

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::super::distribution;
use super::super::registry::{usage, wrong};
use super::selection::Repository;
use crate::image::{Reference, Registry};
use crate::service::{self, Client};
use crate::settings::PublicRegistry;
use crate::store::Remote;

/// The region of the API, wherever the images are pulled from.
pub(super) const REGION: &str = "us-east-1";

/// Translator of repository names of Amazon ECR Public, for requests and answers.
#[derive(Debug)]
pub(super) struct PublicNames {
    /// The host of the references; `None` for names without host and alias.
    host: Option<String>,
    /// The aliases of one's own registry, the primary one first.
    aliases: OnceCell<Vec<String>>,
}

/// Returns a repository of Amazon ECR Public over `/v2/`, for manifests and blobs, which the API does not have.
pub(super) fn remote(repository: &Repository) -> anyhow::Result<Remote> {
    let connection = &repository.connection;
    if connection.settings().local() {
        return Err(usage(
            "--local has manifests of public repositories only where `ecr local serve` runs; set AWS_ENDPOINT_URL to it",
        ));
    }
    let host = connection.host(None).unwrap_or_default();
    let reference: Reference = format!("{host}/{}", repository.name).parse().map_err(wrong)?;
    let registry = reference.registry.ok_or_else(|| usage(format!("{host} is no host")))?;
    distribution::remote(connection.settings(), &registry, &reference.repository)
}

/// Returns the translator for a command's registry, given or not; `None` for the private registry.
pub(super) fn names(
    public: PublicRegistry,
    registry: Option<&Registry>,
) -> anyhow::Result<Option<PublicNames>> {
    let is_public = registry.map_or(public == PublicRegistry::Meant, Registry::is_public);
    let host = registry.map(|registry| registry.host().to_owned());
    match (public, is_public) {
        (PublicRegistry::Meant, false) => {
            let host = host.unwrap_or_default();
            Err(usage(format!("{host} is not public.ecr.aws: leave out the word `public`, or the host")))
        }
        (PublicRegistry::Unknown, true) => {
            let known = super::super::public_names();
            let host = host.unwrap_or_default();
            Err(usage(format!("this command does not know Amazon ECR Public ({host}); these do: {known}")))
        }
        (_, is_public) => Ok(is_public.then(|| PublicNames { host, aliases: OnceCell::new() })),
    }
}

impl PublicNames {
    /// The host and the alias that references to one's own registry begin with, once a call was made.
    pub(super) fn host(&self) -> Option<String> {
        match &self.host {
            // The alias is in the names.
            Some(host) => Some(host.clone()),
            None => Some(format!("public.ecr.aws/{}", self.aliases.get()?.first()?)),
        }
    }

    /// Removes the alias from the names of an input, and members that only the private API has.
    ///
    /// # Errors
    ///
    /// Where the alias is that of another account's registry, whose images the API does not list.
    pub(super) async fn to_service(
        &self,
        client: &Client,
        operation: &str,
        input: &mut Value,
    ) -> Result<(), service::Error> {
        let service = client.service();
        let shape = service.operation(operation).and_then(|operation| service.input(operation));
        if let (Some(members), Some(shape)) = (input.as_object_mut(), shape) {
            members.retain(|member, _| shape.members.contains_key(member.as_str()));
        }
        let aliases = self.aliases.get_or_try_init(|| aliases(client)).await?;
        if self.host.is_some() {
            if let Some(name) = input.get_mut("repositoryName") {
                strip(aliases, name)?;
            }
            for name in input.get_mut("repositoryNames").and_then(Value::as_array_mut).into_iter().flatten() {
                strip(aliases, name)?;
            }
        }
        Ok(())
    }

    /// Puts the alias in front of the names of repositories in an answer.
    pub(super) fn restore(&self, answer: &mut Value) {
        let alias = self.aliases.get().and_then(|aliases| aliases.first());
        let Some(alias) = alias.filter(|_| self.host.is_some()) else { return };
        for repository in answer.get_mut("repositories").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(name) = repository["repositoryName"].as_str() {
                repository["repositoryName"] = json!(format!("{alias}/{name}"));
            }
        }
    }
}

fn strip(aliases: &[String], name: &mut Value) -> Result<(), service::Error> {
    let text = name.as_str().unwrap_or_default();
    let (alias, rest) = text.split_once('/').unwrap_or((text, ""));
    if rest.is_empty() || !aliases.iter().any(|own| own == alias) {
        return Err(service::Error::Invalid(format!(
            "{text} is not of your own public registry, whose aliases are {}: AWS lists no other's images; `ecr copy` \
             and `ecr pull` read them",
            aliases.join(", ")
        )));
    }
    *name = json!(rest);
    Ok(())
}

/// The aliases of one's own registry.
async fn aliases(client: &Client) -> Result<Vec<String>, service::Error> {
    let answer = client.call("DescribeRegistries", json!({})).await?;
    let all = answer["registries"].as_array().into_iter().flatten();
    let mut aliases: Vec<&Value> =
        all.flat_map(|registry| registry["aliases"].as_array().into_iter().flatten()).collect();
    aliases.sort_by_key(|alias| alias["primaryRegistryAlias"].as_bool() != Some(true));
    Ok(aliases.iter().filter_map(|alias| alias["name"].as_str()).map(str::to_owned).collect())
}
