//! Upload sessions: the same that Amazon ECR's API has, so that either sees what the other began.

use std::fs::File;

use serde_json::json;

use super::blobs::digest;
use super::{Place, Refusal, Registry};
use crate::image::{Algorithm, Digest};
use crate::local::uploads::{Upload, Writer};
use crate::local::{Local, blobs, time};

/// A session whose file this request alone has.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) id: String,
    writer: Writer,
    most_bytes: i64,
}

impl Registry<'_> {
    /// Begins a session; answers its identifier.
    pub(crate) fn begin(&self, place: &Place) -> Result<String, Refusal> {
        let input = || json!({ "repositoryName": place.name });
        let answer = self.creating(place, || self.call(place, "InitiateLayerUpload", input()))?;
        Ok(answer["uploadId"].as_str().unwrap_or_default().to_owned())
    }

    /// The number of bytes that a session has.
    pub(crate) fn received(&self, place: &Place, id: &str) -> Result<i64, Refusal> {
        self.authorize(place, "UploadLayerPart")?;
        Ok(self.upload(place, id)?.size)
    }

    fn upload(&self, place: &Place, id: &str) -> Result<Upload, Refusal> {
        let upload = self.local.database.read(|connection| {
            let repository = place.repository(connection)?;
            Upload::find(connection, repository, id)
        })?;
        upload.ok_or_else(|| unknown(id))
    }

    /// Opens a session to write to it. Nothing where another request has it open.
    pub(crate) fn open(&self, place: &Place, id: &str) -> Result<Option<Session>, Refusal> {
        self.authorize(place, "UploadLayerPart")?;
        let known = self.upload(place, id)?;
        let Some(file) = self.local.blobs.try_lock_upload(&known.id)? else { return Ok(None) };
        // The session may have changed, or ended, before the file was ours.
        match self.upload(place, id) {
            Ok(upload) => {
                upload.check_bytes(&file)?;
                let writer = Writer::new(self.local, upload, file);
                let limits = &self.local.limits;
                let is_public = place.scope.service == "ecr-public";
                let most_bytes = if is_public { limits.public_layer } else { limits.layer };
                Ok(Some(Session { place: place.clone(), id: known.id, writer, most_bytes }))
            }
            Err(refusal) => {
                self.local.forget_upload(&known.id);
                Err(refusal)
            }
        }
    }

    /// Ends a session and forgets its bytes.
    pub(crate) fn cancel(&self, place: &Place, id: &str) -> Result<(), Refusal> {
        self.authorize(place, "UploadLayerPart")?;
        let upload = self.upload(place, id)?;
        self.local.database.free(|transaction| {
            transaction.execute("DELETE FROM upload WHERE id = ?1", [&upload.id])?;
            Ok(())
        })?;
        self.local.forget_upload(&upload.id);
        Ok(())
    }

    /// Records what a session took in; answers how many bytes it has then.
    pub(crate) fn keep(&self, session: Session) -> Result<i64, Refusal> {
        let id = session.id;
        let kept = session.writer.finish(self.local, self.rules.quirks, time::now())?;
        kept.map(|(upload, _)| upload.size).ok_or_else(|| unknown(&id))
    }

    /// Makes a session a blob of its repository. One whose digest is another stays as it is.
    pub(crate) fn complete(&self, session: Session, text: &str) -> Result<(), Refusal> {
        let digest = digest(text)?;
        let Session { place, id, writer, .. } = session;
        self.authorize(&place, "CompleteLayerUpload")?;
        let kept = writer.finish(self.local, self.rules.quirks, time::now())?;
        let (upload, file) = kept.ok_or_else(|| unknown(&id))?;
        if self.rules.quirks {
            check_parts(&place, &upload)?;
        }
        if calculated(self.local, &upload, &file, digest.algorithm())? != digest {
            let words = "None of the provided layer digests match the calculated layer digest";
            let code = if self.rules.quirks { "BLOB_UPLOAD_INVALID" } else { "DIGEST_INVALID" };
            return Err(Refusal::new(400, code, words));
        }
        self.local.blobs.settle(&file)?;
        let text = digest.to_string();
        let stored = upload.become_layer(self.local, &text, |connection| place.repository(connection))?;
        stored.ok_or_else(|| unknown(&id))?;
        self.local.forget_upload(&id);
        Ok(())
    }
}

impl Session {
    /// The bytes that the session has, with those that were written just now.
    pub(crate) fn size(&self) -> i64 {
        self.writer.size()
    }

    /// Takes in what comes next.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.size().saturating_add(i64::try_from(bytes.len()).unwrap_or(i64::MAX)) > self.most_bytes {
            let text = format!("A layer has at most {} MiB", self.most_bytes / 1024 / 1024);
            return Err(Refusal::new(413, "SIZE_INVALID", text));
        }
        Ok(self.writer.write(bytes)?)
    }
}

/// The digest of everything that a session has; SHA-256 ran along.
fn calculated(local: &Local, upload: &Upload, file: &File, algorithm: Algorithm) -> Result<Digest, Refusal> {
    let text = upload.digest(local, file)?;
    if algorithm == Algorithm::Sha256 {
        return digest(&text);
    }
    let mut hasher = algorithm.hasher();
    blobs::read_pieces(file, |piece| hasher.update(piece))?;
    Ok(hasher.finish())
}

/// What Amazon ECR asks of the parts of a layer.
fn check_parts(place: &Place, upload: &Upload) -> Result<(), Refusal> {
    if upload.parts == 0 {
        let text = format!(
            "The upload with id '{}' in the repository with name '{}' in registry with id '{}' cannot be completed \
             because it does not have any parts",
            upload.id, place.name, place.scope.account
        );
        return Err(Refusal::new(400, "BLOB_UPLOAD_INVALID", text));
    }
    if upload.has_short_part {
        let text = "All layer parts except the last part should be at least 5MB";
        return Err(Refusal::new(400, "BLOB_UPLOAD_INVALID", text));
    }
    Ok(())
}

fn unknown(id: &str) -> Refusal {
    Refusal::new(404, "BLOB_UPLOAD_UNKNOWN", format!("there is no upload {id} in the repository"))
}
