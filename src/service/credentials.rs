//! Credentials, in AWS CLI's order of places (contract 1.2).

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::Mutex;

use super::error::Error;
use crate::settings::{Section, Settings};

/// Finds credentials and keeps them while they last.
pub(super) struct Wallet {
    settings: Settings,
    kept: Mutex<Option<Credentials>>,
}

impl Wallet {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, kept: Mutex::new(None) }
    }

    /// The credentials; `None` where there are none at all.
    pub(super) async fn credentials(&self, http: &SharedHttpClient) -> Result<Option<Credentials>, Error> {
        let mut kept = self.kept.lock().await;
        if kept.is_none() {
            *kept = self.find(http).await?;
        }
        Ok(kept.clone())
    }

    async fn find(&self, _http: &SharedHttpClient) -> Result<Option<Credentials>, Error> {
        if !self.settings.profile_is_explicit()
            && let Some(credentials) = self.of_environment()?
        {
            return Ok(Some(credentials));
        }
        let profile = self.settings.profile().unwrap_or_else(|| "default".to_owned());
        if let Some(section) = self.settings.profile_section()?
            && let Some(credentials) = of_section(section, "shared-credentials-file")?
        {
            return Ok(Some(credentials));
        }
        let _ = profile;
        Ok(None)
    }

    fn of_environment(&self) -> Result<Option<Credentials>, Error> {
        let Some(key) = self.settings.filled_variable("AWS_ACCESS_KEY_ID") else { return Ok(None) };
        let Some(secret) = self.settings.filled_variable("AWS_SECRET_ACCESS_KEY") else {
            return Err(Error::Credentials(partial("env", "AWS_SECRET_ACCESS_KEY")));
        };
        let token = self
            .settings
            .filled_variable("AWS_SESSION_TOKEN")
            .or_else(|| self.settings.filled_variable("AWS_SECURITY_TOKEN"));
        Ok(Some(Credentials::new(key, secret, token, None, "environment")))
    }

    /// The region of the machine that this runs on, where it is one of EC2's.
    pub(super) async fn region_of_instance(&self, _http: &SharedHttpClient) -> Option<String> {
        None
    }
}

fn partial(provider: &str, missing: &str) -> String {
    format!("Partial credentials found in {provider}, missing: {missing}")
}

fn of_section(section: &Section, provider: &'static str) -> Result<Option<Credentials>, Error> {
    let text = |key: &str| section.get(key).and_then(crate::settings::Entry::text).map(str::to_owned);
    let Some(key) = text("aws_access_key_id") else { return Ok(None) };
    let Some(secret) = text("aws_secret_access_key") else {
        return Err(Error::Credentials(partial(provider, "aws_secret_access_key")));
    };
    let token = text("aws_session_token").or_else(|| text("aws_security_token"));
    Ok(Some(Credentials::new(key, secret, token, None, provider)))
}
