//! Blobs of a repository: found, mounted from another one, taken away.

use std::fs::File;
use std::io;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Place, Refusal, Registry};
use crate::image::Digest;
use crate::local::database::Durability;
use crate::local::upstream::{self, Wanted};
use crate::local::{Fault, time};

/// Whether a mount was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounted {
    Yes,
    /// The blob is nowhere that it could be mounted from.
    No,
}

/// What came of deleting one.
enum Outcome {
    Gone,
    Missing,
    Used,
}

/// Reads a digest from a URL.
pub(super) fn digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|_| Refusal::new(400, "DIGEST_INVALID", format!("{text} is not a digest")))
}

impl Registry<'_> {
    /// The size of a blob that a repository has.
    fn blob_size(&self, place: &Place, text: &str) -> Result<u64, Refusal> {
        let digest = digest(text)?;
        let size = self.local.database.read(|connection| {
            let repository = place.repository(connection)?;
            layer_size(connection, repository, &digest)
        })?;
        match size {
            Some(size) => Ok(u64::try_from(size).unwrap_or_default()),
            None => Err(unknown(&digest)),
        }
    }

    /// A blob's bytes, `head` where only its size is wanted. A file of another size than was recorded is not handed
    /// out.
    pub(crate) fn blob(&self, place: &Place, text: &str, head: bool) -> Result<(File, u64), Refusal> {
        self.authorize(place, if head { "BatchCheckLayerAvailability" } else { "GetDownloadUrlForLayer" })?;
        let size = self.blob_size(place, text)?;
        let damaged = || {
            let words =
                format!("blob {text} is damaged on the disk; push it again (`ecr local check` lists them)");
            Refusal::new(500, "UNKNOWN", words)
        };
        let path = self.local.blobs.path(text).ok_or_else(damaged)?;
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged(),
            _ => error.into(),
        })?;
        if file.metadata()?.len() == size { Ok((file, size)) } else { Err(damaged()) }
    }

    /// The same as a pull gets it: one that is missing may be upstream.
    pub(crate) fn pulled_blob(&self, place: &Place, text: &str) -> Result<(File, u64), Refusal> {
        match self.blob(place, text, false) {
            Err(refusal) if refusal.status == 404 => {
                let wanted = Wanted::Layer(digest(text)?);
                let settled = self.settled.as_ref();
                let instead = self.local.database.read(|connection| {
                    upstream::instead(connection, &place.scope, &place.name, vec![wanted], settled)
                })?;
                if instead.as_ref().is_some_and(|fault| fault.need.is_some()) {
                    self.authorize(place, upstream::ACTION)?;
                }
                Err(instead.map_or(refusal, Refusal::from))
            }
            found => found,
        }
    }

    /// Takes a blob from a repository; its bytes stay until they are collected. One that an image refers to stays.
    pub(crate) fn delete_blob(&self, place: &Place, text: &str) -> Result<(), Refusal> {
        let digest = digest(text)?;
        self.authorize(place, "BatchDeleteImage")?;
        if self.rules.quirks {
            return Err(Refusal::new(405, "UNSUPPORTED", "The operation is unsupported."));
        }
        let outcome = self.local.database.free(|transaction| {
            let key = params![place.repository(transaction)?, digest.to_string()];
            let used = "SELECT 1 FROM image_layer WHERE repository = ?1 AND digest = ?2";
            if transaction.prepare_cached(used)?.exists(key)? {
                return Ok(Outcome::Used);
            }
            let query = "DELETE FROM layer WHERE repository = ?1 AND digest = ?2";
            Ok(if transaction.execute(query, key)? == 1 { Outcome::Gone } else { Outcome::Missing })
        })?;
        match outcome {
            Outcome::Gone => Ok(()),
            Outcome::Missing => Err(unknown(&digest)),
            Outcome::Used => {
                Err(Refusal::new(405, "UNSUPPORTED", format!("blob {digest} belongs to an image")))
            }
        }
    }

    /// Gives a repository a blob that another one of the same registry has: `from`, or any where none is named.
    pub(crate) fn mount(&self, place: &Place, text: &str, from: Option<&str>) -> Result<Mounted, Refusal> {
        let digest = digest(text)?;
        self.authorize(place, "InitiateLayerUpload")?;
        let source = from.map(|from| self.place(from)).transpose()?;
        // Whoever may not read the source uploads the blob instead, as if it were not there.
        match &source {
            Some(source) if self.authorize(source, "GetDownloadUrlForLayer").is_err() => {
                return Ok(Mounted::No);
            }
            None if self.local.enforces => return Ok(Mounted::No),
            _ => {}
        }
        if let Some(source) = &source
            && self.rules.quirks
            && !self.may_mount(source)?
        {
            return Ok(Mounted::No);
        }
        let quirks = self.rules.quirks;
        let work = || {
            self.local.database.write(Durability::Flushed, |transaction| {
                let target = place.repository(transaction)?;
                let available = match &source {
                    Some(source) if source.scope.account != place.scope.account => false,
                    Some(source) => match source.repository(transaction) {
                        Ok(source) => is_mountable(transaction, source, &digest, quirks)?,
                        Err(_) => false,
                    },
                    None => !quirks && is_in_registry(transaction, place, &digest)?,
                };
                if available {
                    let query =
                        "INSERT OR IGNORE INTO layer (repository, digest, stored_at) VALUES (?1, ?2, ?3)";
                    transaction.execute(query, params![target, digest.to_string(), time::now()])?;
                }
                Ok(if available { Mounted::Yes } else { Mounted::No })
            })
        };
        Ok(self.creating(place, work)?)
    }

    /// Whether the account lets blobs be mounted, as Amazon ECR asks.
    fn may_mount(&self, place: &Place) -> Result<bool, Refusal> {
        let input = serde_json::json!({ "name": "BLOB_MOUNTING" });
        match self.call_own(place, "GetAccountSetting", input) {
            Ok(answer) => Ok(answer["value"] == "ENABLED"),
            Err(fault) if fault.status < 500 => Ok(false),
            Err(fault) => Err(fault.into()),
        }
    }
}

fn unknown(digest: &Digest) -> Refusal {
    Refusal::new(404, "BLOB_UNKNOWN", format!("blob {digest} is not in the repository"))
}

fn layer_size(connection: &Connection, repository: i64, digest: &Digest) -> Result<Option<i64>, Fault> {
    let query = "SELECT blob.size FROM layer JOIN blob USING (digest) WHERE repository = ?1 AND digest = ?2";
    let mut statement = connection.prepare_cached(query)?;
    Ok(statement.query_row(params![repository, digest.to_string()], |row| row.get(0)).optional()?)
}

fn is_mountable(connection: &Connection, source: i64, digest: &Digest, used: bool) -> Result<bool, Fault> {
    let table = if used { "image_layer" } else { "layer" };
    let query = format!("SELECT 1 FROM {table} WHERE repository = ?1 AND digest = ?2");
    Ok(connection.prepare_cached(&query)?.exists(params![source, digest.to_string()])?)
}

fn is_in_registry(connection: &Connection, place: &Place, digest: &Digest) -> Result<bool, Fault> {
    let query = "SELECT 1 FROM layer JOIN repository ON repository.id = layer.repository
                 WHERE digest = ?1 AND service = ?2 AND account = ?3 AND region = ?4";
    let scope = &place.scope;
    let key = params![digest.to_string(), scope.service, scope.account, scope.region];
    Ok(connection.prepare_cached(query)?.exists(key)?)
}
