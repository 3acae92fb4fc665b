//! Order of the sources of credentials, as environment and profile say, with AWS CLI's words where they contradict each
//! other.

use aws_credential_types::Credentials;

use super::super::error::Error;
use super::CredentialSource;
use super::github;
use super::role::Role;
use crate::settings::{Entry, Section, Settings};

/// Returns the configured source; `None` leaves the container or machine to be asked.
pub(super) fn configured(settings: &Settings) -> Result<Option<CredentialSource>, Error> {
    if !settings.profile_is_explicit()
        && let Some(credentials) = of_environment(settings)?
    {
        return Ok(Some(CredentialSource::Fixed(credentials)));
    }
    let name = settings.profile().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned());
    let profile = Profile { settings, name: &name, section: settings.section_of_profile(&name)? };
    if profile.is_role() {
        return profile.role(&mut vec![name.clone()]).map(Some);
    }
    if let Some(place) = profile.place(!settings.profile_is_explicit())? {
        return Ok(Some(place));
    }
    // The AWS CLI has no such place. It comes before what a machine has for everybody who runs there.
    if !settings.profile_is_explicit()
        && let Some(place) = github::configured(settings)
    {
        return Ok(Some(place));
    }
    Ok(names_a_container(settings).then_some(CredentialSource::Container))
}

fn names_a_container(settings: &Settings) -> bool {
    settings.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some()
        || settings.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").is_some()
}

fn of_environment(settings: &Settings) -> Result<Option<Credentials>, Error> {
    let Some(key) = settings.filled_variable("AWS_ACCESS_KEY_ID") else { return Ok(None) };
    let secret = settings.filled_variable("AWS_SECRET_ACCESS_KEY");
    let secret = secret.ok_or_else(|| partial("env", "AWS_SECRET_ACCESS_KEY"))?;
    let token = settings.filled_variable("AWS_SECURITY_TOKEN");
    let token = token.or_else(|| settings.filled_variable("AWS_SESSION_TOKEN"));
    Ok(Some(Credentials::new(key, secret, token, None, "Environment")))
}

fn partial(provider: &str, missing: &str) -> Error {
    Error::Credentials(format!("Partial credentials found in {provider}, missing: {missing}"))
}

struct Profile<'a> {
    settings: &'a Settings,
    name: &'a str,
    section: Option<&'a Section>,
}

impl<'a> Profile<'a> {
    fn key(&self, key: &str) -> Option<&'a str> {
        self.section?.get(key).and_then(Entry::text)
    }

    fn owned(&self, key: &str) -> Option<String> {
        self.key(key).map(str::to_owned)
    }

    fn is_role(&self) -> bool {
        self.key("role_arn").is_some() && self.key("web_identity_token_file").is_none()
    }

    fn has_static(&self) -> bool {
        self.key("aws_access_key_id").is_some() || self.key("aws_secret_access_key").is_some()
    }

    /// Credentials of the profile, besides a role to assume.
    fn place(&self, environment_too: bool) -> Result<Option<CredentialSource>, Error> {
        if let Some(place) = self.web_identity(environment_too)? {
            return Ok(Some(place));
        }
        if let Some(place) = self.sso()? {
            return Ok(Some(place));
        }
        let in_file = self.settings.credentials_section(self.name)?;
        if let Some(credentials) = static_credentials(in_file, "shared-credentials-file")? {
            return Ok(Some(CredentialSource::Fixed(credentials)));
        }
        if let Some(session) = self.owned("login_session") {
            return Ok(Some(CredentialSource::Login { session }));
        }
        if let Some(command) = self.owned("credential_process") {
            return Ok(Some(CredentialSource::Process { command, account: self.owned("aws_account_id") }));
        }
        Ok(static_credentials(self.section, "config-file")?.map(CredentialSource::Fixed))
    }

    fn web_identity(&self, environment_too: bool) -> Result<Option<CredentialSource>, Error> {
        let value = |variable: &str, key: &str| {
            let variable = environment_too.then(|| self.settings.variable(variable)).flatten();
            variable.or_else(|| self.owned(key))
        };
        let token_file = value("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
        let Some(token_file) = token_file.filter(|file| !file.is_empty()) else { return Ok(None) };
        let role = value("AWS_ROLE_ARN", "role_arn").filter(|role| !role.is_empty()).ok_or_else(|| {
            Error::Credentials(
                "The provided profile or the current environment is configured to assume role with web identity \
                 but has no role ARN configured. Ensure that the profile has the role_arnconfiguration set or the \
                 AWS_ROLE_ARN env var is set."
                    .to_owned(),
            )
        })?;
        let session = value("AWS_ROLE_SESSION_NAME", "role_session_name");
        Ok(Some(CredentialSource::WebIdentity { token_file, role, session }))
    }

    fn sso(&self) -> Result<Option<CredentialSource>, Error> {
        if self.key("sso_role_name").is_none() && self.key("sso_account_id").is_none() {
            return Ok(None);
        }
        let session_name = self.key("sso_session");
        let session = match session_name {
            None => None,
            Some(name) => Some(self.settings.sso_session(name)?.ok_or_else(|| {
                Error::Credentials(format!("The specified sso-session does not exist: \"{name}\""))
            })?),
        };
        for (key, value) in
            session.into_iter().flatten().filter_map(|(key, value)| Some((key, value.text()?)))
        {
            if let Some(own) = self.key(key).filter(|own| *own != value) {
                return Err(Error::Credentials(format!(
                    "The value for {key} is inconsistent between profile ({own}) and sso-session ({value})."
                )));
            }
        }
        let value = |key: &str| self.key(key).or_else(|| session?.get(key).and_then(Entry::text));
        let needed = ["sso_role_name", "sso_account_id", "sso_start_url", "sso_region"];
        let missing: Vec<_> = needed.into_iter().filter(|key| value(key).is_none()).collect();
        let [Some(role), Some(account), Some(start_url), Some(region)] = needed.map(value) else {
            return Err(Error::Credentials(format!(
                "The profile \"{}\" is configured to use SSO but is missing required configuration: {}",
                self.name,
                missing.join(", ")
            )));
        };
        Ok(Some(CredentialSource::Sso {
            account: account.to_owned(),
            role: role.to_owned(),
            region: region.to_owned(),
            start_url: start_url.to_owned(),
            session: session_name.map(str::to_owned),
        }))
    }

    /// The role that this profile assumes, and with whose credentials. `visited` names the profiles on the way here.
    fn role(&self, visited: &mut Vec<String>) -> Result<CredentialSource, Error> {
        let source = match (self.key("source_profile"), self.key("credential_source")) {
            (Some(_), Some(_)) => {
                return Err(Error::Credentials(format!(
                    "The profile \"{}\" contains both source_profile and credential_source.",
                    self.name
                )));
            }
            (None, None) => return Err(partial("assume-role", "source_profile or credential_source")),
            (None, Some(source)) => self.named_source(source)?,
            (Some(source), None) => self.source_profile(source, visited)?,
        };
        Ok(CredentialSource::Role(Box::new(Role {
            arn: self.owned("role_arn").unwrap_or_default(),
            session: self.owned("role_session_name"),
            external_id: self.owned("external_id"),
            mfa_serial: self.owned("mfa_serial"),
            seconds: self.key("duration_seconds").and_then(|seconds| seconds.trim().parse().ok()),
            source,
        })))
    }

    fn named_source(&self, source: &str) -> Result<CredentialSource, Error> {
        match source {
            "Environment" => match of_environment(self.settings)? {
                Some(credentials) => Ok(CredentialSource::Fixed(credentials)),
                None => Err(Error::Credentials(format!(
                    "Error when retrieving credentials from {source}: No credentials found in credential_source \
                     referenced in profile {}",
                    self.name
                ))),
            },
            "EcsContainer" => Ok(CredentialSource::Container),
            "Ec2InstanceMetadata" => Ok(CredentialSource::Instance),
            // Not one of the AWS CLI's: how a role of login.conf is assumed in a job of GitHub Actions.
            "GitHubActions" => github::configured(self.settings).ok_or_else(|| self.invalid_source(source)),
            _ => Err(self.invalid_source(source)),
        }
    }

    fn invalid_source(&self, source: &str) -> Error {
        let words = format!(
            "The credential source \"{source}\" referenced in profile \"{}\" is not valid.",
            self.name
        );
        Error::Credentials(words)
    }

    fn source_profile(&self, name: &str, visited: &mut Vec<String>) -> Result<CredentialSource, Error> {
        let Some(section) = self.settings.section_of_profile(name)? else {
            return Err(Error::Credentials(format!(
                "The source_profile \"{name}\" referenced in the profile \"{}\" does not exist.",
                self.name
            )));
        };
        let source = Profile { settings: self.settings, name, section: Some(section) };
        // A profile may be its own source where it has static credentials beside its role.
        if visited.iter().any(|seen| seen == name) && (name != self.name || !source.has_static()) {
            let visited: Vec<_> = visited.iter().map(|name| format!("'{name}'")).collect();
            return Err(Error::Credentials(format!(
                "Infinite loop in credential configuration detected. Attempting to load from profile {name} which \
                 has already been visited. Visited profiles: [{}]",
                visited.join(", ")
            )));
        }
        visited.push(name.to_owned());
        if source.is_role() && !source.has_static() {
            return source.role(visited);
        }
        source.place(false)?.ok_or_else(|| {
            Error::Credentials(format!("The source profile \"{name}\" must have credentials."))
        })
    }
}

fn static_credentials(
    section: Option<&Section>,
    provider: &'static str,
) -> Result<Option<Credentials>, Error> {
    let text = |key: &str| section?.get(key).and_then(Entry::text).map(str::to_owned);
    let Some(key) = text("aws_access_key_id") else { return Ok(None) };
    let secret = text("aws_secret_access_key").ok_or_else(|| partial(provider, "aws_secret_access_key"))?;
    let token = text("aws_security_token").or_else(|| text("aws_session_token"));
    Ok(Some(Credentials::new(key, secret, token, None, provider)))
}
