//! Opening a connection: straight, to a forward proxy, or through a tunnel.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::http::{Request, Uri, header};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::TransportError;
use crate::network::resolver::Resolver;
use crate::network::{Proxy, ProxyChooser};

/// Opens connections.
#[derive(Clone)]
pub(super) struct Dialer {
    tcp: HttpConnector<Resolver>,
    proxies: Option<Arc<ProxyChooser>>,
    timeout: Option<Duration>,
}

impl Dialer {
    pub(super) fn new(proxies: Option<Arc<ProxyChooser>>, timeout: Option<Duration>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, proxies, timeout }
    }
}

/// Names the caller to a forward proxy that asks for it; a tunnel does so by itself.
pub(super) fn authorize<B>(proxies: Option<&ProxyChooser>, request: &mut Request<B>) {
    let proxy = proxies.and_then(|proxies| proxies.choose(request.uri()));
    if let Some(authorization) = proxy.and_then(|proxy| proxy.authorization) {
        request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
    }
}

impl Service<Uri> for Dialer {
    type Response = ServerConnection;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<ServerConnection, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let proxy = self.proxies.as_ref().and_then(|proxies| proxies.choose(&target));
        let tcp = self.tcp.clone();
        let timeout = self.timeout;
        Box::pin(async move {
            let opening = open(tcp, target, proxy);
            match timeout {
                Some(limit) => {
                    tokio::time::timeout(limit, opening).await.unwrap_or(Err(TransportError::ConnectTimeout))
                }
                None => opening.await,
            }
        })
    }
}

async fn open(
    mut tcp: HttpConnector<Resolver>,
    target: Uri,
    proxy: Option<Proxy>,
) -> Result<ServerConnection, TransportError> {
    let Some(Proxy { address, authorization }) = proxy else {
        let stream = tcp.call(target).await.map_err(|_| TransportError::Connect)?;
        return Ok(ServerConnection { stream, forwarded: false });
    };
    let unreachable = || TransportError::Proxy(address.to_string().trim_end_matches('/').to_owned());
    if address.scheme_str() != Some("http") {
        return Err(TransportError::Proxy(format!("{address} (only http:// proxies can be used)")));
    }
    if target.scheme_str() == Some("https") {
        let mut tunnel = Tunnel::new(address.clone(), tcp);
        if let Some(authorization) = authorization {
            tunnel = tunnel.with_auth(authorization);
        }
        let stream = tunnel.call(target).await.map_err(|_| unreachable())?;
        return Ok(ServerConnection { stream, forwarded: false });
    }
    let stream = tcp.call(address.clone()).await.map_err(|_| unreachable())?;
    Ok(ServerConnection { stream, forwarded: true })
}

/// An open connection.
pub(super) struct ServerConnection {
    stream: TokioIo<TcpStream>,
    /// The other end is a forward proxy, to which requests name their whole URL.
    forwarded: bool,
}

impl Connection for ServerConnection {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.forwarded)
    }
}

impl Read for ServerConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for ServerConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }
}
