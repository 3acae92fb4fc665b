//! Authentication at a registry: its 401 names a realm, and the realm gives a token for the login (the distribution
//! project's "Token Authentication Specification"); where it names none, the login itself goes along, as with ECR.
//!
//! Only the registry names the realm, and the login is sent there, so the URL is checked first; oci-client would send
//! it anywhere.

use std::sync::{Arc, MutexGuard, PoisonError};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::super::http::{is_passing, realm_refusal};
use super::Login;
use super::challenge::{self, Challenge};
use super::error::ResponseError;
use super::first::FirstResponse;
use super::read::{Reads, bounded, refused};
use super::resource::Resource;
use crate::escape::escape;

/// The longest answer of a realm that is read.
const MAX_TOKEN: u64 = 1024 * 1024;

/// Gets the login anew, since the one that was given has expired. It may take as long as a call of AWS.
pub type Renew = Arc<dyn Fn() -> Result<Login, String> + Send + Sync>;

/// Scope of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Pull,
    Push,
    /// To list the repositories.
    Catalog,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Authentication that a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authentication {
    /// The registry was not asked yet.
    Unknown,
    /// The registry has answered without a challenge.
    Nothing,
    /// The registry has sent this challenge.
    Challenges(Challenge),
}

impl Reads {
    /// Returns the `Authorization` header of a request; empty if the registry needs none. `stale` is the header
    /// that was just refused: the first request with it gets a new one for all.
    pub(super) async fn authorization(
        &self,
        right: Right,
        stale: Option<&str>,
    ) -> Result<String, ResponseError> {
        let kept = match right {
            Right::Pull => &self.pulling,
            Right::Push => &self.pushing,
            Right::Catalog => &self.listing,
        };
        let mut kept = kept.lock().await;
        if let Some(authorization) = kept.as_ref().filter(|known| stale != Some(known.as_str())) {
            return Ok(authorization.clone());
        }
        let login = self.login(stale).await?;
        let authorization = self.authorize(right, &login).await?;
        *kept = Some(authorization.clone());
        Ok(authorization)
    }

    /// Returns the login, a new one if the former has expired and can be renewed.
    async fn login(&self, stale: Option<&str>) -> Result<Login, ResponseError> {
        let mut login = self.login.lock().await;
        let Some((renew, stale)) = self.renew.as_ref().zip(stale) else { return Ok(login.clone()) };
        // The other right's token may have brought a new one already.
        if basic(&login) == stale || stale.starts_with("Bearer ") {
            let renew = Arc::clone(renew);
            let renewed = tokio::task::spawn_blocking(move || renew()).await;
            *login = renewed
                .unwrap_or_else(|error| Err(error.to_string()))
                .map_err(|reason| ResponseError::status(401, &reason))?;
        }
        Ok(login.clone())
    }

    /// Returns the `Authorization` header for the challenge that the registry has sent.
    async fn authorize(&self, right: Right, login: &Login) -> Result<String, ResponseError> {
        if let Login::Registry(token) = login {
            return Ok(format!("Bearer {token}"));
        }
        let known = self.challenge().clone();
        let challenge = match known {
            Authentication::Challenges(challenge) => Some(challenge),
            Authentication::Nothing => None,
            Authentication::Unknown => self.challenged().await?,
        };
        match challenge {
            Some(Challenge::Bearer { realm, service }) => {
                self.token(right, login, &realm, service.as_deref()).await
            }
            Some(Challenge::Basic) | None => Ok(basic(login)),
        }
    }

    /// Sends a request without authentication to learn the registry's challenge.
    async fn challenged(&self) -> Result<Option<Challenge>, ResponseError> {
        let registry = self.url(Resource::Root)?;
        let request = self.connections.client(&registry).map_err(ResponseError::plain)?.get(registry);
        let answer = self.answered(request.header(USER_AGENT, super::USER_AGENT)).await?;
        if is_passing(answer.status().as_u16()) {
            return Err(refused(answer).await);
        }
        let challenge = challenge::of(answer.headers());
        *self.challenge() = challenge.clone().map_or(Authentication::Nothing, Authentication::Challenges);
        Ok(challenge)
    }

    /// Records the challenge in a refusal.
    pub(super) fn note(&self, refusal: &Response) {
        if let Some(challenge) = challenge::of(refusal.headers()) {
            *self.challenge() = Authentication::Challenges(challenge);
        }
    }

    pub(super) fn challenge(&self) -> MutexGuard<'_, Authentication> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets a token from a realm: with GET and the login, or with POST where the login is a refresh token
    /// (distribution, "Token Authentication Specification" and "Oauth2 Token Authentication").
    async fn token(
        &self,
        right: Right,
        login: &Login,
        realm: &str,
        service: Option<&str>,
    ) -> Result<String, ResponseError> {
        let registry = self.url(Resource::Root)?;
        let unusable = |_| ResponseError::plain(format!("its realm {} is no URL", escape(realm)));
        let mut realm: Url = realm.parse().map_err(unusable)?;
        if let Some(reason) = realm_refusal(&registry, &realm) {
            return Err(ResponseError::plain(reason));
        }
        let scope = match right {
            Right::Pull => format!("repository:{}:pull", self.repository),
            Right::Push => format!("repository:{}:pull,push", self.repository),
            Right::Catalog => "registry:catalog:*".to_owned(),
        };
        let client = self.connections.client(&realm).map_err(ResponseError::plain)?;
        let request = if let Login::Identity(refresh) = login {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").append_pair("client_id", "ecr");
            form.append_pair("service", service.unwrap_or_default()).append_pair("scope", &scope);
            let form = form.append_pair("refresh_token", refresh).finish();
            client.post(realm).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
        } else {
            realm.query_pairs_mut().append_pair("scope", &scope);
            if let Some(service) = service {
                realm.query_pairs_mut().append_pair("service", service);
            }
            with(client.get(realm), &basic(login))
        };
        let answer = self.answered(request.header(USER_AGENT, super::USER_AGENT)).await?;
        if answer.status() != 200 {
            return Err(refused(answer).await);
        }
        let token: Option<Token> = serde_json::from_slice(&bounded(answer, MAX_TOKEN).await?).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        // What is no header value would break the request that carries it, and every message about it.
        let token =
            token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        token
            .map(|token| format!("Bearer {token}"))
            .ok_or_else(|| ResponseError::plain("its realm answered no token"))
    }

    /// Asks for a resource.
    pub(super) async fn ask(
        &self,
        right: Right,
        method: &Method,
        resource: Resource<'_>,
        complete: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, ResponseError> {
        self.ask_url(right, method, &self.url(resource)?, complete).await
    }

    /// Sends a GET to a URL of the registry. A token that has expired is renewed, and a challenge that only this URL
    /// sends is met, once.
    pub(super) async fn ask_url(
        &self,
        right: Right,
        method: &Method,
        url: &Url,
        complete: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, ResponseError> {
        let ask = |url: &Url| {
            let client = self.connections.client(url).map_err(ResponseError::plain)?;
            Ok::<_, ResponseError>(complete(
                client.request(method.clone(), url.clone()).header(USER_AGENT, super::USER_AGENT),
            ))
        };
        let url = self.at_scheme(url.clone());
        let asked = ask(&url)?;
        let url = match self.send_first(method, asked, url).await? {
            FirstResponse::Answered(response) => return Ok(response),
            FirstResponse::At(url) => url,
        };
        let mut stale: Option<String> = None;
        loop {
            let authorization = self.authorization(right, stale.as_deref()).await?;
            let response = self.answered(with(ask(&url)?, &authorization)).await?;
            if stale.is_some() || !matches!(response.status().as_u16(), 401 | 403) {
                return Ok(response);
            }
            if response.status() == 401 {
                self.note(&response);
            }
            // An answer to HEAD has no words: then 403 may be anything, which a new login finds out.
            let wordless = *method == Method::HEAD && self.renew.is_some();
            let error = refused(response).await;
            if !error.expired && !wordless {
                return Err(error);
            }
            stale = Some(authorization);
        }
    }
}

/// Adds an `Authorization` header to a request.
pub(super) fn with(request: RequestBuilder, authorization: &str) -> RequestBuilder {
    if authorization.is_empty() { request } else { request.header(AUTHORIZATION, authorization) }
}

/// Returns the header of a login itself; empty for an anonymous one.
fn basic(login: &Login) -> String {
    match login {
        Login::Anonymous | Login::Identity(_) => String::new(),
        Login::Registry(token) => format!("Bearer {token}"),
        Login::Password(user, password) => {
            format!("Basic {}", base64_simd::STANDARD.encode_to_string(format!("{user}:{password}")))
        }
    }
}
