//! How many requests go to a server at once.
//!
//! As many as are asked for, until it turns out that what is in between lets only a few connections through: a proxy,
//! a firewall, a server with few workers. Further connections wait there for one that ends, or are closed at once. Then
//! no more requests are made at once than connections came up, each when its turn has come, and connections that
//! nobody waits for are closed, so that those to another host get through.
//!
//! What tells is never time alone, which is the same where a server is slow:
//! - Connections (with TLS) that do not come up although others did.
//! - Requests without an answer whose second attempt, on a connection that is known to work, is answered before them.
//! - Connections that are closed without an answer, many at a time.
//!
//! It may be a mistake, or pass. So after some requests twice as many may go at once.

mod connector;
mod state;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, watch};

pub use self::connector::{Connector, ConnectorLayer, GivenUp};
use self::state::{State, Turns};

/// How often a request is sent within the gate at most.
const ATTEMPTS: usize = 6;
/// How long a request that was sent before connections turned out to be few may still be answered.
const GRACE: Duration = Duration::from_millis(20);
/// How often it is looked whether a second attempt makes sense.
const GLANCE: Duration = Duration::from_millis(10);
/// How long it takes until it is known whether the others were lost as well.
const VERDICT: Duration = Duration::from_millis(10);

/// How a request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// There was no connection.
    Unsent,
    /// The connection was closed.
    Broken,
}

/// An error of a request.
pub trait Lost {
    /// Whether the request was lost on its way, and how; `None` where it failed otherwise.
    fn loss(&self) -> Option<Loss>;
}

/// What matters of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Whether it may be sent twice: it is small, and only asks, or begins something that may be left alone.
    pub is_repeatable: bool,
    /// Whether it goes without TLS. Then a connection looks open when the server does not know of it yet.
    pub is_plain: bool,
}

/// Lets requests to a server pass.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    /// Tells requests and connections on their way that connections turned out to be few.
    narrowed: watch::Sender<()>,
    /// Second attempts are made one at a time.
    second: tokio::sync::Mutex<()>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            narrowed: watch::Sender::new(()),
            second: tokio::sync::Mutex::default(),
        }
    }
}

/// A request on its way.
struct Flight<'a>(&'a Gate);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.state().leave();
    }
}

/// A turn of a request.
struct Turn {
    turns: Arc<Turns>,
    _permit: OwnedSemaphorePermit,
}

impl Gate {
    /// Sends a request: `attempt` does so, as often as need be, and closes the connection afterwards where it is told
    /// so.
    pub async fn pass<T, E, F>(&self, kind: Kind, attempt: impl Fn(bool) -> F) -> Result<T, E>
    where
        E: Lost,
        F: Future<Output = Result<T, E>>,
    {
        self.state().enter();
        let _flight = Flight(self);
        for _ in 0..ATTEMPTS {
            let told = self.narrowed.subscribe();
            let answer = match self.turn().await {
                Some(turn) => self.send_in_turn(turn, kind, &attempt).await,
                None => self.send_at_once(kind, &attempt, told).await,
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
        attempt(false).await
    }

    /// Sends a request, whatever the others do. `None` where it is to be sent again.
    async fn send_at_once<T, E, F>(
        &self,
        kind: Kind,
        attempt: impl Fn(bool) -> F,
        mut told: watch::Receiver<()>,
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
            answer = self.send_second(kind, begun, &attempt) => {
                if self.state().overtook() {
                    self.tell();
                }
                return Some(Ok(answer));
            }
            _ = told.changed(), if kind.is_repeatable => match tokio::time::timeout(GRACE, &mut first).await {
                Ok(answer) => answer,
                Err(_) => return None,
            },
        };
        match answer.as_ref().err().map(Lost::loss) {
            None => self.state().answered(begun.elapsed()),
            Some(Some(loss)) if kind.is_repeatable || loss == Loss::Unsent => {
                if self.is_lost_for_want_of_connections().await {
                    return None;
                }
            }
            Some(_) => {}
        }
        Some(answer)
    }

    /// Sends a request a second time, when it has waited far longer than others. Never ends where that does not help.
    async fn send_second<T, E, F>(&self, kind: Kind, begun: Instant, attempt: impl Fn(bool) -> F) -> T
    where
        F: Future<Output = Result<T, E>>,
    {
        if !kind.is_repeatable || !kind.is_plain {
            std::future::pending::<()>().await;
        }
        loop {
            let patience = self.state().patience();
            tokio::time::sleep(patience.saturating_sub(begun.elapsed()).max(GLANCE)).await;
            let _one = self.second.lock().await;
            if self.state().begin_second()
                && let Ok(Ok(answer)) = tokio::time::timeout(patience, attempt(false)).await
            {
                return answer;
            }
        }
    }

    /// Sends a request whose turn it is. `None` where it is to be sent again.
    async fn send_in_turn<T, E, F>(
        &self,
        turn: Turn,
        kind: Kind,
        attempt: impl Fn(bool) -> F,
    ) -> Option<Result<T, E>>
    where
        E: Lost,
        F: Future<Output = Result<T, E>>,
    {
        let begun = Instant::now();
        let patience = self.state().patience_in_turn();
        let mut sent = pin!(attempt(self.state().is_last(&turn.turns)));
        let answer = match tokio::time::timeout(patience, &mut sent).await {
            Ok(answer) => answer,
            Err(_) if kind.is_repeatable && self.state().halve(&turn.turns) => return None,
            Err(_) => sent.await,
        };
        match answer.as_ref().err().map(Lost::loss) {
            None => self.state().answered_in_turn(&turn.turns, begun.elapsed()),
            Some(Some(loss)) if kind.is_repeatable || loss == Loss::Unsent => {
                let wait = self.state().lost_in_turn(&turn.turns);
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

    /// Waits for the turn; `None` where there are no turns.
    async fn turn(&self) -> Option<Turn> {
        loop {
            let turns = self.state().turns()?;
            if let Some(permit) = turns.wait().await {
                return Some(Turn { turns, _permit: permit });
            }
        }
    }

    /// Whether a request that was lost is to be sent again in its turn.
    async fn is_lost_for_want_of_connections(&self) -> bool {
        let mut told = self.narrowed.subscribe();
        let verdict = self.state().lost();
        match verdict {
            Some(true) => {
                self.tell();
                true
            }
            Some(false) => true,
            None if self.state().is_alone() => false,
            None => tokio::time::timeout(VERDICT, told.changed()).await.is_ok(),
        }
    }

    fn tell(&self) {
        self.narrowed.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
