//! Authorization of requests by the policies of registries and repositories, where they are enforced.
//!
//! Both APIs end here: [`Local::answer`] for every operation, `distribution` for what docker's API has and no operation
//! does. The model is IAM's for resource policies. There are no identity policies, so a caller may do everything with
//! what its own account has unless a policy denies it; what another account has, it may use only as far as a policy
//! allows.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::Connection;

use crate::iam::{Decision, Principal, Request, RequestContext, decide};
use crate::local::core::caller::Caller;
use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::local::Local;
use crate::local::core::registry_id::Scope;
use crate::local::core::{policies, repository};

/// The principal of a request and its network address.
#[derive(Debug, Clone, Copy)]
pub(in crate::local) struct Requester<'a> {
    pub(in crate::local) principal: &'a Principal,
    pub(in crate::local) source: Option<IpAddr>,
}

impl<'a> From<&'a Caller> for Requester<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self { principal: &caller.principal, source: caller.source }
    }
}

/// An action of a principal on a repository or a registry.
pub(in crate::local) struct AuthorizationRequest<'a> {
    pub(in crate::local) requester: Requester<'a>,
    /// The action without its service, such as `PutImage`.
    pub(in crate::local) action: &'a str,
    /// The registry that it is about.
    pub(in crate::local) scope: &'a Scope,
    /// The repository; all of the registry's where `None`.
    pub(in crate::local) repository: Option<&'a str>,
    /// The tags that the request brings.
    pub(in crate::local) tags: &'a [(String, String)],
}

impl AuthorizationRequest<'_> {
    /// Evaluates the policies of the registry and the repository; an error unless they allow the request.
    pub(in crate::local) fn check(&self, connection: &Connection, is_secured: bool) -> Result<(), Error> {
        let kept = policies::of(connection, self.scope, self.repository)?;
        let mut context = self.context(is_secured);
        for (key, value) in &kept.tags {
            context.add(&format!("ecr:ResourceTag/{key}"), value.as_str());
            context.add(&format!("aws:ResourceTag/{key}"), value.as_str());
        }
        let action = format!("{}:{}", self.scope.service, self.action);
        let resource = repository::arn(self.scope, self.repository.unwrap_or("*"));
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

    /// Returns whether a new policy would deny this request explicitly.
    pub(in crate::local) fn is_denied_by(&self, text: &str, is_secured: bool) -> bool {
        let request = Request {
            principal: self.requester.principal,
            action: &format!("{}:{}", self.scope.service, self.action),
            resource: &repository::arn(self.scope, self.repository.unwrap_or("*")),
            context: &self.context(is_secured),
        };
        request.evaluate(text) == Decision::ExplicitDeny
    }

    /// Returns the AccessDeniedException, with IAM's message.
    fn refuse(&self, action: &str, resource: &str, reason: &str) -> Error {
        let arn = self.requester.principal.arn();
        let text =
            format!("User: {arn} is not authorized to perform: {action} on resource: {resource} {reason}");
        Error::new(ErrorKind::AccessDenied, text)
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
    pub(in crate::local) fn authorize(&self, request: &AuthorizationRequest<'_>) -> Result<(), Error> {
        if !self.enforces {
            return Ok(());
        }
        self.read(|connection| request.check(connection, self.is_secured))
    }
}

impl Local {
    /// Returns whether one registry may copy a repository's images to another one: the source's account asks for
    /// `ecr:ReplicateImage`, and for `ecr:CreateRepository` where the repository is missing.
    pub(in crate::local) fn may_replicate(
        &self,
        connection: &Connection,
        source: &Scope,
        destination: &Scope,
        name: &str,
    ) -> Result<bool, Error> {
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
                Err(error) if error.kind == ErrorKind::AccessDenied => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
