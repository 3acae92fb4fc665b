//! Interface to the differences between operating systems: modes and owners of files, positioned reads, links, signals.
//!
//! [`unix`](self) has modes, owners and links. Windows has access lists that a folder hands down: a private folder is
//! one whose list names its owner alone, and a file in it is as private. What has no counterpart says so in its
//! documentation, and in the direction that is safe.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// Signals that ask the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRequest {
    /// Ctrl-C, SIGINT.
    Interrupt,
    /// SIGTERM; on Windows Ctrl-Break.
    Terminate,
    /// SIGHUP; on Windows that the console is closed.
    HangUp,
}
