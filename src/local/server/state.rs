//! What all connections share.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::Semaphore;

use crate::local::core::local::Local;
use crate::local::core::server_info::Presence;
use crate::local::distribution::registry::Rules;
use crate::local::server::auth::Authenticator;
use crate::local::server::body::Buffers;
use crate::local::server::budget::Budget;
use crate::local::server::download::Pieces;
use crate::local::server::faults::Faults;
use crate::local::server::hosts::Hosts;
use crate::local::server::options::Log;
use crate::local::server::pace::Patience;
use crate::local::server::single_file::SingleFile;

/// What all connections share.
#[derive(Debug)]
pub(in crate::local) struct State {
    pub(in crate::local) local: Arc<Local>,
    pub(in crate::local) buffers: Arc<Buffers>,
    pub(in crate::local) manifests: Arc<Buffers>,
    pub(in crate::local) pieces: Arc<Pieces>,
    pub(in crate::local) handlers: Semaphore,
    /// Handles large manifests, which may be some megabytes each.
    pub(in crate::local) large: SingleFile,
    /// Memory of large answers.
    pub(in crate::local) answers: Arc<Budget>,
    pub(in crate::local) hosts: Hosts,
    pub(in crate::local) presence: Presence,
    pub(in crate::local) rules: Rules,
    pub(in crate::local) tls: Option<Arc<ServerConfig>>,
    pub(in crate::local) log: Option<Log>,
    pub(super) authenticator: Authenticator,
    pub(super) faults: Faults,
    pub(in crate::local) patience: Patience,
}

impl State {
    /// Writes to the log what this machine failed with.
    pub(in crate::local) fn tell(&self, words: impl std::fmt::Display) {
        if let Some(log) = &self.log {
            (log.write)(&words.to_string());
        }
    }
}
