//! Upload sessions, shared with Amazon ECR's API, so that each sees those begun by the other.

use crate::local::core::registry_id::RepositoryRef;
use crate::local::core::request::IfMissing;
use crate::local::core::uploads::{
    FinishedUpload, NotOpened, Session, begin_upload, cancel_upload, check_parts, upload_of,
};
use crate::local::distribution::blobs::digest;
use crate::local::distribution::error::OciError;
use crate::local::distribution::registry::Registry;

/// Writes the next bytes of a session.
pub(in crate::local) fn write(session: &mut Session, bytes: &[u8]) -> Result<(), OciError> {
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    if session.size().saturating_add(length) > session.most_bytes {
        let text = format!("A layer has at most {} MiB", session.most_bytes / 1024 / 1024);
        return Err(OciError::new(413, "SIZE_INVALID", text));
    }
    Ok(session.write(bytes)?)
}

impl Registry<'_> {
    /// Begins a session; answers its identifier.
    pub(in crate::local) fn begin(&self, repository: &RepositoryRef) -> Result<String, OciError> {
        self.authorize(repository, "InitiateLayerUpload")?;
        Ok(begin_upload(&self.request(), repository, IfMissing::Create)?)
    }

    /// The number of bytes that a session has.
    pub(in crate::local) fn received(&self, repository: &RepositoryRef, id: &str) -> Result<i64, OciError> {
        self.authorize(repository, "UploadLayerPart")?;
        let upload = upload_of(self.local, repository, id)?;
        upload.map(|upload| upload.size).ok_or_else(|| unknown(id))
    }

    /// Opens a session to write to it; `None` if another request has it open.
    pub(in crate::local) fn open(
        &self,
        repository: &RepositoryRef,
        id: &str,
    ) -> Result<Option<Session>, OciError> {
        self.authorize(repository, "UploadLayerPart")?;
        match Session::open(self.local, repository, id)? {
            Ok(session) => Ok(Some(session)),
            Err(NotOpened::Busy) => Ok(None),
            Err(NotOpened::Missing) => Err(unknown(id)),
        }
    }

    /// Ends a session and forgets its bytes.
    pub(in crate::local) fn cancel(&self, repository: &RepositoryRef, id: &str) -> Result<(), OciError> {
        self.authorize(repository, "UploadLayerPart")?;
        if cancel_upload(self.local, repository, id)? { Ok(()) } else { Err(unknown(id)) }
    }

    /// Records the written bytes of a session; returns its size then.
    pub(in crate::local) fn keep(&self, session: Session) -> Result<i64, OciError> {
        Ok(self.finish(session)?.upload.size)
    }

    fn finish(&self, session: Session) -> Result<FinishedUpload, OciError> {
        let id = session.id.clone();
        session.finish(&self.request(), self.rules.quirks)?.ok_or_else(|| unknown(&id))
    }

    /// Makes a session a blob of its repository. One whose digest is another stays as it is.
    pub(in crate::local) fn complete(&self, session: Session, text: &str) -> Result<(), OciError> {
        let digest = digest(text)?;
        let repository = session.repository.clone();
        self.authorize(&repository, "CompleteLayerUpload")?;
        let finished = self.finish(session)?;
        if self.rules.quirks {
            check_parts(&repository.scope, &repository.name, &finished.upload)?;
        }
        if finished.digest(self.local, digest.algorithm())? != digest {
            let words = "None of the provided layer digests match the calculated layer digest";
            let code = if self.rules.quirks { "BLOB_UPLOAD_INVALID" } else { "DIGEST_INVALID" };
            return Err(OciError::new(400, code, words));
        }
        let id = finished.upload.id.clone();
        if finished.store(self.local, &digest)? { Ok(()) } else { Err(unknown(&id)) }
    }
}

fn unknown(id: &str) -> OciError {
    OciError::new(404, "BLOB_UPLOAD_UNKNOWN", format!("there is no upload {id} in the repository"))
}
