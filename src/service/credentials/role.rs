//! Credentials of a role, from the Security Token Service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::types::Credentials as Issued;
use aws_sdk_sts::{Client, Config};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::retry::RetryConfig;
use serde_json::{Map, Value};

use super::super::attempt::Attempts;
use super::super::error::{Error, OperationError};
use super::super::transport::{Transport, TransportError, causes};
use super::super::{ServiceError, endpoint, os_error};
use super::cache::Entry;
use super::{CredentialChain, CredentialSource};
use crate::model::wire::dumps;
use crate::network::find;

/// Least length of a token that STS takes, by its model.
const MIN_TOKEN: usize = 4;

/// A role, and whose credentials ask for it.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) mfa_serial: Option<String>,
    pub(super) seconds: Option<i32>,
    pub(super) source: CredentialSource,
}

/// Count and limit of a request's attempts.
pub(super) struct Count {
    made: Arc<AtomicU32>,
    most: u32,
}

impl Count {
    /// The repetitions, where no more were left.
    fn repetitions(&self) -> Option<u32> {
        let made = self.made.load(Ordering::Relaxed);
        (made >= self.most).then(|| made.saturating_sub(1))
    }
}

impl CredentialChain {
    pub(super) async fn assume(&self, role: &Role, http: &Transport) -> Result<Credentials, Error> {
        let entry = Entry::of(&self.settings, &role.arguments());
        if let Some(credentials) = entry.read() {
            return Ok(credentials);
        }
        let source = self.fetch(&role.source, http).await?.ok_or(Error::NoCredentials)?;
        let code = role.mfa_serial.as_ref().map(|serial| self.code(serial)).transpose()?;
        let (client, count) = self.security_token_service(http, Some(source))?;
        let request = client
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(session_name(role.session.as_deref()))
            .set_external_id(role.external_id.clone())
            .set_serial_number(role.mfa_serial.clone())
            .set_token_code(code)
            .set_duration_seconds(role.seconds);
        let answer = request.send().await.map_err(|error| refused("AssumeRole", &count, &error))?;
        let credentials = issued(answer.credentials)?;
        entry.write(&credentials, None);
        Ok(credentials)
    }

    pub(super) async fn assume_with_token(
        &self,
        token_file: &str,
        role: &str,
        session: Option<&str>,
        http: &Transport,
    ) -> Result<Credentials, Error> {
        let token = std::fs::read_to_string(token_file)
            .map_err(|error| Error::Credentials(os_error::of_file(&error, Some(token_file))))?;
        let length = token.chars().count();
        if length < MIN_TOKEN {
            return Err(Error::Invalid(format!(
                "Parameter validation failed:\nInvalid length for parameter WebIdentityToken, value: {length}, valid min \
                 length: {MIN_TOKEN}"
            )));
        }
        let mut arguments = Map::new();
        arguments.insert("RoleArn".to_owned(), Value::from(role));
        if let Some(session) = session {
            arguments.insert("RoleSessionName".to_owned(), Value::from(session));
        }
        arguments.insert("WebIdentityToken".to_owned(), Value::from(token.clone()));
        let entry = Entry::of(&self.settings, &dumps(&Value::Object(arguments)));
        if let Some(credentials) = entry.read() {
            return Ok(credentials);
        }
        let credentials = self.exchange(token, role, session, http).await?;
        entry.write(&credentials, None);
        Ok(credentials)
    }

    /// Exchanges a token for credentials of a role.
    pub(super) async fn exchange(
        &self,
        token: String,
        role: &str,
        session: Option<&str>,
        http: &Transport,
    ) -> Result<Credentials, Error> {
        let (client, count) = self.security_token_service(http, None)?;
        let request = client
            .assume_role_with_web_identity()
            .role_arn(role)
            .role_session_name(session_name(session))
            .web_identity_token(token);
        let answer =
            request.send().await.map_err(|error| refused("AssumeRoleWithWebIdentity", &count, &error))?;
        issued(answer.credentials)
    }

    fn code(&self, serial: &str) -> Result<String, Error> {
        let Some(prompt) = &self.prompt else {
            return Err(Error::Credentials(format!(
                "The role needs a code of the MFA device {serial}, and there is nobody to ask for it."
            )));
        };
        let question = format!("Enter MFA code for {serial}: ");
        let code = prompt(&question).map_err(|error| match error.kind() {
            std::io::ErrorKind::Interrupted => Error::Interrupted,
            // Python's `EOFError` has no words.
            std::io::ErrorKind::UnexpectedEof => Error::Credentials(String::new()),
            _ => Error::Credentials(error.to_string()),
        })?;
        Ok(code.trim().to_owned())
    }

    pub(super) fn security_token_service(
        &self,
        http: &Transport,
        credentials: Option<Credentials>,
    ) -> Result<(Client, Count), Error> {
        let region = self.settings.region()?.ok_or(Error::NoRegion)?;
        let most = self.settings.max_attempts()?;
        let count = Count { made: Arc::default(), most };
        let mut configuration = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http.client())
            .sleep_impl(TokioSleep::new())
            .region(Region::new(region))
            .use_fips(self.settings.fips()?)
            .use_dual_stack(self.settings.dualstack()?)
            .retry_config(RetryConfig::standard().with_max_attempts(most))
            .interceptor(Attempts::new(Arc::clone(&count.made), most))
            .timeout_config(endpoint::timeouts(&self.settings)?);
        configuration.set_endpoint_url(self.settings.configured_endpoint("sts")?);
        configuration.set_credentials_provider(credentials.map(SharedCredentialsProvider::new));
        Ok((Client::from_conf(configuration.build()), count))
    }
}

impl Role {
    /// Key of the AWS CLI's cache: the request's members in alphabetical order, without a session name of ours.
    fn arguments(&self) -> String {
        let mut arguments = Map::new();
        if let Some(seconds) = self.seconds {
            arguments.insert("DurationSeconds".to_owned(), Value::from(seconds));
        }
        let texts = [
            ("ExternalId", &self.external_id),
            ("RoleArn", &Some(self.arn.clone())),
            ("RoleSessionName", &self.session),
            ("SerialNumber", &self.mfa_serial),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                arguments.insert(name.to_owned(), Value::from(value.clone()));
            }
        }
        dumps(&Value::Object(arguments))
    }
}

fn session_name(given: Option<&str>) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    given.map_or_else(|| format!("botocore-session-{seconds}"), str::to_owned)
}

fn issued(credentials: Option<Issued>) -> Result<Credentials, Error> {
    let issued = credentials
        .ok_or_else(|| Error::Credentials("The Security Token Service issued no credentials.".to_owned()))?;
    let end = SystemTime::try_from(issued.expiration).ok();
    let (key, secret) = (issued.access_key_id, issued.secret_access_key);
    Ok(Credentials::new(key, secret, Some(issued.session_token), end, "AssumeRole"))
}

/// Words the service's refusal like any other service's.
pub(super) fn refused<E>(operation: &str, count: &Count, error: &SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    if let (Some(code), Some(raw)) = (error.code(), error.raw_response()) {
        let refusal = ServiceError {
            code: code.to_owned(),
            message: error.message().unwrap_or_default().to_owned(),
            members: Map::new(),
            status: raw.status().as_u16(),
        };
        return Error::Refused(Box::new(OperationError {
            operation: operation.to_owned(),
            refusal,
            retries: count.repetitions(),
        }));
    }
    let text = match find::<TransportError>(error) {
        Some(failure) => format!("The Security Token Service cannot be asked: {failure}"),
        None => causes(error),
    };
    Error::Transport(text)
}
