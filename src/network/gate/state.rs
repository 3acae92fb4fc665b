//! State of the requests and connections to a server, from which a gate tells that connections are few.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::MAX_IDLE;

/// Shortest time after which an answer or a connection is late.
const PATIENCE: Duration = Duration::from_millis(60);
/// The longest after which an answer is: a second attempt needs a connection that is kept still.
const MAX_PATIENCE: Duration = Duration::from_millis(120);
/// The fewest requests that have to wait before a second attempt makes sense: with fewer there is little to gain.
const MANY: usize = 8;
/// Second attempts that may get no answer in time before somebody else gets one.
const FUTILE: usize = 2;
/// The most turns at first.
const FIRST_WIDTH: usize = 2;
/// How many requests in a row have to be overtaken by their second attempt.
const OVERTAKEN: usize = 3;
/// How many connections have to be lost, with few answers in between.
const LOSSES: usize = 3;
/// The fewest connections that have to be waited for, and how many for each that came up.
const PENDING: usize = 3;
const PENDING_EACH: usize = 4;
/// Answers after which twice as many requests may be made at once, the first time.
const TERM: usize = 64;
const MAX_TERM: usize = 4096;
/// More turns than this are no limit.
const MAX_WIDTH: usize = 128;
/// The waits after requests that were lost in their turn one after another.
const WAITS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(40), Duration::from_millis(80)];

#[derive(Debug, Default)]
pub(super) struct State {
    /// Requests without an answer.
    in_flight: usize,
    /// The most of them since there were none.
    peak: usize,
    /// The longest time to an answer so far; `None` before the first.
    slowest: Option<Duration>,
    /// Requests in a row whose second attempt was answered first.
    overtaken: usize,
    /// Second attempts without an answer in time since the last answer.
    futile: usize,
    /// Requests that were lost, less those that were answered.
    losses: usize,
    /// Connections that are being made.
    connecting: usize,
    /// Those that came up since none was being made.
    connected: usize,
    /// The longest time that one took.
    slowest_connection: Option<Duration>,
    turns: Option<Arc<Turns>>,
    /// Answers after which the turns become more, the last time.
    term: usize,
}

/// Turns of requests, so many at a time.
#[derive(Debug)]
pub(super) struct Turns {
    width: usize,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Answers until there are more turns.
    left: AtomicUsize,
    /// Requests that were lost one after another.
    lost: AtomicUsize,
}

impl Turns {
    fn new(width: usize, left: usize) -> Arc<Self> {
        Arc::new(Self {
            width,
            free: Arc::new(Semaphore::new(width)),
            waiting: AtomicUsize::new(0),
            left: AtomicUsize::new(left),
            lost: AtomicUsize::new(0),
        })
    }

    /// Waits for a turn; `None` where there are other turns by now.
    pub(super) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
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

    /// Whether few others are on their way.
    pub(super) fn is_alone(&self) -> bool {
        self.in_flight < LOSSES
    }

    /// Whether nobody waits for a turn, so that the connection is of no use to anybody for now.
    pub(super) fn is_last(&self, turns: &Turns) -> bool {
        turns.waiting.load(Ordering::Relaxed) == 0 && self.in_flight <= turns.width
    }

    /// How long an answer may take before a second attempt makes sense.
    pub(super) fn patience(&self) -> Duration {
        (self.slowest.unwrap_or_default() * 2).clamp(PATIENCE, MAX_PATIENCE)
    }

    /// Whether a second attempt makes sense: many wait, and others get answers.
    pub(super) fn begin_second(&mut self) -> bool {
        let makes_sense = self.in_flight >= MANY && self.slowest.is_some() && self.futile < FUTILE;
        self.futile += usize::from(makes_sense);
        makes_sense
    }

    /// How long an answer may take to a request whose turn it is: it may wait for connections of others to end.
    pub(super) fn patience_in_turn(&self) -> Duration {
        MAX_IDLE * 3 + self.slowest.unwrap_or_default() * 2
    }

    pub(super) fn turns(&self) -> Option<Arc<Turns>> {
        self.turns.clone()
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, elapsed: Duration) {
        if elapsed >= self.patience() {
            // It was the server that took its time.
            self.overtaken = 0;
        }
        self.slowest = self.slowest.max(Some(elapsed));
        self.futile = 0;
        self.losses = self.losses.saturating_sub(1);
    }

    /// A second attempt was answered before the first. True where that says that connections are few.
    pub(super) fn overtook(&mut self) -> bool {
        self.overtaken += 1;
        self.futile = 0;
        let is_narrow = self.overtaken >= OVERTAKEN && self.turns.is_none();
        if is_narrow {
            // Those that wait, this one and the others that were overtaken had connections that did not come up.
            let came_up = self.peak.saturating_sub(self.in_flight + self.overtaken - 1);
            self.narrow(came_up.min(FIRST_WIDTH));
        }
        is_narrow
    }

    /// A request was lost. `Some` where it is for want of connections; true where that was not known before.
    pub(super) fn lost(&mut self) -> Option<bool> {
        self.losses += 1;
        if self.turns.is_some() {
            return Some(false);
        }
        let is_narrow = self.losses >= LOSSES && self.slowest.is_some();
        is_narrow.then(|| {
            self.narrow(1);
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

    /// How long a connection may take.
    pub(super) fn connection_patience(&self) -> Duration {
        PATIENCE.max(self.slowest_connection.unwrap_or_default() * 3)
    }

    /// A connection takes that long. True where that says that connections are few.
    pub(super) fn is_connection_late(&mut self, elapsed: Duration) -> bool {
        let pending = (self.connected * PENDING_EACH).max(PENDING);
        let is_narrow = self.turns.is_none()
            && self.connected > 0
            && self.connecting >= pending
            && elapsed >= self.connection_patience();
        if is_narrow {
            self.narrow(self.connected);
        }
        is_narrow
    }

    /// From now on requests have turns.
    fn narrow(&mut self, width: usize) {
        self.term = (self.term * 4).clamp(TERM, MAX_TERM);
        (self.overtaken, self.losses) = (0, 0);
        self.take_turns(width.max(1));
    }

    fn take_turns(&mut self, width: usize) {
        let turns = (width <= MAX_WIDTH).then(|| Turns::new(width, self.term));
        if let Some(before) = std::mem::replace(&mut self.turns, turns) {
            before.free.close();
        }
    }

    /// A request was answered in its turn.
    pub(super) fn answered_in_turn(&mut self, turns: &Arc<Turns>, elapsed: Duration) {
        self.slowest = self.slowest.max(Some(elapsed));
        turns.lost.store(0, Ordering::Relaxed);
        let left = turns.left.fetch_sub(1, Ordering::Relaxed);
        if left == 1 && self.are_current(turns) {
            self.take_turns(turns.width * 2);
        }
    }

    /// There was no answer in time. Where others had turns as well, there are fewer from now on; otherwise it is the
    /// server that is slow, and there are no turns any more.
    pub(super) fn halve(&mut self, turns: &Arc<Turns>) -> bool {
        if !self.are_current(turns) {
            return turns.width > 1;
        }
        if turns.width > 1 {
            self.narrow(turns.width / 2);
        } else {
            self.take_turns(usize::MAX);
        }
        turns.width > 1
    }

    /// A request was lost in its turn. How long to wait before it is sent again; `None` where that is for others to
    /// decide.
    pub(super) fn lost_in_turn(&mut self, turns: &Arc<Turns>) -> Option<Duration> {
        let lost = turns.lost.fetch_add(1, Ordering::Relaxed);
        if lost == 0 && turns.width > 1 {
            self.halve(turns);
        }
        WAITS.get(lost).copied()
    }

    fn are_current(&self, turns: &Arc<Turns>) -> bool {
        self.turns.as_ref().is_some_and(|current| Arc::ptr_eq(current, turns))
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
        state.turns.as_ref().map(|turns| turns.width)
    }

    #[test]
    fn three_second_attempts_in_a_row_tell_that_connections_are_few() {
        for (came_up, expected) in [(1, 1), (2, 2), (10, 2)] {
            let mut state = sent(40);
            assert!(!state.begin_second(), "nobody has been answered");
            answer(&mut state, came_up);
            for last in [false, false, true] {
                assert!(state.begin_second());
                assert_eq!(state.overtook(), last);
                state.leave();
            }
            assert_eq!(width(&state), Some(expected));
        }
        // A server that takes its time answers in the end.
        let mut state = sent(40);
        answer(&mut state, 2);
        for _ in 0..10 {
            assert!(!state.overtook());
            assert!(!state.overtook());
            state.answered(PATIENCE * 2);
        }
        // A command that makes one call makes it once, however long that takes.
        let mut alone = sent(1);
        alone.answered(QUICK);
        assert!(!alone.begin_second());
        // Two second attempts without an answer have to do until somebody else gets one.
        assert_eq!([(); 3].map(|()| state.begin_second()), [true, true, false]);
        answer(&mut state, 1);
        assert!(state.begin_second());
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
        state.narrow(1);
        let mut widths = Vec::new();
        while let Some(turns) = state.turns() {
            widths.push(turns.width);
            for _ in 0..TERM {
                state.answered_in_turn(&turns, QUICK);
            }
        }
        assert_eq!(widths, [1, 2, 4, 8, 16, 32, 64, 128]);
        state.narrow(4);
        let turns = state.turns().unwrap();
        assert!(state.halve(&turns), "it is sent again");
        assert!(state.halve(&turns), "so is what had its turn at the same time");
        assert_eq!(width(&state), Some(2));
        let turns = state.turns().unwrap();
        assert_eq!(
            [(); 4].map(|()| state.lost_in_turn(&turns)),
            [Some(WAITS[0]), Some(WAITS[1]), Some(WAITS[2]), None]
        );
        let turns = state.turns().unwrap();
        assert_eq!(turns.width, 1);
        assert!(!state.halve(&turns), "the server is slow");
        assert_eq!(width(&state), None);
    }
}
