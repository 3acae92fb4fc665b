//! Credentials that somebody else hands out: SSO, a login session, a program, the container, the machine.

use std::net::IpAddr;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::login::LoginCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sso::SsoCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_types::region::Region;
use hyper::http::Uri;
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::transport::{Options, Transport};
use super::super::words;
use super::Wallet;
use super::cache::{self, Entry};
use crate::model::wire::dumps;
use crate::settings::Settings;

/// Credentials of a role in IAM Identity Center.
pub(super) struct Sso<'a> {
    pub(super) account: &'a str,
    pub(super) role: &'a str,
    pub(super) region: &'a str,
    pub(super) start_url: &'a str,
    pub(super) session: Option<&'a str>,
}

impl Sso<'_> {
    pub(super) async fn credentials(
        &self,
        settings: &Settings,
        http: &SharedHttpClient,
    ) -> Result<Credentials, Error> {
        let entry = Entry::of(settings, &self.arguments());
        if let Some(credentials) = entry.read() {
            return Ok(credentials);
        }
        let name = self.session.unwrap_or(self.start_url);
        let token = format!(".aws/sso/cache/{}.json", cache::hash(name));
        if !settings.home().is_some_and(|home| home.join(token).is_file()) {
            return Err(Error::Credentials(format!(
                "Error loading SSO Token: Token for {name} does not exist"
            )));
        }
        let mut provider = SsoCredentialsProvider::builder()
            .configure(&configuration(settings, http)?)
            .account_id(self.account)
            .role_name(self.role)
            .region(Region::new(self.region.to_owned()))
            .start_url(self.start_url);
        provider.set_session_name(self.session.map(str::to_owned));
        let credentials = provider.build().provide_credentials().await.map_err(|error| {
            let reason = DisplayErrorContext(&error).to_string();
            Error::Credentials(format!(
                "The SSO session associated with this profile has expired or is otherwise invalid. To refresh this \
                 SSO session run aws sso login with the corresponding profile. ({reason})"
            ))
        })?;
        entry.write(&credentials, Some("sso"));
        Ok(credentials)
    }

    /// What AWS CLI's cache is keyed by: JSON without blanks, keys in alphabetical order.
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

/// Credentials of `aws login`.
pub(super) async fn of_login_session(
    settings: &Settings,
    session: &str,
    http: &SharedHttpClient,
) -> Result<Credentials, Error> {
    let provider =
        LoginCredentialsProvider::builder(session).configure(&configuration(settings, http)?).build();
    provider.provide_credentials().await.map_err(|error| {
        let reason = DisplayErrorContext(&error).to_string();
        Error::Credentials(if reason.contains("No such file") || reason.contains("not found") {
            format!(
                "Error loading login session token: Unable to load a existing login session for session {session}, \
                 Please reauthenticate with 'aws login'."
            )
        } else {
            format!("Error loading login session token: {reason}")
        })
    })
}

fn configuration(settings: &Settings, http: &SharedHttpClient) -> Result<ProviderConfig, Error> {
    Ok(ProviderConfig::empty()
        .with_http_client(http.clone())
        .with_sleep_impl(TokioSleep::new())
        .with_region(settings.region()?.map(Region::new)))
}

/// Credentials that a program prints (`credential_process`).
pub(super) fn of_process(command: &str, account: Option<&str>) -> Result<Credentials, Error> {
    let failed = |reason: &str| {
        Error::Credentials(format!("Error when retrieving credentials from custom-process: {reason}"))
    };
    let command = shell_words::split(command).map_err(|error| Error::Credentials(error.to_string()))?;
    let (program, arguments) = command.split_first().ok_or_else(|| failed("the command is empty"))?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::inherit())
        .output()
        .map_err(|error| Error::Credentials(words::of_file(&error, Some(program))))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    let printed: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| Error::Credentials(error.to_string()))?;
    if printed["Version"] != json!(1) {
        let version = match &printed["Version"] {
            Value::Null => "<Version key not provided>".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        return Err(failed(&format!(
            "Unsupported version '{version}' for credential process provider, supported versions: 1"
        )));
    }
    let text = |name: &str| printed[name].as_str().map(str::to_owned);
    let needed =
        |name: &str| text(name).ok_or_else(|| failed(&format!("Missing required key in response: '{name}'")));
    let end = text("Expiration").as_deref().and_then(cache::instant);
    let mut credentials = Credentials::builder()
        .access_key_id(needed("AccessKeyId")?)
        .secret_access_key(needed("SecretAccessKey")?)
        .provider_name("CredentialProcess");
    credentials.set_session_token(text("SessionToken"));
    credentials.set_expiry(end);
    if let Some(account) = text("AccountId").as_deref().or(account) {
        credentials = credentials.account_id(account);
    }
    Ok(credentials.build())
}

/// Credentials that the container's surroundings hand out.
pub(super) async fn of_container(settings: &Settings) -> Result<Credentials, Error> {
    check_host_of_container(settings)?;
    let provider = EcsCredentialsProvider::builder()
        .configure(&configuration(settings, &nearby())?)
        .connect_timeout(NEARBY)
        .read_timeout(NEARBY)
        .build();
    provider.provide_credentials().await.map_err(|error| {
        let reason = DisplayErrorContext(&error).to_string();
        Error::Credentials(format!("Error when retrieving credentials from container-role: {reason}"))
    })
}

/// Without TLS only this machine and the addresses of ECS and EKS may be asked.
fn check_host_of_container(settings: &Settings) -> Result<(), Error> {
    const HOSTS: [&str; 4] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"];
    if settings.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some() {
        return Ok(());
    }
    let url = settings.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").unwrap_or_default();
    let Ok(url) = url.parse::<Uri>() else { return Ok(()) };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if url.scheme_str() == Some("https") || is_loopback || HOSTS.contains(&host) {
        return Ok(());
    }
    let words = format!(
        "Unsupported host '{host}'.  Can only retrieve metadata from a loopback address or one of these hosts: {}",
        HOSTS.join(", ")
    );
    Err(Error::Credentials(words))
}

/// How long something on the same machine may take to answer.
const NEARBY: Duration = Duration::from_secs(2);

/// A transport without proxies, for addresses that no proxy can reach.
fn nearby() -> SharedHttpClient {
    SharedHttpClient::new(Transport::new(Options::default()))
}

impl Wallet {
    /// Credentials of the machine, where it is one of EC2's; `None` where it is not, or has no role.
    pub(super) async fn of_instance(&self) -> Result<Option<Credentials>, Error> {
        let Some(client) = self.instance_metadata()? else { return Ok(None) };
        let provider = ImdsCredentialsProvider::builder()
            .configure(&configuration(&self.settings, &nearby())?)
            .imds_client(client)
            .build();
        let credentials = provider.provide_credentials().await.ok();
        if credentials.is_none() {
            self.instance_is_silent.store(true, Ordering::Relaxed);
        }
        Ok(credentials)
    }

    /// The region of the machine that this runs on, where it is one of EC2's.
    pub(in super::super) async fn region_of_instance(&self) -> Result<Option<String>, Error> {
        let Some(client) = self.instance_metadata()? else { return Ok(None) };
        let provider = ImdsRegionProvider::builder()
            .configure(&configuration(&self.settings, &nearby())?)
            .imds_client(client)
            .build();
        let region = provider.region().await.map(|region| region.to_string());
        if region.is_none() {
            self.instance_is_silent.store(true, Ordering::Relaxed);
        }
        Ok(region)
    }

    /// The metadata service; `None` where it must not be asked, or did not answer before: off EC2 each question
    /// costs its whole time.
    fn instance_metadata(&self) -> Result<Option<imds::Client>, Error> {
        if self.settings.instance_metadata_disabled() || self.instance_is_silent.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let patience = self.settings.instance_metadata_timeout()?;
        let client = imds::Client::builder()
            .configure(&configuration(&self.settings, &nearby())?)
            .connect_timeout(patience)
            .read_timeout(patience)
            .operation_timeout(patience * 2)
            .operation_attempt_timeout(patience * 2)
            .max_attempts(self.settings.instance_metadata_attempts()?)
            .endpoint(self.settings.instance_metadata_endpoint()?)
            .map_err(|error| Error::Credentials(error.to_string()))?;
        Ok(Some(client.build()))
    }
}
