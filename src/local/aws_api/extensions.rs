//! What the embedded ECR is asked for beside the service's operations: findings and lifecycle runs.

use serde_json::{Value, json};

use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::scans::{self, ScanOutcome};
use crate::local::core::caller::{Caller, own_scope};
use crate::local::core::local::Local;
use crate::local::core::registry_id::Scope;
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
        let (scope, name, id) = read_reference(caller, reference);
        self.store.database.write(Durability::Flushed, |transaction| {
            scans::set_outcome(transaction, (&scope, &name), &id, outcome, time::now())
        })
    }
}

/// The registry, the repository and the image that a reference names.
fn read_reference(caller: &Caller, reference: &str) -> (Scope, String, Value) {
    let mut scope = own_scope(caller);
    let mut rest = reference;
    if let Some((host, path)) = reference.split_once('/')
        && (host.contains(['.', ':']) || host == "localhost")
    {
        rest = path;
        if let [account, "dkr", "ecr", region, ..] = host.split('.').collect::<Vec<_>>()[..] {
            scope = Scope { service: "ecr", account: account.to_owned(), region: region.to_owned() };
        }
    }
    let (rest, digest) = rest.split_once('@').map_or((rest, None), |(rest, digest)| (rest, Some(digest)));
    let (name, tag) = rest.rsplit_once(':').map_or((rest, None), |(name, tag)| (name, Some(tag)));
    let mut id = json!({});
    if let Some(digest) = digest {
        id["imageDigest"] = json!(digest);
    }
    if let Some(tag) = tag {
        id["imageTag"] = json!(tag);
    }
    if id == json!({}) {
        id["imageTag"] = json!("latest");
    }
    (scope, name.to_owned(), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        let caller = Caller::of_account("1", "r");
        let read = |reference: &str| {
            let (scope, name, id) = read_reference(&caller, reference);
            format!("{} {} {name} {id}", scope.account, scope.region)
        };
        assert_eq!(read("team/app:1"), r#"1 r team/app {"imageTag":"1"}"#);
        assert_eq!(read("app"), r#"1 r app {"imageTag":"latest"}"#);
        assert_eq!(read("localhost:5700/app@sha256:1"), r#"1 r app {"imageDigest":"sha256:1"}"#);
        assert_eq!(
            read("111122223333.dkr.ecr.eu-west-1.amazonaws.com/a/b:2"),
            r#"111122223333 eu-west-1 a/b {"imageTag":"2"}"#
        );
    }
}
