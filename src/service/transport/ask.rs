//! Requests to services that have no model: token services, metadata services, any URL.

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use hyper::http::{HeaderMap, Request};

use super::{Timeouts, Transport, TransportError};
use crate::retry::Backoff;
use crate::service::attempt::MAX_WAIT;
use crate::settings::Settings;

/// A request to be sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::service) struct Ask<'a> {
    pub(in crate::service) method: &'a str,
    pub(in crate::service) url: &'a str,
    pub(in crate::service) headers: &'a [(&'a str, &'a str)],
    pub(in crate::service) body: &'a [u8],
}

/// The answer to it.
#[derive(Debug)]
pub(in crate::service) struct Answer {
    pub(in crate::service) status: u16,
    headers: HeaderMap,
    pub(in crate::service) body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub(in crate::service) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }

    /// The body as text.
    pub(in crate::service) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns whether the same request may succeed a little later.
    fn is_passing(&self) -> bool {
        matches!(self.status, 429 | 500 | 502..=504)
    }
}

/// Limit of attempts, waits between them, and time limits of each.
#[derive(Debug, Clone, Copy)]
pub(in crate::service) struct RetryPolicy {
    attempts: u32,
    backoff: Backoff,
    timeouts: Timeouts,
}

impl RetryPolicy {
    pub(in crate::service) fn new(settings: &Settings) -> Result<Self, crate::settings::Error> {
        Ok(Self {
            attempts: settings.max_attempts()?,
            backoff: Backoff::new(settings.retry_delay() / 2, MAX_WAIT),
            timeouts: Timeouts { connect: settings.connect_timeout()?, read: settings.read_timeout()? },
        })
    }
}

/// Result of a request that was sent until it was answered or there were no attempts left.
#[derive(Debug)]
pub(in crate::service) struct RetriedAnswer {
    pub(in crate::service) sent: Result<Answer, TransportError>,
    /// The number of repetitions, where no attempt was left.
    pub(in crate::service) exhausted: Option<u32>,
}

impl Transport {
    /// Sends one request and reads its answer.
    pub(in crate::service) async fn ask(
        &self,
        timeouts: Timeouts,
        ask: &Ask<'_>,
    ) -> Result<Answer, TransportError> {
        let mut request = Request::builder().method(ask.method).uri(ask.url);
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(SdkBody::from(Bytes::copy_from_slice(ask.body)));
        let request = request
            .map_err(|error| TransportError::Other(format!("{} cannot be asked: {error}", ask.url)))?;
        let response = self.connector(timeouts).0.logged(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.bytes().unwrap_or_default().to_vec();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Sends a request, again where that may help: after throttling, a failure of the server or of the connection.
    pub(in crate::service) async fn send_with_retries(
        &self,
        ask: &Ask<'_>,
        policy: RetryPolicy,
    ) -> RetriedAnswer {
        let RetryPolicy { attempts, backoff, timeouts } = policy;
        let mut made = 1;
        loop {
            let sent = self.ask(timeouts, ask).await;
            let may_help = match &sent {
                Ok(answer) => answer.is_passing(),
                Err(failure) => !matches!(failure, TransportError::Tls(_) | TransportError::Other(_)),
            };
            if !may_help || made >= attempts {
                return RetriedAnswer { sent, exhausted: (made >= attempts).then(|| made - 1) };
            }
            tokio::time::sleep(backoff.wait(made)).await;
            made += 1;
        }
    }
}
