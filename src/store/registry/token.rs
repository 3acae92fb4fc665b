//! Who we are to a registry: its 401 names a realm, and the realm gives a token for the login (the distribution
//! project's "Token Authentication Specification"); where it names none, the login itself goes along, as with ECR.
//!
//! The realm is the registry's word alone, and the login goes there: oci-client would send it anywhere.

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, USER_AGENT, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use url::Url;

use super::super::http::realm_leads_astray;
use super::Login;
use super::error::Trouble;
use super::read::{Reads, bounded, refused};
use crate::image::MAXIMUM_MANIFEST;

/// Gets the login anew, since the one that was given has expired. It may take as long as a call of AWS.
pub type Renew = Arc<dyn Fn() -> Result<Login, String> + Send + Sync>;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Pull,
    Push,
}

/// How a registry wants to be asked.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Reads {
    /// What a request's header says for who asks; empty where nobody wants to know. `stale` is what it said when that
    /// was not accepted any more; whoever comes first gets a new one for all.
    pub(super) async fn authorization(&self, right: Right, stale: Option<&str>) -> Result<String, Trouble> {
        let kept = if right == Right::Push { &self.pushing } else { &self.pulling };
        let mut kept = kept.lock().await;
        if let Some(authorization) = kept.as_ref().filter(|known| stale != Some(known.as_str())) {
            return Ok(authorization.clone());
        }
        let login = self.login(stale).await?;
        let authorization = self.authorize(right, &login).await?;
        *kept = Some(authorization.clone());
        Ok(authorization)
    }

    /// The login, a new one where the one that was used has expired and there is a way.
    async fn login(&self, stale: Option<&str>) -> Result<Login, Trouble> {
        let mut login = self.login.lock().await;
        let Some((renew, stale)) = self.renew.as_ref().zip(stale) else { return Ok(login.clone()) };
        // The other right's token may have brought a new one already.
        if basic(&login) == stale || stale.starts_with("Bearer ") {
            let renew = Arc::clone(renew);
            let renewed = tokio::task::spawn_blocking(move || renew()).await;
            *login = renewed
                .unwrap_or_else(|error| Err(error.to_string()))
                .map_err(|reason| Trouble::status(401, &reason))?;
        }
        Ok(login.clone())
    }

    async fn authorize(&self, right: Right, login: &Login) -> Result<String, Trouble> {
        let registry = self.root()?;
        let request = self.connections.client(&registry).map_err(Trouble::plain)?.get(registry.clone());
        let answer = request.header(USER_AGENT, super::USER_AGENT).send().await;
        let answer = answer.map_err(|error| Trouble::connection(&error))?;
        if answer.status().is_server_error() || matches!(answer.status().as_u16(), 408 | 429) {
            return Err(refused(answer).await);
        }
        let challenges = answer.headers().get_all(WWW_AUTHENTICATE);
        let challenge = challenges.iter().find_map(|header| challenge(header.to_str().ok()?));
        let Some(challenge) = challenge else { return Ok(basic(login)) };
        let unusable = || Trouble::plain(format!("its realm {} is no URL", challenge.realm));
        let mut realm: Url = challenge.realm.parse().map_err(|_| unusable())?;
        if let Some(reason) = realm_leads_astray(&registry, &realm) {
            return Err(Trouble::plain(reason));
        }
        let actions = if right == Right::Push { "pull,push" } else { "pull" };
        let scope = format!("repository:{}:{actions}", self.repository);
        realm.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = &challenge.service {
            realm.query_pairs_mut().append_pair("service", service);
        }
        let request = self.connections.client(&realm).map_err(Trouble::plain)?.get(realm);
        let answer = with(request.header(USER_AGENT, super::USER_AGENT), &basic(login)).send().await;
        let answer = answer.map_err(|error| Trouble::connection(&error))?;
        if answer.status() != 200 {
            return Err(refused(answer).await);
        }
        let token: Option<Token> = serde_json::from_slice(&bounded(answer, MAXIMUM_MANIFEST).await?).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        token
            .map(|token| format!("Bearer {token}"))
            .ok_or_else(|| Trouble::plain("its realm answered no token"))
    }

    /// The URL that says whether we are welcome.
    pub(super) fn root(&self) -> Result<Url, Trouble> {
        let (root, _) = self.base.split_once("/v2/").unwrap_or((&self.base, ""));
        format!("{root}/v2/").parse().map_err(|_| Trouble::plain("no URL"))
    }

    /// Asks for something below the repository. A token that has expired is renewed, once.
    pub(super) async fn ask(
        &self,
        right: Right,
        method: &Method,
        path: &str,
        complete: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Trouble> {
        let url: Url = format!("{}/{path}", self.base).parse().map_err(|_| Trouble::plain("no URL"))?;
        let client = self.connections.client(&url).map_err(Trouble::plain)?;
        let mut stale: Option<String> = None;
        loop {
            let authorization = self.authorization(right, stale.as_deref()).await?;
            let request = client.request(method.clone(), url.clone()).header(USER_AGENT, super::USER_AGENT);
            let sent = complete(with(request, &authorization)).send().await;
            let response = sent.map_err(|error| Trouble::connection(&error))?;
            if stale.is_some() || !matches!(response.status().as_u16(), 401 | 403) {
                return Ok(response);
            }
            // An answer to HEAD has no words: then 403 may be anything, which a new login finds out.
            let wordless = *method == Method::HEAD && self.renew.is_some();
            let trouble = refused(response).await;
            if !trouble.expired && !wordless {
                return Err(trouble);
            }
            stale = Some(authorization);
        }
    }
}

/// A request of somebody.
pub(super) fn with(request: RequestBuilder, authorization: &str) -> RequestBuilder {
    if authorization.is_empty() { request } else { request.header(AUTHORIZATION, authorization) }
}

/// The header of a login itself; empty for nobody.
fn basic(login: &Login) -> String {
    match login {
        Login::Anonymous => String::new(),
        Login::Password(user, password) => {
            format!("Basic {}", base64_simd::STANDARD.encode_to_string(format!("{user}:{password}")))
        }
    }
}

/// The realm that a header `WWW-Authenticate` names for tokens: `Bearer name="value",name=value` (RFC 9110, 11.6.1).
fn challenge(header: &str) -> Option<Challenge> {
    let (scheme, mut rest) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    while let Some((name, behind)) = rest.split_once('=') {
        let (value, behind) = if let Some(quoted) = behind.trim_start().strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let end = behind.find(',').unwrap_or(behind.len());
            (behind[..end].trim().to_owned(), &behind[end..])
        };
        match name.trim_matches([' ', ',', '\t']).to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            _ => {}
        }
        rest = behind;
    }
    Some(Challenge { realm: realm?, service })
}

/// What a quoted text says up to its closing quote, and what follows that.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_its_realm() {
        let of = |realm: &str, service: Option<&str>| {
            Some(Challenge { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        for (header, expected) in [
            (r#"Bearer realm="https://a/token",service="b c""#, of("https://a/token", Some("b c"))),
            (r#"bearer Service=x, scope="a,b", realm="https://a/t?x=y""#, of("https://a/t?x=y", Some("x"))),
            (r#"Bearer realm="a\"b""#, of("a\"b", None)),
            (r#"Bearer service="x""#, None),
            (r#"Bearer realm="never ends"#, None),
            (r#"Basic realm="https://a""#, None),
            ("Bearer", None),
            ("", None),
        ] {
            assert_eq!(challenge(header), expected, "{header}");
        }
    }
}
