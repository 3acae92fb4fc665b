//! Evaluation of a request against one policy.

use serde_json::{Map, Value};

use super::Principal;
use super::condition;
use super::context::RequestContext;
use super::document::{statements, texts};
use super::pattern::Pattern;

/// A request in the terms of policies.
#[derive(Debug)]
pub struct Request<'a> {
    /// Principal of the request.
    pub principal: &'a Principal,
    /// Action with its service, such as `ecr:PutImage`.
    pub action: &'a str,
    /// The ARN of the repository or registry that it is for.
    pub resource: &'a str,
    /// The values that conditions and variables refer to.
    pub context: &'a RequestContext,
}

/// Result of evaluating one policy, as named by IAM's policy simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A matching statement denies the request; no Allow outweighs it.
    ExplicitDeny,
    /// A matching statement allows the request and none denies it.
    Allow,
    /// No statement matches the request.
    ImplicitDeny,
}

/// Evaluates the policies that apply to a request for a resource of the account `owner`. Without identity-based
/// policies, a principal may use what its own account has; what another account has, only as far as a policy allows.
pub fn decide<'a>(
    request: &Request<'_>,
    policies: impl IntoIterator<Item = &'a str>,
    owner: &str,
) -> Decision {
    let is_own = request.principal.account() == owner;
    let mut decision = if is_own { Decision::Allow } else { Decision::ImplicitDeny };
    for policy in policies {
        match request.evaluate(policy) {
            Decision::ExplicitDeny => return Decision::ExplicitDeny,
            Decision::Allow => decision = Decision::Allow,
            Decision::ImplicitDeny => {}
        }
    }
    decision
}

impl Request<'_> {
    /// Evaluates a policy document that [`validate`](super::validate) accepted.
    pub fn evaluate(&self, policy: &str) -> Decision {
        let document: Value = serde_json::from_str(policy).unwrap_or_default();
        let Some(document) = document.as_object() else { return Decision::ImplicitDeny };
        // Older policies have no variables.
        let variables = document.get("Version").is_some_and(|version| version == "2012-10-17");
        let meant = statements(document).into_iter().filter_map(Value::as_object);
        let mut decision = Decision::ImplicitDeny;
        for statement in meant.filter(|statement| self.is_meant(statement, variables)) {
            if statement.get("Effect").is_some_and(|effect| effect == "Deny") {
                return Decision::ExplicitDeny;
            }
            decision = Decision::Allow;
        }
        decision
    }

    fn is_meant(&self, statement: &Map<String, Value>, variables: bool) -> bool {
        let action = self.action.to_lowercase();
        let is_action = |pattern: &str| Pattern::new(&pattern.to_lowercase()).covers(&action);
        let is_resource = |pattern: &str| {
            let pattern =
                if variables { self.context.expand_resource(pattern) } else { Some(Pattern::new(pattern)) };
            pattern.is_some_and(|pattern| pattern.covers(self.resource))
        };
        let listed = |name: &str, test: &dyn Fn(&str) -> bool| {
            let listed = statement.get(name).and_then(texts);
            listed.is_some_and(|texts| texts.into_iter().any(test))
        };
        let is_about = |name: &str, opposite: &str, test: &dyn Fn(&str) -> bool| {
            if statement.contains_key(opposite) { !listed(opposite, test) } else { listed(name, test) }
        };
        // The statements of a repository's policy are about that repository.
        let names_resource = ["Resource", "NotResource"].iter().any(|name| statement.contains_key(*name));
        let is_deny = statement.get("Effect").is_some_and(|effect| effect == "Deny");
        let is_principal = match statement.get("NotPrincipal") {
            Some(others) => !self.is_excepted(others, is_deny),
            None => statement.get("Principal").is_some_and(|some| self.is_among(some, Principal::is_in)),
        };
        is_principal
            && is_about("Action", "NotAction", &is_action)
            && (!names_resource || is_about("Resource", "NotResource", &is_resource))
            && match statement.get("Condition").and_then(Value::as_object) {
                Some(operators) => condition::hold(operators, self.context, variables),
                None => !statement.contains_key("Condition"),
            }
    }

    /// Returns whether `NotPrincipal` excepts the requester from its statement. A Deny excepts only those that it names:
    /// an account is named beside its user so that the user's account as such is not denied, which leaves its other
    /// users and roles denied. An Allow, which IAM advises against, excepts whole accounts, so that nobody is allowed
    /// by mistake.
    fn is_excepted(&self, others: &Value, is_deny: bool) -> bool {
        self.is_among(others, if is_deny { Principal::is_named_by } else { Principal::is_in })
    }

    /// Returns whether an entry of a statement's principals matches the requester; services and federation never
    /// do.
    fn is_among(&self, principals: &Value, is_about: fn(&Principal, &str) -> bool) -> bool {
        match principals {
            Value::String(text) => text == "*",
            principals => principals
                .get("AWS")
                .and_then(texts)
                .is_some_and(|entries| entries.into_iter().any(|entry| is_about(self.principal, entry))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decide(statements: &Value, action: &str) -> Decision {
        let principal = Principal::of("arn:aws:iam::111122223333:role/build").unwrap();
        let mut context = RequestContext::default();
        context.add("team", "app");
        let resource = "arn:aws:ecr:r:444455556666:repository/team/app";
        let request = Request { principal: &principal, action, resource, context: &context };
        request.evaluate(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string())
    }

    #[test]
    fn a_denial_outweighs_any_permission() {
        let allow = json!({ "Effect": "Allow", "Principal": "*", "Action": "ecr:*" });
        let deny =
            json!({ "Effect": "Deny", "Principal": { "AWS": "111122223333" }, "Action": "ecr:putimage" });
        assert_eq!(decide(&json!(allow), "ecr:PutImage"), Decision::Allow);
        assert_eq!(decide(&json!([deny, allow]), "ecr:PutImage"), Decision::ExplicitDeny);
        assert_eq!(decide(&json!([allow, deny]), "ecr:PutImage"), Decision::ExplicitDeny);
        assert_eq!(decide(&json!([allow, deny]), "ecr:ListImages"), Decision::Allow);
        assert_eq!(decide(&json!([deny]), "ecr:ListImages"), Decision::ImplicitDeny);
    }

    #[test]
    fn a_statement_applies_to_the_resources_it_names() {
        let allows = |change: &Value| {
            let mut statement = json!({ "Effect": "Allow", "Principal": "*", "Action": "*" });
            for (name, value) in change.as_object().unwrap() {
                statement[name] = value.clone();
            }
            for (opposite, name) in [("NotPrincipal", "Principal"), ("NotAction", "Action")] {
                if statement.get(opposite).is_some() {
                    statement.as_object_mut().unwrap().shift_remove(name);
                }
            }
            decide(&statement, "ecr:PutImage") == Decision::Allow
        };
        let yes = [
            json!({}),
            json!({ "Principal": { "AWS": "*" } }),
            json!({ "Principal": { "AWS": ["444455556666", "arn:aws:iam::111122223333:role/build"] } }),
            json!({ "NotPrincipal": { "AWS": "444455556666" } }),
            json!({ "Action": ["ecr:Get*", "ecr:Put?mage"] }),
            json!({ "NotAction": "ecr:Get*" }),
            json!({ "Resource": "arn:aws:ecr:*:*:repository/team/*" }),
            json!({ "Resource": "arn:aws:ecr:r:444455556666:repository/team/${team}" }),
            json!({ "NotResource": "arn:aws:ecr:*:*:repository/other" }),
            json!({ "Condition": { "StringEquals": { "team": "app" } } }),
        ];
        let no = [
            json!({ "Principal": { "Service": "codebuild.amazonaws.com" } }),
            json!({ "Principal": { "AWS": "arn:aws:iam::111122223333:role/other" } }),
            json!({ "NotPrincipal": "*" }),
            json!({ "NotPrincipal": { "AWS": "arn:aws:iam::111122223333:role/build" } }),
            json!({ "Action": "ecr:Get*" }),
            json!({ "NotAction": "ecr:*" }),
            json!({ "Resource": "arn:aws:ecr:*:*:repository/other" }),
            json!({ "NotResource": "*" }),
            json!({ "Condition": { "StringEquals": { "team": "other" } } }),
            json!({ "Condition": "unreadable" }),
        ];
        for change in yes {
            assert!(allows(&change), "{change}");
        }
        for change in no {
            assert!(!allows(&change), "{change}");
        }
    }
}
