//! Pull through cache: what a repository lacks is fetched from the registry upstream of it, verified and kept.

pub(in crate::local) mod cache;
pub(in crate::local) mod fetch;
pub(in crate::local) mod flight;

use std::sync::Arc;

use crate::local::core::error::Fault;
use crate::local::core::local::Local;
use crate::local::core::upstream::{Need, Settled};

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
