//! State that all connections share.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::Semaphore;

use crate::local::core::local::Local;
use crate::local::core::server_info::ServerInfo;
use crate::local::distribution::registry::Rules;
use crate::local::http::auth::Authenticator;
use crate::local::http::body::Buffers;
use crate::local::http::budget::Budget;
use crate::local::http::download::Pieces;
use crate::local::http::fault_injection::FaultRules;
use crate::local::http::hosts::Hosts;
use crate::local::http::min_rate::Timeouts;
use crate::local::http::options::Log;
use crate::local::http::serial_thread::SerialThread;

/// State that all connections share.
#[derive(Debug)]
pub(in crate::local) struct State {
    pub(in crate::local) local: Arc<Local>,
    pub(in crate::local) buffers: Arc<Buffers>,
    pub(in crate::local) manifests: Arc<Buffers>,
    pub(in crate::local) pieces: Arc<Pieces>,
    pub(in crate::local) handlers: Semaphore,
    /// Handles large manifests, which may be some megabytes each.
    pub(in crate::local) large: SerialThread,
    /// Memory of large answers.
    pub(in crate::local) answers: Arc<Budget>,
    pub(in crate::local) hosts: Hosts,
    pub(in crate::local) server_info: ServerInfo,
    pub(in crate::local) rules: Rules,
    pub(in crate::local) tls: Option<Arc<ServerConfig>>,
    pub(in crate::local) log: Option<Log>,
    pub(super) authenticator: Authenticator,
    pub(super) faults: FaultRules,
    pub(in crate::local) timeouts: Timeouts,
}

impl State {
    /// Logs the failure of this machine.
    pub(in crate::local) fn tell(&self, words: impl std::fmt::Display) {
        if let Some(log) = &self.log {
            (log.write)(&words.to_string());
        }
    }
}
