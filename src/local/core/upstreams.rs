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
const LISTED: usize = 10_000;

pub(in crate::local) type SharedFetch = Shared<BoxFuture<'static, Result<(), UpstreamError>>>;

/// Fetches in progress, and the access to the registries upstream.
pub(in crate::local) struct Upstreams {
    reach: UpstreamAccess,
    pub(in crate::local) flights: Mutex<HashMap<String, SharedFetch>>,
    /// The registries that could not be reached, and since when.
    pub(in crate::local) silent: Mutex<HashMap<String, Instant>>,
    /// Times at which the referrers of images were looked up, in milliseconds since 1970.
    listed: Mutex<HashMap<String, i64>>,
    pub(in crate::local) places: Semaphore,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self::new(UpstreamAccess::default())
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstreams").field("reach", &self.reach).finish_non_exhaustive()
    }
}

pub(in crate::local) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstreams {
    pub(in crate::local) fn new(reach: UpstreamAccess) -> Self {
        let places = Semaphore::new(FETCHES);
        let (flights, silent, listed) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { reach, flights, silent, listed, places }
    }

    pub(in crate::local) fn reach(&self) -> &UpstreamAccess {
        &self.reach
    }

    /// Returns whether this registry was unreachable a moment ago.
    pub(in crate::local) fn is_silent(&self, home: &UpstreamRegistry) -> bool {
        locked(&self.silent).get(&home.to_string()).is_some_and(|since| since.elapsed() < PAUSE)
    }

    /// Returns whether the image's referrers were looked up within a day.
    pub(in crate::local) fn has_listed(&self, need: &UpstreamFetch) -> bool {
        locked(&self.listed).get(&key(need, &need.wanted[0])).is_some_and(|at| is_recent(*at))
    }

    pub(in crate::local) fn note(&self, key: String) {
        let mut listed = locked(&self.listed);
        if listed.len() >= LISTED {
            listed.clear();
        }
        listed.insert(key, time::now());
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
