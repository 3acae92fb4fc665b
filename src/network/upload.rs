//! Request bodies whose progress is watched: the time limit of an answer counts from the last byte sent.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// Bytes of a body handed to the socket between two looks at the clock.
const STRIDE: usize = 64 << 10;

/// Time limits of connecting, and of waiting for the next byte either way; `None` is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Option<Duration>,
    /// For the next byte.
    pub read: Option<Duration>,
}

/// State of a request's body.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The body was not requested: a connection is being made.
    Unasked,
    /// The body's source has no bytes yet, for which the network is not to blame.
    Waiting,
    /// Bytes went out at this time.
    Moved(Instant),
}

/// Progress of sending a request's body.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    phase: Mutex<Phase>,
}

impl Progress {
    /// Waits for the answer to a request whose body this is about, for as long as the body moves or waits for its
    /// source; `None` where neither happened and no answer came in time.
    pub async fn watch<F: Future>(&self, work: F, timeouts: Timeouts) -> Option<F::Output> {
        let Some(limit) = timeouts.read else { return Some(work.await) };
        let mut work = pin!(work);
        loop {
            let now = Instant::now();
            let deadline = self.deadline(now, limit, timeouts.connect);
            if deadline <= now {
                return None;
            }
            if let Ok(output) = tokio::time::timeout_at(deadline.min(now + limit), work.as_mut()).await {
                return Some(output);
            }
        }
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Returns the end of the wait. Until the body starts moving, a connection is being made, which has its own
    /// time: the second more lets that end first.
    fn deadline(&self, now: Instant, limit: Duration, connecting: Option<Duration>) -> Instant {
        match *self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Moved(moved) => moved + limit,
            Phase::Waiting => now + limit,
            Phase::Unasked => self.begun + limit.max(connecting.unwrap_or(limit)) + Duration::from_secs(1),
        }
    }
}

/// Request body, sent in strides.
#[derive(Debug)]
pub struct Upload<B> {
    rest: B,
    /// Bytes of the body not sent yet.
    piece: Bytes,
    progress: Arc<Progress>,
}

impl<B: Body<Data = Bytes> + Unpin> Upload<B> {
    /// Watches a body.
    pub fn new(body: B) -> (Self, Arc<Progress>) {
        let begun = Instant::now();
        // The bytes of an empty body are never polled.
        let is_empty = body.size_hint().exact() == Some(0);
        let phase = if is_empty { Phase::Moved(begun) } else { Phase::Unasked };
        let progress = Arc::new(Progress { begun, phase: Mutex::new(phase) });
        (Self { rest: body, piece: Bytes::new(), progress: Arc::clone(&progress) }, progress)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Upload<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        while self.piece.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut self.rest).poll_frame(context) else {
                self.progress.set(Phase::Waiting);
                return Poll::Pending;
            };
            self.progress.set(Phase::Moved(Instant::now()));
            match frame.transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => self.piece = bytes,
                Some(Err(_)) => {}
                None => return Poll::Ready(None),
            }
        }
        self.progress.set(Phase::Moved(Instant::now()));
        let stride = self.piece.len().min(STRIDE);
        Poll::Ready(Some(Ok(Frame::data(self.piece.split_to(stride)))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.size_hint();
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(rest + self.piece.len() as u64),
            None => rest,
        }
    }
}
