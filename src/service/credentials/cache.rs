//! AWS CLI's folder of fetched credentials, `~/.aws/cli/cache`, shared with it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::time;
use crate::platform;
use crate::settings::Settings;

/// Credentials in the folder are used only while they last this long.
const LAST_AT_LEAST: Duration = Duration::from_mins(15);

/// One entry of the folder.
pub(super) struct Entry {
    file: Option<PathBuf>,
}

impl Entry {
    /// Returns the entry for credentials fetched with these arguments; `arguments` is the JSON text that AWS CLI
    /// would hash.
    pub(super) fn of(settings: &Settings, arguments: &str) -> Self {
        let folder = settings.home().map(|home| home.join(".aws/cli/cache"));
        Self { file: folder.map(|folder| folder.join(format!("{}.json", hash(arguments)))) }
    }

    /// The credentials, where there are any that last.
    pub(super) fn read(&self) -> Option<Credentials> {
        let bytes = std::fs::read(self.file.as_ref()?).ok()?;
        let entry: Value = serde_json::from_slice(&bytes).ok()?;
        let text = |name: &str| entry["Credentials"][name].as_str().map(str::to_owned);
        let end = time::instant(&text("Expiration")?).ok()?;
        if end < SystemTime::now() + LAST_AT_LEAST {
            return None;
        }
        let (key, secret) = (text("AccessKeyId")?, text("SecretAccessKey")?);
        Some(Credentials::new(key, secret, text("SessionToken"), Some(end), "Cache"))
    }

    /// Keeps credentials. A folder that cannot be written to costs the next command a request, no more.
    pub(super) fn write(&self, credentials: &Credentials, provider: Option<&str>) {
        let (Some(file), Some(end)) = (&self.file, credentials.expiry()) else { return };
        let Ok(end) = Timestamp::try_from(end) else { return };
        let mut entry = json!({"Credentials": {
            "AccessKeyId": credentials.access_key_id(),
            "SecretAccessKey": credentials.secret_access_key(),
            "SessionToken": credentials.session_token(),
            "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SUTC").to_string(),
        }});
        if let Some(provider) = provider {
            entry["ProviderType"] = json!(provider);
        }
        let _ = store(file, entry.to_string().as_bytes());
    }
}

pub(super) fn store(file: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let folder = file.parent().ok_or(std::io::ErrorKind::NotFound)?;
    platform::private_folder().create(folder)?;
    // Made with mode 0600, and renamed so that no reader meets half an entry.
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.persist(file)?;
    Ok(())
}

/// SHA-1 in hexadecimal: the names of files that AWS CLI shares with us.
pub(super) fn hash(text: &str) -> String {
    hex::encode(Sha1::digest(text.as_bytes()))
}
