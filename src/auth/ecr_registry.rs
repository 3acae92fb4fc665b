//! A registry of Amazon ECR, as a login needs it: service, region, account, form of the endpoint, and rule.

use super::login_conf::Rule;

/// A registry of Amazon ECR: what its host says about it, and the rule of login.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrRegistry {
    /// The normalized host, with its port where one was given.
    pub host: String,
    /// Account of the registry, if the host contains it.
    pub account: Option<String>,
    /// The registry is Amazon ECR Public.
    pub public: bool,
    /// Region of the API.
    pub region: String,
    /// Ask the FIPS endpoint, as the host is one.
    pub fips: bool,
    /// Ask the dual-stack endpoint, as the host is one.
    pub dualstack: bool,
    /// Rule of login.conf that matches.
    pub rule: Option<Rule>,
}

impl EcrRegistry {
    /// Returns whether the rule for this registry forbids credentials.
    pub fn anonymous(&self) -> bool {
        self.rule.as_ref().is_some_and(|rule| rule.anonymous)
    }

    /// Returns the name of the service on the command line.
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
