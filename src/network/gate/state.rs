//! State of the requests and connections to a server, from which a gate derives its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::MAX_IDLE;

/// Shortest time after which an answer or a connection is late.
const PATIENCE: Duration = Duration::from_millis(60);
/// Longest time after which an answer is late: a hedged request needs a connection that is still kept.
const MAX_PATIENCE: Duration = Duration::from_millis(120);
/// Requests in flight below which none is hedged: there would be little to gain.
const MIN_IN_FLIGHT: usize = 8;
/// Limit of hedged requests without an answer in time until another request is answered.
const MAX_UNANSWERED_HEDGES: usize = 2;
/// Highest limit at first.
const MAX_FIRST_LIMIT: usize = 2;
/// Requests in a row that are answered at their second attempt before there is a limit.
const HEDGES_WON: usize = 3;
/// Connections that are lost, with few answers in between, before there is a limit.
const LOSSES: usize = 3;
/// Connections that are waited for, in all and for each that came up, before there is a limit.
const MIN_CONNECTING: usize = 3;
const CONNECTING_EACH: usize = 4;
/// Answers after which a limit doubles, the first time; four times as many the next.
const WIDEN_AFTER: usize = 64;
const MAX_WIDEN_AFTER: usize = 4096;
/// Highest limit; beyond it there is none.
const MAX_LIMIT: usize = 128;
/// Waits after requests that were lost one after another under a limit.
const WAITS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(40), Duration::from_millis(80)];

#[derive(Debug, Default)]
pub(super) struct State {
    /// Number of requests without an answer.
    in_flight: usize,
    /// Highest number of requests in flight since there were none.
    peak: usize,
    /// Longest time to an answer so far; `None` before the first.
    slowest: Option<Duration>,
    /// Requests in a row whose second attempt was answered first.
    hedges_won: usize,
    /// Hedged requests without an answer in time since the last answer.
    unanswered_hedges: usize,
    /// Requests that were lost, less those that were answered.
    losses: usize,
    /// Number of connections that are being made.
    connecting: usize,
    /// Number of connections that came up since none was being made.
    connected: usize,
    /// Longest time that a connection took.
    slowest_connection: Option<Duration>,
    limit: Option<Arc<Limit>>,
    /// Answers after which the limit doubles.
    widen_after: usize,
}

/// Limit of the requests in flight.
#[derive(Debug)]
pub(super) struct Limit {
    most: usize,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Answers until the limit doubles.
    left: AtomicUsize,
    /// Requests that were lost one after another.
    lost: AtomicUsize,
}

impl Limit {
    fn new(most: usize, left: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            free: Arc::new(Semaphore::new(most)),
            waiting: AtomicUsize::new(0),
            left: AtomicUsize::new(left),
            lost: AtomicUsize::new(0),
        })
    }

    /// Waits for a permit. Returns `None` if there is another limit by now, or none.
    pub(super) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let permit = Arc::clone(&self.free).acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        permit.ok()
    }
}

impl State {
    pub(super) fn enter(&mut self) {
        self.in_flight += 1;
        self.peak = self.peak.max(self.in_flight);
    }

    pub(super) fn leave(&mut self) {
        self.in_flight -= 1;
        if self.in_flight == 0 {
            self.peak = 0;
        }
    }

    /// Returns whether so few requests are in flight that their loss says nothing.
    pub(super) fn are_few_in_flight(&self) -> bool {
        self.in_flight < LOSSES
    }

    /// Returns whether no request waits for a permit, so that the connection is of no use for now.
    pub(super) fn is_connection_spare(&self, limit: &Limit) -> bool {
        limit.waiting.load(Ordering::Relaxed) == 0 && self.in_flight <= limit.most
    }

    /// Returns the time without an answer after which a request may be hedged.
    pub(super) fn hedge_delay(&self) -> Duration {
        (self.slowest.unwrap_or_default() * 2).clamp(PATIENCE, MAX_PATIENCE)
    }

    /// Returns whether to hedge a request (many are in flight, and others are answered), and counts it.
    pub(super) fn begin_hedge(&mut self) -> bool {
        let makes_sense = self.in_flight >= MIN_IN_FLIGHT
            && self.slowest.is_some()
            && self.unanswered_hedges < MAX_UNANSWERED_HEDGES;
        self.unanswered_hedges += usize::from(makes_sense);
        makes_sense
    }

    /// Returns the time that an answer may take under a limit: the request may wait for other connections to end.
    pub(super) fn limited_timeout(&self) -> Duration {
        MAX_IDLE * 3 + self.slowest.unwrap_or_default() * 2
    }

    pub(super) fn limit(&self) -> Option<Arc<Limit>> {
        self.limit.clone()
    }

    /// Counts an answer.
    pub(super) fn answered(&mut self, elapsed: Duration) {
        if elapsed >= self.hedge_delay() {
            // It was the server that took its time.
            self.hedges_won = 0;
        }
        self.slowest = self.slowest.max(Some(elapsed));
        self.unanswered_hedges = 0;
        self.losses = self.losses.saturating_sub(1);
    }

    /// Counts a hedged request that was answered at its second attempt. Returns true if there is a limit because of it.
    pub(super) fn hedge_won(&mut self) -> bool {
        self.hedges_won += 1;
        self.unanswered_hedges = 0;
        let is_limited = self.hedges_won >= HEDGES_WON && self.limit.is_none();
        if is_limited {
            // Those in flight, this one and the others that were hedged had connections that did not come up.
            let came_up = self.peak.saturating_sub(self.in_flight + self.hedges_won - 1);
            self.limit_to(came_up.min(MAX_FIRST_LIMIT));
        }
        is_limited
    }

    /// Counts a lost request. Returns `Some` if a limit is the reason, and true in it if that limit is new.
    pub(super) fn lost(&mut self) -> Option<bool> {
        self.losses += 1;
        if self.limit.is_some() {
            return Some(false);
        }
        let is_limited = self.losses >= LOSSES && self.slowest.is_some();
        is_limited.then(|| {
            self.limit_to(1);
            true
        })
    }

    pub(super) fn begin_connection(&mut self) {
        if self.connecting == 0 {
            self.connected = 0;
        }
        self.connecting += 1;
    }

    pub(super) fn end_connection(&mut self) {
        self.connecting -= 1;
    }

    pub(super) fn connected(&mut self, elapsed: Duration) {
        self.connected += 1;
        self.slowest_connection = self.slowest_connection.max(Some(elapsed));
    }

    /// Returns the time that a connection may take.
    pub(super) fn connection_timeout(&self) -> Duration {
        PATIENCE.max(self.slowest_connection.unwrap_or_default() * 3)
    }

    /// Takes note of how long a connection takes. Returns true if there is a limit because of it.
    pub(super) fn is_connection_late(&mut self, elapsed: Duration) -> bool {
        let pending = (self.connected * CONNECTING_EACH).max(MIN_CONNECTING);
        let is_limited = self.limit.is_none()
            && self.connected > 0
            && self.connecting >= pending
            && elapsed >= self.connection_timeout();
        if is_limited {
            self.limit_to(self.connected);
        }
        is_limited
    }

    /// Sets a limit.
    fn limit_to(&mut self, most: usize) {
        self.widen_after = (self.widen_after * 4).clamp(WIDEN_AFTER, MAX_WIDEN_AFTER);
        (self.hedges_won, self.losses) = (0, 0);
        self.set_limit(most.max(1));
    }

    fn set_limit(&mut self, most: usize) {
        let limit = (most <= MAX_LIMIT).then(|| Limit::new(most, self.widen_after));
        if let Some(before) = std::mem::replace(&mut self.limit, limit) {
            before.free.close();
        }
    }

    /// Counts an answer under a limit.
    pub(super) fn answered_limited(&mut self, limit: &Arc<Limit>, elapsed: Duration) {
        self.slowest = self.slowest.max(Some(elapsed));
        limit.lost.store(0, Ordering::Relaxed);
        let left = limit.left.fetch_sub(1, Ordering::Relaxed);
        if left == 1 && self.is_current(limit) {
            self.set_limit(limit.most * 2);
        }
    }

    /// Halves the limit after an answer did not come in time, or lifts it where it was 1: then the server is slow.
    /// Returns whether the request has to be sent again.
    pub(super) fn halve(&mut self, limit: &Arc<Limit>) -> bool {
        if !self.is_current(limit) {
            return limit.most > 1;
        }
        if limit.most > 1 {
            self.limit_to(limit.most / 2);
        } else {
            self.set_limit(usize::MAX);
        }
        limit.most > 1
    }

    /// Counts a request that was lost under a limit. Returns the wait before it is sent again, or `None` if it failed
    /// too often.
    pub(super) fn lost_limited(&mut self, limit: &Arc<Limit>) -> Option<Duration> {
        let lost = limit.lost.fetch_add(1, Ordering::Relaxed);
        if lost == 0 && limit.most > 1 {
            self.halve(limit);
        }
        WAITS.get(lost).copied()
    }

    fn is_current(&self, limit: &Arc<Limit>) -> bool {
        self.limit.as_ref().is_some_and(|current| Arc::ptr_eq(current, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(5);

    fn sent(count: usize) -> State {
        let mut state = State::default();
        (0..count).for_each(|_| state.enter());
        state
    }

    fn answer(state: &mut State, count: usize) {
        for _ in 0..count {
            state.answered(QUICK);
            state.leave();
        }
    }

    fn width(state: &State) -> Option<usize> {
        state.limit.as_ref().map(|limit| limit.most)
    }

    #[test]
    fn three_second_attempts_in_a_row_tell_that_connections_are_few() {
        for (came_up, expected) in [(1, 1), (2, 2), (10, 2)] {
            let mut state = sent(40);
            assert!(!state.begin_hedge(), "nobody has been answered");
            answer(&mut state, came_up);
            for last in [false, false, true] {
                assert!(state.begin_hedge());
                assert_eq!(state.hedge_won(), last);
                state.leave();
            }
            assert_eq!(width(&state), Some(expected));
        }
        // A server that takes its time answers in the end.
        let mut state = sent(40);
        answer(&mut state, 2);
        for _ in 0..10 {
            assert!(!state.hedge_won());
            assert!(!state.hedge_won());
            state.answered(PATIENCE * 2);
        }
        // A command that makes one call makes it once, however long that takes.
        let mut alone = sent(1);
        alone.answered(QUICK);
        assert!(!alone.begin_hedge());
        // Two second attempts without an answer have to do until somebody else gets one.
        assert_eq!([(); 3].map(|()| state.begin_hedge()), [true, true, false]);
        answer(&mut state, 1);
        assert!(state.begin_hedge());
    }

    #[test]
    fn many_lost_connections_tell_and_single_ones_do_not() {
        let mut state = sent(200);
        for _ in 0..10 {
            assert_eq!(state.lost(), None, "there may be no server");
        }
        let mut state = sent(200);
        answer(&mut state, 1);
        for _ in 0..100 {
            assert_eq!([state.lost(), state.lost()], [None, None]);
            state.answered(QUICK);
            state.answered(QUICK);
        }
        assert_eq!([(); 4].map(|()| state.lost()), [None, None, Some(true), Some(false)]);
        assert_eq!(width(&state), Some(1));
    }

    #[test]
    fn connections_that_do_not_come_up_tell_where_few_others_did() {
        for (begun, made, elapsed, expected) in [
            (40, 2, PATIENCE, Some(2)),
            (40, 2, PATIENCE / 2, None),
            (40, 0, PATIENCE * 100, None),
            (40, 20, PATIENCE * 100, None),
            (3, 1, PATIENCE * 100, None),
        ] {
            let mut state = State::default();
            (0..begun).for_each(|_| state.begin_connection());
            for _ in 0..made {
                state.connected(QUICK);
                state.end_connection();
            }
            assert_eq!(state.is_connection_late(elapsed), expected.is_some(), "{begun} {made} {elapsed:?}");
            assert_eq!(width(&state), expected);
        }
    }

    #[test]
    fn turns_become_more_after_answers_and_fewer_without() {
        let mut state = sent(3);
        state.limit_to(1);
        let mut widths = Vec::new();
        while let Some(limit) = state.limit() {
            widths.push(limit.most);
            for _ in 0..WIDEN_AFTER {
                state.answered_limited(&limit, QUICK);
            }
        }
        assert_eq!(widths, [1, 2, 4, 8, 16, 32, 64, 128]);
        state.limit_to(4);
        let limit = state.limit().unwrap();
        assert!(state.halve(&limit), "it is sent again");
        assert!(state.halve(&limit), "so is what had its turn at the same time");
        assert_eq!(width(&state), Some(2));
        let limit = state.limit().unwrap();
        assert_eq!(
            [(); 4].map(|()| state.lost_limited(&limit)),
            [Some(WAITS[0]), Some(WAITS[1]), Some(WAITS[2]), None]
        );
        let limit = state.limit().unwrap();
        assert_eq!(limit.most, 1);
        assert!(!state.halve(&limit), "the server is slow");
        assert_eq!(width(&state), None);
    }
}
