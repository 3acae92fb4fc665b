//! Server of the embedded ECR, for this machine or for every client that reaches its address.
//!
//! `POST /` is the services' API (`api`), `/_blob/` hands out layers under signed URLs (`download`), `GET /healthz`
//! says that the server is ready, `/v2/` is docker's registry API (`distribution`). Requests are answered on blocking
//! threads, a few at a time; request bodies share a fixed budget of memory (`body`).

pub(in crate::local) mod api;
pub(in crate::local) mod auth;
pub(in crate::local) mod body;
pub(in crate::local) mod bounded_json;
pub(in crate::local) mod budget;
pub(in crate::local) mod connection;
pub(in crate::local) mod connections;
pub(in crate::local) mod damaged_body;
pub(in crate::local) mod download;
pub(in crate::local) mod fault_injection;
pub(in crate::local) mod hosts;
pub(in crate::local) mod json_body;
pub(in crate::local) mod lifecycle_scheduler;
pub(in crate::local) mod min_rate;
pub(in crate::local) mod options;
pub(in crate::local) mod other_services;
pub(in crate::local) mod peer;
pub(in crate::local) mod response;
pub(in crate::local) mod serial_thread;
pub(in crate::local) mod state;
pub(in crate::local) mod sts;
#[cfg(test)]
mod tests;
pub(in crate::local) mod write_timeout;
pub(in crate::local) mod xml;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::local::core::download_url::DOWNLOADS;
use crate::local::core::local::Local;
use crate::local::core::server_info::ServerInfo;
use crate::local::distribution::{requests, token};
use crate::local::http::auth::Authenticator;
use crate::local::http::body::Buffers;
use crate::local::http::budget::Budget;
use crate::local::http::connections::Connections;
use crate::local::http::fault_injection::FaultRules;
use crate::local::http::hosts::Hosts;
use crate::local::http::response::Body;
use crate::local::http::serial_thread::SerialThread;
use crate::local::http::state::State;
use crate::local::store::error::Error;

pub use auth::{Authorization, Credentials, MalformedAuthorization};
pub use fault_injection::Rule;
pub use min_rate::Timeouts;
pub use options::{Log, Options};

/// The account of a caller whose access key is not an account's number.
pub const DEFAULT_ACCOUNT: &str = "000000000000";
/// Region of callers who do not sign.
pub const DEFAULT_REGION: &str = "us-east-1";

/// Requests in handlers at one time; each has a database connection.
const HANDLERS: usize = 16;
/// Large answers that clients have not taken yet, in bytes, together.
const ANSWERS: usize = 16 * 1024 * 1024;
/// Time that requests may go on after the server was told to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted.
const RETRY: Duration = Duration::from_millis(50);

/// A server that listens, but does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    connections: Arc<Connections>,
    state: Arc<State>,
    lifecycle_every: Option<Duration>,
}

impl Server {
    /// Listens where the options say; port 0 takes a free one.
    pub async fn bind(mut local: Local, options: Options) -> Result<Self, Error> {
        let tls = options.tls.as_ref().map(|(certificate, key)| connection::secure(certificate, key));
        let tls = tls.transpose()?;
        local.is_secured = tls.is_some();
        local.enforces = options.enforces_policies;
        local.deletes_in_order = options.quirks;
        local.restore_within(options.restore_time);
        let wanted = options.address;
        let failed = |cause| Error::Listen { address: wanted.to_string(), cause };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (account, region) = (options.account.clone(), options.region.clone());
        let authenticator = Authenticator::new(options.credentials.clone(), account, region);
        let state = State {
            local: Arc::new(local),
            buffers: Arc::new(Buffers::of_parts()),
            manifests: Arc::new(Buffers::of_manifests()),
            pieces: Arc::default(),
            handlers: Semaphore::new(HANDLERS),
            large: SerialThread::start().map_err(failed)?,
            answers: Arc::new(Budget::new(ANSWERS)),
            hosts: Hosts::new(&options.hosts, options.clients()),
            server_info: ServerInfo::new(address, options.tls.is_some()),
            rules: options.rules(),
            tls,
            log: options.log,
            authenticator,
            faults: FaultRules::new(options.faults),
            timeouts: options.timeouts,
        };
        let connections = Arc::new(Connections::new(options.connections));
        let lifecycle_every = options.lifecycle_every;
        Ok(Self { listener, address, connections, state: Arc::new(state), lifecycle_every })
    }

    /// Returns the URL that clients use.
    pub fn url(&self) -> String {
        format!("{}://{}", self.state.local.scheme(), self.address)
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` is done, then lets current ones finish. `ready` is told once the folder knows of
    /// the server.
    pub async fn run(
        self,
        ready: impl FnOnce() -> io::Result<()>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let folder = self.state.local.folder().to_owned();
        let announce = || self.state.server_info.announce(&folder);
        let announced = match announce() {
            // A full disk is to be read from and emptied all the same.
            Err(_) if self.state.local.store.database.lend_reserve() => announce(),
            announced => announced,
        };
        announced.map_err(Error::folder(&folder))?;
        // A failed announcement is no reason not to serve.
        let _ = ready();
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut waiting = None;
        let _lifecycle = self.lifecycle_every.map(|every| lifecycle_scheduler::start(&self.state, every));
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept(), if waiting.is_none() => {
                    waiting = accepted.ok().map(|(stream, _)| stream);
                    // Out of file descriptors, most likely.
                    if waiting.is_none() {
                        self.connections.close_idle();
                        tokio::time::sleep(RETRY).await;
                    }
                }
                place = self.connections.admit(), if waiting.is_some() => {
                    let (state, stopped) = (Arc::clone(&self.state), stopped.clone());
                    if let Some(stream) = waiting.take() {
                        connections.spawn(connection::serve(stream, state, Arc::new(place), stopped));
                    }
                }
            }
        }
        self.state.server_info.withdraw(&folder);
        drop(self.listener);
        stopping.send_replace(true);
        let rest = async { while connections.join_next().await.is_some() {} };
        // Requests that have not finished by then end when the set is dropped.
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, rest).await;
        Ok(())
    }
}

async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if let Err(reason) = state.hosts.check(&head) {
        return response::forbidden(&head, &reason);
    }
    let request = Request::from_parts(head, body);
    let path = request.uri().path();
    let is_query = !request.headers().contains_key("x-amz-target") && sts::is_form(request.headers());
    match (request.method(), path) {
        (&Method::POST, "/") if is_query => sts::answer(state, request).await,
        (&Method::POST, "/") => api::answer(state, request).await,
        (&Method::GET | &Method::HEAD, "/healthz") => {
            // The folder's path is not told to clients.
            let health = json!({ "status": "ok", "instance": state.server_info.instance });
            response::json(StatusCode::OK, "application/json", &health)
        }
        (&Method::GET | &Method::HEAD, path) if path.starts_with(DOWNLOADS) => {
            download::answer(state, &request).await
        }
        (_, path) if path == "/v2" || path.starts_with("/v2/") => requests::answer(state, request).await,
        (&Method::GET | &Method::POST, "/token" | "/token/") => token::answer(state, request).await,
        _ => other_services::rest(&request.into_parts().0),
    }
}
