//! Connector that reports connections to a [`Gate`] while they are being made.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tower_layer::Layer;
use tower_service::Service;

use super::Gate;

/// A connection was given up because of a limit. No request was sent on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("others wait for a connection, too")]
pub struct GivenUp;

/// Service that makes connections with another service and reports them to a gate.
#[derive(Debug, Clone)]
pub struct Connector<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Connector<S> {
    /// Reports the connections of `inner` to `gate`.
    pub fn new(inner: S, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
    }
}

impl<S, R> Service<R> for Connector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: From<GivenUp> + Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (gate, connecting) = (Arc::clone(&self.gate), self.inner.call(request));
        Box::pin(async move { gate.connect(connecting).await })
    }
}

/// Layer that puts a [`Connector`] around a service.
#[derive(Debug, Clone)]
pub struct ConnectorLayer(pub Arc<Gate>);

impl<S> Layer<S> for ConnectorLayer {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector::new(inner, Arc::clone(&self.0))
    }
}

struct Connecting<'a>(&'a Gate);

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.state().end_connection();
    }
}

impl Gate {
    /// Waits for a connection, and gives it up when a limit is set.
    pub(super) async fn connect<T, E: From<GivenUp>>(
        &self,
        connecting: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.state().begin_connection();
        let (_connecting, begun) = (Connecting(self), Instant::now());
        let (mut connecting, mut limited) = (pin!(connecting), self.limited.subscribe());
        loop {
            let left = self.state().connection_timeout().saturating_sub(begun.elapsed());
            tokio::select! {
                biased;
                made = &mut connecting => {
                    if made.is_ok() {
                        self.state().connected(begun.elapsed());
                    }
                    return made;
                }
                _ = limited.changed() => return Err(GivenUp.into()),
                () = tokio::time::sleep(left.max(Duration::from_millis(10))) => {
                    if self.state().is_connection_late(begun.elapsed()) {
                        self.announce();
                    }
                }
            }
        }
    }
}
