//! One fetch for all who want the same at the same time, and pauses for registries that do not answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

use super::fetch::fetch;
use super::{Failure, Need, Reach, Trouble, Wanted, is_fresh};
use crate::local::{Local, time};

/// Fetches at one time; each holds a few MiB.
const FETCHES: usize = 8;
/// A registry that could not be reached is not asked again for what is here already before so much time has passed.
const PAUSE: Duration = Duration::from_mins(1);
/// Images of which it is remembered that what is about them was looked up.
const LISTED: usize = 10_000;

type Flight = Shared<BoxFuture<'static, Result<(), Failure>>>;

/// What is being fetched, and how.
pub(in crate::local) struct Upstreams {
    reach: Reach,
    flights: Mutex<HashMap<String, Flight>>,
    /// The registries that could not be reached, and since when.
    silent: Mutex<HashMap<String, Instant>>,
    /// What is about which images was looked up, and when.
    listed: Mutex<HashMap<String, i64>>,
    places: Semaphore,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self::new(Reach::default())
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstreams").field("reach", &self.reach).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a fetch off the list however it ends.
struct Landing(Arc<Local>, String);

impl Drop for Landing {
    fn drop(&mut self) {
        locked(&self.0.upstreams.flights).remove(&self.1);
    }
}

impl Upstreams {
    pub(in crate::local) fn new(reach: Reach) -> Self {
        let places = Semaphore::new(FETCHES);
        let (flights, silent, listed) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { reach, flights, silent, listed, places }
    }

    pub(in crate::local) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whether this registry could not be reached just now.
    pub(in crate::local) fn is_silent(&self, home: &super::Home) -> bool {
        locked(&self.silent).get(&home.to_string()).is_some_and(|since| since.elapsed() < PAUSE)
    }

    /// Whether it was looked up within a day what is about the image that is needed.
    pub(in crate::local) fn has_listed(&self, need: &Need) -> bool {
        locked(&self.listed).get(&key(need, &need.wanted[0])).is_some_and(|at| is_fresh(*at))
    }

    fn note(&self, key: String) {
        let mut listed = locked(&self.listed);
        if listed.len() >= LISTED {
            listed.clear();
        }
        listed.insert(key, time::now());
    }

    /// Fetches one thing, or waits for who does so already. It goes on where nobody waits any longer: whoever asks
    /// again finds more of it here.
    pub(in crate::local) async fn fetch(
        &self,
        local: &Arc<Local>,
        need: &Need,
        wanted: &Wanted,
    ) -> Result<(), Failure> {
        let key = key(need, wanted);
        let flight = {
            let mut flights = locked(&self.flights);
            let known = flights.get(&key).cloned();
            known.unwrap_or_else(|| {
                let flight = depart(Arc::clone(local), need.clone(), wanted.clone(), key.clone());
                flights.insert(key, flight.clone());
                flight
            })
        };
        flight.await
    }
}

fn key(need: &Need, wanted: &Wanted) -> String {
    format!("{:?} {} {:?} {wanted:?}", need.scope, need.repository, need.rule)
}

/// Begins a fetch. The list of fetches is locked meanwhile, so it cannot land before it is there.
fn depart(local: Arc<Local>, need: Need, wanted: Wanted, key: String) -> Flight {
    let task = tokio::spawn(async move {
        let landing = Landing(local, key);
        let upstreams = &landing.0.upstreams;
        let _place = upstreams.places.acquire().await;
        let done = fetch(&landing.0, &need, &wanted).await;
        let is_silent = matches!(&done, Err(Failure { kind: Trouble::Unavailable, .. }));
        let home = need.rule.home.to_string();
        if is_silent {
            locked(&upstreams.silent).insert(home, Instant::now());
        } else {
            locked(&upstreams.silent).remove(&home);
        }
        let is_listed = matches!(&done, Ok(()) | Err(Failure { kind: Trouble::Missing, .. }));
        if is_listed && matches!(wanted, Wanted::Referrers(_)) {
            upstreams.note(landing.1.clone());
        }
        done
    });
    let failed = |_| Err(Failure::new(Trouble::Here, "the embedded ECR failed on what is upstream"));
    task.map(move |done| done.unwrap_or_else(failed)).boxed().shared()
}
