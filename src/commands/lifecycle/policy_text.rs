//! Source of a policy: a file, or the repository's own.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::super::images::failures::has_code;
use super::super::images::selection::Repository;
use super::super::input::read_input;
use super::super::registry::usage;
use crate::lifecycle::{Policy, Severity, lint};

/// More than this is read of no file: the service takes 30,720 characters.
const MAX_BYTES: u64 = 1 << 20;

/// A policy with its text.
#[derive(Debug, Clone)]
pub(super) struct PolicyText {
    pub(super) text: String,
    pub(super) policy: Policy,
}

impl PolicyText {
    /// Reads a file, or standard input where its name is `-`. What the service would refuse is wrong use, and told
    /// with its place.
    pub(super) fn read_file(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let bytes =
            read_input(path, MAX_BYTES).with_context(|| format!("the policy {name} cannot be read"))?;
        let errors = lint(&bytes).into_iter().filter(|finding| finding.severity == Severity::Error);
        let errors: Vec<String> = errors
            .map(|error| {
                let message = error.message.trim().replace('\n', "; ");
                format!(
                    "{name}:{}:{}: {message} [{}]",
                    error.position.line, error.position.column, error.code
                )
            })
            .collect();
        let text = String::from_utf8(bytes).unwrap_or_default();
        match (errors.is_empty(), Policy::parse(&text)) {
            (true, Ok(policy)) => Ok(Self { text, policy }),
            _ => Err(usage(format!("the service would refuse this policy:\n{}", errors.join("\n")))),
        }
    }

    /// Returns the repository's policy; `None` if it has none.
    pub(super) async fn in_place(repository: &Repository) -> anyhow::Result<Option<InPlace>> {
        let input = json!({"repositoryName": repository.name});
        let answer = match repository
            .connection
            .call("GetLifecyclePolicy", input)
            .await
            .map_err(anyhow::Error::from)
        {
            Err(error) if has_code(&error, "LifecyclePolicyNotFoundException") => return Ok(None),
            answer => answer?,
        };
        let text = answer["lifecyclePolicyText"].as_str().unwrap_or_default().to_owned();
        let evaluated = answer.get("lastEvaluatedAt").and_then(crate::image::graph::Time::read);
        // A store that never evaluated a policy answers the beginning of time.
        let evaluated = evaluated.filter(|time| time.timestamp().as_second() > 0);
        Ok(Some(InPlace { text, evaluated }))
    }

    /// Reads a policy that the service has taken.
    pub(super) fn of_service(text: String) -> anyhow::Result<Self> {
        let policy = Policy::parse(&text).map_err(|reason| {
            anyhow::anyhow!(
                "its lifecycle policy has rules that this program does not know: {}",
                reason.trim()
            )
        })?;
        Ok(Self { text, policy })
    }
}

/// The policy of a repository, as the service answers it.
#[derive(Debug, Clone)]
pub(super) struct InPlace {
    pub(super) text: String,
    /// Time of the policy's last evaluation.
    pub(super) evaluated: Option<crate::image::graph::Time>,
}
