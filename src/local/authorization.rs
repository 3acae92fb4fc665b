//! Authorization of requests by the policies of registries and repositories, where they are enforced.
//!
//! Both APIs end here: [`Local::answer`] for every operation, `registry` for what docker's API has and no operation
//! does. The model is IAM's for resource policies. There are no identity policies, so a caller may do everything with
//! what its own account has unless a policy denies it; what another account has, it may use only as far as a policy
//! allows.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;

use crate::iam::{Decision, Request, RequestContext, decide};

use super::call::{Call, Scope};
use super::core::pull_through::{self, Need, Wanted};
use super::handlers::policies;
use super::{Caller, Fault, Local, Principal};

/// Operations that no resource-based policy is asked about: they only concern the caller.
const ALWAYS_ALLOWED: [&str; 2] = ["GetAuthorizationToken", "DescribeRegistries"];

/// The code of a refusal.
const DENIED: &str = "AccessDeniedException";

/// The principal of a request and its network address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requester<'a> {
    pub(super) principal: &'a Principal,
    pub(super) source: Option<IpAddr>,
}

impl<'a> From<&'a Caller> for Requester<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self { principal: &caller.principal, source: caller.source }
    }
}

/// An action of a principal on a repository or a registry.
pub(super) struct AuthorizationRequest<'a> {
    pub(super) requester: Requester<'a>,
    /// The action without its service, such as `PutImage`.
    pub(super) action: &'a str,
    /// The registry that it is about.
    pub(super) scope: &'a Scope,
    /// The repository; all of the registry's where `None`.
    pub(super) repository: Option<&'a str>,
    /// The tags that the request brings.
    pub(super) tags: &'a [(String, String)],
}

impl AuthorizationRequest<'_> {
    /// Evaluates the policies of the registry and the repository; an error unless they allow the request.
    pub(super) fn check(&self, connection: &Connection, is_secured: bool) -> Result<(), Fault> {
        let kept = policies::of(connection, self.scope, self.repository)?;
        let mut context = self.context(is_secured);
        for (key, value) in &kept.tags {
            context.add(&format!("ecr:ResourceTag/{key}"), value.as_str());
            context.add(&format!("aws:ResourceTag/{key}"), value.as_str());
        }
        let action = format!("{}:{}", self.scope.service, self.action);
        let resource = policies::arn(self.scope, self.repository.unwrap_or("*"));
        let principal = self.requester.principal;
        let request = Request { principal, action: &action, resource: &resource, context: &context };
        let reason = match decide(&request, kept.texts.iter().map(String::as_str), &self.scope.account) {
            Decision::Allow => return Ok(()),
            Decision::ExplicitDeny => "with an explicit deny in a resource-based policy".to_owned(),
            Decision::ImplicitDeny => {
                format!("because no resource-based policy allows the {action} action")
            }
        };
        Err(self.refuse(&action, &resource, &reason))
    }

    /// Returns whether a policy that is not in place yet would deny this request explicitly.
    pub(super) fn is_denied_by(&self, text: &str, is_secured: bool) -> bool {
        let request = Request {
            principal: self.requester.principal,
            action: &format!("{}:{}", self.scope.service, self.action),
            resource: &policies::arn(self.scope, self.repository.unwrap_or("*")),
            context: &self.context(is_secured),
        };
        request.evaluate(text) == Decision::ExplicitDeny
    }

    /// The AccessDeniedException, in IAM's words.
    fn refuse(&self, action: &str, resource: &str, reason: &str) -> Fault {
        let arn = self.requester.principal.arn();
        let text =
            format!("User: {arn} is not authorized to perform: {action} on resource: {resource} {reason}");
        Fault::new(DENIED, text)
    }

    /// The request context. Keys that nothing here could have, such as `aws:PrincipalOrgID`, are absent.
    fn context(&self, is_secured: bool) -> RequestContext {
        let now = Timestamp::now();
        let mut context = RequestContext::default();
        self.requester.principal.describe(&mut context);
        for (key, value) in [
            ("aws:ViaAWSService", "false".to_owned()),
            ("aws:ResourceAccount", self.scope.account.clone()),
            ("aws:RequestedRegion", self.scope.region.clone()),
            ("aws:SecureTransport", is_secured.to_string()),
            ("aws:CurrentTime", now.to_string()),
            ("aws:EpochTime", now.as_second().to_string()),
        ] {
            context.add(key, value);
        }
        if let Some(source) = self.requester.source {
            context.add("aws:SourceIp", source.to_canonical().to_string());
        }
        for (key, value) in self.tags {
            context.add(&format!("aws:RequestTag/{key}"), value.as_str());
            context.add("aws:TagKeys", key.as_str());
        }
        context
    }
}

impl Local {
    /// Authorizes a request; everything is allowed where policies are not enforced.
    pub(super) fn authorize(&self, request: &AuthorizationRequest<'_>) -> Result<(), Fault> {
        if !self.enforces {
            return Ok(());
        }
        self.database.read(|connection| request.check(connection, self.is_secured))
    }

    /// Authorizes a call of the services' API: the action is the operation, on each repository that its input names.
    pub(super) fn authorize_call(&self, call: &Call<'_>) -> Result<(), Fault> {
        if !self.enforces || ALWAYS_ALLOWED.contains(&call.operation.name) {
            return Ok(());
        }
        let (scope, repositories) = subjects(call);
        let tags = tags(call);
        let requester = Requester::from(call.caller);
        self.database.read(|connection| {
            repositories.iter().try_for_each(|repository| {
                let (action, repository) = (call.operation.name, *repository);
                let request =
                    AuthorizationRequest { requester, action, scope: &scope, repository, tags: &tags };
                request.check(connection, self.is_secured)
            })
        })
    }
}

impl Local {
    /// The refusal of a request that needs something from upstream, where the caller may have that fetched.
    pub(super) fn may_import(&self, caller: &Caller, need: Box<Need>) -> Result<Fault, Fault> {
        if need.wanted.iter().any(|wanted| *wanted != Wanted::Access) {
            let (requester, scope, repository) =
                (Requester::from(caller), &need.scope, Some(&*need.repository));
            self.authorize(&AuthorizationRequest {
                requester,
                action: pull_through::ACTION,
                scope,
                repository,
                tags: &[],
            })?;
        }
        Ok(need.unmet())
    }

    /// Whether one registry may copy a repository's images to another one: the source's account asks, for the
    /// permission that stands for it, and for that to make the repository where it is missing.
    pub(super) fn may_replicate(
        &self,
        connection: &Connection,
        source: &Scope,
        destination: &Scope,
        name: &str,
    ) -> Result<bool, Fault> {
        if !self.enforces {
            return Ok(true);
        }
        let principal = Principal::root(&source.account);
        let mut actions = vec!["ReplicateImage"];
        if !policies::is_there(connection, destination, name)? {
            actions.push("CreateRepository");
        }
        for action in actions {
            let requester = Requester { principal: &principal, source: None };
            let request = AuthorizationRequest {
                requester,
                action,
                scope: destination,
                repository: Some(name),
                tags: &[],
            };
            match request.check(connection, self.is_secured) {
                Ok(()) => {}
                Err(fault) if fault.code == DENIED => return Ok(false),
                Err(fault) => return Err(fault),
            }
        }
        Ok(true)
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

/// The tags that a request brings, and the keys of those that it takes away.
fn tags(call: &Call<'_>) -> Vec<(String, String)> {
    let given = call.list("tags").unwrap_or_default().iter();
    let text = |tag: &Value, member: &str| tag[member].as_str().unwrap_or_default().to_owned();
    let mut tags: Vec<(String, String)> = given.map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect();
    tags.extend(call.texts("tagKeys").into_iter().map(|key| (key.to_owned(), String::new())));
    tags
}
