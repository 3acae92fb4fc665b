//! First request to a registry, which finds out whether it uses TLS, if it is one of this machine, and which
//! authentication it asks for. A registry that is open to everybody is asked nothing beforehand.

use std::pin::pin;

use reqwest::{Method, RequestBuilder, Response};
use url::Url;

use super::super::http::is_passing;
use super::Login;
use super::error::ResponseError;
use super::read::{Reads, refused};
use super::token::Authentication;
use crate::network::probe::speaks_tls;

/// Outcome of the first request.
pub(super) enum FirstResponse {
    /// The answer itself.
    Answered(Response),
    /// URL of the request, with whatever the registry wants to know.
    At(Url),
}

impl Reads {
    /// Sends a request, if it is the first one, without authentication. What has a body is not sent twice.
    pub(super) async fn send_first(
        &self,
        method: &Method,
        request: RequestBuilder,
        url: Url,
    ) -> Result<FirstResponse, ResponseError> {
        let goes_unnamed = self.is_unasked()
            && matches!(*method, Method::GET | Method::HEAD)
            && !matches!(*self.login.lock().await, Login::Registry(_));
        let is_undecided = self.is_secured.get().is_none() && self.connections.is_direct(&url);
        let response = match (is_undecided, goes_unnamed) {
            (true, true) => self.decide(request).await,
            (true, false) => {
                let _ = self.is_secured.set(speaks_tls(&self.host).await);
                None
            }
            (false, true) => Some(self.answered(request).await),
            (false, false) => None,
        };
        match response {
            // An answer without TLS of a registry that speaks it says nothing.
            Some(response) if !is_undecided || self.is_secured.get() == Some(&false) => {
                self.judge(response?, url).await
            }
            _ => Ok(FirstResponse::At(self.at_scheme(url))),
        }
    }

    /// A URL of the registry under the scheme that was found out: one that was made before that has another.
    pub(super) fn at_scheme(&self, mut url: Url) -> Url {
        if self.is_secured.get() == Some(&true) {
            // Between these two schemes it always can be changed.
            let _ = url.set_scheme("https");
        }
        url
    }

    /// Returns whether the registry's authentication is not known yet.
    pub(super) fn is_unasked(&self) -> bool {
        *self.challenge() == Authentication::Unknown
    }

    /// Finds out whether the registry speaks TLS, while a request without TLS is under way. An answer that makes sense
    /// says that it does not.
    async fn decide(&self, request: RequestBuilder) -> Option<Result<Response, ResponseError>> {
        let (mut probe, mut asked) = (pin!(speaks_tls(&self.host)), pin!(self.answered(request)));
        let (is_secure, answer) = tokio::select! {
            is_secure = &mut probe => (is_secure, None),
            answer = &mut asked => match answer {
                Ok(response) if response.status() != 400 => (false, Some(Ok(response))),
                answer => (probe.await, Some(answer)),
            },
        };
        let _ = self.is_secured.set(is_secure);
        match answer {
            None if !is_secure => Some(asked.await),
            answer => answer,
        }
    }

    /// Accepts an answer to a request without authentication, or records the challenge instead.
    async fn judge(&self, response: Response, url: Url) -> Result<FirstResponse, ResponseError> {
        let is_anonymous = *self.login.lock().await == Login::Anonymous;
        match response.status().as_u16() {
            401 => {
                self.note(&response);
                return Ok(FirstResponse::At(url));
            }
            // It may say something else to whom it knows.
            403 | 404 if !is_anonymous => return Ok(FirstResponse::At(url)),
            403 => return Err(refused(response).await),
            status if is_passing(status) => return Err(refused(response).await),
            500.. => {}
            _ => *self.challenge() = Authentication::Nothing,
        }
        Ok(FirstResponse::Answered(response))
    }
}
