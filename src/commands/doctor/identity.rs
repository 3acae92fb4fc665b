//! Checks of the profile, of the source of its credentials, and of their identity.

use super::Examination;
use super::finding::Finding;
use crate::image::Registry;
use crate::service::Error;
use crate::service::diagnosis::Diagnosis;
use crate::settings;

/// Beginning of the error about `credential_process`. What the program itself says may hold secrets.
const OF_PROCESS: &str = "Error when retrieving credentials from custom-process";

/// Examines credentials and their owner; answers whether calls can be made.
pub(super) async fn examine(examination: &mut Examination<'_>, diagnosis: &Diagnosis) -> bool {
    if examination.settings.local() {
        let detail = "none are needed: --local answers in this process";
        examination.report.ok(Finding::Credentials, detail);
        return true;
    }
    credentials(examination, diagnosis).await && caller(examination, diagnosis).await
}

/// Something in the environment or the configuration files cannot be used.
pub(super) fn invalid(examination: &mut Examination<'_>, reason: &str) {
    let file = examination.settings.configuration_file();
    let hint = format!("correct it: the environment, {}", file.display());
    examination.report.add(Finding::ConfigurationInvalid, reason, hint);
}

/// Examines the profile; answers whether it can be used.
pub(super) fn profile(examination: &mut Examination<'_>) -> bool {
    let settings = examination.settings.clone();
    if settings.local() {
        return true;
    }
    let files =
        format!("{} and {}", settings.configuration_file().display(), settings.credentials_file().display());
    match settings.profile_section() {
        Ok(None) => {
            let detail = format!("no profile is asked for, and there is no default one in {files}");
            examination.report.ok(Finding::Profile, detail);
            true
        }
        Ok(Some(_)) => {
            let name = settings.profile().unwrap_or_else(|| "default".to_owned());
            examination.report.ok(Finding::Profile, format!("{name}, of {files}"));
            true
        }
        Err(settings::Error::ProfileNotFound(name)) => {
            let known = settings.profiles().unwrap_or_default();
            let hint = match known.as_slice() {
                [] => {
                    "no profile is there at all: is HOME right, or AWS_CONFIG_FILE? `aws configure` makes one"
                        .to_owned()
                }
                known => format!("choose one with --profile or AWS_PROFILE: {}", known.join(", ")),
            };
            examination.report.add(
                Finding::ProfileMissing,
                format!("there is no profile {name} in {files}"),
                hint,
            );
            false
        }
        Err(error) => {
            invalid(examination, &error.to_string());
            false
        }
    }
}

async fn credentials(examination: &mut Examination<'_>, diagnosis: &Diagnosis) -> bool {
    let settings = examination.settings.clone();
    let of_environment =
        !settings.profile_is_explicit() && settings.filled_variable("AWS_ACCESS_KEY_ID").is_some();
    match diagnosis.credential_source().await {
        Ok(Some(source)) => {
            let source = match source.strip_prefix("given, ") {
                None => source,
                Some(kind) => {
                    let kind = kind.split(',').next().unwrap_or(kind);
                    let place = if of_environment { "the environment" } else { "the profile" };
                    format!("{kind}, of {place}")
                }
            };
            examination.report.ok(Finding::Credentials, source);
            if let Some(profile) = settings.profile().filter(|_| of_environment) {
                shadowed(examination, &profile);
            }
            true
        }
        Ok(None) => {
            examination.report.add(
                Finding::CredentialsMissing,
                "there are none: not in the environment, a profile, a container or this machine",
                "`aws configure` or `aws configure sso`; in a job, the role of its runner",
            );
            false
        }
        Err(error) => {
            let (reason, hint) = unusable(&error.to_string());
            examination.report.add(Finding::CredentialsInvalid, reason, hint);
            false
        }
    }
}

/// An access key in the environment wins over AWS_PROFILE.
fn shadowed(examination: &mut Examination<'_>, profile: &str) {
    examination.report.add(
        Finding::CredentialsShadowed,
        format!("AWS_ACCESS_KEY_ID in the environment wins over the profile {profile} of AWS_PROFILE"),
        format!(
            "unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or use --profile {profile}"
        ),
    );
}

/// Returns why credentials cannot be used, and what to do.
fn unusable(reason: &str) -> (String, &'static str) {
    if reason.starts_with(OF_PROCESS) {
        return (
            "the program of credential_process failed".to_owned(),
            "run that program by hand: what it says is not shown here, since it may hold secrets",
        );
    }
    let is_sso = reason.contains("SSO") || reason.contains("sso");
    let hint =
        if is_sso { "`aws sso login`" } else { "correct the profile, or the variables of the environment" };
    (reason.to_owned(), hint)
}

async fn caller(examination: &mut Examination<'_>, diagnosis: &Diagnosis) -> bool {
    match diagnosis.caller_identity().await {
        Ok(caller) => {
            examination.report.ok(Finding::Identity, format!("{} in account {}", caller.arn, caller.account));
            other_account(examination, &caller.account);
            examination.caller = Some(caller);
            true
        }
        Err(error @ Error::Refused(_)) => {
            refused(examination, &error);
            false
        }
        Err(error @ (Error::Credentials(_) | Error::NoCredentials)) => {
            let (reason, hint) = unusable(&error.to_string());
            examination.report.add(Finding::CredentialsInvalid, reason, hint);
            false
        }
        // Told where the region is examined.
        Err(Error::NoRegion) => false,
        Err(error) => {
            examination.report.add(
                Finding::IdentityUnknown,
                format!("the Security Token Service cannot be asked whose credentials they are: {error}"),
                "in a VPC without way out, an interface endpoint for sts lets it be asked; ECR itself does not need it",
            );
            true
        }
    }
}

fn refused(examination: &mut Examination<'_>, error: &Error) {
    let code = error.code().unwrap_or_default();
    let message = error.refusal().map(|refusal| refusal.message.clone()).unwrap_or_default();
    let is_clock = message.contains("Signature expired") || message.contains("Signature not yet current");
    if code.starts_with("ExpiredToken") || code == "RequestExpired" {
        examination.report.add(
            Finding::IdentityExpired,
            format!("the credentials have expired ({code})"),
            "get new ones: `aws sso login`, or whatever wrote them into the environment or the file",
        );
    } else {
        let hint = if is_clock {
            "the clock of this machine is off: see clock-skew"
        } else {
            "the key was deleted or belongs to another partition, or key and secret do not belong together"
        };
        examination.report.add(Finding::IdentityRefused, format!("{code}: {message}"), hint);
    }
}

/// A registry of another account is opened by its repository policies alone.
fn other_account(examination: &mut Examination<'_>, own: &str) {
    let registry = examination.reference.as_ref().and_then(|reference| reference.registry.as_ref());
    if let Some(Registry::Ecr { account, .. }) = registry
        && account != own
    {
        examination.report.add(
            Finding::IdentityOtherAccount,
            format!("the registry is of account {account}, the credentials are of {own}"),
            "the repository policy there has to allow it, and an identity policy here; else choose another --profile",
        );
    }
}
