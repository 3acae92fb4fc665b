//! Failures of parts of the work, while the rest went on.

use std::fmt::Display;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::Context;
use super::connection::Connection;
use super::selection::Repository;

/// The answer is no: absent, or none.
pub(in crate::commands) const NO: u8 = 1;
/// Exit code for an unknown answer.
pub(in crate::commands) const UNKNOWN: u8 = 3;
/// Part of it failed, and the rest is done.
pub(in crate::commands) const PARTLY_FAILED: u8 = 4;

/// The failures of one command.
#[derive(Default)]
pub(in crate::commands) struct Failures {
    all: Vec<Failure>,
}

struct Failure {
    /// The registry, where the command asks several.
    registry: String,
    repository: Option<String>,
    error: anyhow::Error,
}

impl Failures {
    /// Records that a registry could not be asked.
    pub(in crate::commands) fn registry(&mut self, connection: &Connection, error: anyhow::Error) {
        self.add(connection.name(), error);
    }

    /// Records that the registry of this name could not be asked.
    pub(in crate::commands) fn add(&mut self, registry: String, error: anyhow::Error) {
        self.all.push(Failure { registry, repository: None, error });
    }

    /// Takes over the failures of an earlier step.
    pub(in crate::commands) fn append(&mut self, mut others: Self) {
        self.all.append(&mut others.all);
    }

    /// Notes that something about a repository failed.
    pub(in crate::commands) fn repository(&mut self, repository: &Repository, error: anyhow::Error) {
        let registry = repository.connection.name();
        self.all.push(Failure { registry, repository: Some(repository.name.clone()), error });
    }

    /// Moves the failures out of the repositories' results, and returns the other results in their order.
    pub(in crate::commands) fn sift<T>(
        &mut self,
        repositories: &[Repository],
        results: Vec<anyhow::Result<T>>,
    ) -> Vec<T> {
        let mut done = Vec::with_capacity(results.len());
        for (repository, result) in repositories.iter().zip(results) {
            match result {
                Ok(result) => done.push(result),
                Err(error) => self.repository(repository, error),
            }
        }
        done
    }

    /// Returns whether nothing failed.
    pub(in crate::commands) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The failures as data: the member `failures` of every listing.
    pub(in crate::commands) fn json(&self) -> Value {
        self.all.iter().map(Failure::json).collect()
    }

    /// Ends a command: 0 without failures, 4 with some, each of which is reported. Where nothing else was done, the
    /// first failure is the command's own.
    pub(in crate::commands) fn finish(
        self,
        context: &Context,
        something_done: bool,
    ) -> anyhow::Result<ExitCode> {
        let mut failures = self.all;
        if failures.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let first = (!something_done).then(|| failures.remove(0));
        for failure in failures {
            context.ui.note(&format!("error: {}", failure.text()));
        }
        match first {
            Some(first) => Err(first.error),
            None => Ok(ExitCode::from(PARTLY_FAILED)),
        }
    }
}

impl Failure {
    fn text(&self) -> String {
        let place = match (&self.repository, self.registry.as_str()) {
            (Some(repository), "") => repository.clone(),
            (Some(repository), registry) => format!("{repository} ({registry})"),
            (None, "") => return format!("{:#}", self.error),
            (None, registry) => registry.to_owned(),
        };
        format!("{place}: {:#}", self.error)
    }

    fn json(&self) -> Value {
        let mut value = json!({"registry": self.registry});
        if let Some(repository) = &self.repository {
            value["repositoryName"] = json!(repository);
        }
        let service = self.error.chain().find_map(|cause| cause.downcast_ref::<crate::service::Error>());
        if let Some(refusal) = service.and_then(crate::service::Error::refusal) {
            value["failureCode"] = json!(refusal.code);
            value["failureReason"] = json!(refusal.message);
        } else {
            value["failureReason"] = json!(format!("{:#}", self.error));
        }
        value
    }
}

/// Ends a command whose answer is no: the sentence goes to stderr, nothing to stdout.
pub(in crate::commands) fn answer(context: &Context, code: u8, sentence: &str) -> ExitCode {
    context.ui.note(&format!("error: {sentence}"));
    ExitCode::from(code)
}

/// Reports that an image has none for a platform, or that this is unknown because a manifest cannot be read.
pub(in crate::commands) fn no_platform(
    context: &Context,
    reference: &dyn Display,
    platform: &dyn Display,
    is_unreadable: bool,
) -> ExitCode {
    if is_unreadable {
        return unreadable(context, reference);
    }
    answer(context, NO, &format!("{reference} has no image for {platform}"))
}

/// Reports that the image for a platform is unknown because a manifest cannot be read.
pub(in crate::commands) fn unreadable(context: &Context, reference: &dyn Display) -> ExitCode {
    let why = "its manifest cannot be read: it is archived, or was deleted meanwhile";
    answer(context, UNKNOWN, &format!("{reference}: {why}"))
}

/// Returns whether a command failed because the repository does not exist.
pub(in crate::commands) fn is_missing_repository(error: &anyhow::Error) -> bool {
    has_code(error, "RepositoryNotFoundException")
}

/// Returns whether the service refused with this code.
pub(in crate::commands) fn has_code(error: &anyhow::Error, code: &str) -> bool {
    let service = error.chain().find_map(|cause| cause.downcast_ref::<crate::service::Error>());
    service.and_then(crate::service::Error::code) == Some(code)
}
