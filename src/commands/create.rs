//! `--create`: repositories that a transfer needs and that are not there, plain or after a file.

use clap::ValueHint;

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::creation_template::{self, CreationTemplate};
use super::input::read_text_file;
use super::registry;
use super::{block_on, connect};
use crate::args::{Files, cli_input};
use crate::model;
use crate::service::Client;
use crate::store::ecr::Repository;

/// The most that is read of a file; policies have far less.
const MAX_BYTES: u64 = 1 << 20;
/// Options of CreateRepository from the command line.
const SET_BY_COMMAND: [&str; 2] = ["registryId", "repositoryName"];
const LIFECYCLE: &str = "lifecyclePolicy";
const POLICY: &str = "repositoryPolicy";

/// The argument `--create`. The file follows an equals sign, so that what follows a blank is a place.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Create the repository if need be; FILE, in JSON or YAML, says with which settings and policies
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        long_help = "Create the repository if need be. Where the registry has a repository creation template for pushes \
                     (CREATE_ON_PUSH), its settings are used, and missing repositories are created without this option \
                     too. FILE, in JSON or YAML, says how, and wins over a template: any member that create-repository \
                     takes (imageTagMutability, imageTagMutabilityExclusionFilters, imageScanningConfiguration, \
                     encryptionConfiguration, tags), and lifecyclePolicy and repositoryPolicy, as structures or as \
                     text. It is checked whole before anything is created, and says nothing about repositories that \
                     are there already. examples/repository.yaml is one."
    )]
    create: Option<String>,
}

impl CreateArgs {
    /// Returns the settings for repositories to create; `None` if none are to be created.
    pub(super) fn creation(&self) -> anyhow::Result<Option<Creation>> {
        match self.create.as_deref() {
            None => Ok(None),
            Some("") => Ok(Some(Creation::default())),
            Some(path) => {
                let path = PathBuf::from(path);
                let text = read_text_file(&path, MAX_BYTES)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let wrong = |error| registry::usage(format!("{}: {error}", path.display()));
                let creation = Creation::parse(&text).map_err(wrong)?;
                creation.validate().map_err(|error| wrong(format!("{error:#}")))?;
                Ok(Some(creation))
            }
        }
    }
}

/// Settings for repositories to create.
#[derive(Debug, Clone, Default)]
pub(super) struct Creation {
    /// The members of CreateRepository but for the names.
    members: Map<String, Value>,
    lifecycle: Option<String>,
    policy: Option<String>,
}

impl Creation {
    /// Decides the settings of a missing repository: those of `--create`, and for the rest those of the registry's
    /// template for pushes. `None` where neither is there.
    pub(super) async fn decide(
        asked: Option<&Self>,
        client: &Client,
        repository: &Repository,
    ) -> Option<Self> {
        let template = creation_template::find(client, repository).await;
        match (asked, template) {
            (None, None) => None,
            (Some(asked), None) => Some(asked.clone()),
            (asked, Some(template)) => Some(asked.cloned().unwrap_or_default().completed_by(template)),
        }
    }

    fn completed_by(self, template: CreationTemplate) -> Self {
        let mut members = template.members;
        if self.members.contains_key("imageTagMutability") {
            // Exceptions belong to the setting that they are exceptions of.
            members.shift_remove("imageTagMutabilityExclusionFilters");
        }
        members.extend(self.members);
        Self {
            members,
            lifecycle: self.lifecycle.or(template.lifecycle),
            policy: self.policy.or(template.policy),
        }
    }

    /// Returns whether a file gives settings.
    pub(super) fn has_file(&self) -> bool {
        !self.members.is_empty() || self.lifecycle.is_some() || self.policy.is_some()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut members = Map::new();
        if text.trim_start().starts_with('{') {
            members = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        } else {
            let files = Files { home: None, variable: &|_| None, encoding: None };
            cli_input::merge(&mut members, None, Some(text), files)
                .map_err(|_| "neither a structure in JSON nor one in YAML".to_owned())?;
        }
        let lifecycle = document(&mut members, LIFECYCLE)?;
        let policy = document(&mut members, POLICY)?;
        let service = model::ecr();
        let shape = service.operation("CreateRepository").and_then(|operation| service.input(operation));
        let known: Vec<&str> = shape
            .into_iter()
            .flat_map(|shape| shape.members.keys().copied())
            .filter(|member| !SET_BY_COMMAND.contains(member))
            .chain([LIFECYCLE, POLICY])
            .collect();
        match members.keys().find(|member| !known.contains(&member.as_str())) {
            None => Ok(Self { members, lifecycle, policy }),
            Some(member) if SET_BY_COMMAND.contains(&member.as_str()) => {
                Err(format!("{member} is said by the command line; leave it out"))
            }
            Some(member) => Err(format!("unknown member {member}; expected {}", known.join(", "))),
        }
    }

    /// Tries all steps on a temporary embedded ECR, which refuses what Amazon ECR refuses.
    fn validate(&self) -> anyhow::Result<()> {
        let folder = crate::store::private_temporary("ecr-", &tempfile::env::temp_dir())
            .context("cannot make a temporary folder")?;
        let client = connect::scratch_client(folder.path())?;
        let repository =
            Repository { registry: None, name: "rehearsal".parse().map_err(super::registry::wrong)? };
        block_on(async {
            for (operation, input) in self.steps(&repository) {
                client.call(operation, input).await?;
            }
            anyhow::Ok(())
        })
    }

    /// The calls that make a repository, in order.
    fn steps(&self, repository: &Repository) -> Vec<(&'static str, Value)> {
        let mut names = Map::new();
        if let Some(registry) = &repository.registry {
            names.insert("registryId".to_owned(), json!(registry));
        }
        names.insert("repositoryName".to_owned(), json!(repository.name));
        let with = |members: Map<String, Value>| {
            let mut input = names.clone();
            input.extend(members);
            Value::Object(input)
        };
        let text = |member: &str, text: &String| with(Map::from_iter([(member.to_owned(), json!(text))]));
        let mut steps = vec![("CreateRepository", with(self.members.clone()))];
        if let Some(lifecycle) = &self.lifecycle {
            steps.push(("PutLifecyclePolicy", text("lifecyclePolicyText", lifecycle)));
        }
        if let Some(policy) = &self.policy {
            steps.push(("SetRepositoryPolicy", text("policyText", policy)));
        }
        steps
    }

    /// Creates a repository. One that somebody else created meanwhile stays as it is.
    pub(super) async fn create(&self, client: &Client, repository: &Repository) -> anyhow::Result<()> {
        let steps = self.steps(repository);
        for (done, (operation, input)) in steps.iter().enumerate() {
            match client.call(operation, input.clone()).await {
                Ok(_) => {}
                Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => return Ok(()),
                Err(error) if done == 0 => {
                    return Err(error).context(format!("cannot create the repository {}", repository.name));
                }
                Err(error) => {
                    return Err(error).context(partial_creation_message(&repository.name, &steps, done));
                }
            }
        }
        Ok(())
    }
}

/// Result of creating a repository: which settings were applied and which were not.
fn partial_creation_message(repository: &str, steps: &[(&str, Value)], done: usize) -> String {
    let names: Vec<&str> = steps.iter().map(|(operation, _)| command(operation)).collect();
    format!(
        "the repository {repository} was created ({}), but {} failed; nothing was sent, and the next run finds the \
         repository and sets no more of it, so run {} first",
        names[..done].join(", "),
        names[done],
        names[done..].join(" and "),
    )
}

fn command(operation: &str) -> &'static str {
    match operation {
        "CreateRepository" => "create-repository",
        "PutLifecyclePolicy" => "put-lifecycle-policy",
        _ => "set-repository-policy",
    }
}

/// Takes a document out of the members; a structure becomes text.
fn document(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.shift_remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(document @ Value::Object(_)) => Ok(Some(document.to_string())),
        Some(_) => Err(format!("{name} is neither a structure nor a text")),
    }
}
