//! Credentials of a role in IAM Identity Center, for the token that `aws sso login` has left.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::error::{Error, OperationError};
use super::super::transport::{Answer, Ask, RetryPolicy, Transport, TransportError};
use super::super::{ServiceError, wire};
use super::cache::{self, Entry};
use super::time;
use crate::model::wire::dumps;
use crate::settings::Settings;

/// Remaining life at which a session's token is renewed.
const RENEW_BEFORE: Duration = Duration::from_mins(15);

/// A role, and the session that may take it.
pub(super) struct Sso<'a> {
    pub(super) account: &'a str,
    pub(super) role: &'a str,
    pub(super) region: &'a str,
    pub(super) start_url: &'a str,
    /// The `[sso-session]`; tokens of profiles without one cannot be renewed.
    pub(super) session: Option<&'a str>,
}

impl Sso<'_> {
    pub(super) async fn credentials(
        &self,
        settings: &Settings,
        transport: &Transport,
    ) -> Result<Credentials, Error> {
        let entry = Entry::of(settings, &self.arguments());
        if let Some(credentials) = entry.read() {
            return Ok(credentials);
        }
        let token = self.token(settings, transport).await?;
        let query = form(&[("role_name", self.role), ("account_id", self.account)]);
        let endpoint = self.endpoint(settings, "sso", "portal.sso")?;
        let url = format!("{endpoint}/federation/credentials?{query}");
        let header = [("x-amz-sso_bearer_token", token.as_str())];
        let ask = Ask { method: "GET", url: &url, headers: &header, body: &[] };
        let answer = Call { operation: "GetRoleCredentials", ask }.send(settings, transport).await?;
        let credentials = issued(&answer)?;
        entry.write(&credentials, Some("sso"));
        Ok(credentials)
    }

    fn endpoint(&self, settings: &Settings, service: &str, host: &str) -> Result<String, Error> {
        let configured = settings.configured_endpoint(service)?;
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = configured.unwrap_or_else(|| format!("https://{host}.{}.{suffix}", self.region));
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// The token, renewed where it is about to end and can be.
    async fn token(&self, settings: &Settings, transport: &Transport) -> Result<String, Error> {
        let (file, mut kept) = self.kept_token(settings)?;
        let mut end = time::instant_in(&kept["expiresAt"]).map_err(Error::Credentials)?;
        let now = SystemTime::now();
        if self.session.is_some()
            && end < now + RENEW_BEFORE
            && let Some(renewed) = self.renewed(settings, transport, &kept).await?
        {
            cache::store(&file, renewed.to_string().as_bytes()).map_err(|error| {
                Error::Credentials(super::super::os_error::of_file(&error, file.to_str()))
            })?;
            end = time::instant_in(&renewed["expiresAt"]).map_err(Error::Credentials)?;
            kept = renewed;
        }
        if end <= now {
            return Err(Error::Credentials(if self.session.is_some() {
                "Error when retrieving token from sso: Token has expired and refresh failed".to_owned()
            } else {
                ENDED.to_owned()
            }));
        }
        let token = kept["accessToken"].as_str().unwrap_or_default().to_owned();
        super::checked_text("The access token of the SSO session", &token)?;
        Ok(token)
    }

    fn kept_token(&self, settings: &Settings) -> Result<(PathBuf, Value), Error> {
        let name = self.session.unwrap_or(self.start_url);
        let unusable = |words: String| Error::Credentials(format!("Error loading SSO Token: {words}"));
        let missing = || unusable(format!("Token for {name} does not exist"));
        let home = settings.home().ok_or_else(missing)?;
        let key = cache::hash(name);
        let file = home.join(format!(".aws/sso/cache/{key}.json"));
        if !file.is_file() {
            return Err(missing());
        }
        let text = std::fs::read(&file).unwrap_or_default();
        let Ok(token) = serde_json::from_slice::<Value>(&text) else {
            return Err(unusable(format!("{} is not JSON", file.display())));
        };
        if token.get("accessToken").is_none() || token.get("expiresAt").is_none() {
            return Err(unusable(format!("Token for {} is invalid", self.start_url)));
        }
        Ok((file, token))
    }

    /// Another token for the same session; `None` where it cannot be renewed.
    async fn renewed(
        &self,
        settings: &Settings,
        transport: &Transport,
        kept: &Value,
    ) -> Result<Option<Value>, Error> {
        let text = |name: &str| kept[name].as_str();
        let (Some(refresh), Some(id), Some(secret), Some(_)) =
            (text("refreshToken"), text("clientId"), text("clientSecret"), text("registrationExpiresAt"))
        else {
            return Ok(None);
        };
        let registered = time::instant_in(&kept["registrationExpiresAt"]).map_err(Error::Credentials)?;
        let now = SystemTime::now();
        if registered <= now {
            return Ok(None);
        }
        let body = json!({
            "grantType": "refresh_token", "clientId": id, "clientSecret": secret, "refreshToken": refresh,
        });
        let url = format!("{}/token", self.endpoint(settings, "sso-oidc", "oidc")?);
        let header = [("content-type", "application/json")];
        let body = body.to_string();
        let ask = Ask { method: "POST", url: &url, headers: &header, body: body.as_bytes() };
        let answer = match (Call { operation: "CreateToken", ask }).send(settings, transport).await {
            Err(Error::Refused(_)) => return Ok(None),
            answer => answer?,
        };
        let (Some(access), Some(seconds)) = (answer["accessToken"].as_str(), answer["expiresIn"].as_u64())
        else {
            return Ok(None);
        };
        let end = Timestamp::try_from(now + Duration::from_secs(seconds.min(1 << 32)));
        let end = end.map_err(|error| Error::Credentials(error.to_string()))?;
        Ok(Some(self.cached_token(kept, access, end, answer["refreshToken"].as_str())))
    }

    /// Returns a renewed token in the form of the AWS CLI's cache, with the former members of the registration.
    fn cached_token(&self, before: &Value, access: &str, end: Timestamp, refresh: Option<&str>) -> Value {
        let mut token = json!({
            "startUrl": self.start_url,
            "region": self.region,
            "accessToken": access,
            "expiresAt": end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "clientId": before["clientId"],
            "clientSecret": before["clientSecret"],
            "registrationExpiresAt": before["registrationExpiresAt"],
        });
        if let Some(refresh) = refresh {
            token["refreshToken"] = json!(refresh);
        }
        token
    }

    /// Key of the AWS CLI's cache: JSON without blanks, keys in alphabetical order.
    fn arguments(&self) -> String {
        let (key, value) = match self.session {
            Some(session) => ("sessionName", session),
            None => ("startUrl", self.start_url),
        };
        let text = |text: &str| dumps(&json!(text));
        format!(
            "{{\"accountId\":{},\"roleName\":{},\"{key}\":{}}}",
            text(self.account),
            text(self.role),
            text(value)
        )
    }
}

const ENDED: &str = "The SSO session associated with this profile has expired or is otherwise invalid. To refresh this \
                     SSO session run aws sso login with the corresponding profile.";

fn issued(answer: &Value) -> Result<Credentials, Error> {
    let issued = &answer["roleCredentials"];
    let text = |name: &str| issued[name].as_str().map(str::to_owned);
    let end = issued["expiration"].as_u64().map(|end| UNIX_EPOCH + Duration::from_millis(end));
    match (text("accessKeyId"), text("secretAccessKey"), text("sessionToken"), end) {
        (Some(key), Some(secret), token, Some(end)) => {
            Ok(Credentials::new(key, secret, token, Some(end), "SSO"))
        }
        _ => Err(Error::Credentials("The SSO portal's answer has no credentials in it.".to_owned())),
    }
}

/// An operation of the portal or of its token service.
struct Call<'a> {
    operation: &'static str,
    ask: Ask<'a>,
}

impl Call<'_> {
    /// Sends the request, again where that may help.
    async fn send(&self, settings: &Settings, transport: &Transport) -> Result<Value, Error> {
        let repeated = transport.send_with_retries(&self.ask, RetryPolicy::new(settings)?).await;
        self.told(repeated.sent, repeated.exhausted)
    }

    fn told(&self, sent: Result<Answer, TransportError>, retries: Option<u32>) -> Result<Value, Error> {
        let answer = sent.map_err(|failure| {
            Error::Transport(super::super::endpoint::failure_text(&failure, self.ask.url))
        })?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status < 300 {
            return Ok(body);
        }
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let code = answer.header("x-amzn-errortype").or_else(|| text("__type")).or_else(|| text("code"));
        let code = code.unwrap_or_else(|| answer.status.to_string());
        let code = code.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default();
        if code == "UnauthorizedException" {
            return Err(Error::Credentials(ENDED.to_owned()));
        }
        let message = text("message").or_else(|| text("Message"));
        // What stands in front of a service has no structure: its page is the message.
        let unstructured = || Some(answer.text()).filter(|text| body.is_null() && !text.is_empty());
        let refusal = ServiceError {
            code: code.to_owned(),
            message: message.or_else(unstructured).unwrap_or_else(|| wire::reason(answer.status).to_owned()),
            members: Map::new(),
            status: answer.status,
        };
        Err(Error::Refused(Box::new(OperationError {
            operation: self.operation.to_owned(),
            refusal,
            retries,
        })))
    }
}

/// Names and values of a query.
fn form(pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs).finish()
}
