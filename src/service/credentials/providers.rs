//! Credentials from other programs: SSO, a login session, a process, the container, the machine.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::login::LoginCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_types::region::Region;
use hyper::http::Uri;

use super::super::error::Error;
use super::super::transport::{Transport, causes};
use super::CredentialChain;
use super::imds::InstanceMetadata;
use crate::settings::Settings;

/// Credentials of `aws login`.
pub(super) async fn of_login_session(
    settings: &Settings,
    session: &str,
    http: &Transport,
) -> Result<Credentials, Error> {
    let provider =
        LoginCredentialsProvider::builder(session).configure(&configuration(settings, http)?).build();
    provider.provide_credentials().await.map_err(|error| {
        let reason = causes(&error);
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

fn configuration(settings: &Settings, http: &Transport) -> Result<ProviderConfig, Error> {
    Ok(ProviderConfig::empty()
        .with_http_client(http.client())
        .with_sleep_impl(TokioSleep::new())
        .with_region(settings.region()?.map(Region::new)))
}

/// Fetches credentials from the container's environment.
pub(super) async fn of_container(settings: &Settings) -> Result<Credentials, Error> {
    check_host_of_container(settings)?;
    let provider = EcsCredentialsProvider::builder()
        .configure(&configuration(settings, &Transport::direct(settings))?)
        .connect_timeout(NEARBY)
        .read_timeout(NEARBY)
        .build();
    provider.provide_credentials().await.map_err(|error| {
        let reason = causes(&error);
        Error::Credentials(format!("Error when retrieving credentials from container-role: {reason}"))
    })
}

/// Refuses addresses without TLS other than this machine's and those of ECS and EKS.
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

/// Time limit of an answer from this machine.
const NEARBY: Duration = Duration::from_secs(2);

impl CredentialChain {
    /// Credentials of the machine, where it is one of EC2's; `None` where it is not, or has no role.
    pub(super) async fn of_instance(&self) -> Result<Option<Credentials>, Error> {
        let Some(service) = self.instance_metadata()? else { return Ok(None) };
        let credentials = service.credentials().await?;
        self.remember_silence(credentials.is_none());
        Ok(credentials)
    }

    /// The region of the machine that this runs on, where it is one of EC2's.
    pub(in super::super) async fn region_of_instance(&self) -> Result<Option<String>, Error> {
        let Some(service) = self.instance_metadata()? else { return Ok(None) };
        let region = service.region().await?;
        self.remember_silence(region.is_none());
        Ok(region)
    }

    fn remember_silence(&self, silent: bool) {
        self.instance_is_silent.fetch_or(silent, Ordering::Relaxed);
    }

    /// Asks the metadata service; `None` if that is disabled, or it did not answer before: off EC2 each request takes
    /// its whole time limit.
    fn instance_metadata(&self) -> Result<Option<InstanceMetadata>, Error> {
        if self.settings.instance_metadata_disabled() || self.instance_is_silent.load(Ordering::Relaxed) {
            return Ok(None);
        }
        InstanceMetadata::new(&self.settings).map(Some)
    }
}
