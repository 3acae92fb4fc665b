//! The first request to a registry, which finds out how to ask it: whether with TLS, where it is one of this machine, and
//! whether it wants to know who asks. A registry that is open to everybody is asked nothing beforehand.

use std::pin::pin;
use std::sync::atomic::Ordering;

use reqwest::{Method, RequestBuilder, Response};
use url::Url;

use super::super::http::is_passing;
use super::Login;
use super::error::ResponseError;
use super::read::{Reads, refused};
use super::token::Asks;
use crate::network::probe::speaks_tls;

/// What came of asking for the first time.
pub(super) enum Settled {
    /// The answer itself.
    Answered(Response),
    /// Where the request is to go, with whatever the registry wants to know.
    At(Url),
}

impl Reads {
    /// Sends a request, if it is the first one, without saying who asks. What has a body is not sent twice.
    pub(super) async fn settle(
        &self,
        method: &Method,
        request: RequestBuilder,
        url: Url,
    ) -> Result<Settled, ResponseError> {
        let goes_unnamed = self.is_unasked()
            && matches!(*method, Method::GET | Method::HEAD)
            && !matches!(*self.login.lock().await, Login::Registry(_));
        if !self.is_undecided(&url) {
            if !goes_unnamed {
                return Ok(Settled::At(url));
            }
            let response = self.answered(request).await?;
            return self.judge(response, url).await;
        }
        let response = if goes_unnamed { self.decide(request).await } else { self.probe().await };
        let is_secure = !self.is_plain.load(Ordering::Relaxed);
        match response {
            Some(response) if !is_secure => self.judge(response?, url).await,
            _ => Ok(Settled::At(if is_secure { secured(url) } else { url })),
        }
    }

    /// Whether it is not known yet how the registry wants to be asked.
    pub(super) fn is_unasked(&self) -> bool {
        *self.challenge() == Asks::Unknown
    }

    fn is_undecided(&self, url: &Url) -> bool {
        self.is_undecided.load(Ordering::Relaxed) && self.connections.is_direct(url)
    }

    /// Finds out whether the registry speaks TLS, while it is asked without. An answer that makes sense says that it
    /// does not.
    async fn decide(&self, request: RequestBuilder) -> Option<Result<Response, ResponseError>> {
        let (mut probe, mut asked) = (pin!(speaks_tls(&self.host)), pin!(self.answered(request)));
        let (is_secure, answer) = tokio::select! {
            is_secure = &mut probe => (is_secure, None),
            answer = &mut asked => match answer {
                Ok(response) if response.status() != 400 => (false, Some(Ok(response))),
                answer => (probe.await, Some(answer)),
            },
        };
        self.is_plain.store(!is_secure, Ordering::Relaxed);
        self.is_undecided.store(false, Ordering::Relaxed);
        match answer {
            None if !is_secure => Some(asked.await),
            answer => answer,
        }
    }

    async fn probe(&self) -> Option<Result<Response, ResponseError>> {
        self.is_plain.store(!speaks_tls(&self.host).await, Ordering::Relaxed);
        self.is_undecided.store(false, Ordering::Relaxed);
        None
    }

    /// Takes an answer to a request that did not say who asks, or notes what it says instead.
    async fn judge(&self, response: Response, url: Url) -> Result<Settled, ResponseError> {
        let is_anonymous = *self.login.lock().await == Login::Anonymous;
        match response.status().as_u16() {
            401 => {
                self.note(&response);
                return Ok(Settled::At(url));
            }
            // It may say something else to whom it knows.
            403 | 404 if !is_anonymous => return Ok(Settled::At(url)),
            403 => return Err(refused(response).await),
            status if is_passing(status) => return Err(refused(response).await),
            500.. => {}
            _ => *self.challenge() = Asks::Nothing,
        }
        Ok(Settled::Answered(response))
    }
}

fn secured(mut url: Url) -> Url {
    // Between these two schemes it always can be changed.
    let _ = url.set_scheme("https");
    url
}
