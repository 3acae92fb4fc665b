//! One registry in one region, as one profile reaches it, with its rate limits and retries.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::registry;
use super::public::{self, PublicNames};
use super::rate_limiter::RateLimiter;
use crate::image::{Registry, host};
use crate::model;
use crate::retry::Backoff;
use crate::service::{self, Client};
use crate::settings::Settings;

/// Attempts of each call, unless AWS_MAX_ATTEMPTS or the profile says otherwise.
const ATTEMPTS: u32 = 10;

/// A registry in a region.
pub(in crate::commands) struct Connection {
    client: Client,
    settings: Settings,
    /// The account that the reference's host named.
    account: Option<String>,
    /// The host that the reference named.
    host: Option<String>,
    /// Names of Amazon ECR Public, if this is that registry.
    public: Option<PublicNames>,
    rate_limiter: RateLimiter,
    attempts: u32,
    backoff: Backoff,
}

/// Registry that a reference, `--profiles` and `--regions` name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::commands) struct RegistryAddress {
    pub(in crate::commands) registry: Option<Registry>,
    pub(in crate::commands) profile: Option<String>,
    pub(in crate::commands) region: Option<String>,
}

impl RegistryAddress {
    /// The registry of a reference, or the one that is configured.
    pub(in crate::commands) fn of(registry: Option<Registry>) -> Self {
        Self { registry, ..Self::default() }
    }

    /// Display name for messages.
    pub(in crate::commands) fn name(&self) -> String {
        let host = self.registry.as_ref().map(|registry| registry.host().to_owned());
        let profile = self.profile.as_ref().map(|profile| format!("profile {profile}"));
        let parts = [profile, host, self.region.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Connection {
    /// Connects to a registry. Costs nothing: credentials are looked up by the first call.
    pub(in crate::commands) fn open(
        settings: &Settings,
        address: &RegistryAddress,
    ) -> anyhow::Result<Arc<Self>> {
        let mut globals = settings.globals().clone();
        if address.profile.is_some() {
            globals.profile.clone_from(&address.profile);
        }
        if address.region.is_some() {
            globals.region.clone_from(&address.region);
        }
        let public = public::names(globals.public, address.registry.as_ref())?;
        if public.is_some() {
            globals.region = Some(public::REGION.to_owned());
        }
        let chosen = settings.with_changes(globals, &[]).with_log(settings.log().clone());
        let private = address.registry.as_ref().filter(|_| public.is_none());
        let chosen = registry::settings_of(&chosen, private)?;
        let service = if public.is_some() { model::ecr_public() } else { model::ecr() };
        let account = match &address.registry {
            Some(Registry::Ecr { account, .. }) => Some(account.clone()),
            _ => None,
        };
        let is_limited = registry::network(&chosen)?.quota_file.is_some();
        let configured = chosen.configured_attempts()?;
        // Attempts are counted here, where a throttle slows down the calls that follow.
        let single = chosen.with_changes(chosen.globals().clone(), &[("AWS_MAX_ATTEMPTS", Some("1"))]);
        Ok(Arc::new(Self {
            client: super::super::connect(&single.with_log(settings.log().clone()), service)?,
            public,
            account,
            host: address.registry.as_ref().map(|registry| registry.host().to_owned()),
            rate_limiter: RateLimiter::new(is_limited),
            attempts: configured.unwrap_or(ATTEMPTS),
            backoff: Backoff::new(chosen.retry_delay(), service::MAX_WAIT),
            settings: chosen,
        }))
    }

    /// The settings with which this registry is reached.
    pub(in crate::commands) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The account whose registry it is, where the reference named it.
    pub(in crate::commands) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The host under which images of this account's registry are pulled: the one that the reference named, that of
    /// another server than AWS, or the one that account and region make up. `None` where the region is not known.
    pub(in crate::commands) fn host(&self, account: Option<&str>) -> Option<String> {
        let service = if self.is_public() { "ecr-public" } else { "ecr" };
        let endpoint = self.settings.endpoint(service).ok().flatten().filter(|_| !self.settings.local());
        let server = endpoint.and_then(|endpoint| host::Address::parse(&endpoint));
        if let Some(public) = &self.public {
            // An embedded ECR has the public gallery below a path of its own.
            let host = public.host()?;
            return Some(server.map_or(host.clone(), |server| format!("{server}/{host}")));
        }
        if let Some(host) = &self.host {
            return Some(host.clone());
        }
        if let Some(server) = server {
            return Some(server.to_string());
        }
        Some(host::of_registry(account.or(self.account.as_deref())?, &self.region()?))
    }

    /// The region; `None` where only the machine itself knows it.
    pub(in crate::commands) fn region(&self) -> Option<String> {
        let configured = self.settings.region().ok().flatten().filter(|region| !region.is_empty());
        configured.or_else(|| self.settings.local().then(|| registry::LOOPBACK_REGION.to_owned()))
    }

    /// Returns whether calls are rate-limited: at AWS, not on this machine.
    pub(in crate::commands) fn is_rate_limited(&self) -> bool {
        self.rate_limiter.is_limiting()
    }

    /// Returns whether the registry is Amazon ECR Public.
    pub(in crate::commands) fn is_public(&self) -> bool {
        self.public.is_some()
    }

    /// Display name for messages, which tells apart the registries of one command.
    pub(in crate::commands) fn name(&self) -> String {
        let profile = self.settings.globals().profile.as_ref().map(|profile| format!("profile {profile}"));
        let parts = [profile, self.host.clone().or_else(|| self.region())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Calls an operation, again if the service was busy or the network failed. The account is added to the input.
    pub(in crate::commands) async fn call(
        &self,
        operation: &'static str,
        mut input: Value,
    ) -> Result<Value, service::Error> {
        if let Some(account) = self.account.as_deref().filter(|_| self.takes_account(operation)) {
            input["registryId"] = json!(account);
        }
        if let Some(public) = &self.public {
            public.to_service(&self.client, operation, &mut input).await?;
        }
        let mut failures = 0;
        loop {
            self.rate_limiter.wait(operation).await;
            let mut error = match self.client.call(operation, input.clone()).await {
                Ok(mut answer) => {
                    if let Some(public) = &self.public {
                        public.restore(&mut answer);
                    }
                    return whole(operation, answer);
                }
                Err(error) => error,
            };
            failures += 1;
            if let service::Error::Refused(refused) = &mut error {
                refused.retries = (failures > 1 && failures >= self.attempts).then(|| failures - 1);
            }
            let passing = Passing::of(&error);
            if passing == Some(Passing::Throttled) {
                self.rate_limiter.throttled(operation);
            }
            if passing.is_none() || failures >= self.attempts {
                return Err(error);
            }
            tokio::time::sleep(self.backoff.wait_with_jitter(failures)).await;
        }
    }

    /// Returns the registry's scanning configuration; `None` if the right to read it is missing.
    pub(in crate::commands) async fn scanning_configuration(&self) -> Option<Value> {
        let mut answer = self.call("GetRegistryScanningConfiguration", json!({})).await.ok()?;
        // The operation answers for the caller's own registry, whichever is asked about.
        let is_own = self.account().is_none_or(|account| answer["registryId"] == account);
        is_own.then(|| answer["scanningConfiguration"].take())
    }

    fn takes_account(&self, operation: &str) -> bool {
        let service = self.client.service();
        let input = service.operation(operation).and_then(|operation| service.input(operation));
        input.is_some_and(|shape| shape.members.contains_key("registryId"))
    }
}

/// Kind of an error that another attempt may overcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    Throttled,
    Failed,
}

impl Passing {
    fn of(error: &service::Error) -> Option<Self> {
        if let service::Error::Transport(_) = error {
            return Some(Self::Failed);
        }
        let refusal = error.refusal()?;
        let throttled = refusal.code.contains("Throttl")
            || matches!(
                refusal.code.as_str(),
                "TooManyRequestsException" | "RequestLimitExceeded" | "SlowDown"
            );
        match refusal.status {
            _ if throttled => Some(Self::Throttled),
            500 | 502 | 503 | 504 => Some(Self::Failed),
            _ => None,
        }
    }
}

/// An answer with the list that it has to have. One that was cut off reads as an empty structure, as in botocore, and
/// must not count as "there is none".
fn whole(operation: &'static str, answer: Value) -> Result<Value, service::Error> {
    let member = match operation {
        "DescribeImages" => "imageDetails",
        "DescribeRepositories" => "repositories",
        "ListImages" => "imageIds",
        _ => return Ok(answer),
    };
    if answer.get(member).is_some_and(Value::is_array) {
        return Ok(answer);
    }
    Err(service::Error::Transport(format!(
        "the service answered {operation} without {member}: the answer was cut off, or is not one of Amazon ECR"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_its_list_is_no_empty_list() {
        for operation in ["DescribeImages", "DescribeRepositories", "ListImages"] {
            assert!(whole(operation, json!({})).is_err(), "{operation}");
        }
        assert!(whole("DescribeImages", json!({"imageDetails": null})).is_err());
        let empty = json!({"imageDetails": []});
        assert!(whole("DescribeImages", empty.clone()).is_ok_and(|answer| answer == empty));
        assert!(whole("PutImage", json!({})).is_ok());
    }
}
