//! Signals that ask the program to stop: SIGINT, SIGTERM and SIGHUP.
//!
//! While work is under way that has something to clean up, a [`Listener`] hears of them. At any other time they do what
//! they do to every program: end it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};

use tokio::sync::watch;

use crate::error::Signal;
use crate::platform::{self, StopRequest};
use crate::ui;

/// Number of listeners.
static LISTENERS: AtomicUsize = AtomicUsize::new(0);
static SIGNALS: LazyLock<watch::Sender<Option<Signal>>> = LazyLock::new(|| watch::Sender::new(None));
static WATCHED: OnceLock<()> = OnceLock::new();

/// Hears of signals for as long as it lives, and keeps them from ending the program.
pub(super) struct Listener(watch::Receiver<Option<Signal>>);

impl Listener {
    /// Begins to listen.
    pub(super) fn new() -> io::Result<Self> {
        LISTENERS.fetch_add(1, Ordering::SeqCst);
        let listener = Self(SIGNALS.subscribe());
        // Only the first listener gets the error.
        let mut failed = None;
        WATCHED.get_or_init(|| failed = watch_signals().err());
        failed.map_or(Ok(listener), Err)
    }

    /// Waits for the next signal after those already received.
    pub(super) async fn next(&mut self) -> Signal {
        match self.0.changed().await {
            Ok(()) => self.signal().await,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for a signal.
    pub(super) async fn signal(&mut self) -> Signal {
        match self.0.wait_for(Option::is_some).await.ok().and_then(|signal| *signal) {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::SeqCst);
    }
}

fn watch_signals() -> io::Result<()> {
    platform::watch_stop_requests(|request| {
        let signal = match request {
            StopRequest::Interrupt => Signal::Interrupt,
            StopRequest::Terminate => Signal::Terminate,
            StopRequest::HangUp => Signal::HangUp,
        };
        if LISTENERS.load(Ordering::SeqCst) > 0 {
            SIGNALS.send_replace(Some(signal));
            return true;
        }
        // Ctrl-C in a pager is the pager's affair.
        signal == Signal::Interrupt && ui::pager::is_open()
    })
}
