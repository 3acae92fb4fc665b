//! Upload sessions, which both APIs share, so that each sees those begun by the other.

use std::fs::File;

use rusqlite::Connection;

use crate::image::{Algorithm, Digest};
use crate::local::core::error::{Error, ErrorKind};
use crate::local::core::local::Local;
use crate::local::core::registry_id::{RepositoryRef, Scope};
use crate::local::core::request::{IfMissing, Request};
use crate::local::store::blobs;
use crate::local::store::uploads::{Upload, Writer};

/// Begins a session; answers its identifier.
pub(in crate::local) fn begin_upload(
    request: &Request<'_>,
    reference: &RepositoryRef,
    missing: IfMissing,
) -> Result<String, Error> {
    let local = request.local;
    local.store.database.hold_reserve();
    let (id, forgotten) = local.write(|transaction| {
        let repository = request.repository(transaction, reference, missing)?;
        Ok(Upload::begin(transaction, repository.id, request.now)?)
    })?;
    for id in forgotten {
        local.forget_upload(&id);
    }
    Ok(id)
}

/// Returns a session as recorded in the database, if it exists.
pub(in crate::local) fn upload_of(
    local: &Local,
    reference: &RepositoryRef,
    id: &str,
) -> Result<Option<Upload>, Error> {
    local.read(|connection| Ok(Upload::find(connection, reference.find(connection)?.id, id)?))
}

/// Ends a session and forgets its bytes; false if there is none.
pub(in crate::local) fn cancel_upload(
    local: &Local,
    reference: &RepositoryRef,
    id: &str,
) -> Result<bool, Error> {
    let Some(upload) = upload_of(local, reference, id)? else { return Ok(false) };
    local.free(|transaction| {
        transaction.execute("DELETE FROM upload WHERE id = ?1", [&upload.id])?;
        Ok(())
    })?;
    local.forget_upload(&upload.id);
    Ok(true)
}

/// Ends all sessions, for tests of clients.
pub(in crate::local) fn expire_all(connection: &Connection) -> Result<(), Error> {
    connection.execute("DELETE FROM upload", [])?;
    Ok(())
}

/// Checks Amazon ECR's rules for the parts of a layer: there is one, and all but the last have the least size.
pub(in crate::local) fn check_parts(scope: &Scope, repository: &str, upload: &Upload) -> Result<(), Error> {
    if upload.parts == 0 {
        let text = format!(
            "The upload with id '{}' in the repository with name '{repository}' in registry with id '{}' cannot be \
             completed because it does not have any parts",
            upload.id, scope.account
        );
        return Err(Error::new(ErrorKind::EmptyUpload, text));
    }
    if upload.has_short_part {
        let text = "All layer parts except the last part should be at least 5MB";
        return Err(Error::new(ErrorKind::LayerPartTooSmall, text));
    }
    Ok(())
}

/// A session whose file this request alone has.
#[derive(Debug)]
pub(in crate::local) struct Session {
    pub(in crate::local) repository: RepositoryRef,
    pub(in crate::local) id: String,
    writer: Writer,
    /// The most bytes that the layer may have.
    pub(in crate::local) most_bytes: i64,
}

/// A session that could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum NotOpened {
    Missing,
    /// Another request has it open.
    Busy,
}

impl Session {
    /// Opens a session to write to it.
    pub(in crate::local) fn open(
        local: &Local,
        reference: &RepositoryRef,
        id: &str,
    ) -> Result<Result<Self, NotOpened>, Error> {
        let Some(known) = upload_of(local, reference, id)? else { return Ok(Err(NotOpened::Missing)) };
        let Some(file) = local.store.blobs.try_lock_upload(&known.id)? else {
            return Ok(Err(NotOpened::Busy));
        };
        // The session may have changed, or ended, before the file was ours.
        let Some(upload) = upload_of(local, reference, id).inspect_err(|_| local.forget_upload(&known.id))?
        else {
            local.forget_upload(&known.id);
            return Ok(Err(NotOpened::Missing));
        };
        upload.check_bytes(&file)?;
        let limits = &local.limits;
        let most_bytes = if reference.is_public() { limits.public_layer } else { limits.layer };
        let writer = Writer::new(&local.store, upload, file);
        Ok(Ok(Self { repository: reference.clone(), id: known.id, writer, most_bytes }))
    }

    /// Returns the bytes of the session, including those just written.
    pub(in crate::local) fn size(&self) -> i64 {
        self.writer.size()
    }

    /// Writes the next bytes.
    pub(in crate::local) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.writer.write(bytes)?)
    }

    /// Records the written bytes; returns the session then, with its file, or `None` if it has ended meanwhile.
    /// `counts_short` remembers parts that Amazon ECR finds too small.
    pub(in crate::local) fn finish(
        self,
        request: &Request<'_>,
        counts_short: bool,
    ) -> Result<Option<FinishedUpload>, Error> {
        let Self { repository, writer, .. } = self;
        let finished = writer.finish(&request.local.store, counts_short, request.now)?;
        Ok(finished.map(|(upload, file)| FinishedUpload { repository, upload, file }))
    }
}

/// An upload session whose bytes are all recorded in the database.
#[derive(Debug)]
pub(in crate::local) struct FinishedUpload {
    repository: RepositoryRef,
    pub(in crate::local) upload: Upload,
    file: File,
}

impl FinishedUpload {
    /// The digest of everything that the session has; SHA-256 ran along.
    pub(in crate::local) fn digest(&self, local: &Local, algorithm: Algorithm) -> Result<Digest, Error> {
        let text = self.upload.digest(&local.store, &self.file)?;
        if algorithm == Algorithm::Sha256 {
            return text.parse().map_err(|_| Error::storage("an upload has no digest"));
        }
        let mut hasher = algorithm.hasher();
        blobs::read_pieces(&self.file, |piece| hasher.update(piece))?;
        Ok(hasher.finish())
    }

    /// Makes the session, which has this digest, a blob of its repository; false if it has ended meanwhile.
    pub(in crate::local) fn store(self, local: &Local, digest: &Digest) -> Result<bool, Error> {
        let Self { repository, upload, file } = self;
        local.store.blobs.settle(&file)?;
        let row = |connection: &rusqlite::Connection| Ok::<_, Error>(repository.find(connection)?.id);
        let stored = upload.become_layer(&local.store, &digest.to_string(), row)?;
        if stored.is_some() {
            local.forget_upload(&upload.id);
        }
        Ok(stored.is_some())
    }
}
