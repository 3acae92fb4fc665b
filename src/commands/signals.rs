//! Signals that ask the program to stop: SIGINT, SIGTERM and SIGHUP.
//!
//! While work is under way that has something to clean up, a [`Listener`] hears of them. At any other time they do what
//! they do to every program: end it.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::watch;

use crate::error::Signal;
use crate::ui;

/// How many listeners there are.
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
        // The first one is told of what goes wrong.
        let mut failed = None;
        WATCHED.get_or_init(|| failed = watch_signals().err());
        failed.map_or(Ok(listener), Err)
    }

    /// Waits for a signal that comes after those that were heard.
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
    let mut wanted = vec![SIGINT, SIGTERM];
    if !ignores_hang_up() {
        wanted.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(wanted)?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for number in signals.forever() {
            let signal = match number {
                SIGTERM => Signal::Terminate,
                SIGHUP => Signal::HangUp,
                _ => Signal::Interrupt,
            };
            if LISTENERS.load(Ordering::SeqCst) > 0 {
                SIGNALS.send_replace(Some(signal));
            } else if signal != Signal::Interrupt || !ui::pager::is_open() {
                // Ctrl-C in a pager is the pager's affair.
                let _ = emulate_default_handler(number);
            }
        }
    })?;
    Ok(())
}

/// Whether this process was started to outlive its terminal, as nohup does it. Where the system does not say so, it is
/// assumed of a program that does not talk to a terminal: nohup sends its output to a file.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    match ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) {
        Some(mask) => mask & (1 << (SIGHUP - 1)) != 0,
        None => !io::stderr().is_terminal(),
    }
}
