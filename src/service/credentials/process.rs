//! Credentials that a program prints (`credential_process`).

use std::process::{Command, Stdio};

use aws_credential_types::Credentials;
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::{os_error, wire};
use super::time;
use crate::model::json;

/// Runs the program and reads its output.
pub(super) fn credentials(command: &str, account: Option<&str>) -> Result<Credentials, Error> {
    let printed = printed(command)?;
    if let Some(kind) = wire::no_structure(200, &printed) {
        return Err(Error::Credentials(format!("'{kind}' object has no attribute 'get'")));
    }
    let text = String::from_utf8_lossy(&printed);
    let printed = json::parse(&text).map_err(|error| Error::Credentials(error.to_string()))?;
    check_version(&printed)?;
    let needed = |name: &str| match printed.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(failed(&format!("The key '{name}' in the response is no text"))),
        None => Err(failed(&format!("Missing required key in response: '{name}'"))),
    };
    let (key, secret) = (needed("AccessKeyId")?, needed("SecretAccessKey")?);
    let token = match &printed["SessionToken"] {
        Value::Null => None,
        _ => Some(needed("SessionToken")?),
    };
    let end = match &printed["Expiration"] {
        Value::Null => None,
        end => Some(time::instant_in(end).map_err(Error::Credentials)?),
    };
    let mut credentials = Credentials::builder()
        .access_key_id(key)
        .secret_access_key(secret)
        .provider_name("CredentialProcess");
    credentials.set_session_token(token);
    credentials.set_expiry(end);
    if let Some(account) = printed["AccountId"].as_str().or(account) {
        credentials = credentials.account_id(account);
    }
    Ok(credentials.build())
}

fn failed(reason: &str) -> Error {
    Error::Credentials(format!("Error when retrieving credentials from custom-process: {reason}"))
}

fn printed(command: &str) -> Result<Vec<u8>, Error> {
    let words =
        shell_words::split(command).map_err(|_| Error::Credentials("No closing quotation".to_owned()))?;
    let (program, arguments) = words.split_first().ok_or_else(|| failed("the command is empty"))?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::inherit())
        .output()
        .map_err(|error| Error::Credentials(os_error::of_file(&error, Some(program))))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(&String::from_utf8_lossy(&output.stderr)))
}

fn check_version(printed: &Value) -> Result<(), Error> {
    let version = match printed.get("Version") {
        // Python's `1 == 1.0 == True`.
        Some(version) if version.as_f64() == Some(1.0) || *version == json!(true) => return Ok(()),
        None => "<Version key not provided>".to_owned(),
        Some(Value::Null) => "None".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let words =
        format!("Unsupported version '{version}' for credential process provider, supported versions: 1");
    Err(failed(&words))
}
