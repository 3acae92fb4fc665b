//! Identifiers of registries and repositories.

/// Registry that a repository belongs to: service, account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Scope {
    /// `ecr` or `ecr-public`.
    pub(in crate::local) service: &'static str,
    /// The account, which is also the registry's id.
    pub(in crate::local) account: String,
    /// The region.
    pub(in crate::local) region: String,
}

/// Returns the alias of an account's public registry: like AWS's, a short meaningless name.
pub(in crate::local) fn alias(account: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(account.as_bytes());
    format!("l{}", &hex::encode(hash)[..7])
}

/// Repository by its registry and name, which need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct RepositoryRef {
    pub(in crate::local) scope: Scope,
    pub(in crate::local) name: String,
}

impl RepositoryRef {
    /// Returns whether the repository is in a public registry.
    pub(in crate::local) fn is_public(&self) -> bool {
        self.scope.service == "ecr-public"
    }
}
