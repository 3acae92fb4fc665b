//! Credentials, from the places and in the order of AWS CLI v2 (contract 1.2): environment, role of the profile, web
//! identity, SSO, credentials file, login session, process, configuration file, container, machine.
//!
//! Finding a place costs files at most; what costs a request (a role, SSO) is fetched when a request is about to be
//! signed, so that a wrong input is told before. What was fetched is kept, here while the process lives and, for
//! roles and SSO, in AWS CLI's own cache folder.

mod cache;
mod elsewhere;
mod places;
mod role;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::{Mutex, OnceCell};

use super::error::Error;
use crate::settings::Settings;
use role::Role;

/// How long before their end credentials are replaced (botocore's mandatory time).
const REPLACE_BEFORE: Duration = Duration::from_mins(10);
/// How long credentials are used at least, also where their provider only gives short-lived ones.
const USE_FOR: Duration = Duration::from_mins(1);

/// Asks the person at the terminal for a code; the argument is the question.
pub type Prompt = Arc<dyn Fn(&str) -> std::io::Result<String> + Send + Sync>;

/// Where credentials come from.
#[derive(Debug, Clone)]
enum Place {
    Fixed(Credentials),
    Role(Box<Role>),
    WebIdentity { token_file: String, role: String, session: Option<String> },
    Sso { account: String, role: String, region: String, start_url: String, session: Option<String> },
    Login { session: String },
    Process { command: String, account: Option<String> },
    Container,
    Instance,
}

impl Place {
    /// Where the credentials come from, without them.
    fn described(&self) -> String {
        match self {
            Self::Fixed(credentials) => {
                let kind = if credentials.session_token().is_some() { "temporary" } else { "long-lived" };
                format!("given, {kind}, of the access key {}", credentials.access_key_id())
            }
            Self::Role(_) => "those of a role of the profile".to_owned(),
            Self::WebIdentity { token_file, role, .. } => {
                format!("those of {role}, for the token in {token_file}")
            }
            Self::Sso { account, role, .. } => format!("those of the SSO role {role} in {account}"),
            Self::Login { session } => format!("those of the login session {session}"),
            Self::Process { .. } => "what credential_process prints".to_owned(),
            Self::Container => "those of the container".to_owned(),
            Self::Instance => "those of the machine, if it has any".to_owned(),
        }
    }
}

type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Option<Credentials>, Error>> + Send + 'a>>;

/// Finds credentials and keeps them while they last.
pub(super) struct Wallet {
    settings: Settings,
    prompt: Option<Prompt>,
    place: OnceCell<Option<Place>>,
    kept: Mutex<Option<Kept>>,
    instance_is_silent: std::sync::atomic::AtomicBool,
}

struct Kept {
    credentials: Credentials,
    since: SystemTime,
}

impl Kept {
    fn is_fresh(&self, now: SystemTime) -> bool {
        let lasting = self.credentials.expiry().is_none_or(|end| now + REPLACE_BEFORE < end);
        lasting || now < self.since + USE_FOR
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.credentials.expiry().is_none_or(|end| now < end)
    }
}

impl Wallet {
    pub(super) fn new(settings: Settings, prompt: Option<Prompt>) -> Self {
        Self {
            settings,
            prompt,
            place: OnceCell::new(),
            kept: Mutex::default(),
            instance_is_silent: false.into(),
        }
    }

    /// Whether there are credentials. A place that is configured wrongly is told here.
    pub(super) async fn locate(&self, http: &SharedHttpClient) -> Result<bool, Error> {
        Ok(self.place(http).await?.is_some())
    }

    /// The credentials, fetched or replaced where it is time.
    pub(super) async fn credentials(&self, http: &SharedHttpClient) -> Result<Credentials, Error> {
        let place = self.place(http).await?.as_ref().ok_or(Error::NoCredentials)?;
        if let Place::Fixed(credentials) = place {
            return Ok(credentials.clone());
        }
        let mut kept = self.kept.lock().await;
        let now = SystemTime::now();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh(now)) {
            return Ok(kept.credentials.clone());
        }
        match (self.fetch(place, http).await, kept.as_ref()) {
            (Ok(Some(credentials)), _) => {
                *kept = Some(Kept { credentials: credentials.clone(), since: now });
                Ok(credentials)
            }
            // What cannot be replaced yet is used to its end.
            (_, Some(kept)) if kept.is_valid(now) => Ok(kept.credentials.clone()),
            (Ok(None), _) => Err(Error::NoCredentials),
            (Err(error), _) => Err(error),
        }
    }

    async fn place(&self, http: &SharedHttpClient) -> Result<&Option<Place>, Error> {
        self.place.get_or_try_init(|| self.find(http)).await
    }

    /// The first place that has credentials. Those that tell only by being asked are asked.
    async fn find(&self, http: &SharedHttpClient) -> Result<Option<Place>, Error> {
        let place = places::configured(&self.settings)?.unwrap_or(Place::Instance);
        self.settings.log().line("service.credentials", || format!("credentials are {}", place.described()));
        if matches!(place, Place::Container | Place::Instance | Place::Process { .. }) {
            let Some(credentials) = self.fetch(&place, http).await? else { return Ok(None) };
            *self.kept.lock().await = Some(Kept { credentials, since: SystemTime::now() });
        }
        Ok(Some(place))
    }

    fn fetch<'a>(&'a self, place: &'a Place, http: &'a SharedHttpClient) -> Fetching<'a> {
        Box::pin(async move {
            match place {
                Place::Fixed(credentials) => Ok(Some(credentials.clone())),
                Place::Role(role) => self.assume(role, http).await.map(Some),
                Place::WebIdentity { token_file, role, session } => {
                    self.assume_with_token(token_file, role, session.as_deref(), http).await.map(Some)
                }
                Place::Sso { account, role, region, start_url, session } => {
                    let way =
                        elsewhere::Sso { account, role, region, start_url, session: session.as_deref() };
                    way.credentials(&self.settings, http).await.map(Some)
                }
                Place::Login { session } => {
                    elsewhere::of_login_session(&self.settings, session, http).await.map(Some)
                }
                Place::Process { command, account } => {
                    elsewhere::of_process(command, account.as_deref()).map(Some)
                }
                Place::Container => elsewhere::of_container(&self.settings).await.map(Some),
                Place::Instance => self.of_instance().await,
            }
        })
    }
}
