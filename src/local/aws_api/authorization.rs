//! Authorization of the API's requests: the action is the operation.

use serde_json::Value;

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::authorization::{AuthorizationRequest, Requester};
use crate::local::core::caller::Caller;
use crate::local::core::local::Local;
use crate::local::core::registry_id::Scope;
use crate::local::core::upstream::{ACTION, UpstreamFetch, UpstreamItem};

/// Operations that no resource-based policy applies to: they only concern the caller.
const ALWAYS_ALLOWED: [&str; 2] = ["GetAuthorizationToken", "DescribeRegistries"];

impl Local {
    /// Authorizes a call of the services' API: the action is the operation, on each repository that its input names.
    pub(in crate::local) fn authorize_call(&self, call: &Call<'_>) -> Result<(), ApiError> {
        if !self.enforces || ALWAYS_ALLOWED.contains(&call.operation.name) {
            return Ok(());
        }
        let (scope, repositories) = subjects(call);
        let tags = request_tags(call);
        let requester = Requester::from(call.caller);
        Ok(self.read(|connection| {
            repositories.iter().try_for_each(|repository| {
                let (action, repository) = (action_of(call.operation.name), *repository);
                let request =
                    AuthorizationRequest { requester, action, scope: &scope, repository, tags: &tags };
                request.check(connection, self.is_secured)
            })
        })?)
    }
}

impl Local {
    /// Returns the refusal of a request that needs something from upstream, if the caller may have it fetched; else the
    /// refusal of the fetch is the error.
    pub(in crate::local) fn upstream_refusal(
        &self,
        caller: &Caller,
        need: Box<UpstreamFetch>,
    ) -> Result<ApiError, ApiError> {
        if need.wanted.iter().any(|wanted| *wanted != UpstreamItem::Access) {
            let (requester, scope, repository) =
                (Requester::from(caller), &need.scope, Some(&*need.repository));
            self.authorize(&AuthorizationRequest {
                requester,
                action: ACTION,
                scope,
                repository,
                tags: &[],
            })?;
        }
        Ok(need.unmet().into())
    }
}

/// Returns the action that authorizes an operation: that of its name, except for referrers, which need the right to
/// read images (Service Authorization Reference, "API operations defined by Amazon Elastic Container Registry").
fn action_of(operation: &str) -> &str {
    match operation {
        "ListImageReferrers" => "BatchGetImage",
        operation => operation,
    }
}

/// The registry that a request is about, and its repositories; `None` stands for all of them.
fn subjects<'a>(call: &'a Call<'_>) -> (Scope, Vec<Option<&'a str>>) {
    if let Some((region, account, name)) = call.text("resourceArn").and_then(repository_of) {
        let scope = call.scope_of(account);
        let region = if region.is_empty() { scope.region } else { region.to_owned() };
        return (Scope { region, ..scope }, vec![Some(name)]);
    }
    let mut names: Vec<Option<&str>> = call.texts("repositoryNames").into_iter().map(Some).collect();
    names.extend(call.text("repositoryName").map(Some));
    if names.is_empty() {
        names.push(None);
    }
    (call.scope(), names)
}

/// The region, the account and the name of a repository in its ARN.
fn repository_of(arn: &str) -> Option<(&str, &str, &str)> {
    let [_, _, _, region, account, resource] = arn.splitn(6, ':').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some((region, account, resource.strip_prefix("repository/")?))
}

/// Returns the tags of a request as policies see them (`aws:RequestTag`, `aws:TagKeys`): those that it adds, and the
/// keys of those that it removes.
fn request_tags(call: &Call<'_>) -> Vec<(String, String)> {
    let given = call.list("tags").unwrap_or_default().iter();
    let text = |tag: &Value, member: &str| tag[member].as_str().unwrap_or_default().to_owned();
    let mut tags: Vec<(String, String)> = given.map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect();
    tags.extend(call.texts("tagKeys").into_iter().map(|key| (key.to_owned(), String::new())));
    tags
}
