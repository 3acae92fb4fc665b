//! State of the upstream registries: current fetches, unreachable registries, and access to them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

use crate::local::core::upstream::{UpstreamError, UpstreamFetch, UpstreamItem, UpstreamRegistry, is_recent};
use crate::local::store::time;
use crate::store::registry::{Login, Network};

/// Limit of concurrent fetches; each holds a few MiB.
const FETCHES: usize = 8;

/// Time during which an unreachable registry is not asked again for content that is present already.
const PAUSE: Duration = Duration::from_mins(1);

/// Limit of the images whose look-up of referrers is remembered.
const MAX_REFERRER_LOOKUPS: usize = 10_000;

pub(in crate::local) type SharedFetch = Shared<BoxFuture<'static, Result<(), UpstreamError>>>;

/// Fetches in progress, and the access to the registries upstream.
pub(in crate::local) struct Upstreams {
    access: UpstreamAccess,
    pub(in crate::local) running_fetches: Mutex<HashMap<String, SharedFetch>>,
    /// The registries that could not be reached, and since when.
    pub(in crate::local) unreachable: Mutex<HashMap<String, Instant>>,
    /// Times at which the referrers of images were looked up, in milliseconds since 1970.
    referrer_lookups: Mutex<HashMap<String, i64>>,
    /// Limits the concurrent fetches to [`FETCHES`].
    pub(in crate::local) fetch_permits: Semaphore,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self::new(UpstreamAccess::default())
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstreams").field("access", &self.access).finish_non_exhaustive()
    }
}

pub(in crate::local) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstreams {
    pub(in crate::local) fn new(access: UpstreamAccess) -> Self {
        let fetch_permits = Semaphore::new(FETCHES);
        let (running_fetches, unreachable, referrer_lookups) =
            (Mutex::default(), Mutex::default(), Mutex::default());
        Self { access, running_fetches, unreachable, referrer_lookups, fetch_permits }
    }

    pub(in crate::local) fn access(&self) -> &UpstreamAccess {
        &self.access
    }

    /// Returns whether this registry was unreachable a moment ago.
    pub(in crate::local) fn is_unreachable(&self, registry: &UpstreamRegistry) -> bool {
        locked(&self.unreachable).get(&registry.to_string()).is_some_and(|since| since.elapsed() < PAUSE)
    }

    /// Returns whether the image's referrers were looked up within a day.
    pub(in crate::local) fn referrers_looked_up_recently(&self, need: &UpstreamFetch) -> bool {
        locked(&self.referrer_lookups).get(&key(need, &need.wanted[0])).is_some_and(|at| is_recent(*at))
    }

    /// Records that the referrers of this fetch were looked up now.
    pub(in crate::local) fn record_referrer_lookup(&self, key: String) {
        let mut referrer_lookups = locked(&self.referrer_lookups);
        if referrer_lookups.len() >= MAX_REFERRER_LOOKUPS {
            referrer_lookups.clear();
        }
        referrer_lookups.insert(key, time::now());
    }
}

pub(in crate::local) fn key(need: &UpstreamFetch, wanted: &UpstreamItem) -> String {
    format!("{:?} {} {:?} {wanted:?}", need.scope, need.repository, need.rule)
}

/// Access to upstream registries.
#[derive(Clone, Default)]
pub struct UpstreamAccess {
    /// Finds the login for a host, which stands for the secret of a rule's `credentialArn`: this machine has no AWS
    /// Secrets Manager.
    pub login: Option<FindLogin>,
    /// The network.
    pub network: Network,
}

/// Finds the login for a host; `None` where there is none, the reason where it cannot be had.
pub type FindLogin = Arc<dyn Fn(&str) -> Result<Option<Login>, String> + Send + Sync>;

impl fmt::Debug for UpstreamAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UpstreamAccess").field("network", &self.network).finish_non_exhaustive()
    }
}
