//! How to log in to one registry: service, region, account and identity.

use super::login_conf::Rule;

/// A registry host with all that a rule and its own form say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host in its one form, with its port where one was given.
    pub host: String,
    /// The account of the registry, where the host tells it.
    pub account: Option<String>,
    /// Whether it is the public gallery.
    pub public: bool,
    /// The region that is asked.
    pub region: String,
    /// Whether the FIPS endpoint is asked: it is where the host is one.
    pub fips: bool,
    /// Whether the dual-stack endpoint is asked: it is where the host is one.
    pub dualstack: bool,
    /// The rule that speaks about it.
    pub rule: Option<Rule>,
}

impl Target {
    /// Whether no credentials are handed out for it.
    pub fn anonymous(&self) -> bool {
        self.rule.as_ref().is_some_and(|rule| rule.anonymous)
    }

    /// The service that is asked, by its name on the command line.
    pub fn service(&self) -> &'static str {
        if self.public { "ecr-public" } else { "ecr" }
    }

    /// The permission that the identity needs.
    pub fn permission(&self) -> &'static str {
        if self.public {
            "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"
        } else {
            "ecr:GetAuthorizationToken"
        }
    }
}
