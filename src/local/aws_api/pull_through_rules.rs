//! Pull through cache rules: which upstream registry stands behind which repositories.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use crate::image::Registry;
use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::responses::{self, invalid};
use crate::local::core::registry_id::Scope;
use crate::local::core::settings::{Kind, Setting};
use crate::local::core::upstream::{Rule, UpstreamFetch, UpstreamItem, UpstreamRegistry};
use crate::local::core::upstream_rules::MAX_RULES;

/// The upstream registries: their host, or the end of it after a star, and whether they ask for credentials.
const UPSTREAMS: [(&str, &str, bool); 9] = [
    ("ecr-public", "public.ecr.aws", false),
    ("quay", "quay.io", false),
    ("k8s", "registry.k8s.io", false),
    ("docker-hub", "registry-1.docker.io", true),
    ("github-container-registry", "ghcr.io", true),
    ("azure-container-registry", "*.azurecr.io", true),
    ("gitlab-container-registry", "registry.gitlab.com", true),
    ("chainguard", "cgr.dev", true),
    ("ecr", "*.dkr.ecr.*.amazonaws.com", false),
];

/// Upstream registry, parsed from its URL.
struct Upstream<'a> {
    /// AWS's name for it; one on this machine has a name only if the rule gives it one.
    name: Option<&'a str>,
    /// The registry needs credentials.
    asks: bool,
}

/// The upstream registry behind a host. Amazon ECR knows none on this machine; here one may stand in for any.
fn upstream<'a>(url: &str, given: Option<&'a str>) -> Option<Upstream<'a>> {
    let home = UpstreamRegistry::of_url(url)?;
    let host = url.strip_prefix("https://").unwrap_or(url);
    if let UpstreamRegistry::Remote { host, .. } = &home
        && matches!(Registry::of_host(host), Some(Registry::Loopback(_)))
    {
        return Some(Upstream { name: given, asks: false });
    }
    let known = |(_, glob, _): &&(&str, &str, bool)| crate::image::glob::matches_wildcard(glob, host);
    UPSTREAMS.iter().find(known).map(|(name, _, asks)| Upstream { name: Some(name), asks: *asks })
}

/// CreatePullThroughCacheRule
pub(in crate::local) fn create(call: &Call<'_>) -> Result<Value, ApiError> {
    let (scope, prefix) = (call.scope(), call.required("ecrRepositoryPrefix"));
    let url = call.required("upstreamRegistryUrl");
    let unsupported = |reason: &str| {
        let text = format!("The upstream registry '{url}' is not supported: {reason}");
        ApiError::new("UnsupportedUpstreamRegistryException", text)
    };
    let given = call.text("upstreamRegistry");
    let Upstream { name, asks } =
        upstream(url, given).ok_or_else(|| unsupported("no registry of this host is known"))?;
    if let Some(given) = given.filter(|given| Some(*given) != name) {
        return Err(unsupported(&format!("it is not the host of {given}")));
    }
    if asks && call.text("credentialArn").is_none() {
        return Err(invalid(format!("The upstream registry '{url}' requires a credentialArn")));
    }
    let mut rule = Map::new();
    rule.insert("upstreamRegistryUrl".to_owned(), json!(url));
    rule.extend(name.map(|name| ("upstreamRegistry".to_owned(), json!(name))));
    let prefix_there = call.text("upstreamRepositoryPrefix").unwrap_or("ROOT");
    rule.insert("upstreamRepositoryPrefix".to_owned(), json!(prefix_there));
    for member in ["credentialArn", "customRoleArn"] {
        rule.extend(call.text(member).map(|text| (member.to_owned(), json!(text))));
    }
    call.write(|transaction| {
        if Setting::get(transaction, &scope, Kind::PullThroughCacheRule, prefix)?.is_some() {
            let code = "PullThroughCacheRuleAlreadyExistsException";
            return Err(fault(code, prefix, "already exists", &scope));
        }
        let (kind, noun) = (Kind::PullThroughCacheRule, "pull through cache rules");
        Setting::check_count(transaction, &scope, kind, MAX_RULES, noun)?;
        Setting::put(transaction, &scope, kind, prefix, &rule, call.now)?;
        Ok(described(&scope, &find(transaction, &scope, prefix)?))
    })
}

/// UpdatePullThroughCacheRule
pub(in crate::local) fn update(call: &Call<'_>) -> Result<Value, ApiError> {
    let (scope, prefix) = (call.scope(), call.required("ecrRepositoryPrefix"));
    call.write(|transaction| {
        let mut rule: Value = find(transaction, &scope, prefix)?.value().unwrap_or_default();
        if call.text("credentialArn").is_none() && call.text("customRoleArn").is_none() {
            return Err(invalid("Either credentialArn or customRoleArn must be given"));
        }
        for member in ["credentialArn", "customRoleArn"] {
            if let Some(text) = call.text(member) {
                rule[member] = json!(text);
            }
        }
        Setting::put(transaction, &scope, Kind::PullThroughCacheRule, prefix, &rule, call.now)?;
        Ok(described(&scope, &find(transaction, &scope, prefix)?))
    })
}

/// DeletePullThroughCacheRule
pub(in crate::local) fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    let (scope, prefix) = (call.scope(), call.required("ecrRepositoryPrefix"));
    call.write(|transaction| {
        let rule = find(transaction, &scope, prefix)?;
        Setting::remove(transaction, &scope, Kind::PullThroughCacheRule, prefix)?;
        Ok(described(&scope, &rule))
    })
}

/// DescribePullThroughCacheRules
pub(in crate::local) fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "ecrRepositoryPrefixes")?;
    let scope = call.scope();
    call.read(|connection| {
        if call.list("ecrRepositoryPrefixes").is_some() {
            let prefixes = call.texts("ecrRepositoryPrefixes").into_iter();
            let rules = prefixes.map(|prefix| Ok(described(&scope, &find(connection, &scope, prefix)?)));
            return Ok(json!({ "pullThroughCacheRules": rules.collect::<Result<Vec<_>, ApiError>>()? }));
        }
        let after = page.after.as_ref().and_then(Value::as_str).unwrap_or_default();
        let rules = Setting::list(connection, &scope, Kind::PullThroughCacheRule, after, page.fetch())?;
        let entries = rules.iter().map(|rule| (json!(rule.name), described(&scope, rule))).collect();
        Ok(page.answer("pullThroughCacheRules", entries))
    })
}

/// ValidatePullThroughCacheRule: asks the registry whether it accepts the login.
pub(in crate::local) fn validate(call: &Call<'_>) -> Result<Value, ApiError> {
    let (scope, prefix) = (call.scope(), call.required("ecrRepositoryPrefix"));
    call.read(|connection| {
        let setting = find(connection, &scope, prefix)?;
        let mut answer = described(&scope, &setting);
        let Some(fetch_results) = call.fetch_results else {
            let rule = setting.value().and_then(|rule| Rule::read(&rule, "validation"));
            let rule = rule.ok_or_else(|| ApiError::server("no such rule"))?;
            let (scope, repository) = (scope.clone(), prefix.to_owned());
            return Err(UpstreamFetch { scope, repository, rule, wanted: vec![UpstreamItem::Access] }
                .unmet()
                .into());
        };
        let failure = fetch_results.failure(&UpstreamItem::Access);
        answer["isValid"] = json!(failure.is_none());
        if let Some(failure) = failure {
            answer["failure"] = json!(failure.reason);
        }
        Ok(answer)
    })
}

fn find(connection: &Connection, scope: &Scope, prefix: &str) -> Result<Setting, ApiError> {
    let found = Setting::get(connection, scope, Kind::PullThroughCacheRule, prefix)?;
    found.ok_or_else(|| fault("PullThroughCacheRuleNotFoundException", prefix, "does not exist", scope))
}

fn fault(code: &str, prefix: &str, what: &str, scope: &Scope) -> ApiError {
    let account = &scope.account;
    let rule = format!("The pull through cache rule with Amazon ECR repository prefix '{prefix}'");
    ApiError::new(code, format!("{rule} {what} in the registry with id '{account}'"))
}

fn described(scope: &Scope, rule: &Setting) -> Value {
    let members = [("ecrRepositoryPrefix", json!(rule.name)), ("registryId", json!(scope.account))];
    responses::described(rule, &members)
}
