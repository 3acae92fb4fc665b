//! Requests that the embedded ECR answers beside the service's operations: findings that a user sets for an image.

use crate::image::Registry;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::scans::{self, ScanOutcome};
use crate::local::core::caller::{Caller, own_scope};
use crate::local::core::image_id::ImageId;
use crate::local::core::local::Local;
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::store::database::Durability;
use crate::local::store::time;

impl Local {
    /// Keeps how scans of an image are to end; answers the image's digest. The reference is `REPOSITORY:TAG` or
    /// `REPOSITORY@DIGEST`, with or without a host before it; an ECR host's account and region count before the
    /// caller's.
    pub fn set_scan_outcome(
        &self,
        caller: &Caller,
        reference: &str,
        outcome: &ScanOutcome,
    ) -> Result<String, ApiError> {
        let (repository, id) = read_reference(caller, reference);
        self.store.database.write(Durability::Flushed, |transaction| {
            scans::set_outcome(transaction, &repository, &id, outcome, time::now())
        })
    }
}

/// Reads a reference as leniently as the service reads an image's identifier: one that cannot be is one that is not
/// found.
fn read_reference(caller: &Caller, reference: &str) -> (RepositoryRef, ImageId) {
    let mut scope = own_scope(caller);
    let mut rest = reference;
    if let Some((host, path)) = reference.split_once('/')
        && Registry::is_host(host)
    {
        rest = path;
        if let Some(Registry::Ecr { account, region, .. }) = Registry::of_host(host) {
            scope = Scope { service: "ecr", account, region };
        }
    }
    let (rest, digest) = rest.split_once('@').map_or((rest, None), |(rest, digest)| (rest, Some(digest)));
    let (name, tag) = rest.rsplit_once(':').map_or((rest, None), |(name, tag)| (name, Some(tag)));
    let tag = tag.or(digest.is_none().then_some("latest"));
    let id = ImageId { digest: digest.map(str::to_owned), tag: tag.map(str::to_owned) };
    (RepositoryRef { scope, name: name.to_owned() }, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        let caller = Caller::of_account("1", "r");
        let read = |reference: &str| {
            let (RepositoryRef { scope, name }, id) = read_reference(&caller, reference);
            format!("{} {} {name} {}", scope.account, scope.region, id.value())
        };
        assert_eq!(read("team/app:1"), r#"1 r team/app {"imageTag":"1"}"#);
        assert_eq!(read("app"), r#"1 r app {"imageTag":"latest"}"#);
        assert_eq!(read("localhost:5700/app@sha256:1"), r#"1 r app {"imageDigest":"sha256:1"}"#);
        assert_eq!(
            read("111122223333.dkr.ecr.eu-west-1.amazonaws.com/a/b:2"),
            r#"111122223333 eu-west-1 a/b {"imageTag":"2"}"#
        );
        assert_eq!(
            read("111122223333.dkr.ecr.eu-west-1.evil.example/a/b:2"),
            r#"1 r a/b {"imageTag":"2"}"#,
            "a host that only looks like Amazon ECR's"
        );
    }
}
