//! Whether a caller may do what it asks for: the policies of registries and repositories, where they are enforced.
//!
//! Both APIs end here: [`Local::answer`] for every operation, `registry` for what docker's API has and no operation
//! does. The model is IAM's for resource policies. There are no identity policies, so a caller may do everything with
//! what its own account has unless a policy denies it; what another account has, it may use only as far as a policy
//! allows.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;

use super::call::{Call, Scope};
use super::handlers::policies;
use super::policy::{Decision, Facts, Request};
use super::upstream::{self, Need, Wanted};
use super::{Caller, Fault, Local, Principal};

/// What needs no resource's leave: a token, and what only tells the caller about itself.
const FREE: [&str; 2] = ["GetAuthorizationToken", "DescribeRegistries"];

/// The code of a refusal.
const DENIED: &str = "AccessDeniedException";

/// Who asks, and from where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) principal: &'a Principal,
    pub(super) source: Option<IpAddr>,
}

impl<'a> From<&'a Caller> for Asker<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self { principal: &caller.principal, source: caller.source }
    }
}

/// What somebody wants to do.
pub(super) struct Wish<'a> {
    pub(super) asker: Asker<'a>,
    /// The action without its service, such as `PutImage`.
    pub(super) action: &'a str,
    /// The registry that it is about.
    pub(super) scope: &'a Scope,
    /// The repository; all of the registry's where `None`.
    pub(super) repository: Option<&'a str>,
    /// The tags that the request brings.
    pub(super) tags: &'a [(String, String)],
}

impl Wish<'_> {
    /// Refuses what the policies do not let somebody do.
    pub(super) fn check(&self, connection: &Connection, is_secured: bool) -> Result<(), Fault> {
        let kept = policies::of(connection, self.scope, self.repository)?;
        let mut facts = self.facts(is_secured);
        for (key, value) in &kept.tags {
            facts.add(&format!("ecr:ResourceTag/{key}"), value.as_str());
            facts.add(&format!("aws:ResourceTag/{key}"), value.as_str());
        }
        let action = format!("{}:{}", self.scope.service, self.action);
        let resource = policies::arn(self.scope, self.repository.unwrap_or("*"));
        let principal = self.asker.principal;
        let request = Request { principal, action: &action, resource: &resource, facts: &facts };
        let decisions = kept.texts.iter().map(|text| request.put_to(text));
        let mut is_allowed = principal.account() == self.scope.account;
        for decision in decisions {
            match decision {
                Decision::Denied => {
                    return Err(self.refuse(
                        &action,
                        &resource,
                        "with an explicit deny in a resource-based policy",
                    ));
                }
                Decision::Allowed => is_allowed = true,
                Decision::Silent => {}
            }
        }
        if is_allowed {
            return Ok(());
        }
        let reason = format!("because no resource-based policy allows the {action} action");
        Err(self.refuse(&action, &resource, &reason))
    }

    /// Whether a policy that the repository does not have yet would deny this.
    pub(super) fn is_denied_by(&self, text: &str, is_secured: bool) -> bool {
        let request = Request {
            principal: self.asker.principal,
            action: &format!("{}:{}", self.scope.service, self.action),
            resource: &policies::arn(self.scope, self.repository.unwrap_or("*")),
            facts: &self.facts(is_secured),
        };
        request.put_to(text) == Decision::Denied
    }

    /// A refusal in the words of IAM.
    fn refuse(&self, action: &str, resource: &str, reason: &str) -> Fault {
        let arn = self.asker.principal.arn();
        let text =
            format!("User: {arn} is not authorized to perform: {action} on resource: {resource} {reason}");
        Fault::new(DENIED, text)
    }

    /// What conditions can ask about. Keys that nothing here could have, such as `aws:PrincipalOrgID`, are absent.
    fn facts(&self, is_secured: bool) -> Facts {
        let (principal, now) = (self.asker.principal, Timestamp::now());
        let mut facts = Facts::default();
        let is_root = principal.arn().ends_with(":root");
        let kind = match principal.user() {
            Some(_) => "User",
            None if is_root => "Account",
            None => "AssumedRole",
        };
        for (key, value) in [
            ("aws:PrincipalArn", principal.lasting_arn()),
            ("aws:PrincipalAccount", principal.account().to_owned()),
            ("aws:PrincipalType", kind.to_owned()),
            ("aws:PrincipalIsAWSService", "false".to_owned()),
            ("aws:ViaAWSService", "false".to_owned()),
            ("aws:ResourceAccount", self.scope.account.clone()),
            ("aws:RequestedRegion", self.scope.region.clone()),
            ("aws:SecureTransport", is_secured.to_string()),
            ("aws:CurrentTime", now.to_string()),
            ("aws:EpochTime", now.as_second().to_string()),
        ] {
            facts.add(key, value);
        }
        if let Some(user) = principal.user() {
            facts.add("aws:username", user);
        }
        if let Some(source) = self.asker.source {
            facts.add("aws:SourceIp", source.to_canonical().to_string());
        }
        for (key, value) in self.tags {
            facts.add(&format!("aws:RequestTag/{key}"), value.as_str());
            facts.add("aws:TagKeys", key.as_str());
        }
        facts
    }
}

impl Local {
    /// Refuses what policies do not let somebody do, where they are enforced.
    pub(super) fn authorise(&self, wish: &Wish<'_>) -> Result<(), Fault> {
        if !self.enforces {
            return Ok(());
        }
        self.database.read(|connection| wish.check(connection, self.is_secured))
    }

    /// The same for a request of the services' API: the action is the operation, and what it is about are the
    /// repositories that its input names.
    pub(super) fn authorise_call(&self, call: &Call<'_>) -> Result<(), Fault> {
        if !self.enforces || FREE.contains(&call.operation.name) {
            return Ok(());
        }
        let (scope, repositories) = subjects(call);
        let tags = tags(call);
        let asker = Asker::from(call.caller);
        self.database.read(|connection| {
            repositories.iter().try_for_each(|repository| {
                let (action, repository) = (call.operation.name, *repository);
                let wish = Wish { asker, action, scope: &scope, repository, tags: &tags };
                wish.check(connection, self.is_secured)
            })
        })
    }
}

impl Local {
    /// The refusal of a request that needs something from upstream, where the caller may have that fetched.
    pub(super) fn may_import(&self, caller: &Caller, need: Box<Need>) -> Result<Fault, Fault> {
        if need.wanted.iter().any(|wanted| *wanted != Wanted::Access) {
            let (asker, scope, repository) = (Asker::from(caller), &need.scope, Some(&*need.repository));
            self.authorise(&Wish { asker, action: upstream::ACTION, scope, repository, tags: &[] })?;
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
            let asker = Asker { principal: &principal, source: None };
            let wish = Wish { asker, action, scope: destination, repository: Some(name), tags: &[] };
            match wish.check(connection, self.is_secured) {
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
