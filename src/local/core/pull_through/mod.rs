//! Pull through cache: what a repository lacks is fetched from the registry upstream of it, verified and kept.
//!
//! A handler that lacks something which a rule provides for refuses with a [`Need`]. Whoever asked it then has the need
//! settled, outside of every lock and turn, and asks again. What many want at once is fetched once.

mod fetch;
mod flight;
mod rules;
mod store;

use std::fmt;
use std::sync::Arc;

use rusqlite::Connection;

use crate::image::{Digest, Name};
use crate::local::call::Scope;
use crate::local::core::RepositoryRef;
use crate::local::{Fault, Local, time};
use crate::store::registry::{Login, Network};

pub(in crate::local) use flight::Upstreams;
pub(in crate::local) use rules::{Home, Rule, scope_of};
pub(in crate::local) use store::looked_up_at;

/// A tag is looked up upstream again after so many milliseconds: a day, as Amazon ECR does.
const FRESH: i64 = 24 * 60 * 60 * 1000;

/// What a policy must let a caller do whose pull makes something come from upstream.
pub(in crate::local) const ACTION: &str = "BatchImportUpstreamImage";

/// How upstream registries are reached.
#[derive(Clone, Default)]
pub struct Reach {
    /// Finds the login for a host, which stands for the secret of a rule's `credentialArn`: this machine has no AWS
    /// Secrets Manager.
    pub login: Option<FindLogin>,
    /// The network.
    pub network: Network,
}

/// Finds the login for a host; `None` where there is none, the reason where it cannot be had.
pub type FindLogin = Arc<dyn Fn(&str) -> Result<Option<Login>, String> + Send + Sync>;

impl fmt::Debug for Reach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reach").field("network", &self.network).finish_non_exhaustive()
    }
}

/// What has to be fetched before a request can be answered.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::local) struct Need {
    /// The registry here.
    pub(in crate::local) scope: Scope,
    /// The repository here.
    pub(in crate::local) repository: String,
    /// What provides for it.
    pub(in crate::local) rule: Rule,
    /// What is wanted.
    pub(in crate::local) wanted: Vec<Wanted>,
}

/// One thing that is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum Wanted {
    /// An image with everything that it lists.
    Image(Name),
    /// One blob.
    Layer(Digest),
    /// What is about an image, with everything that it lists.
    Referrers(Digest),
    /// Nothing but the knowledge that the registry lets us in.
    Access,
}

/// Why something could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Failure {
    pub(in crate::local) kind: Trouble,
    pub(in crate::local) reason: String,
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum Trouble {
    /// Upstream does not have it.
    Missing,
    /// Upstream does not let us in.
    Denied,
    /// Upstream has had enough of us.
    Throttled,
    /// Upstream cannot be reached, or does not make sense.
    Unavailable,
    /// This machine cannot keep it.
    Here,
}

impl Failure {
    fn new(kind: Trouble, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// The `failureCode` of an image.
    pub(in crate::local) fn code(&self) -> &'static str {
        match self.kind {
            Trouble::Missing => "ImageNotFound",
            Trouble::Denied => "UpstreamAccessDenied",
            Trouble::Throttled => "UpstreamTooManyRequests",
            Trouble::Unavailable | Trouble::Here => "UpstreamUnavailable",
        }
    }
}

/// What became of a need: what could not be fetched, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::local) struct Settled(Vec<(Wanted, Failure)>);

impl Settled {
    /// Why this one was not fetched; `None` where it was, or was not tried.
    pub(in crate::local) fn failure(&self, wanted: &Wanted) -> Option<&Failure> {
        self.0.iter().find(|(each, _)| each == wanted).map(|(_, failure)| failure)
    }
}

/// Whether an operation may find that something has to be fetched.
pub(in crate::local) fn may_need(operation: &str) -> bool {
    matches!(
        operation,
        "BatchGetImage" | "GetDownloadUrlForLayer" | "ListImageReferrers" | "ValidatePullThroughCacheRule"
    )
}

/// Whether what was looked up then need not be looked up again.
pub(in crate::local) fn is_fresh(looked_up_at: i64) -> bool {
    time::now() - looked_up_at < FRESH
}

/// Whether a tag that was looked up then has to be looked up again: where there is a rule for its repository, and the
/// registry was not out of reach a moment ago.
pub(in crate::local) fn is_due(
    local: &Local,
    connection: &Connection,
    scope: &Scope,
    repository: &str,
    looked_up_at: i64,
) -> Result<bool, Fault> {
    if is_fresh(looked_up_at) {
        return Ok(false);
    }
    let rule = Rule::of(connection, scope, repository)?;
    Ok(rule.is_some_and(|rule| !local.upstreams.is_silent(&rule.home)))
}

/// What has to be fetched before it can be said what is about an image: something, where there is a rule for the
/// repository and it was not looked up within a day, nor was the registry out of reach a moment ago.
pub(in crate::local) fn referrers(
    local: &Local,
    connection: &Connection,
    scope: &Scope,
    repository: &str,
    subject: &Digest,
) -> Result<Option<Need>, Fault> {
    let Some(rule) = Rule::of(connection, scope, repository)? else { return Ok(None) };
    let (scope, repository) = (scope.clone(), repository.to_owned());
    let need = Need { scope, repository, rule, wanted: vec![Wanted::Referrers(subject.clone())] };
    let is_due = !local.upstreams.is_silent(&need.rule.home) && !local.upstreams.has_listed(&need);
    Ok(is_due.then_some(need))
}

/// The refusal of a request that lacks something: that it has to be fetched, or why it could not be. `None` where there
/// is no rule for the repository, or nothing of this name upstream.
pub(in crate::local) fn instead(
    connection: &Connection,
    scope: &Scope,
    repository: &str,
    wanted: Vec<Wanted>,
    settled: Option<&Settled>,
) -> Result<Option<Fault>, Fault> {
    if let Some(settled) = settled {
        let mut failures = wanted.iter().filter_map(|wanted| settled.failure(wanted));
        let failure = failures.find(|failure| failure.kind != Trouble::Missing);
        return Ok(failure.map(|failure| match failure.kind {
            Trouble::Here => Fault::server(&failure.reason),
            _ => Fault::new(code(&wanted), &failure.reason),
        }));
    }
    let rule = if wanted.is_empty() { None } else { Rule::of(connection, scope, repository)? };
    let (scope, repository) = (scope.clone(), repository.to_owned());
    Ok(rule.map(|rule| Need { scope, repository, rule, wanted }.unmet()))
}

/// The code of the refusal where these are not to be had.
fn code(wanted: &[Wanted]) -> &'static str {
    match wanted.first() {
        Some(Wanted::Layer(_)) => "UnableToGetUpstreamLayerException",
        Some(Wanted::Referrers(_)) => "UnableToListUpstreamImageReferrersException",
        _ => "UnableToGetUpstreamImageException",
    }
}

impl Need {
    /// The repository here.
    pub(in crate::local) fn reference(&self) -> RepositoryRef {
        RepositoryRef { scope: self.scope.clone(), name: self.repository.clone() }
    }

    /// The refusal that says what has to be fetched.
    pub(in crate::local) fn unmet(self) -> Fault {
        let text = format!("{} has to be asked first, and was not", self.rule.home);
        let code = code(&self.wanted);
        Fault { need: Some(Box::new(self)), ..Fault::new(code, text) }
    }
}

/// Fetches what is needed.
pub(in crate::local) async fn settle(local: &Arc<Local>, need: &Need) -> Settled {
    let mut settled = Settled::default();
    for wanted in &need.wanted {
        if let Err(failure) = local.upstreams.fetch(local, need, wanted).await {
            settled.0.push((wanted.clone(), failure));
        }
    }
    settled
}

/// The same for who has no runtime to wait in, or must not wait in the one there is.
pub(in crate::local) fn settle_now(local: &Arc<Local>, need: &Need) -> Result<Settled, Fault> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(settle(local, need)))
    };
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|_| Err(Fault::server("the embedded ECR failed on what is upstream")))
}
