//! Shared fetches: one for all concurrent requests of the same item, and pauses for registries that do not answer.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;

use crate::local::core::local::Local;
use crate::local::core::upstream::{UpstreamError, UpstreamErrorKind, UpstreamFetch, UpstreamItem};
use crate::local::core::upstreams::{SharedFetch, Upstreams, key, locked};
use crate::local::pull_through::fetch::fetch;

/// Removes a running fetch from the list of running fetches when dropped, however the fetch ended.
struct SharedFetchGuard(Arc<Local>, String);

impl Drop for SharedFetchGuard {
    fn drop(&mut self) {
        locked(&self.0.upstreams.running_fetches).remove(&self.1);
    }
}

impl Upstreams {
    /// Fetches one item, or waits for another request that does so already. It goes on where nobody waits any longer:
    /// whoever asks again finds more of it here.
    pub(in crate::local) async fn fetch(
        &self,
        local: &Arc<Local>,
        need: &UpstreamFetch,
        wanted: &UpstreamItem,
    ) -> Result<(), UpstreamError> {
        let key = key(need, wanted);
        let fetching = {
            let mut running_fetches = locked(&self.running_fetches);
            let known = running_fetches.get(&key).cloned();
            known.unwrap_or_else(|| {
                let fetching = start_fetch(Arc::clone(local), need.clone(), wanted.clone(), key.clone());
                running_fetches.insert(key, fetching.clone());
                fetching
            })
        };
        fetching.await
    }
}

/// Begins a fetch. The list of fetches is locked meanwhile, so it cannot end before it is listed.
fn start_fetch(local: Arc<Local>, need: UpstreamFetch, wanted: UpstreamItem, key: String) -> SharedFetch {
    let task = tokio::spawn(async move {
        let guard = SharedFetchGuard(local, key);
        let upstreams = &guard.0.upstreams;
        let _permit = upstreams.fetch_permits.acquire().await;
        let done = fetch(&guard.0, &need, &wanted).await;
        let is_unreachable = matches!(&done, Err(UpstreamError { kind: UpstreamErrorKind::Unavailable, .. }));
        let home = need.rule.home.to_string();
        if is_unreachable {
            locked(&upstreams.unreachable).insert(home, Instant::now());
        } else {
            locked(&upstreams.unreachable).remove(&home);
        }
        let is_listed = matches!(&done, Ok(()) | Err(UpstreamError { kind: UpstreamErrorKind::Missing, .. }));
        if is_listed && matches!(wanted, UpstreamItem::Referrers(_)) {
            upstreams.record_referrer_lookup(guard.1.clone());
        }
        done
    });
    let failed = |_| {
        Err(UpstreamError::new(
            UpstreamErrorKind::LocalStorage,
            "the embedded ECR failed on what is upstream",
        ))
    };
    task.map(move |done| done.unwrap_or_else(failed)).boxed().shared()
}
