//! AWS's Security Token Service, as far as scripts need it before they use a registry: the caller's identity, and
//! temporary credentials. Its query protocol: a form goes in, XML comes out.

mod answer;
mod form;

use crate::local::core::download_url;
use crate::local::store::time;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::api;
use super::body;
use super::other_services;
use crate::iam::Principal;
use crate::local::aws_api::error::ApiError;
use crate::local::http::auth::Identity;
use crate::local::http::auth::UnverifiedRequest;
use crate::local::http::auth::session::Session;
use crate::local::http::auth::session::SessionCredentials;
use crate::local::http::response::Body;
use crate::local::http::state::State;
use crate::local::http::sts::form::Form;

pub(super) use answer::error_document;

/// The only version of the service.
const VERSION: &str = "2011-06-15";
/// The largest form: a web identity token has 20,000 characters at most.
const MAX_BYTES: usize = 64 * 1024;

/// Result of an action: its members, as XML.
type Outcome = Result<String, ApiError>;

/// Returns whether a request is of the query protocol.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Answers one request of the query protocol.
pub(super) async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    // Checked before the form is read; told once it is known whether the form is of this service.
    let claim = api::examine(state, &head).await;
    let (bytes, hash) = match read(state, body).await {
        Ok(read) => read,
        Err(error) => return answer::refusal(&error),
    };
    let form = match Form::of(&bytes) {
        Ok(form) => form,
        Err(error) => return answer::refusal(&error),
    };
    if form.get("Version") != Some(VERSION) {
        return other_services::query(&head.headers);
    }
    let action = form.get("Action").unwrap_or_default();
    let result = match action {
        "GetCallerIdentity" | "AssumeRole" | "GetSessionToken" => match verified(claim, &head, &hash) {
            Ok(identity) => carry_out(state, action, &form, &identity).await,
            Err(error) => Err(error),
        },
        // The token is the proof; nothing is signed.
        "AssumeRoleWithWebIdentity" => with_web_identity(state, &form).await,
        _ => Err(ApiError::new(
            "InvalidAction",
            format!("Could not find operation {action} for version {VERSION}"),
        )),
    };
    match result {
        Ok(members) => answer::success(action, &members),
        Err(error) => answer::refusal(&error),
    }
}

async fn read(state: &State, mut incoming: Incoming) -> Result<(Bytes, [u8; 32]), ApiError> {
    let collected = timeout(state.timeouts.body, Limited::new(&mut incoming, MAX_BYTES).collect()).await;
    match collected {
        Ok(Ok(collected)) => {
            let bytes = collected.to_bytes();
            let hash = Sha256::digest(&bytes).into();
            Ok((bytes, hash))
        }
        Ok(Err(_)) => {
            body::drain(incoming, state.timeouts).await;
            Err(ApiError::new(
                "ValidationError",
                format!("the form broke off, or has more than {MAX_BYTES} bytes"),
            ))
        }
        Err(_) => Err(ApiError {
            status: 408,
            ..ApiError::new("RequestTimeout", "the form did not arrive in time")
        }),
    }
}

fn verified(
    claim: Result<UnverifiedRequest, ApiError>,
    head: &Parts,
    hash: &[u8; 32],
) -> Result<Identity, ApiError> {
    let claim = claim?;
    if let Some(scope) = claim.service().filter(|scope| *scope != "sts") {
        let text = format!("Credential should be scoped to correct service: 'sts', not '{scope}'.");
        return Err(ApiError::new("InvalidSignatureException", text));
    }
    claim.verify(head, Some(hash))
}

async fn carry_out(state: &Arc<State>, action: &str, form: &Form, identity: &Identity) -> Outcome {
    match action {
        "AssumeRole" => assume_role(state, form, identity).await,
        "GetSessionToken" => session_token(state, form, identity).await,
        _ => Ok(answer::caller_identity(identity.principal())),
    }
}

async fn assume_role(state: &Arc<State>, form: &Form, identity: &Identity) -> Outcome {
    let (role, session) = asked_role(form)?;
    if !identity.may_assume(&role) {
        let text = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
            identity.principal().arn(),
            role.arn()
        );
        return Err(ApiError::new("AccessDenied", text));
    }
    refuse_session_policy(state, form)?;
    let expires = expiry(form, 3600, 900..=43_200)?;
    let credentials = credentials(state, identity.session(&session, expires)).await?;
    Ok(answer::credentials(&credentials, expires) + &answer::assumed_role(&role, &session))
}

async fn session_token(state: &Arc<State>, form: &Form, identity: &Identity) -> Outcome {
    if identity.is_session() {
        return Err(ApiError::new("AccessDenied", "Cannot call GetSessionToken with session credentials"));
    }
    let expires = expiry(form, 43_200, 900..=129_600)?;
    let credentials = credentials(state, identity.session(identity.principal(), expires)).await?;
    Ok(answer::credentials(&credentials, expires))
}

async fn with_web_identity(state: &Arc<State>, form: &Form) -> Outcome {
    let (role, session) = asked_role(form)?;
    let token = form.required("WebIdentityToken", "webIdentityToken")?;
    if state.authenticator.is_strict() {
        let text = "No OpenIDConnect provider is known to this server, which cannot tell whose the token is: sign with a \
                    key of its --credentials and use AssumeRole";
        return Err(ApiError::new("InvalidIdentityToken", text));
    }
    refuse_session_policy(state, form)?;
    let expires = expiry(form, 3600, 900..=43_200)?;
    let credentials = credentials(state, Session::begin(&session, None, expires)).await?;
    let told = answer::token_claims(token);
    Ok(answer::credentials(&credentials, expires) + &answer::assumed_role(&role, &session) + &told)
}

/// Returns the requested role and its session.
fn asked_role(form: &Form) -> Result<(Principal, Principal), ApiError> {
    let (arn, name) =
        (form.required("RoleArn", "roleArn")?, form.required("RoleSessionName", "roleSessionName")?);
    let invalid = |text: String| ApiError::new("ValidationError", text);
    let role = Principal::of(arn).filter(|role| role.role().is_some());
    let role = role.ok_or_else(|| invalid(format!("{arn} is invalid")))?;
    let session = role.role_session(name).ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [\\w+=,.@-]*, and have 2 to 64 characters"
        ))
    })?;
    Ok((role, session))
}

/// A session policy would take permissions away, which this server does not do for sessions.
fn refuse_session_policy(state: &State, form: &Form) -> Result<(), ApiError> {
    let is_narrowed = form.get("Policy").is_some() || form.has_list("PolicyArns");
    if is_narrowed && state.local.enforces {
        let text = "this server enforces no session policies: leave out Policy and PolicyArns";
        return Err(ApiError::new("ValidationError", text));
    }
    Ok(())
}

/// Returns the expiry of the requested credentials, in milliseconds since 1970.
fn expiry(form: &Form, default: i64, bounds: std::ops::RangeInclusive<i64>) -> Result<i64, ApiError> {
    let seconds = match form.get("DurationSeconds") {
        None => default,
        Some(text) => text.parse().ok().filter(|seconds| bounds.contains(seconds)).ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            let text = format!(
                "1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy constraint: Member must \
                 have value between {least} and {most}"
            );
            ApiError::new("ValidationError", text)
        })?,
    };
    Ok((time::now() / 1000 + seconds) * 1000)
}

async fn credentials(state: &Arc<State>, session: Session) -> Result<SessionCredentials, ApiError> {
    let shared = Arc::clone(state);
    let secret = api::in_turn(state, move || Ok(shared.local.read(download_url::secret)?)).await?;
    Ok(session.credentials(&secret))
}
