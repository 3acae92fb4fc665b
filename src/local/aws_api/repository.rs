//! The structure `Repository` of answers.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::responses::timestamp;
use crate::local::core::registry_id::{Scope, alias};
use crate::local::core::repository::{Repository, arn};

impl Repository {
    /// The repository that the request names.
    pub(in crate::local) fn of(call: &Call<'_>, connection: &Connection) -> Result<Self, ApiError> {
        Ok(call.repository()?.find(connection)?)
    }

    /// The repository's structure in answers.
    pub(in crate::local) fn describe(&self, call: &Call<'_>) -> Value {
        let mut members = json!({
            "repositoryArn": arn(&self.scope, &self.name),
            "registryId": self.scope.account,
            "repositoryName": self.name,
            "repositoryUri": uri(call, &self.scope, &self.name),
            "createdAt": timestamp(self.created_at),
            "imageTagMutability": self.mutability,
        });
        if !self.exclusions.is_empty() {
            members["imageTagMutabilityExclusionFilters"] = json!(self.exclusions);
        }
        members["imageScanningConfiguration"] = json!({ "scanOnPush": self.scan_on_push });
        members["encryptionConfiguration"] = json!(self.encryption);
        members
    }
}

/// Address that a client pushes to and pulls from. Public repositories lie below a prefix, where AWS gives them a host.
fn uri(call: &Call<'_>, scope: &Scope, name: &str) -> String {
    match scope.service {
        "ecr-public" => format!("{}/public.ecr.aws/{}/{name}", call.address(), alias(&scope.account)),
        _ => format!("{}/{name}", call.address()),
    }
}
