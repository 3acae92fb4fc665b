//! Answers of the security token service.

use hyper::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::iam::Principal;
use crate::local::aws_api::error::ApiError;
use crate::local::http::auth::session::SessionCredentials;
use crate::local::http::response;
use crate::local::http::response::Body;
use crate::local::http::response::Reason;
use crate::local::http::xml::elements;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Response of an action that succeeded.
pub(super) fn success(action: &str, members: &str) -> Response<Body> {
    let id = uuid::Uuid::new_v4();
    let text = format!(
        "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{members}</{action}Result>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>"
    );
    response::plain(StatusCode::OK, "text/xml", response::whole(text))
}

/// Response of an action that was refused. The codes of the services' JSON protocol have other names here.
pub(super) fn refusal(error: &ApiError) -> Response<Body> {
    let (status, code) = match error.code.as_str() {
        _ if error.status >= 500 => (500, "InternalFailure"),
        "MissingAuthenticationTokenException" => (403, "MissingAuthenticationToken"),
        "UnrecognizedClientException" => (403, "InvalidClientTokenId"),
        "InvalidSignatureException" => (403, "SignatureDoesNotMatch"),
        "IncompleteSignatureException" => (400, "IncompleteSignature"),
        "ExpiredTokenException" => (403, "ExpiredToken"),
        "AccessDenied" => (403, "AccessDenied"),
        code => (error.status, code),
    };
    let members = error_document(status, code, &error.message);
    let text = format!("<ErrorResponse xmlns=\"{NAMESPACE}\">{members}</ErrorResponse>");
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response::plain(status, "text/xml", response::whole(text));
    response.extensions_mut().insert(Reason(error.message.clone()));
    response
}

/// The members of an error of the query protocol.
pub(in crate::local::http) fn error_document(status: u16, code: &str, message: &str) -> String {
    let kind = if status >= 500 { "Receiver" } else { "Sender" };
    let members = elements(&[("Type", kind), ("Code", code), ("Message", message)]);
    format!("<Error>{members}</Error><RequestId>{}</RequestId>", uuid::Uuid::new_v4())
}

/// Writes the answer to GetCallerIdentity.
pub(super) fn caller_identity(principal: &Principal) -> String {
    elements(&[("Arn", principal.arn()), ("UserId", &user_id(principal)), ("Account", principal.account())])
}

/// Temporary credentials that end then, in milliseconds since 1970.
pub(super) fn credentials(credentials: &SessionCredentials, expires: i64) -> String {
    let expiration = Timestamp::from_millisecond(expires).unwrap_or(Timestamp::MAX).to_string();
    let members = elements(&[
        ("AccessKeyId", &credentials.access_key),
        ("SecretAccessKey", &credentials.secret),
        ("SessionToken", &credentials.token),
        ("Expiration", &expiration),
    ]);
    format!("<Credentials>{members}</Credentials>")
}

/// A role's session.
pub(super) fn assumed_role(role: &Principal, session: &Principal) -> String {
    let name = session.arn().rsplit('/').next().unwrap_or_default();
    let id = format!("{}:{name}", user_id(role));
    let members = elements(&[("AssumedRoleId", &id), ("Arn", session.arn())]);
    format!("<AssumedRoleUser>{members}</AssumedRoleUser>")
}

/// Reads the claims of a web identity token, without verifying them.
pub(super) fn token_claims(token: &str) -> String {
    let claims = token.split('.').nth(1).and_then(|claims| {
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(claims.trim_end_matches('=')).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    });
    let claims = claims.unwrap_or_default();
    let told = [("SubjectFromWebIdentityToken", "sub"), ("Audience", "aud"), ("Provider", "iss")];
    let told = told.iter().filter_map(|(element, claim)| Some((*element, claims[*claim].as_str()?)));
    elements(&told.collect::<Vec<_>>())
}

/// The unique identifier of a principal: an account's number, or letters that always are the same for one ARN.
fn user_id(principal: &Principal) -> String {
    let arn = principal.lasting_arn();
    let prefix = match (principal.user(), arn.ends_with(":root")) {
        (_, true) => return principal.account().to_owned(),
        (Some(_), _) => "AIDA",
        (None, _) => "AROA",
    };
    let letters = Sha256::digest(arn.as_bytes())
        .iter()
        .take(17)
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect::<String>();
    match principal.arn().split_once(":assumed-role/").and_then(|(_, path)| path.split_once('/')) {
        Some((_, session)) => format!("{prefix}{letters}:{session}"),
        None => format!("{prefix}{letters}"),
    }
}
