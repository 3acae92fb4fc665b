//! Credentials of a role for a job of GitHub Actions: the job's ID token, exchanged without another action.
//!
//! A job with the permission `id-token: write` finds in its environment where it may ask for a token that GitHub signs
//! (<https://docs.github.com/en/actions/reference/security/oidc>). The URL names the job, so that what is kept in the
//! cache folder is found again by later steps and by no other job on the same runner.

use aws_credential_types::Credentials;
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::transport::{Answer, Ask, RetryPolicy, Transport, TransportError};
use super::cache::Entry;
use super::{CredentialChain, CredentialSource};
use crate::model::wire::dumps;
use crate::settings::Settings;

/// The URL to ask for a token; only set where a job may ask.
const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
/// The secret to ask with.
const SECRET: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
/// The name of a role's session where none is configured, as that of AWS's own action.
const SESSION: &str = "GitHubActions";

/// Returns the role for this job; `None` if no role is requested, or the job may ask for no token.
pub(super) fn configured(settings: &Settings) -> Option<CredentialSource> {
    let role = settings.filled_variable("AWS_ROLE_ARN")?;
    settings.filled_variable(URL)?;
    settings.filled_variable(SECRET)?;
    let session = settings.filled_variable("AWS_ROLE_SESSION_NAME");
    Some(CredentialSource::GithubJob { role, session: session.unwrap_or_else(|| SESSION.to_owned()) })
}

/// Returns whether this is a job that asks for a role and lacks the permission for it.
pub(super) fn lacks_permission(settings: &Settings) -> bool {
    settings.filled_variable("GITHUB_ACTIONS").is_some()
        && settings.filled_variable("AWS_ROLE_ARN").is_some()
        && settings.filled_variable(URL).is_none()
}

/// The audience that AWS's own action asks for in the role's partition.
fn audience(role: &str) -> &'static str {
    if role.starts_with("arn:aws-cn:") { "sts.amazonaws.com.cn" } else { "sts.amazonaws.com" }
}

impl CredentialChain {
    pub(super) async fn of_github_job(
        &self,
        role: &str,
        session: &str,
        http: &Transport,
    ) -> Result<Credentials, Error> {
        let variable = |name: &str| self.settings.filled_variable(name).unwrap_or_default();
        let url = variable(URL);
        let key = json!({"IdTokenUrl": url, "RoleArn": role, "RoleSessionName": session});
        let entry = Entry::of(&self.settings, &dumps(&key));
        if let Some(credentials) = entry.read() {
            return Ok(credentials);
        }
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}audience={}", audience(role));
        let token = id_token(&self.settings, http, &url, &variable(SECRET)).await?;
        let credentials = self.exchange(token, role, Some(session), http).await?;
        entry.write(&credentials, None);
        Ok(credentials)
    }
}

/// Asks GitHub for a token, again where that may help.
async fn id_token(settings: &Settings, http: &Transport, url: &str, secret: &str) -> Result<String, Error> {
    super::checked_text(SECRET, secret)?;
    let authorization = format!("bearer {secret}");
    let headers = [("authorization", authorization.as_str()), ("accept", "application/json")];
    let ask = Ask { method: "GET", url, headers: &headers, body: &[] };
    let answer = http.send_with_retries(&ask, RetryPolicy::new(settings)?).await.sent;
    token_in(&answer.map_err(|failure| unreachable(url, &failure))?)
}

fn unreachable(url: &str, failure: &TransportError) -> Error {
    Error::Transport(super::super::endpoint::failure_text(failure, url))
}

fn token_in(answer: &Answer) -> Result<String, Error> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token = body["value"].as_str().filter(|token| answer.status == 200 && !token.is_empty());
    token.map(str::to_owned).ok_or_else(|| {
        Error::Credentials(format!(
            "GitHub gave this job no ID token for AWS_ROLE_ARN (HTTP {}): the job needs the permission id-token: write.",
            answer.status
        ))
    })
}
