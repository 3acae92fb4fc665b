//! Metadata service of an EC2 instance, asked as botocore asks it: with a token if it gives one (version 2), and
//! without otherwise (version 1), unless that is switched off.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use hyper::http::Uri;
use serde_json::Value;

use super::super::error::Error;
use super::super::transport::{Answer, Ask, Timeouts, Transport, TransportError};
use super::time;
use crate::settings::Settings;

const TOKEN: &str = "latest/api/token";
const TOKEN_SECONDS: &str = "21600";
const ROLES: &str = "latest/meta-data/iam/security-credentials/";
const REGION: &str = "latest/meta-data/placement/region";
/// Time that expired or expiring credentials of the service are used: it gives them out while it cannot renew them.
const EXTENSION: Duration = Duration::from_mins(15);

/// A metadata service.
pub(super) struct InstanceMetadata {
    transport: Transport,
    base: String,
    timeout: Duration,
    attempts: u32,
    version_1_disabled: bool,
}

impl InstanceMetadata {
    /// The metadata service that the settings name, reached without proxies: its address means only this machine.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let base = settings.instance_metadata_endpoint()?;
        let is_url = |uri: &Uri| uri.scheme().is_some() && uri.host().is_some();
        if !base.parse().is_ok_and(|uri| is_url(&uri)) {
            let words = format!("Invalid endpoint EC2 Instance Metadata endpoint: {base}");
            return Err(Error::Credentials(words));
        }
        Ok(Self {
            transport: Transport::direct(settings),
            base: format!("{}/", base.trim_end_matches('/')),
            timeout: settings.instance_metadata_timeout()?,
            attempts: settings.instance_metadata_attempts()?,
            version_1_disabled: settings.instance_metadata_v1_disabled()?,
        })
    }

    /// The credentials of the instance's role; `None` where there is no service, or no role.
    pub(super) async fn credentials(&self) -> Result<Option<Credentials>, Error> {
        let Some(token) = self.token().await? else { return Ok(None) };
        let Some(role) = self.text(ROLES, token.as_deref()).await? else { return Ok(None) };
        let role = role.lines().next().unwrap_or_default().trim();
        let Some(text) = self.text(&format!("{ROLES}{role}"), token.as_deref()).await? else {
            return Ok(None);
        };
        let Ok(answer) = serde_json::from_str::<Value>(&text) else { return Ok(None) };
        let member = |name: &str| answer[name].as_str().map(str::to_owned);
        let (Some(key), Some(secret), Some(session), Some(end)) =
            (member("AccessKeyId"), member("SecretAccessKey"), member("Token"), member("Expiration"))
        else {
            return Ok(None);
        };
        let end = time::instant(&end).map_err(Error::Credentials)?;
        let end = end.max(SystemTime::now() + EXTENSION);
        Ok(Some(Credentials::new(key, secret, Some(session), Some(end), "InstanceMetadata")))
    }

    /// The instance's region.
    pub(super) async fn region(&self) -> Result<Option<String>, Error> {
        let Some(token) = self.token().await? else { return Ok(None) };
        Ok(self.text(REGION, token.as_deref()).await?.map(|text| text.trim().to_owned()))
    }

    /// Returns the token for the next requests, itself `None` for version 1. Nothing where the request was malformed
    /// for the service, which then is none.
    #[allow(
        clippy::option_option,
        reason = "to be asked without a token is something else than not to be asked"
    )]
    async fn token(&self) -> Result<Option<Option<String>>, Error> {
        let header = [("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)];
        let mut token = None;
        for _ in 0..self.attempts {
            match self.ask("PUT", TOKEN, &header).await {
                Ok(answer) if answer.status == 200 => token = Some(answer.text()),
                Ok(answer) if answer.status == 400 => return Ok(None),
                Ok(answer) if matches!(answer.status, 403..=405) => {}
                Err(TransportError::ReadTimeout) => {}
                Ok(_) | Err(_) => continue,
            }
            break;
        }
        if token.as_ref().is_none_or(String::is_empty) && self.version_1_disabled {
            return Err(Error::Credentials(
                "Error retrieving metadata: Unable to retrieve token for use in IMDSv2 call and IMDSv1 has been disabled"
                    .to_owned(),
            ));
        }
        Ok(Some(token))
    }

    async fn text(&self, path: &str, token: Option<&str>) -> Result<Option<String>, Error> {
        let header = token.map(|token| ("x-aws-ec2-metadata-token", token));
        for _ in 0..self.attempts {
            match self.ask("GET", path, header.as_slice()).await {
                Ok(answer) if answer.status == 200 && !answer.body.is_empty() => {
                    return Ok(Some(answer.text()));
                }
                Err(TransportError::Other(reason)) => return Err(Error::Credentials(reason)),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, TransportError> {
        let url = format!("{}{path}", self.base);
        let timeouts = Timeouts { connect: Some(self.timeout), read: Some(self.timeout) };
        self.transport.ask(timeouts, &Ask { method, url: &url, headers, body: &[] }).await
    }
}
