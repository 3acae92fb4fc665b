//! Blobs of a repository: found, mounted from another one, taken away.

use std::fs::File;
use std::io;

use crate::image::Digest;
use crate::local::core::blobs::{Deleted, Mount};
use crate::local::core::registry_id::RepositoryRef;
use crate::local::core::upstream::UpstreamItem;
use crate::local::core::{account_settings, upstream_rules};
use crate::local::distribution::error::OciError;
use crate::local::distribution::registry::Registry;
use crate::local::distribution::repository::is_name;

/// Reads a digest from a URL.
pub(in crate::local) fn digest(text: &str) -> Result<Digest, OciError> {
    text.parse().map_err(|_| OciError::new(400, "DIGEST_INVALID", format!("{text} is not a digest")))
}

impl Registry<'_> {
    /// A blob's bytes, `head` where only its size is wanted. A file of another size than was recorded is not handed
    /// out.
    pub(in crate::local) fn blob(
        &self,
        repository: &RepositoryRef,
        text: &str,
        head: bool,
    ) -> Result<(File, u64), OciError> {
        self.authorize(
            repository,
            if head { "BatchCheckLayerAvailability" } else { "GetDownloadUrlForLayer" },
        )?;
        let digest = digest(text)?;
        let size = self.local.read(|connection| repository.blob_size(connection, &digest))?;
        let size = size.ok_or_else(|| unknown(&digest))?;
        let damaged = || {
            let words =
                format!("blob {text} is damaged on the disk; push it again (`ecr local check` lists them)");
            OciError::new(500, "UNKNOWN", words)
        };
        let path = self.local.store.blobs.path(text).ok_or_else(damaged)?;
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged(),
            _ => error.into(),
        })?;
        let size = u64::try_from(size).unwrap_or_default();
        if file.metadata()?.len() == size { Ok((file, size)) } else { Err(damaged()) }
    }

    /// A blob as a pull gets it: one that is missing may be upstream.
    pub(in crate::local) fn pulled_blob(
        &self,
        repository: &RepositoryRef,
        text: &str,
    ) -> Result<(File, u64), OciError> {
        match self.blob(repository, text, false) {
            Err(error) if error.status == 404 => {
                let wanted = vec![UpstreamItem::Layer(digest(text)?)];
                let RepositoryRef { scope, name } = repository;
                let instead = self.local.read(|connection| {
                    upstream_rules::upstream_error_for(connection, scope, name, wanted, self.fetch_results)
                })?;
                match instead {
                    Some(error) => self.pulled(repository, Err(error)),
                    None => Err(error),
                }
            }
            found => found,
        }
    }

    /// Takes a blob from a repository; its bytes stay until they are collected. One that an image refers to stays.
    pub(in crate::local) fn delete_blob(
        &self,
        repository: &RepositoryRef,
        text: &str,
    ) -> Result<(), OciError> {
        let digest = digest(text)?;
        self.authorize(repository, "BatchDeleteImage")?;
        if self.rules.quirks {
            return Err(OciError::new(405, "UNSUPPORTED", "The operation is unsupported."));
        }
        match self.request().delete_blob(repository, &digest)? {
            Deleted::Yes => Ok(()),
            Deleted::Missing => Err(unknown(&digest)),
            Deleted::Used => {
                Err(OciError::new(405, "UNSUPPORTED", format!("blob {digest} belongs to an image")))
            }
        }
    }

    /// Gives a repository a blob that another one of the same registry has: `from`, or any if `None`. False if the blob
    /// is nowhere that it could be mounted from.
    pub(in crate::local) fn mount(
        &self,
        target: &RepositoryRef,
        text: &str,
        from: Option<&str>,
    ) -> Result<bool, OciError> {
        let digest = digest(text)?;
        self.authorize(target, "InitiateLayerUpload")?;
        let source = match from.map(|from| self.repository(from)).transpose() {
            // No repository has a name of such a length, so the blob is not there (OCI distribution specification, "Mounting a
            // blob from another repository").
            Err(OciError { code: "NAME_INVALID", .. }) if from.is_some_and(is_name) => return Ok(false),
            source => source?,
        };
        // Whoever may not read the source uploads the blob instead, as if it were not there.
        match &source {
            Some(source) if self.authorize(source, "GetDownloadUrlForLayer").is_err() => return Ok(false),
            None if self.local.enforces => return Ok(false),
            _ => {}
        }
        let quirks = self.rules.quirks;
        if let Some(source) = source.as_ref().filter(|_| quirks)
            && !self.local.read(|connection| account_settings::mounts_blobs(connection, &source.scope))?
        {
            return Ok(false);
        }
        let mount = Mount { digest: &digest, source: source.as_ref(), used_only: quirks };
        Ok(self.request().mount(target, &mount)?)
    }
}

fn unknown(digest: &Digest) -> OciError {
    OciError::new(404, "BLOB_UNKNOWN", format!("blob {digest} is not in the repository"))
}
