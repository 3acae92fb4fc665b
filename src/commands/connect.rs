//! Chooses the destination of a command's requests: the embedded ECR in this process, or AWS.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::auth::read_login::{self, StoredLogin};
use crate::image::host::is_account_id;
use crate::local::{ApiError, Caller, Local, UpstreamAccess};
use crate::model::Service;
use crate::service::{Backend, Client, Request, ServiceError};
use crate::settings::Settings;
use crate::store::registry::Login;
use crate::ui::secret;

use super::registry::network;

/// The region of the embedded ECR where none is configured.
const LOCAL_REGION: &str = "us-east-1";
/// The account of the embedded ECR where the access key does not look like one.
const LOCAL_ACCOUNT: &str = "000000000000";

/// A client for this service: in process with `--local` or `ECR_LOCAL=1`, otherwise over the network.
pub fn connect(settings: &Settings, service: &'static Service) -> anyhow::Result<Client> {
    if !settings.local() {
        return Ok(Client::remote_with_prompt(service, settings, Arc::new(secret::ask)));
    }
    let local = Arc::new(Local::open(&settings.local_folder()?)?.with_upstream_access(reach(settings)?));
    Ok(Client::in_process(service, Arc::new(Embedded { local, caller: caller(settings)? })))
}

/// An embedded ECR in an empty folder, on which something is tried out.
pub(super) fn scratch_client(folder: &Path) -> anyhow::Result<Client> {
    let caller = Caller::of_account(LOCAL_ACCOUNT, LOCAL_REGION);
    let local = Arc::new(Local::open(folder)?);
    Ok(Client::in_process(crate::model::ecr(), Arc::new(Embedded { local, caller })))
}

/// Caller of the embedded ECR. Its account is the access key where that has twelve digits, so that several accounts
/// can be played through on one machine.
pub(super) fn caller(settings: &Settings) -> anyhow::Result<Caller> {
    let region = settings.region()?.filter(|region| !region.is_empty());
    let key = settings.filled_variable("AWS_ACCESS_KEY_ID");
    let account = key.filter(|key| is_account_id(key));
    let account = account.as_deref().unwrap_or(LOCAL_ACCOUNT);
    Ok(Caller::of_account(account, region.as_deref().unwrap_or(LOCAL_REGION)))
}

/// Returns the embedded ECR's access to upstream registries: with the logins that docker and podman keep for this user.
pub(super) fn reach(settings: &Settings) -> anyhow::Result<UpstreamAccess> {
    let network = network(settings)?;
    let settings = settings.clone();
    let login = move |host: &str| stored_login(&settings, host, "").map_err(|error| error.to_string());
    Ok(UpstreamAccess { login: Some(Arc::new(login)), network })
}

/// The login that docker or podman keeps for a repository of a registry.
pub(super) fn stored_login(
    settings: &Settings,
    host: &str,
    repository: &str,
) -> Result<Option<Login>, read_login::Error> {
    let stored = read_login::login(settings, host, repository)?;
    Ok(stored.map(|stored| match stored {
        StoredLogin::Password(user, password) => Login::Password(user, password),
        StoredLogin::Identity(token) => Login::Identity(token),
        StoredLogin::Registry(token) => Login::Registry(token),
    }))
}

/// The embedded ECR as a backend of the client.
struct Embedded {
    local: Arc<Local>,
    caller: Caller,
}

impl Backend for Embedded {
    fn answer(&self, request: Request) -> Result<Value, ServiceError> {
        let blob = request.blob.map(|(_, bytes)| bytes);
        self.local
            .answer_through(&self.caller, request.service, &request.operation, request.input, blob)
            .map_err(refusal)
    }
}

fn refusal(error: ApiError) -> ServiceError {
    ServiceError { status: error.status, code: error.code, message: error.message, members: error.members }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Globals};

    #[test]
    fn each_kind_of_stored_login_is_used_as_what_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = r#"{"auths": {
            "a.example": {"auth": "bWU6c2VjcmV0"},
            "b.example": {"auth": "bWU6c2VjcmV0", "identitytoken": "refresh"},
            "c.example": {"registrytoken": "bearer"},
            "d.example": {"auth": "PHRva2VuPjpyZWZyZXNo"},
            "e.example/team": {"identitytoken": "of the team"}
        }}"#;
        std::fs::write(folder.path().join("config.json"), text).expect("a file");
        let variables = [
            ("DOCKER_CONFIG", folder.path().display().to_string()),
            ("REGISTRY_AUTH_FILE", folder.path().join("none").display().to_string()),
        ];
        let settings = Settings::with_environment(Globals::default(), Environment::given(variables));
        let identity = |token: &str| Some(Login::Identity(token.to_owned()));
        for (host, repository, expected) in [
            ("a.example", "app", Some(Login::Password("me".to_owned(), "secret".to_owned()))),
            ("b.example", "app", identity("refresh")),
            ("c.example", "app", Some(Login::Registry("bearer".to_owned()))),
            ("d.example", "app", identity("refresh")),
            ("e.example", "team/app", identity("of the team")),
            ("e.example", "app", None),
            ("f.example", "app", None),
        ] {
            let found = stored_login(&settings, host, repository).expect("a sound file");
            assert!(found == expected, "{host}/{repository}");
        }
    }
}
