//! Credentials, from the sources and in the order of AWS CLI v2: environment, role of the profile, web identity, SSO,
//! credentials file, login session, process, configuration file, job of GitHub Actions, container, machine.
//!
//! Finding a place costs files at most; what costs a request (a role, SSO) is fetched when a request is about to be
//! signed, so that a wrong input is told before. What was fetched is kept, here while the process lives and, for
//! roles and SSO, in AWS CLI's own cache folder.

mod cache;
mod caller;
mod chain;
mod github;
#[cfg(test)]
mod github_tests;
mod imds;
mod process;
mod providers;
mod role;
mod sso;
#[cfg(test)]
mod tests;
mod time;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::sync::{Mutex, OnceCell};

pub use caller::CallerIdentity;

use super::error::Error;
use super::transport::Transport;
use crate::settings::Settings;
use role::Role;

/// Remaining life at which credentials are replaced (botocore's mandatory time).
const REPLACE_BEFORE: Duration = Duration::from_mins(10);
/// Least time that credentials are used, also where their provider only gives short-lived ones.
const USE_FOR: Duration = Duration::from_mins(1);

/// Asks the person at the terminal for a code; the argument is the question.
pub type Prompt = Arc<dyn Fn(&str) -> std::io::Result<String> + Send + Sync>;

/// Source of credentials.
#[derive(Debug, Clone)]
enum CredentialSource {
    Fixed(Credentials),
    Role(Box<Role>),
    WebIdentity { token_file: String, role: String, session: Option<String> },
    Sso { account: String, role: String, region: String, start_url: String, session: Option<String> },
    Login { session: String },
    Process { command: String, account: Option<String> },
    GithubJob { role: String, session: String },
    Container,
    Instance,
}

impl CredentialSource {
    /// Describes the source, without secrets.
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
            Self::GithubJob { role, .. } => format!("those of {role}, for this job of GitHub Actions"),
            Self::Container => "those of the container".to_owned(),
            Self::Instance => "those of the machine, if it has any".to_owned(),
        }
    }
}

const STILL_EXPIRED: &str = "Credentials were refreshed, but the refreshed credentials are still expired.";

/// Credentials that can stand in a request.
fn checked(credentials: Credentials) -> Result<Credentials, Error> {
    checked_text("The access key ID", credentials.access_key_id())?;
    // It is never sent, but one with a line break is none.
    if let Some(character) = credentials.secret_access_key().chars().find(|c| c.is_control()) {
        return Err(unsendable("The secret access key", character));
    }
    checked_text("The session token", credentials.session_token().unwrap_or_default())?;
    Ok(credentials)
}

/// Checks that a text can stand in a header.
fn checked_text(what: &str, text: &str) -> Result<(), Error> {
    let wrong = text.chars().find(|character| character.is_control() || !character.is_ascii());
    wrong.map_or(Ok(()), |character| Err(unsendable(what, character)))
}

fn unsendable(what: &str, character: char) -> Error {
    Error::Credentials(format!(
        "{what} contains the character U+{:04X}, which no credentials have: copy it again, without line breaks.",
        u32::from(character)
    ))
}

type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Option<Credentials>, Error>> + Send + 'a>>;

/// Finds credentials and keeps them while they last.
pub(super) struct CredentialChain {
    settings: Settings,
    prompt: Option<Prompt>,
    place: OnceCell<Option<CredentialSource>>,
    kept: Mutex<Option<CachedCredentials>>,
    instance_is_silent: std::sync::atomic::AtomicBool,
}

struct CachedCredentials {
    credentials: Credentials,
    since: SystemTime,
}

impl CachedCredentials {
    fn is_fresh(&self, now: SystemTime) -> bool {
        let lasting = self.credentials.expiry().is_none_or(|end| now + REPLACE_BEFORE < end);
        lasting || now < self.since + USE_FOR
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.credentials.expiry().is_none_or(|end| now < end)
    }
}

impl CredentialChain {
    pub(super) fn new(settings: Settings, prompt: Option<Prompt>) -> Self {
        Self {
            settings,
            prompt,
            place: OnceCell::new(),
            kept: Mutex::default(),
            instance_is_silent: false.into(),
        }
    }

    /// Returns whether there are credentials. A source that is configured wrongly is an error.
    pub(super) async fn locate(&self, http: &Transport) -> Result<bool, Error> {
        Ok(self.place(http).await?.is_some())
    }

    /// The credentials, fetched or replaced where it is time.
    pub(super) async fn credentials(&self, http: &Transport) -> Result<Credentials, Error> {
        let place = self.place(http).await?.as_ref().ok_or_else(|| self.nobody())?;
        if let CredentialSource::Fixed(credentials) = place {
            return checked(credentials.clone());
        }
        let mut kept = self.kept.lock().await;
        let now = SystemTime::now();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh(now)) {
            return Ok(kept.credentials.clone());
        }
        match (self.fetch(place, http).await, kept.as_ref()) {
            (Ok(Some(credentials)), _) => {
                if credentials.expiry().is_some_and(|end| end <= now) {
                    return Err(Error::Credentials(STILL_EXPIRED.to_owned()));
                }
                let credentials = checked(credentials)?;
                *kept = Some(CachedCredentials { credentials: credentials.clone(), since: now });
                Ok(credentials)
            }
            // What cannot be replaced yet is used to its end.
            (_, Some(kept)) if kept.is_valid(now) => Ok(kept.credentials.clone()),
            (Ok(None), _) => Err(self.nobody()),
            (Err(error), _) => Err(error),
        }
    }

    /// The error where nothing has credentials.
    fn nobody(&self) -> Error {
        if github::lacks_permission(&self.settings) { Error::NoIdToken } else { Error::NoCredentials }
    }

    async fn place(&self, http: &Transport) -> Result<&Option<CredentialSource>, Error> {
        self.place.get_or_try_init(|| self.find(http)).await
    }

    /// Returns the first source that has credentials. Those that tell only by being asked are asked.
    async fn find(&self, http: &Transport) -> Result<Option<CredentialSource>, Error> {
        let place = chain::configured(&self.settings)?.unwrap_or(CredentialSource::Instance);
        self.settings.log().line("service.credentials", || format!("credentials are {}", place.described()));
        if matches!(
            place,
            CredentialSource::Container | CredentialSource::Instance | CredentialSource::Process { .. }
        ) {
            let Some(credentials) = self.fetch(&place, http).await? else { return Ok(None) };
            let credentials = checked(credentials)?;
            if credentials.expiry().is_some_and(|end| end <= SystemTime::now()) {
                return Err(Error::Credentials(STILL_EXPIRED.to_owned()));
            }
            *self.kept.lock().await = Some(CachedCredentials { credentials, since: SystemTime::now() });
        }
        Ok(Some(place))
    }

    fn fetch<'a>(&'a self, place: &'a CredentialSource, http: &'a Transport) -> Fetching<'a> {
        Box::pin(async move {
            match place {
                CredentialSource::Fixed(credentials) => Ok(Some(credentials.clone())),
                CredentialSource::Role(role) => self.assume(role, http).await.map(Some),
                CredentialSource::WebIdentity { token_file, role, session } => {
                    self.assume_with_token(token_file, role, session.as_deref(), http).await.map(Some)
                }
                CredentialSource::Sso { account, role, region, start_url, session } => {
                    let way = sso::Sso { account, role, region, start_url, session: session.as_deref() };
                    way.credentials(&self.settings, http).await.map(Some)
                }
                CredentialSource::Login { session } => {
                    providers::of_login_session(&self.settings, session, http).await.map(Some)
                }
                CredentialSource::Process { command, account } => {
                    process::credentials(command, account.as_deref()).map(Some)
                }
                CredentialSource::GithubJob { role, session } => {
                    self.of_github_job(role, session, http).await.map(Some)
                }
                CredentialSource::Container => providers::of_container(&self.settings).await.map(Some),
                CredentialSource::Instance => self.of_instance().await,
            }
        })
    }
}
