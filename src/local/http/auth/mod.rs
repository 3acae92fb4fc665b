//! Authentication of requests to the services' API. What a request says of itself is an [`Authorization`]; only an
//! [`Authenticator`] makes an [`Identity`] of it, from the very values that it verified.

pub(in crate::local) mod authorization;
pub(in crate::local) mod credentials;
pub(in crate::local) mod session;
mod sigv4;

use std::net::IpAddr;

use hyper::header::HeaderName;
use hyper::http::request::Parts;

pub use authorization::{Authorization, MalformedAuthorization};
pub use credentials::Credentials;
use credentials::Key;
pub(super) use session::Session;

use crate::iam::Principal;
use crate::image::host::is_account_id;
use crate::local::aws_api::error::ApiError;
use crate::local::core::caller::Caller;

/// Tolerated difference between the client's clock and ours, in seconds.
const SKEW: i64 = 15 * 60;
/// Headers that must be signed, so that a signature is good for one request only.
const SIGNED: [&str; 2] = ["host", "x-amz-date"];
/// Headers that must be signed if present: they affect the action or the identity.
const SIGNED_IF_PRESENT: [&str; 3] = ["x-amz-target", SECURITY_TOKEN, CONTENT_HASH];
/// Headers that a request may have once only.
const ONCE: [&str; 5] = ["host", "x-amz-date", "x-amz-target", SECURITY_TOKEN, CONTENT_HASH];
pub(super) const SECURITY_TOKEN: &str = "x-amz-security-token";
const CONTENT_HASH: &str = "x-amz-content-sha256";
/// Parameters of a signature in a URL's query.
const QUERY_SIGNATURE: [&str; 3] = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"];

/// Sender of a request: verified if the server has credentials, else as the request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    principal: Principal,
    region: String,
    may_assume: Option<Vec<String>>,
    /// The verified key of the server's credentials with which it all began.
    issuer: Option<String>,
    is_session: bool,
}

impl Identity {
    /// Returns the principal to authorize.
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns whether the request was signed with temporary credentials.
    pub(super) fn is_session(&self) -> bool {
        self.is_session
    }

    /// Returns whether the sender may assume a role: any if signatures are not checked; else those listed for its key,
    /// those of an account whose root it is, and its own.
    pub(super) fn may_assume(&self, role: &Principal) -> bool {
        let Some(listed) = &self.may_assume else { return true };
        let is_root = self.principal.arn().ends_with(":root") && self.principal.account() == role.account();
        is_root || self.principal.lasting_arn() == role.arn() || listed.iter().any(|arn| arn == role.arn())
    }

    /// A session of another principal, or of the same one, that this one asks for.
    pub(super) fn session(&self, principal: &Principal, expires_at: i64) -> Session {
        Session::begin(principal, self.issuer.as_deref(), expires_at)
    }

    /// Converts to the store's [`Caller`].
    pub(super) fn into_caller(self, address: String, source: Option<IpAddr>) -> Caller {
        Caller {
            account: self.principal.account().to_owned(),
            region: self.region,
            address: Some(address),
            principal: self.principal,
            source,
        }
    }
}

/// The key of a request that no session of this server signed.
fn known_key<'a>(credentials: &'a Credentials, name: &str, head: &Parts) -> Result<&'a Key, ApiError> {
    let refused = |text: String| ApiError::new("UnrecognizedClientException", text);
    match credentials.key(name) {
        Some(_) if head.headers.contains_key(SECURITY_TOKEN) => {
            Err(refused("the security token is not one of this server's for this access key".to_owned()))
        }
        Some(key) => Ok(key),
        None => Err(refused(format!("{name} is not an access key of this server"))),
    }
}

/// Authenticator of requests.
#[derive(Debug)]
pub(super) struct Authenticator {
    credentials: Option<Credentials>,
    account: String,
    region: String,
}

/// A request whose Authorization header is well formed, and whose body was not hashed yet.
pub(super) struct UnverifiedRequest {
    identity: Identity,
    proof: Option<SignatureInputs>,
}

/// Inputs of the signature check that come from the head of a request.
struct SignatureInputs {
    authorization: Authorization,
    moment: String,
    secret: String,
    /// Hash of the body in the signed head, with which the signature was verified.
    body: Option<String>,
}

impl Authenticator {
    pub(super) fn new(credentials: Option<Credentials>, account: String, region: String) -> Self {
        Self { credentials, account, region }
    }

    /// Returns whether requests must be signed.
    pub(super) fn is_strict(&self) -> bool {
        self.credentials.is_some()
    }

    /// Checks all of a request that can be checked before its body is read: the form of its signature, its key, its
    /// time, the signed headers, and the signature itself if the head has the body's hash. `store` is the store's
    /// secret, which a session token needs; `now` is in milliseconds since 1970.
    pub(super) fn examine(
        &self,
        head: &Parts,
        store: Option<&[u8]>,
        now: i64,
    ) -> Result<UnverifiedRequest, ApiError> {
        check_once(head)?;
        let authorization = Authorization::of(&head.headers)
            .map_err(|error| ApiError::new("IncompleteSignatureException", error.to_string()))?;
        let session = match (header(head, SECURITY_TOKEN)?, store) {
            (Some(token), Some(store)) => read_session(store, token, now)?,
            _ => None,
        };
        let is_meant = |session: &&(Session, String)| {
            authorization.as_ref().is_some_and(|given| given.access_key == session.0.access_key())
        };
        let session = session.as_ref().filter(is_meant);
        let Some(credentials) = &self.credentials else {
            let identity = self.claimed(authorization.as_ref(), session.map(|(session, _)| session));
            return Ok(UnverifiedRequest { identity, proof: None });
        };
        let missing = || ApiError::new("MissingAuthenticationTokenException", "the request is not signed");
        let authorization = authorization.ok_or_else(missing)?;
        let key = &authorization.access_key;
        // A session ends with the key that it was asked for with, and needs to have been asked for with one.
        let issued = |(session, _): &&(Session, String)| {
            session.issuer().is_some_and(|issuer| credentials.key(issuer).is_some())
        };
        let session = session.filter(issued);
        let (principal, secret, may_assume) = if let Some((session, secret)) = session {
            (session.principal(), secret.clone(), Vec::new())
        } else {
            let known = known_key(credentials, key, head)?;
            (known.principal.clone(), known.secret.clone(), known.may_assume.clone())
        };
        let identity = Identity {
            principal: principal.unwrap_or_else(|| self.principal_of(key)),
            region: authorization.region.clone(),
            may_assume: Some(may_assume),
            issuer: Some(session.and_then(|(session, _)| session.issuer()).unwrap_or(key).to_owned()),
            is_session: session.is_some(),
        };
        let moment = check_covered(head, &authorization, now / 1000)?;
        let proof = SignatureInputs { authorization, moment, secret, body: None };
        Ok(UnverifiedRequest { identity, proof: Some(proof.check_head(head)?) })
    }

    /// Returns the identity that a request claims, on a server that checks no signatures.
    fn claimed(&self, authorization: Option<&Authorization>, session: Option<&Session>) -> Identity {
        let key = authorization.map(|given| given.access_key.as_str()).unwrap_or_default();
        let principal = session.and_then(Session::principal);
        let principal = principal.unwrap_or_else(|| self.principal_of(key));
        Identity {
            principal,
            region: authorization.map_or_else(|| self.region.clone(), |given| given.region.clone()),
            may_assume: None,
            issuer: None,
            is_session: session.is_some(),
        }
    }

    /// The owner of a key that nothing else is known of: the account that it is the number of, else the server's.
    fn principal_of(&self, key: &str) -> Principal {
        Principal::root(if is_account_id(key) { key } else { &self.account })
    }
}

impl UnverifiedRequest {
    /// Returns whether the hash of the body is needed.
    pub(super) fn wants_hash(&self) -> bool {
        self.proof.is_some()
    }

    /// The service that the signature is for, where it is to be verified.
    pub(super) fn service(&self) -> Option<&str> {
        self.proof.as_ref().map(|proof| proof.authorization.service.as_str())
    }

    /// Verifies the signature, now that the body's hash is known.
    pub(super) fn verify(self, head: &Parts, body: Option<&[u8; 32]>) -> Result<Identity, ApiError> {
        let Some(proof) = self.proof else { return Ok(self.identity) };
        let body = body.map(hex::encode).ok_or_else(|| ApiError::server("the body was not hashed"))?;
        let is_genuine = match &proof.body {
            Some(told) => *told == body,
            None => proof.is_genuine(head, &body),
        };
        if is_genuine { Ok(self.identity) } else { Err(mismatch()) }
    }
}

impl SignatureInputs {
    fn is_genuine(&self, head: &Parts, body: &str) -> bool {
        sigv4::is_signed_with(&self.secret, head, &self.authorization, &self.moment, body)
    }

    /// Verifies the signature now if the head has the body's hash.
    fn check_head(mut self, head: &Parts) -> Result<Self, ApiError> {
        let Some(told) = header(head, CONTENT_HASH)? else { return Ok(self) };
        if !self.is_genuine(head, told) {
            return Err(mismatch());
        }
        self.body = Some(told.to_owned());
        Ok(self)
    }
}

fn mismatch() -> ApiError {
    refusal("the signature is not that of this request under the secret of its access key".to_owned())
}

fn refusal(text: String) -> ApiError {
    ApiError::new("InvalidSignatureException", text)
}

/// The text of a header.
fn header<'a>(head: &'a Parts, name: &str) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = head.headers.get(name) else { return Ok(None) };
    let wrong = |_| refusal(format!("the header {name} has bytes that are not printable ASCII"));
    value.to_str().map(Some).map_err(wrong)
}

/// Refuses headers that a request may have once only, and signatures in the query.
fn check_once(head: &Parts) -> Result<(), ApiError> {
    let is_repeated = |name: &&&str| head.headers.get_all(**name).iter().nth(1).is_some();
    if let Some(name) = ONCE.iter().find(is_repeated) {
        return Err(refusal(format!("the request has the header {name} more than once")));
    }
    let mut pairs = head.uri.query().unwrap_or_default().split('&');
    let is_signature = |pair: &str| {
        QUERY_SIGNATURE
            .iter()
            .any(|name| pair.split('=').next().is_some_and(|key| key.eq_ignore_ascii_case(name)))
    };
    if pairs.any(is_signature) {
        let text = "this server takes signatures in the Authorization header, not in the query";
        return Err(ApiError::new("IncompleteSignatureException", text));
    }
    Ok(())
}

/// Checks that a signature covers the necessary headers and was made just now; returns its time as signed.
fn check_covered(head: &Parts, authorization: &Authorization, now: i64) -> Result<String, ApiError> {
    let present =
        SIGNED_IF_PRESENT.into_iter().filter(|name| head.headers.contains_key(HeaderName::from_static(name)));
    if let Some(name) = SIGNED.into_iter().chain(present).find(|name| !authorization.signs(name)) {
        return Err(refusal(format!("the header {name} is not signed")));
    }
    let date = header(head, "x-amz-date")?.unwrap_or_default();
    let made = sigv4::seconds(date).filter(|_| date.starts_with(&authorization.date));
    if made.is_none_or(|made| (now - made).abs() > SKEW) {
        return Err(refusal(format!("the request was signed at {date}, too far from this server's time")));
    }
    Ok(date.to_owned())
}

/// The session of a token with its secret; `None` where the token is not one of this store's.
fn read_session(store: &[u8], token: &str, now: i64) -> Result<Option<(Session, String)>, ApiError> {
    let Some(session) = Session::of(store, token) else { return Ok(None) };
    if now >= session.expires_at {
        let text = "The security token included in the request is expired";
        return Err(ApiError::new("ExpiredTokenException", text));
    }
    Ok(Some((session, session::secret(store, token))))
}
