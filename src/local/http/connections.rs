//! Limit of connections, and which of them are closed first: those that wait for a request, the longest first.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::local::http::response::Body;

/// Time that a connection may be idle before it may be closed: long enough for the head of a first request.
const GRACE: Duration = Duration::from_millis(250);
/// File descriptors that are not for connections.
const OTHER_FILES: u64 = 24;
/// File descriptors of a connection: its own, and those of the store while a request is answered.
const FILES: u64 = 4;
/// Least number of connections, whatever the limit of files.
const FEW: usize = 8;

/// All connections of a server.
#[derive(Debug)]
pub(in crate::local) struct Connections {
    most: usize,
    all: Mutex<Table>,
    /// Notified when a connection ends or becomes idle.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    all: BTreeMap<u64, State>,
}

#[derive(Debug)]
struct State {
    /// Since when it waits for a request; `None` while one is being answered.
    idle: Option<Instant>,
    close: Arc<Notify>,
}

/// Registration of a connection, until it is dropped.
#[derive(Debug)]
pub(in crate::local) struct Connection {
    connections: Arc<Connections>,
    number: u64,
    close: Arc<Notify>,
}

/// A request that is being answered.
pub(in crate::local) struct Busy(Arc<Connection>);

/// The body of an answer, which keeps its connection busy.
pub(in crate::local) struct ResponseBody {
    body: Body,
    _busy: Busy,
}

impl Connections {
    /// Creates the limit: `wanted`, or less if the process may not have as many files open.
    pub(in crate::local) fn new(wanted: usize) -> Self {
        let files = file_limit().map_or(wanted, |limit| {
            usize::try_from(limit.saturating_sub(OTHER_FILES) / FILES).unwrap_or(wanted)
        });
        Self { most: wanted.min(files.max(FEW)), all: Mutex::default(), changed: Notify::new() }
    }

    /// Registers one more connection, once there is room.
    pub(in crate::local) async fn admit(self: &Arc<Self>) -> Connection {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut table = self.table();
                if table.all.len() < self.most {
                    let (number, close) = (table.next, Arc::<Notify>::default());
                    table.next += 1;
                    let state = State { idle: Some(Instant::now()), close: Arc::clone(&close) };
                    table.all.insert(number, state);
                    return Connection { connections: Arc::clone(self), number, close };
                }
            }
            self.close_idle();
            let _ = timeout(GRACE, changed).await;
        }
    }

    /// Closes the connection that has been idle for longest.
    pub(in crate::local) fn close_idle(&self) {
        let table = self.table();
        let idle = table.all.values().filter_map(|state| Some((state.idle?, &state.close)));
        if let Some((_, close)) =
            idle.min_by_key(|(since, _)| *since).filter(|(since, _)| since.elapsed() >= GRACE)
        {
            close.notify_one();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_idle(&self, number: u64, idle: Option<Instant>) {
        if let Some(state) = self.table().all.get_mut(&number) {
            state.idle = idle;
        }
        if idle.is_some() {
            self.changed.notify_waiters();
        }
    }
}

impl Connection {
    /// Waits until the connection has to be closed.
    pub(in crate::local) fn close(&self) -> &Arc<Notify> {
        &self.close
    }

    /// Keeps it from being idle until the answer is out.
    pub(in crate::local) fn busy(self: &Arc<Self>) -> Busy {
        self.connections.set_idle(self.number, None);
        Busy(Arc::clone(self))
    }
}

impl Busy {
    pub(in crate::local) fn until(self, body: Body) -> ResponseBody {
        ResponseBody { body, _busy: self }
    }
}

impl hyper::body::Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.connections.set_idle(self.0.number, Some(Instant::now()));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.table().all.remove(&self.number);
        self.connections.changed.notify_waiters();
    }
}

/// Returns the limit of open files of this process.
#[cfg(unix)]
fn file_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn file_limit() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_idle_gives_way_and_a_busy_one_does_not() {
        let connections = Arc::new(Connections { most: 3, all: Mutex::default(), changed: Notify::new() });
        let [first, busy, last] =
            [connections.admit().await, connections.admit().await, connections.admit().await];
        let (busy, first) = (Arc::new(busy), Arc::new(first));
        let _answering = busy.busy();
        tokio::time::sleep(GRACE).await;
        drop(first.busy());
        tokio::time::sleep(GRACE).await;
        // The last one has waited for longer than the first by now.
        let closed = async move {
            last.close().notified().await;
            drop(last);
        };
        let (_new, ()) = tokio::join!(connections.admit(), closed);
        assert!(timeout(Duration::ZERO, first.close().notified()).await.is_err());
        assert!(timeout(Duration::ZERO, busy.close().notified()).await.is_err());
    }
}
