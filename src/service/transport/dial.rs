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
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::Failure;
use crate::settings::Proxies;

/// Opens connections.
#[derive(Clone)]
pub(super) struct Dialer {
    tcp: HttpConnector,
    proxies: Option<Arc<Matcher>>,
    timeout: Option<Duration>,
}

impl Dialer {
    pub(super) fn new(proxies: &Proxies, timeout: Option<Duration>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, proxies: matcher(proxies).map(Arc::new), timeout }
    }
}

fn matcher(proxies: &Proxies) -> Option<Matcher> {
    if proxies.http.is_none() && proxies.https.is_none() {
        return None;
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let builder = Matcher::builder().http(text(&proxies.http)).https(text(&proxies.https));
    Some(builder.no(text(&proxies.except)).build())
}

/// Names the caller to a forward proxy that asks for it; a tunnel does so by itself.
pub(super) fn authorize<B>(proxies: &Proxies, request: &mut Request<B>) {
    let Some(intercept) = matcher(proxies).and_then(|matcher| matcher.intercept(request.uri())) else {
        return;
    };
    if let Some(credentials) = intercept.basic_auth() {
        request.headers_mut().insert(header::PROXY_AUTHORIZATION, credentials.clone());
    }
}

impl Service<Uri> for Dialer {
    type Response = Link;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let intercept = self.proxies.as_ref().and_then(|matcher| matcher.intercept(&target));
        let tcp = self.tcp.clone();
        let timeout = self.timeout;
        Box::pin(async move {
            let opening = open(tcp, target, intercept);
            match timeout {
                Some(limit) => {
                    tokio::time::timeout(limit, opening).await.unwrap_or(Err(Failure::ConnectTimeout))
                }
                None => opening.await,
            }
        })
    }
}

async fn open(mut tcp: HttpConnector, target: Uri, intercept: Option<Intercept>) -> Result<Link, Failure> {
    let Some(intercept) = intercept else {
        let stream = tcp.call(target).await.map_err(|_| Failure::Connect)?;
        return Ok(Link { stream, forwarded: false });
    };
    let proxy = intercept.uri().clone();
    let unreachable = || Failure::Proxy(proxy.to_string().trim_end_matches('/').to_owned());
    if proxy.scheme_str() != Some("http") {
        return Err(Failure::Proxy(format!("{proxy} (only http:// proxies can be used)")));
    }
    if target.scheme_str() == Some("https") {
        let mut tunnel = Tunnel::new(proxy.clone(), tcp);
        if let Some(credentials) = intercept.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        let stream = tunnel.call(target).await.map_err(|_| unreachable())?;
        return Ok(Link { stream, forwarded: false });
    }
    let stream = tcp.call(proxy.clone()).await.map_err(|_| unreachable())?;
    Ok(Link { stream, forwarded: true })
}

/// An open connection.
pub(super) struct Link {
    stream: TokioIo<TcpStream>,
    /// Whether a forward proxy is at the other end, to which requests name their whole URL.
    forwarded: bool,
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.forwarded)
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for Link {
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
