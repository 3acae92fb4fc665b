//! Pull through cache rules: the upstream of a repository, and whether it must be asked.

use rusqlite::{Connection, params};

use crate::image::Digest;
use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::local::Local;
use crate::local::core::registry_id::Scope;
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, Setting};
use crate::local::core::upstream::{
    FetchResults, PullThroughCacheRule, Rule, UpstreamErrorKind, UpstreamFetch, UpstreamItem, below,
    is_recent, length,
};

/// Rules of one registry.
pub(in crate::local) const MAX_RULES: i64 = 50;

/// The rules of a registry, by their prefixes.
fn rules(connection: &Connection, scope: &Scope) -> Result<Vec<(String, PullThroughCacheRule)>, Error> {
    let rules = Setting::list(connection, scope, Kind::PullThroughCacheRule, "", MAX_RULES)?;
    Ok(rules.into_iter().filter_map(|rule| rule.value().map(|value| (rule.name, value))).collect())
}

/// Every registry that has rules, once with each of their prefixes.
pub(in crate::local) fn registries_with_rules(
    connection: &Connection,
) -> Result<Vec<(Scope, String)>, Error> {
    let query = "SELECT account, region, name FROM setting WHERE service = 'ecr' AND kind = ?1";
    let mut statement = connection.prepare_cached(query)?;
    let rows = statement.query_map([Kind::PullThroughCacheRule.name()], |row| {
        let scope = Scope { service: "ecr", account: row.get(0)?, region: row.get(1)? };
        Ok((scope, row.get(2)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns whether a tag has to be looked up again: there is a rule for its repository, the last look-up is old, and
/// the registry was not unreachable a moment ago.
pub(in crate::local) fn is_due(
    local: &Local,
    connection: &Connection,
    scope: &Scope,
    repository: &str,
    looked_up_at: i64,
) -> Result<bool, Error> {
    if is_recent(looked_up_at) {
        return Ok(false);
    }
    let rule = Rule::of(connection, scope, repository)?;
    Ok(rule.is_some_and(|rule| !local.upstreams.is_unreachable(&rule.home)))
}

/// Returns the fetch that has to come before a list of an image's referrers: needed where there is a rule for the
/// repository, the last look-up is a day old, and the registry was not unreachable a moment ago.
pub(in crate::local) fn referrers(
    local: &Local,
    connection: &Connection,
    scope: &Scope,
    repository: &str,
    subject: &Digest,
) -> Result<Option<UpstreamFetch>, Error> {
    let Some(rule) = Rule::of(connection, scope, repository)? else { return Ok(None) };
    let (scope, repository) = (scope.clone(), repository.to_owned());
    let need =
        UpstreamFetch { scope, repository, rule, wanted: vec![UpstreamItem::Referrers(subject.clone())] };
    let is_due = !local.upstreams.is_unreachable(&need.rule.home)
        && !local.upstreams.referrers_looked_up_recently(&need);
    Ok(is_due.then_some(need))
}

/// The refusal of a request that lacks something: that it has to be fetched, or why it could not be. `None` where there
/// is no rule for the repository, or nothing of this name upstream.
pub(in crate::local) fn upstream_error_for(
    connection: &Connection,
    scope: &Scope,
    repository: &str,
    wanted: Vec<UpstreamItem>,
    fetch_results: Option<&FetchResults>,
) -> Result<Option<Error>, Error> {
    if let Some(fetch_results) = fetch_results {
        let mut failures = wanted.iter().filter_map(|wanted| fetch_results.failure(wanted));
        let failure = failures.find(|failure| failure.kind != UpstreamErrorKind::Missing);
        return Ok(failure.map(|failure| match failure.kind {
            UpstreamErrorKind::LocalStorage => Error::storage(&failure.reason),
            _ => Error::new(code(&wanted), &failure.reason),
        }));
    }
    let rule = if wanted.is_empty() { None } else { Rule::of(connection, scope, repository)? };
    let (scope, repository) = (scope.clone(), repository.to_owned());
    Ok(rule.map(|rule| UpstreamFetch { scope, repository, rule, wanted }.unmet()))
}

/// The kind of error where these are not to be had.
pub(in crate::local) fn code(wanted: &[UpstreamItem]) -> ErrorKind {
    match wanted.first() {
        Some(UpstreamItem::Layer(_)) => ErrorKind::UnableToGetUpstreamLayer,
        Some(UpstreamItem::Referrers(_)) => ErrorKind::UnableToListUpstreamImageReferrers,
        _ => ErrorKind::UnableToGetUpstreamImage,
    }
}

impl UpstreamFetch {
    /// Returns the error that names what has to be fetched.
    pub(in crate::local) fn unmet(self) -> Error {
        let text = format!("{} has to be asked first, and was not", self.rule.home);
        let code = code(&self.wanted);
        Error { need: Some(Box::new(self)), ..Error::new(code, text) }
    }
}

/// Returns when a tag was last put or looked up.
pub(in crate::local) fn looked_up_at(
    connection: &Connection,
    repository: &Repository,
    tag: &str,
) -> Result<i64, Error> {
    let query = "SELECT tagged_at FROM image_tag WHERE repository = ?1 AND name = ?2";
    Ok(connection.prepare_cached(query)?.query_row(params![repository.id, tag], |row| row.get(0))?)
}

impl Rule {
    /// The rule for a repository: the one with the longest prefix that its name has.
    pub(in crate::local) fn of(
        connection: &Connection,
        scope: &Scope,
        repository: &str,
    ) -> Result<Option<Self>, Error> {
        if scope.service != "ecr" {
            return Ok(None);
        }
        let rules = rules(connection, scope)?;
        let matching = rules.iter().filter_map(|(prefix, rule)| {
            Some((length(prefix), Self::read(rule, below(prefix, repository)?)?))
        });
        Ok(matching.max_by_key(|(length, _)| *length).map(|(_, rule)| rule))
    }
}

/// The only registry of the store that has a rule for a repository of this name.
pub(in crate::local) fn scope_of(connection: &Connection, repository: &str) -> Result<Option<Scope>, Error> {
    let mut found: Vec<Scope> = Vec::new();
    for (scope, prefix) in registries_with_rules(connection)? {
        if below(&prefix, repository).is_some() && !found.contains(&scope) {
            found.push(scope);
        }
    }
    Ok(if found.len() == 1 { found.pop() } else { None })
}
