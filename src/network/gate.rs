//! Limit of the requests to a server that are in flight at once.
//!
//! There is none until a proxy, a firewall or a server with few workers turns out to let only a few connections
//! through: it keeps further connections waiting until one ends, or closes them at once. Then as many requests are in
//! flight as connections came up. A connection that no request waits for is closed, so that those to another host get
//! through.
//!
//! A slow server is no reason for a limit. The signs of one are:
//! - Connections (with TLS) that do not come up although others did.
//! - Hedged requests whose second attempt, on a connection that is known to work, is answered before the first.
//! - Connections that are closed without an answer, many at a time.
//!
//! The limit may be a mistake, or pass: it doubles after some answers. To find it out takes about 0.3 s, once: three
//! hedged requests one after another.

mod connector;
mod state;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, watch};

pub use self::connector::{Connector, ConnectorLayer, GivenUp};
use self::state::{Limit, State};

/// Limit of the attempts of a request within the gate.
const ATTEMPTS: usize = 6;
/// Time that a request in flight has left for its answer when a limit is set.
const GRACE: Duration = Duration::from_millis(20);
/// Shortest time between two looks whether to hedge a request.
const INTERVAL: Duration = Duration::from_millis(10);
/// Time in which other requests in flight are lost as well where there is a limit.
const OTHERS: Duration = Duration::from_millis(10);

/// Reason that a request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// There was no connection.
    Unsent,
    /// The connection was closed.
    Broken,
}

/// An error of a request.
pub trait Lost {
    /// Returns how the request was lost on its way, or `None` if it failed otherwise.
    fn loss(&self) -> Option<Loss>;
}

/// Properties of a request that decide how it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestKind {
    /// It may be sent twice: it is small, and only asks, or begins something that may be left alone.
    pub is_repeatable: bool,
    /// It goes without TLS. Then a connection looks open before the server has accepted it.
    pub is_plain: bool,
}

/// Sends the requests to one server, within its limit.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    /// Tells requests in flight and connections that are being made that there is a limit now.
    limited: watch::Sender<()>,
    /// Requests are hedged one at a time.
    hedge: tokio::sync::Mutex<()>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            limited: watch::Sender::new(()),
            hedge: tokio::sync::Mutex::default(),
        }
    }
}

/// A request in flight; it is counted until it is dropped.
struct InFlight<'a>(&'a Gate);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state().leave();
    }
}

/// Permission to send a request under a limit.
struct Permit {
    limit: Arc<Limit>,
    _permit: OwnedSemaphorePermit,
}

impl Gate {
    /// Sends a request in as many attempts as it takes. `attempt` makes one; its argument says to close the connection
    /// afterwards.
    pub async fn pass<T, E, F>(&self, kind: RequestKind, attempt: impl Fn(bool) -> F) -> Result<T, E>
    where
        E: Lost,
        F: Future<Output = Result<T, E>>,
    {
        self.state().enter();
        let _flight = InFlight(self);
        for _ in 0..ATTEMPTS {
            let limited = self.limited.subscribe();
            let answer = match self.acquire().await {
                Some(permit) => self.send_limited(permit, kind, &attempt).await,
                None => self.send_unlimited(kind, &attempt, limited).await,
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
        attempt(false).await
    }

    /// Sends a request without a limit. Returns `None` if it has to be sent again under one.
    async fn send_unlimited<T, E, F>(
        &self,
        kind: RequestKind,
        attempt: impl Fn(bool) -> F,
        mut limited: watch::Receiver<()>,
    ) -> Option<Result<T, E>>
    where
        E: Lost,
        F: Future<Output = Result<T, E>>,
    {
        let begun = Instant::now();
        let mut first = pin!(attempt(false));
        let answer = tokio::select! {
            biased;
            answer = &mut first => answer,
            answer = self.send_hedged(kind, begun, &attempt) => {
                if self.state().hedge_won() {
                    self.announce();
                }
                return Some(Ok(answer));
            }
            _ = limited.changed(), if kind.is_repeatable => match tokio::time::timeout(GRACE, &mut first).await {
                Ok(answer) => answer,
                Err(_) => return None,
            },
        };
        match answer.as_ref().err().map(Lost::loss) {
            None => self.state().answered(begun.elapsed()),
            Some(Some(loss)) if kind.is_repeatable || loss == Loss::Unsent => {
                if self.is_lost_to_limit().await {
                    return None;
                }
            }
            Some(_) => {}
        }
        Some(answer)
    }

    /// Sends a request a second time when it has waited far longer than others. Never ends where that brings no answer.
    async fn send_hedged<T, E, F>(&self, kind: RequestKind, begun: Instant, attempt: impl Fn(bool) -> F) -> T
    where
        F: Future<Output = Result<T, E>>,
    {
        if !kind.is_repeatable || !kind.is_plain {
            std::future::pending::<()>().await;
        }
        loop {
            let delay = self.state().hedge_delay();
            tokio::time::sleep(delay.saturating_sub(begun.elapsed()).max(INTERVAL)).await;
            let _one = self.hedge.lock().await;
            if self.state().begin_hedge()
                && let Ok(Ok(answer)) = tokio::time::timeout(delay, attempt(false)).await
            {
                return answer;
            }
        }
    }

    /// Sends a request under a limit. Returns `None` if it has to be sent again.
    async fn send_limited<T, E, F>(
        &self,
        permit: Permit,
        kind: RequestKind,
        attempt: impl Fn(bool) -> F,
    ) -> Option<Result<T, E>>
    where
        E: Lost,
        F: Future<Output = Result<T, E>>,
    {
        let begun = Instant::now();
        let timeout = self.state().limited_timeout();
        let mut sent = pin!(attempt(self.state().is_connection_spare(&permit.limit)));
        let answer = match tokio::time::timeout(timeout, &mut sent).await {
            Ok(answer) => answer,
            Err(_) if kind.is_repeatable && self.state().halve(&permit.limit) => return None,
            Err(_) => sent.await,
        };
        match answer.as_ref().err().map(Lost::loss) {
            None => self.state().answered_limited(&permit.limit, begun.elapsed()),
            Some(Some(loss)) if kind.is_repeatable || loss == Loss::Unsent => {
                let wait = self.state().lost_limited(&permit.limit);
                if let Some(wait) = wait {
                    // What was given up at the other end takes a moment to be noticed in between.
                    tokio::time::sleep(wait).await;
                    return None;
                }
            }
            Some(_) => {}
        }
        Some(answer)
    }

    /// Waits until the limit permits a request. Returns `None` if there is no limit.
    async fn acquire(&self) -> Option<Permit> {
        loop {
            let limit = self.state().limit()?;
            if let Some(permit) = limit.acquire().await {
                return Some(Permit { limit, _permit: permit });
            }
        }
    }

    /// Counts a lost request. Returns true if a limit is the reason, so that it has to be sent again.
    async fn is_lost_to_limit(&self) -> bool {
        let mut limited = self.limited.subscribe();
        let verdict = self.state().lost();
        match verdict {
            Some(true) => {
                self.announce();
                true
            }
            Some(false) => true,
            None if self.state().are_few_in_flight() => false,
            None => tokio::time::timeout(OTHERS, limited.changed()).await.is_ok(),
        }
    }

    fn announce(&self) {
        self.limited.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
