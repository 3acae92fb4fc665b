//! Lifecycle policies on a schedule.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::local::core::caller::Caller;
use crate::local::core::lifecycle::LifecycleRun;
use crate::local::http::state::State;

/// A schedule, which ends with this.
pub(super) struct Schedule(JoinHandle<()>);

impl Drop for Schedule {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Carries out all policies now, and then again and again.
pub(super) fn start(state: &Arc<State>, every: Duration) -> Schedule {
    let state = Arc::clone(state);
    Schedule(tokio::spawn(async move {
        let mut clock = tokio::time::interval(every);
        loop {
            clock.tick().await;
            let state = Arc::clone(&state);
            // A run that fails on a bug does not end the schedule.
            let _ = spawn_blocking(move || run(&state)).await;
        }
    }))
}

fn run(state: &State) {
    let caller = Caller::of_account(&state.rules.account, &state.rules.region);
    let done = state.local.run_lifecycle(&caller, None, false);
    let Some(log) = &state.log else { return };
    match done {
        Ok(runs) if !log.failures_only => runs.iter().for_each(|run| (log.write)(&line(run))),
        Ok(_) => {}
        Err(error) => (log.write)(&format!("lifecycle policies could not be carried out: {}", error.message)),
    }
}

fn line(run: &LifecycleRun) -> String {
    let LifecycleRun { account, region, repository, expired, archived, .. } = run;
    let (expired, archived) = (expired.len(), archived.len());
    format!("lifecycle {account}/{region}/{repository}: {expired} expired, {archived} archived")
}
