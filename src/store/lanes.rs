//! Number of connections that downloads from a host use.
//!
//! A server may give one connection less than the line has: S3 does. Whether it does is measured: ranges of a blob are
//! asked for on further connections, and more of them as long as the bytes come faster for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time over which bytes are counted.
const WINDOW: Duration = Duration::from_millis(60);
/// Bytes per second of one connection beyond which it is not the network that is slow.
const FAST: f64 = 200e6;
/// Further connections of the first attempt.
const FIRST: usize = 8;
/// Limit of the further connections to one host.
const MAX_COUNT: usize = 24;
/// Longest time to an answer that is reckoned with. A server that takes longer is slow itself.
const MAX_LATENCY: Duration = Duration::from_millis(500);
/// Weight of a slower answer in the average latency, as a divisor: it counts for an eighth.
const LATENCY_SHARE: u32 = 8;
/// Windows in which added connections may be idle before they are measured.
const MAX_IDLE: u32 = 4;
/// Windows until the next attempt after the first one that did not help; each further one doubles them.
const REST: u32 = 32;
/// Limit of [`REST`].
const MAX_REST: u32 = 1024;

/// The connections to one host beyond the one that each blob has.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    allowed: usize,
    taken: usize,
    /// At least one was taken in this window.
    is_used: bool,
    /// The server does not answer ranges as it should.
    is_off: bool,
    /// The server says that it answers them, or has done so.
    is_proven: bool,
    window: Option<Instant>,
    /// Time between a request and its answer.
    latency: Duration,
    bytes: u64,
    phase: Phase,
    /// Windows of the last rest.
    rest: u32,
    /// Windows since connections were added in which not all of them had something to do.
    idle: u32,
}

#[derive(Debug, Default, Clone, Copy)]
enum Phase {
    /// One connection for each blob is being measured.
    #[default]
    Alone,
    /// Connections were added, and do not give all they can yet. Before: connections, bytes per second.
    Opening(usize, f64),
    /// The rate of all connections is being measured. Before: as in `Opening`.
    Measuring(usize, f64),
    /// No attempt for so many windows.
    Resting(u32),
}

/// Permission for a further connection; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Lane(Arc<Lanes>);

impl Lanes {
    /// Permits `allowed` connections without a measurement.
    #[cfg(test)]
    pub(super) fn allowing(allowed: usize) -> Arc<Self> {
        let lanes = Self::default();
        *lanes.state() = State { allowed, phase: Phase::Resting(u32::MAX), ..State::default() };
        Arc::new(lanes)
    }

    /// Takes a further connection, if one is allowed.
    pub(super) fn take(self: &Arc<Self>) -> Option<Lane> {
        let mut state = self.state();
        // The first of them finds out whether the server answers ranges.
        let allowed = if state.is_proven { state.allowed } else { state.allowed.min(1) };
        (!state.is_off && state.taken < allowed).then(|| {
            (state.taken, state.is_used) = (state.taken + 1, true);
            Lane(Arc::clone(self))
        })
    }

    /// Returns whether more connections were taken than are allowed by now.
    pub(super) fn are_too_many(&self) -> bool {
        let state = self.state();
        state.is_off || state.taken > state.allowed
    }

    /// Returns whether further connections are known to bring more.
    pub(super) fn help(&self) -> bool {
        let state = self.state();
        !state.is_off
            && state.allowed > 0
            && !matches!(state.phase, Phase::Opening(0, _) | Phase::Measuring(0, _))
    }

    /// Returns the time that it takes to measure whether further connections are faster.
    pub(super) fn verdict(&self) -> Duration {
        self.state().window_of_more() * 3 / 2
    }

    /// Ends further connections, since the server does not answer ranges as it should.
    pub(super) fn turn_off(&self) {
        self.state().is_off = true;
    }

    /// Notes that the server answers ranges.
    pub(super) fn prove(&self) {
        self.state().is_proven = true;
    }

    /// Halves the connections after a request that failed or came to a halt.
    pub(super) fn count_retry(&self) {
        let mut state = self.state();
        state.allowed /= 2;
        state.phase = state.tire();
    }

    /// Notes the latency of a successful request. A lower one counts at once, a higher one by an eighth, so that one
    /// slow answer changes little.
    pub(super) fn answered(&self, latency: Duration) {
        let mut state = self.state();
        let before = state.latency;
        let slower = before + latency.saturating_sub(before) / LATENCY_SHARE;
        let latency = if before.is_zero() { latency } else { latency.min(slower) };
        state.latency = latency.min(MAX_LATENCY);
    }

    /// Counts bytes that arrived on any of the connections.
    pub(super) fn arrived(&self, bytes: usize, now: Instant) {
        let mut state = self.state();
        let begun = *state.window.get_or_insert(now);
        state.bytes += bytes as u64;
        let elapsed = now.saturating_duration_since(begun);
        if elapsed < state.window() {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let rate = state.bytes as f64 / elapsed.as_secs_f64();
        (state.window, state.bytes) = (Some(now), 0);
        state.measured(rate);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn measured(&mut self, rate: f64) {
        let is_used = std::mem::replace(&mut self.is_used, self.taken > 0) || self.taken > 0;
        self.phase = if is_used { self.measured_with_more(rate) } else { self.measured_alone(rate) };
    }

    /// Returns the phase after a window in which no further connection was taken. Small blobs need none, so that their
    /// rate tells nothing of what further connections bring.
    fn measured_alone(&mut self, rate: f64) -> Phase {
        match self.phase {
            Phase::Alone | Phase::Resting(0) | Phase::Opening(0, _) | Phase::Measuring(0, _)
                if rate > FAST =>
            {
                self.allowed = 0;
                self.tire()
            }
            Phase::Alone => self.raise(FIRST, rate),
            Phase::Resting(0) if self.allowed == 0 => self.raise(FIRST, rate),
            Phase::Opening(0, _) | Phase::Measuring(0, _) => Phase::Opening(0, rate),
            Phase::Resting(windows) => Phase::Resting(windows.saturating_sub(1)),
            Phase::Opening(..) | Phase::Measuring(..) => self.phase,
        }
    }

    /// Returns the phase after a window in which further connections were taken.
    fn measured_with_more(&mut self, rate: f64) -> Phase {
        match self.phase {
            Phase::Alone => Phase::Alone,
            // So much faster already: what else there is to gain is to be found beyond.
            Phase::Opening(_, slower) if rate > slower * 2.0 && self.allowed < MAX_COUNT => {
                self.raise(self.allowed * 2, rate)
            }
            // The memory is full of what the reader has not come to, so that they are not at work yet.
            Phase::Opening(before, slower)
                if before > 0 && self.taken < self.allowed && self.idle < MAX_IDLE =>
            {
                self.idle += 1;
                Phase::Opening(before, slower)
            }
            Phase::Opening(before, slower) => Phase::Measuring(before, slower),
            Phase::Measuring(before, slower) if rate < slower * 1.1 && self.taken >= self.allowed => {
                self.allowed = before;
                self.tire()
            }
            Phase::Measuring(_, slower) if rate > slower * 1.25 && self.allowed < MAX_COUNT => {
                self.raise(self.allowed * 2, rate)
            }
            // Ranges came faster than the reader took them, so that the memory was full: more can be tried soon.
            Phase::Measuring(..) if self.taken < self.allowed => Phase::Resting(1),
            Phase::Measuring(..) => self.tire(),
            Phase::Resting(0) => self.raise((self.allowed * 2).max(FIRST), rate),
            Phase::Resting(windows) => Phase::Resting(windows - 1),
        }
    }

    fn raise(&mut self, to: usize, rate: f64) -> Phase {
        let before = self.allowed;
        self.allowed = to.min(MAX_COUNT);
        self.idle = 0;
        if self.allowed == before { self.tire() } else { Phase::Opening(before, rate) }
    }

    /// Begins a rest, twice as long as the last one.
    fn tire(&mut self) -> Phase {
        self.rest = (self.rest * 2).clamp(REST, MAX_REST);
        Phase::Resting(self.rest)
    }

    fn window(&self) -> Duration {
        if matches!(self.phase, Phase::Alone) { WINDOW.max(self.latency) } else { self.window_of_more() }
    }

    /// Returns the window of added connections: their first bytes come after two round trips.
    fn window_of_more(&self) -> Duration {
        WINDOW.max(self.latency * 2)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.0.state().taken -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The connections that are allowed after so many windows, in which each brings `each` bytes, up to the line's
    /// `all`.
    fn allowed(windows: u32, each: u64, all: u64) -> usize {
        let lanes = Lanes::default();
        let mut now = Instant::now();
        lanes.arrived(0, now);
        for _ in 0..windows {
            let connections = 1 + lanes.state().allowed as u64;
            let taken = lanes.state().allowed;
            lanes.state().taken = taken;
            now += WINDOW;
            lanes.arrived(usize::try_from((connections * each).min(all)).unwrap(), now);
        }
        let state = lanes.state();
        state.allowed
    }

    #[test]
    fn connections_become_more_while_they_bring_more() {
        assert_eq!(allowed(1, 750_000, 7_500_000), 8);
        assert_eq!(allowed(2, 750_000, 7_500_000), 16, "twice as fast already while they open");
        assert_eq!(allowed(20, 750_000, 7_500_000), 16, "the line is full");
        assert_eq!(allowed(20, 750_000, u64::MAX), MAX_COUNT);
        assert_eq!(allowed(3, 750_000, 750_000), 0, "one connection fills the line");
        assert_eq!(allowed(9, 100_000_000, u64::MAX), 0, "it is not the network that is slow");
    }

    #[test]
    fn connections_that_have_nothing_to_do_are_not_measured() {
        let mut state = State { allowed: 16, taken: 3, phase: Phase::Opening(8, 90e6), ..State::default() };
        for _ in 0..MAX_IDLE {
            state.measured(40e6);
            assert!(matches!(state.phase, Phase::Opening(8, _)), "the memory is full: {:?}", state.phase);
        }
        state.measured(40e6);
        assert!(matches!(state.phase, Phase::Measuring(8, _)), "but not for ever: {:?}", state.phase);
        state = State { allowed: 16, taken: 16, phase: Phase::Opening(8, 90e6), ..State::default() };
        state.measured(120e6);
        assert!(matches!(state.phase, Phase::Measuring(8, _)), "all are at work: {:?}", state.phase);
    }

    #[test]
    fn connections_that_nobody_takes_prove_nothing() {
        let lanes = Lanes::default();
        let mut now = Instant::now();
        lanes.arrived(0, now);
        let mut pass = |windows: u32, bytes: usize| {
            for _ in 0..windows {
                now += WINDOW;
                lanes.arrived(bytes, now);
            }
            let help = lanes.help();
            (lanes.state().allowed, help)
        };
        // Small blobs come without further connections, in whatever way their rate goes up and down.
        assert_eq!(pass(40, 750_000), (FIRST, false));
        assert_eq!(pass(1, 7_500_000), (FIRST, false));
        assert_eq!(pass(40, 1_500_000), (FIRST, false));
        assert!(
            matches!(lanes.state().phase, Phase::Opening(0, rate) if rate < 30e6),
            "the last rate is compared with"
        );
        assert_eq!(pass(1, 100_000_000), (0, false), "it is not the network that is slow");
        assert_eq!(pass(2 * MAX_REST, 100_000_000), (0, false), "nor is it later");
    }

    #[test]
    fn one_slow_answer_changes_little() {
        let lanes = Lanes::default();
        let answered = |milliseconds: u64| {
            lanes.answered(Duration::from_millis(milliseconds));
            lanes.state().latency.as_millis()
        };
        assert_eq!([120, 40, 40].map(answered), [120, 40, 40]);
        assert_eq!(answered(2000), 285);
        assert_eq!(answered(40), 40);
        assert_eq!([2000; 20].map(answered)[19], MAX_LATENCY.as_millis());
    }

    #[test]
    fn lanes_are_given_back_and_setbacks_make_them_fewer() {
        let lanes = Arc::new(Lanes::default());
        assert!(lanes.take().is_none());
        lanes.state().allowed = 2;
        let one = lanes.take();
        assert!(one.is_some() && lanes.take().is_none(), "the first finds out whether ranges are answered");
        drop(one);
        lanes.prove();
        let (one, other) = (lanes.take(), lanes.take());
        assert!(one.is_some() && other.is_some() && lanes.take().is_none());
        drop(one);
        lanes.count_retry();
        assert!(lanes.take().is_none());
        drop(other);
        assert!(lanes.take().is_some());
        lanes.turn_off();
        assert!(lanes.take().is_none());
    }
}
