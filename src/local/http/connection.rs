//! Connection of a client: TLS if the server has it, HTTP, and a log line for each request.

use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::fault_injection;
use super::response;
use crate::local::aws_api::error::ApiError;
use crate::local::http::connections::Connection;
use crate::local::http::peer::Peer;
use crate::local::http::response::Body;
use crate::local::http::state::State;
use crate::local::http::write_timeout::WriteTimeout;
use crate::local::store::error::Error;

/// Bytes read from a connection at once.
const READ_BUFFER: usize = 64 * 1024;
/// The first byte of a TLS handshake, which no HTTP request begins with.
const HANDSHAKE: u8 = 22;

/// TLS configuration of the server, from its certificate and key.
pub(super) fn secure(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Error> {
    let refuse = |path: &Path, reason: String| Error::Certificate { path: path.to_owned(), reason };
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error: rustls::pki_types::pem::Error| refuse(&path, error.to_string())
    };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(unreadable(certificate))?;
    if chain.is_empty() {
        return Err(refuse(certificate, "it holds no certificate".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let configuration =
        builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
    configuration.map(Arc::new).map_err(|error| refuse(key, error.to_string()))
}

/// One connection, for as long as it lasts.
pub(super) async fn serve(
    stream: TcpStream,
    state: Arc<State>,
    place: Arc<Connection>,
    stopped: watch::Receiver<bool>,
) {
    tokio::select! {
        () = converse(stream, state, &place, stopped) => {}
        () = place.close().notified() => {}
    }
}

async fn converse(
    stream: TcpStream,
    state: Arc<State>,
    place: &Arc<Connection>,
    stopped: watch::Receiver<bool>,
) {
    // An answer is written at once; waiting for more of it only delays the client.
    let _ = stream.set_nodelay(true);
    let peer = Peer(stream.peer_addr().ok().map(|address| address.ip()));
    let Some(tls) = state.tls.clone() else {
        return speak(stream, Client { peer, place, bare: false }, state, stopped).await;
    };
    // Other processes on this machine ask without TLS whether the server is there; they get no more than that.
    let mut first = [0];
    let wait = state.timeouts.head;
    match timeout(wait, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == HANDSHAKE => {
            if let Ok(Ok(stream)) = timeout(wait, TlsAcceptor::from(tls).accept(stream)).await {
                speak(stream, Client { peer, place, bare: false }, state, stopped).await;
            }
        }
        Ok(Ok(1)) => speak(stream, Client { peer, place, bare: true }, state, stopped).await,
        _ => {}
    }
}

/// Other end of a connection.
struct Client<'a> {
    peer: Peer,
    place: &'a Arc<Connection>,
    /// The client speaks plain HTTP to a server with TLS.
    bare: bool,
}

/// HTTP on a connection.
async fn speak<S>(stream: S, client: Client<'_>, state: Arc<State>, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let wait = state.timeouts.head;
    let stream = WriteTimeout::new(stream, state.timeouts.body);
    let Client { peer, place, bare } = client;
    let place = Arc::clone(place);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(Arc::clone(&place));
        let (state, busy) = (Arc::clone(&state), place.busy());
        async move {
            if bare && request.uri().path() != "/healthz" {
                let words = json!({ "message": "this server speaks TLS: use https" });
                let refused = response::json(StatusCode::BAD_REQUEST, "application/json", &words);
                return Ok(refused.map(|body| busy.until(body)));
            }
            Ok::<_, io::Error>(logged(&state, request).await?.map(|body| busy.until(body)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(wait)
        .max_buf_size(READ_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A broken connection is the client's affair; nobody is left to be told.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Returns the answer, or an error if a bug stopped the handler: one request must not affect others.
async fn guarded(answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
        response::api_error(ApiError::server("the embedded ECR failed on this request; its log says where"))
    })
}

/// Answers a request, unless a rule wants its connection to break instead.
async fn logged(state: &Arc<State>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
    // Queries stay out: they hold signatures.
    let line = format!("{} {} {operation}", request.method(), request.uri().path());
    let begun = Instant::now();
    let action = state.faults.strike(operation, request.method(), request.uri().path());
    let response = match action {
        None => guarded(super::answer(state, request)).await,
        Some(action) => fault_injection::apply_fault(state, request, action).await?,
    };
    let Some(log) = &state.log else { return Ok(response) };
    let status = response.status();
    if status.is_server_error() || !log.failures_only {
        let milliseconds = begun.elapsed().as_millis();
        let reason = response.extensions().get::<response::Reason>().filter(|_| status.is_server_error());
        let reason = reason.map(|reason| format!(": {}", reason.0)).unwrap_or_default();
        (log.write)(&format!("{} {} {milliseconds} ms{reason}", line.trim_end(), status.as_u16()));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bug_is_a_failure_of_one_request() {
        let answered = guarded(async { panic!("a bug, on purpose") }).await;
        assert_eq!(answered.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let sound = guarded(async { response::json(StatusCode::OK, "a/b", &json!({})) }).await;
        assert_eq!(sound.status(), StatusCode::OK);
    }
}
