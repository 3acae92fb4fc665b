//! Pull through cache: content that a repository lacks is fetched from the registry upstream of it, verified and
//! stored.

pub(in crate::local) mod cache;
pub(in crate::local) mod fetch;
pub(in crate::local) mod shared_fetch;

use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::local::core::error::Error;
use crate::local::core::local::Local;
use crate::local::core::upstream::{FetchResults, UpstreamFetch};

/// Fetches the items that a request needs; returns the failed ones with the reasons.
async fn settle(local: &Arc<Local>, need: &UpstreamFetch) -> FetchResults {
    let mut fetch_results = FetchResults::default();
    for wanted in &need.wanted {
        if let Err(failure) = local.upstreams.fetch(local, need, wanted).await {
            fetch_results.0.push((wanted.clone(), failure));
        }
    }
    fetch_results
}

/// Like [`settle`], for a thread that has no runtime to wait in, or must not wait in the one that it has.
fn settle_blocking(local: &Arc<Local>, need: &UpstreamFetch) -> Result<FetchResults, Error> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(settle(local, need)))
    };
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|_| Err(Error::storage("the embedded ECR failed on what is upstream")))
}

/// Error that may name an item to fetch from upstream before the request can be answered.
pub(in crate::local) trait NeedsUpstream {
    /// Takes the item to fetch; `None` if the error is final.
    fn take_need(&mut self) -> Option<Box<UpstreamFetch>>;
}

impl NeedsUpstream for Error {
    fn take_need(&mut self) -> Option<Box<UpstreamFetch>> {
        self.need.take()
    }
}

/// Attempts a request. If it needs something from upstream, fetches that and attempts the request a second time, with
/// what became of the fetch. Nothing is held meanwhile that other requests wait for: upstream may be this very server.
pub(in crate::local) async fn with_upstream<T, E: NeedsUpstream, F: Future<Output = Result<T, E>>>(
    local: &Arc<Local>,
    attempt: impl Fn(Option<FetchResults>) -> F,
) -> Result<T, E> {
    fetch_and_retry(attempt, async |need: Box<UpstreamFetch>| Ok(settle(local, &need).await)).await
}

/// Like [`with_upstream`], for a thread that may be blocked.
pub(in crate::local) fn with_upstream_blocking<T, E: NeedsUpstream + From<Error>>(
    local: &Arc<Local>,
    attempt: impl Fn(Option<FetchResults>) -> Result<T, E>,
) -> Result<T, E> {
    let attempt = |fetch_results| std::future::ready(attempt(fetch_results));
    let answered =
        fetch_and_retry(attempt, async |need: Box<UpstreamFetch>| Ok(settle_blocking(local, &need)?));
    // Neither of the two waits, so the future is ready when it is polled first.
    answered
        .now_or_never()
        .unwrap_or_else(|| Err(Error::storage("the embedded ECR waits for what is upstream").into()))
}

async fn fetch_and_retry<T, E: NeedsUpstream, F: Future<Output = Result<T, E>>>(
    attempt: impl Fn(Option<FetchResults>) -> F,
    fetch: impl AsyncFnOnce(Box<UpstreamFetch>) -> Result<FetchResults, E>,
) -> Result<T, E> {
    let first = attempt(None);
    let mut error = match first.await {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    match error.take_need() {
        None => Err(error),
        Some(need) => {
            let second = attempt(Some(fetch(need).await?));
            second.await
        }
    }
}
